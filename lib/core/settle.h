/* SPDX-License-Identifier: MIT */
/* settle - the records of a client, and what is done about each. Only client.c, answers.c and
 * settle.c may include this. */
#ifndef CORE_SETTLE_H
#define CORE_SETTLE_H

#include "core/client.h"

/* --- records --- */

struct grant *granted_grant(struct list *node);
bool question_is_of_grant(const struct question *question);
/* The grant of a question whose kind is ASK_CREATE or ASK_DELETE. */
struct grant *question_grant(struct question *question);
/* Find the record of that key, or make it. NULL: out of memory. */
struct grant *client_make_grant(struct client *client, unsigned protocol, uint16_t internal_port);
void client_forget_grant(struct client *client, struct grant *grant);
/* Some grant is doubted. Then the first one in client.granted is. */
bool client_has_doubted(const struct client *client);
/* Somebody wants to know how the gateway is: something is held, or the gateway is watched. */
bool client_is_kept(const struct client *client);

/* --- deletions --- */

/* A caller is blocked until the mapping of that key is deleted. */
bool client_is_deletion_awaited(const struct client *client, const struct message *key);
/* A caller is blocked by the question about the grant. */
bool client_is_blocked_by(const struct client *client, const struct grant *grant);
/* Tell the callers that wait for this deletion how it ended. */
void client_end_closings(struct client *client, const struct grant *grant, int status);
/* The deletion has ended, with success or not (status). */
void client_end_deletion(struct client *client, struct grant *grant, int status, instant now);
/* Note that it could not be deleted, so that natpmp_free() says so until its lifetime is over. */
void client_note_leftover(struct client *client, const struct grant *grant, int status,
			  instant now);
/* When a deletion that no caller waits for becomes needless, because the lifetime is over; NEVER:
 * there is no such deletion. */
instant client_deletion_over_at(const struct client *client, const struct grant *grant);

/* --- settling --- */

/* Something happened to the grant: do what follows. This may free the record. */
void client_settle(struct client *client, struct grant *grant, instant now);
void client_settle_lease(struct client *client, struct lease *lease, instant now);
/* Settle all grants of the lease that wants this one, or just this one if no lease wants it. */
void client_settle_with_lease(struct client *client, struct grant *grant, instant now);
/* Put the lease on the list of changed ones, if it has news. */
void client_note_news(struct client *client, struct lease *lease);
/* The blocked caller of the lease no longer waits for the external address. */
void client_stop_asking_for(struct client *client, struct lease *lease);

#endif
