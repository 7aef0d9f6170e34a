# SPDX-License-Identifier: MIT
"""What natpmp.py believes of the structs, as layout.c tells what they are."""

import ctypes

import natpmp

for struct in (natpmp._Mapping, natpmp._State, natpmp._Options):
    name = "natpmp" + struct.__name__.lower()
    print(name, ctypes.sizeof(struct))
    for member, _ in struct._fields_:
        field = getattr(struct, member)
        print(f"{name}.{member} {field.offset} {field.size}")
