/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HELD_MAX = 4096, BATCH = 64 };

struct held_answer {
	struct held_answer *next;
	uint64_t due; /* ms */
	bool stray;
	union endpoint from;
	union endpoint to;
	size_t len;
	uint8_t bytes[];
};

static bool knob_turned(struct knob *knob)
{
	if (knob->left == 0)
		return false;
	if (knob->left != UINT32_MAX)
		knob->left--;
	return true;
}

static bool is_lost(struct front *front)
{
	/* the multiplier and increment are Knuth's MMIX */
	front->seed = front->seed * 6364136223846793005U + 1442695040888963407U;
	return (front->seed >> 33) % 100 < front->drop_percent;
}

/* --------------------------------------------------------------- sockets -- */

/* Multicasts of ours leave through the interface that has our address; the one of
 * IPv6 is named with the group. */
static int bind_to(const union endpoint *local)
{
	int fd = socket(local->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (local->any.sa_family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &local->v4.sin_addr,
			   sizeof(local->v4.sin_addr));
	if (bind(fd, &local->any, endpoint_size(local)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static struct door *door_for(struct front *front, const union endpoint *endpoint)
{
	return &front->doors[endpoint->any.sa_family == AF_INET6];
}

void front_init(struct front *front)
{
	for (size_t i = 0; i < 2; i++)
		front->doors[i] = (struct door){.front = front, .fd = -1};
}

bool front_open(struct front *front, const union endpoint *local)
{
	struct door *door = door_for(front, local);
	socklen_t len = sizeof(door->local);

	door->fd = bind_to(local);
	return door->fd >= 0 && getsockname(door->fd, &door->local.any, &len) == 0;
}

static bool door_refuse(struct door *door, bool refuse)
{
	if (endpoint_port(&door->local) == 0)
		return true;
	if (refuse && door->fd >= 0) {
		close(door->fd);
		door->fd = -1;
	} else if (!refuse && door->fd < 0) {
		door->fd = bind_to(&door->local);
	}
	return refuse || door->fd >= 0;
}

bool front_refuse(struct front *front, bool refuse)
{
	return door_refuse(&front->doors[0], refuse) && door_refuse(&front->doors[1], refuse);
}

bool front_send(struct front *front, const union endpoint *from, const union endpoint *to,
		const uint8_t *bytes, size_t len)
{
	struct door *door = door_for(front, to);
	int fd = from || door->fd < 0 ? bind_to(from ? from : &door->local) : door->fd;
	bool sent;
	int saved;

	if (fd < 0)
		return false;
	sent = sendto(fd, bytes, len, 0, &to->any, endpoint_size(to)) == (ssize_t)len;
	saved = errno;
	if (fd != door->fd)
		close(fd);
	errno = saved;
	return sent;
}

/* --------------------------------------------------------------- answers -- */

static void transmit(struct front *front, const union endpoint *from, const union endpoint *to,
		     const uint8_t *bytes, size_t len)
{
	char packet[TEXT_PACKET], at[TEXT_ENDPOINT], stray[TEXT_ENDPOINT];
	bool sent = front_send(front, from, to, bytes, len);

	journal_line(front->journal, "%s %s to %s%s%s", sent ? "answer" : "unsendable",
		     text_of_answer(bytes, len, packet), text_of_endpoint(to, at),
		     from ? " from " : "", from ? text_of_endpoint(from, stray) : "");
}

static void hold(struct front *front, uint64_t due, const union endpoint *from,
		 const union endpoint *to, const uint8_t *bytes, size_t len)
{
	struct held_answer **at = &front->held;
	struct held_answer *held;

	if (front->held_count >= HELD_MAX)
		return;
	held = calloc(1, sizeof(*held) + len);
	if (!held)
		return;
	held->due = due;
	held->stray = from != NULL;
	if (from)
		held->from = *from;
	held->to = *to;
	held->len = len;
	memcpy(held->bytes, bytes, len);
	while (*at && (*at)->due <= due)
		at = &(*at)->next;
	held->next = *at;
	*at = held;
	front->held_count++;
}

static void release_first(struct front *front)
{
	struct held_answer *held = front->held;

	transmit(front, held->stray ? &held->from : NULL, &held->to, held->bytes, held->len);
	front->held = held->next;
	front->held_count--;
	free(held);
}

void front_due(struct front *front)
{
	uint64_t now = journal_now();

	while (front->held && front->held->due <= now)
		release_first(front);
}

/* Mutilates bytes, which have room for MODEL_PACKET_MAX. */
static void answer(struct front *front, const union endpoint *to, uint8_t *bytes, size_t len)
{
	const union endpoint *from;
	uint32_t copies;
	uint64_t due = 0;
	char text[TEXT_ENDPOINT];

	if (knob_turned(&front->drop_answer) || is_lost(front)) {
		journal_line(front->journal, "drop answer to %s", text_of_endpoint(to, text));
		return;
	}
	from = knob_turned(&front->stray) ? &front->stray_from : NULL;
	copies = 1 + (knob_turned(&front->duplicate) ? front->duplicate.value : 0);
	if (knob_turned(&front->truncate) && len > front->truncate.value)
		len = front->truncate.value;
	if (knob_turned(&front->pad) && len < front->pad.value) {
		memset(bytes + len, 0, front->pad.value - len);
		len = front->pad.value;
	}
	if (knob_turned(&front->delay))
		due = journal_now() + front->delay.value;
	for (uint32_t i = 0; i < copies; i++) {
		if (due)
			hold(front, due, from, to, bytes, len);
		else
			transmit(front, from, to, bytes, len);
	}
}

/* -------------------------------------------------------------- requests -- */

static void complain(struct front *front, const char *from)
{
	for (unsigned i = 0; i < MODEL_RULES; i++)
		if (front->model->broken & 1U << i)
			journal_line(front->journal, "violation %s from %s",
				     model_rule_text((enum model_rule)(1U << i)), from);
}

static void request(struct front *front, const union endpoint *from, const uint8_t *bytes,
		    size_t len)
{
	uint8_t out[MODEL_PACKET_MAX];
	struct model_host client = endpoint_host(from);
	char packet[TEXT_PACKET], at[TEXT_ENDPOINT];
	size_t size;

	text_of_endpoint(from, at);
	journal_line(front->journal, "request %s from %s", text_of_request(bytes, len, packet), at);
	front->last = *from;
	if (knob_turned(&front->drop) || is_lost(front)) {
		front->model->requests++;
		journal_line(front->journal, "drop request from %s", at);
		return;
	}
	size = model_input_from(front->model, journal_now(), &client, bytes, len, out);
	complain(front, at);
	if (size)
		answer(front, from, out, size);
	else
		journal_line(front->journal, "silence to %s", at);
}

static void readable(void *owner)
{
	struct door *door = owner;
	uint8_t bytes[2048];

	for (int i = 0; i < BATCH; i++) {
		union endpoint from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(door->fd, bytes, sizeof(bytes), 0, &from.any, &len);

		/* ECONNREFUSED: a client had gone before its answer came */
		if (n < 0 && errno != ECONNREFUSED && errno != EINTR)
			return;
		if (n >= 0)
			request(door->front, &from, bytes, (size_t)n);
	}
}

void front_watch(struct front *front, struct watch *watch)
{
	for (size_t i = 0; i < 2; i++)
		watch_fd(watch, front->doors[i].fd, POLLIN, readable, &front->doors[i]);
	if (front->held)
		watch_until(watch, front->held->due);
}

/* ----------------------------------------------------------------- other -- */

void front_reset(struct front *front)
{
	static const struct knob off;

	front->drop = front->drop_answer = front->delay = front->duplicate = off;
	front->truncate = front->pad = front->stray = off;
	front->drop_percent = 0;
	while (front->held)
		release_first(front);
}

void front_close(struct front *front)
{
	while (front->held) {
		struct held_answer *held = front->held;

		front->held = held->next;
		free(held);
	}
	for (size_t i = 0; i < 2; i++) {
		if (front->doors[i].fd >= 0)
			close(front->doors[i].fd);
		front->doors[i].fd = -1;
	}
}
