# SPDX-License-Identifier: MIT
# find_package(natpmpc) gives natpmpc::natpmpc, shared, and natpmpc::natpmpc_static.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/natpmpc-targets.cmake)
