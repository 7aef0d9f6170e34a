/* SPDX-License-Identifier: MIT */
/* settle - the records of a client, and what is done about each. For the parts of client alone. */
#ifndef CORE_SETTLE_H
#define CORE_SETTLE_H

#include "core/client.h"

/* --- records --- */

struct grant *list_grant(struct list *node);
bool question_is_of_grant(const struct question *question);
/* The grant that the question, of ASK_CREATE or ASK_DELETE, is about. */
struct grant *question_grant(struct question *question);
/* The record of that key, made if there is none. NULL: out of memory. */
struct grant *client_make_grant(struct client *client, unsigned protocol, uint16_t internal_port);
void client_forget_grant(struct client *client, struct grant *grant);
/* Some grant is doubted: the first one of client.granted. */
bool client_has_doubted(const struct client *client);
/* Somebody wants to know how the gateway is: something is held, or the gateway is watched. */
bool client_is_kept(const struct client *client);

/* --- deletions --- */

/* A caller is blocked until the mapping of that key is deleted. */
bool client_is_deletion_awaited(const struct client *client, const struct message *key);
/* A caller is blocked by the question about the grant. */
bool client_is_blocked_by(const struct client *client, const struct grant *grant);
/* The callers who wait for that deletion are told. */
void client_end_closings(struct client *client, const struct grant *grant, int status);
/* The deletion has come to an end, one way or the other. */
void client_end_deletion(struct client *client, struct grant *grant, int status, instant now);
/* It could not be deleted: natpmp_free() is to say so while its lifetime runs. */
void client_note_leftover(struct client *client, const struct grant *grant, int status,
			  instant now);
/* When there is nothing left to delete, because its lifetime is over; NEVER. */
instant client_deletion_over_at(const struct client *client, const struct grant *grant);

/* --- settling --- */

/* Something happened to the grant: do what follows. The record may be gone then. */
void client_settle(struct client *client, struct grant *grant, instant now);
void client_settle_lease(struct client *client, struct lease *lease, instant now);
/* Both grants of the lease that wants it, or this one that no lease wants. */
void client_settle_with_lease(struct client *client, struct grant *grant, instant now);
/* There may be something to tell about the lease. */
void client_note_news(struct client *client, struct lease *lease);
/* The caller who was blocked by the lease does not wait for the address any more. */
void client_stop_asking_for(struct client *client, struct lease *lease);

#endif
