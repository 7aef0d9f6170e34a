/* SPDX-License-Identifier: MIT */
/* answers - how questions end, and what packets say. Only client.c and answers.c may include this;
 * the calls that take packets are in client.h. */
#ifndef CORE_ANSWERS_H
#define CORE_ANSWERS_H

#include "core/client.h"

/* The question in flight had its turn and was not answered. is_yielding: its series is not over. */
void client_put_away(struct client *client, bool is_yielding, instant now);
/* The external address changed or is settled: leases may come up, or have to tell it. */
void client_address_changed(struct client *client, instant now);
/* If the gateway does not answer, every doubted grant is lost. */
void client_lose_doubted(struct client *client, instant now);

#endif
