/* SPDX-License-Identifier: MIT */
/*
 * relay.h - what makes a mapping real on loopback: whoever connects, or sends a
 * datagram, to the relay address and an external port reaches the client's
 * internal port, and is answered from there.
 */
#ifndef GATEWAY_RELAY_H
#define GATEWAY_RELAY_H

#include "journal.h"
#include "model.h"
#include "watch.h"

struct relay;

struct relays {
	struct journal *journal;
	uint32_t address; /* host byte order */
	struct relay *first;
	size_t streams;
	uint64_t accept_at; /* out of descriptors: accept nothing before this */
};

void relays_open(struct relays *relays, const struct model_mapping *mapping);
void relays_close(struct relays *relays, const struct model_mapping *mapping);
void relays_watch(struct relays *relays, struct watch *watch); /* also frees what is over */
void relays_free(struct relays *relays);

#endif
