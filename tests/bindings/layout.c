/* SPDX-License-Identifier: MIT */
/* How the structs of the public header are laid out here, as far as the bindings use them: the
 * bindings have to say the same of what they believe. Members are told in their order; the last is
 * the room. */
#include <natpmpc.h>
#include <stddef.h>
#include <stdio.h>

#define SIZE(type) printf(#type " %zu\n", sizeof(type))
#define MEMBER(type, member)                                                                       \
	printf(#type "." #member " %zu %zu\n", offsetof(type, member),                             \
	       sizeof(((type *)NULL)->member))

int main(void)
{
	SIZE(natpmp_mapping);
	MEMBER(natpmp_mapping, protocol);
	MEMBER(natpmp_mapping, internal_port);
	MEMBER(natpmp_mapping, external_port);
	MEMBER(natpmp_mapping, lifetime);
	MEMBER(natpmp_mapping, flags);
	MEMBER(natpmp_mapping, internal_address);
	MEMBER(natpmp_mapping, external_address);
	MEMBER(natpmp_mapping, dialect);
	MEMBER(natpmp_mapping, reserved);
	SIZE(natpmp_state);
	MEMBER(natpmp_state, status);
	MEMBER(natpmp_state, mapping);
	MEMBER(natpmp_state, failures);
	MEMBER(natpmp_state, result);
	MEMBER(natpmp_state, expires_in);
	MEMBER(natpmp_state, retry_in);
	MEMBER(natpmp_state, reserved);
	SIZE(natpmp_options);
	MEMBER(natpmp_options, size);
	MEMBER(natpmp_options, gateway);
	MEMBER(natpmp_options, gateway_port);
	MEMBER(natpmp_options, interface);
	MEMBER(natpmp_options, source);
	MEMBER(natpmp_options, deadline);
	MEMBER(natpmp_options, log);
	MEMBER(natpmp_options, log_arg);
	MEMBER(natpmp_options, vpn_ports);
	MEMBER(natpmp_options, dialect);
	MEMBER(natpmp_options, family);
	MEMBER(natpmp_options, secret);
	MEMBER(natpmp_options, secret_size);
	return 0;
}
