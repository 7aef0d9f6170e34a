# SPDX-License-Identifier: MIT
# What `cmake --install` puts where: libraries, header, and what finds them; the command; the manual.
include(CMakePackageConfigHelpers)

# Libraries, and natpmpc::natpmpc and natpmpc::natpmpc_static for find_package(natpmpc).
install(TARGETS natpmpc natpmpc_static EXPORT natpmpc
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
	INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES include/natpmpc.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/natpmpc)
install(EXPORT natpmpc NAMESPACE natpmpc:: DESTINATION ${package_dir} FILE natpmpc-targets.cmake)
write_basic_package_version_file(natpmpc-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/natpmpc-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/natpmpc-config-version.cmake
	DESTINATION ${package_dir})

# Written when it is installed, for `cmake --install --prefix` may choose another place than was
# configured. Below the prefix, so that pkg-config --define-prefix can move them; unless they are elsewhere.
cmake_path(APPEND NATPMPC_PC_LIBDIR "\${prefix}" "${CMAKE_INSTALL_LIBDIR}")
cmake_path(APPEND NATPMPC_PC_INCLUDEDIR "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")
set(prefix_as_installed "@CMAKE_INSTALL_PREFIX@")
configure_file(natpmp.pc.in natpmpc.pc.in @ONLY)
install(CODE "configure_file(\"${CMAKE_CURRENT_BINARY_DIR}/natpmpc.pc.in\" \"${CMAKE_CURRENT_BINARY_DIR}/natpmpc.pc\" @ONLY)")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/natpmpc.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(NATPMPC_COMMAND)
	install(TARGETS natpmp RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
	add_subdirectory(cli/completions)
	add_subdirectory(cli/systemd)
endif()
add_subdirectory(man)
