/* SPDX-License-Identifier: MIT */
/* template - %p %h %P %H in a command, in --on-change and in --print; %%p is %p as it is. */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include <natpmpc.h>

/* The text with its tokens replaced, to be freed; any other %, and %%, stays as it is. An IPv6
 * address that a colon follows is in brackets. NULL: no memory. */
char *template_expand(const char *text, const natpmp_mapping *mapping);

#endif
