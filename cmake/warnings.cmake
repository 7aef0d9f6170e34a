# SPDX-License-Identifier: MIT
# Every target of ours gets these; a warning is an error unless the packager
# says otherwise (compilers not yet born have warnings we cannot know).
option(NATPMPC_WERROR "treat warnings as errors" ON)

add_library(natpmpc_warnings INTERFACE)
target_compile_options(natpmpc_warnings INTERFACE
	-Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wcast-align
	-Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla
	-Wconversion -Wundef -Wformat=2 -Wswitch-enum -Wno-missing-field-initializers)
if(NATPMPC_WERROR)
	target_compile_options(natpmpc_warnings INTERFACE -Werror)
endif()
