/* SPDX-License-Identifier: MIT */
/* answers - what became of questions, and what packets say. For the parts of client alone; the
 * calls that take packets are in client.h. */
#ifndef CORE_ANSWERS_H
#define CORE_ANSWERS_H

#include "core/client.h"

/* The question in flight had its turn in vain. is_yielding: another one waits. */
void client_put_away(struct client *client, bool is_yielding, instant now);
/* The external address changed, or is settled: tell all that are up, or come up now. */
void client_address_changed(struct client *client, instant now);
/* If the gateway does not answer, whatever is only believed to be up is down. */
void client_lose_doubted(struct client *client, instant now);

#endif
