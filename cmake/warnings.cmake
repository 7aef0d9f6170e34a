# SPDX-License-Identifier: MIT
# Every target of ours gets these. They are errors in CMakePresets.json and so in CI, never in
# somebody else's build: compilers not yet born have warnings that we cannot know.
add_library(natpmpc_warnings INTERFACE)
if(PROJECT_IS_TOP_LEVEL) # those of a build that ours is a part of are its own affair
	target_compile_options(natpmpc_warnings INTERFACE
		-Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wcast-align
		-Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla
		-Wconversion -Wundef -Wformat=2 -Wswitch-enum -Wno-missing-field-initializers)
endif()
if(NATPMPC_WERROR)
	target_compile_options(natpmpc_warnings INTERFACE -Werror)
endif()
