/* SPDX-License-Identifier: MIT */
/* listen - does any program of this host wait on a port? */
#ifndef CLI_LISTEN_H
#define CLI_LISTEN_H

#include <natpmpc.h>
#include <stdbool.h>

/* True also if that cannot be known. */
bool is_listened_to(natpmp_family family, natpmp_protocol protocol, unsigned port);

#endif
