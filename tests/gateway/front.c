/* SPDX-License-Identifier: MIT */
#include "front.h"

#include "text.h"

#include <arpa/inet.h>
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
	struct sockaddr_in from;
	struct sockaddr_in to;
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

static int bind_to(const struct sockaddr_in *local)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	/* multicasts of ours leave through the interface that has our address */
	setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &local->sin_addr, sizeof(local->sin_addr));
	if (bind(fd, (const struct sockaddr *)local, sizeof(*local)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

bool front_open(struct front *front, const struct sockaddr_in *local)
{
	socklen_t len = sizeof(front->local);

	front->fd = bind_to(local);
	return front->fd >= 0 &&
	       getsockname(front->fd, (struct sockaddr *)&front->local, &len) == 0;
}

bool front_refuse(struct front *front, bool refuse)
{
	if (refuse && front->fd >= 0) {
		close(front->fd);
		front->fd = -1;
	} else if (!refuse && front->fd < 0) {
		front->fd = bind_to(&front->local);
	}
	return refuse || front->fd >= 0;
}

bool front_send(struct front *front, const struct sockaddr_in *from, const struct sockaddr_in *to,
		const uint8_t *bytes, size_t len)
{
	int fd = from || front->fd < 0 ? bind_to(from ? from : &front->local) : front->fd;
	bool sent;
	int saved;

	if (fd < 0)
		return false;
	sent = sendto(fd, bytes, len, 0, (const struct sockaddr *)to, sizeof(*to)) == (ssize_t)len;
	saved = errno;
	if (fd != front->fd)
		close(fd);
	errno = saved;
	return sent;
}

/* --------------------------------------------------------------- answers -- */

static void transmit(struct front *front, const struct sockaddr_in *from,
		     const struct sockaddr_in *to, const uint8_t *bytes, size_t len)
{
	char packet[TEXT_PACKET], at[TEXT_ENDPOINT], stray[TEXT_ENDPOINT];
	bool sent = front_send(front, from, to, bytes, len);

	journal_line(front->journal, "%s %s to %s%s%s", sent ? "answer" : "unsendable",
		     text_of_answer(bytes, len, packet), text_of_endpoint(to, at),
		     from ? " from " : "", from ? text_of_endpoint(from, stray) : "");
}

static void hold(struct front *front, uint64_t due, const struct sockaddr_in *from,
		 const struct sockaddr_in *to, const uint8_t *bytes, size_t len)
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
static void answer(struct front *front, const struct sockaddr_in *to, uint8_t *bytes, size_t len)
{
	const struct sockaddr_in *from;
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

static void request(struct front *front, const struct sockaddr_in *from, const uint8_t *bytes,
		    size_t len)
{
	uint8_t out[MODEL_PACKET_MAX];
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
	size = model_input(front->model, journal_now(), ntohl(from->sin_addr.s_addr), bytes, len,
			   out);
	complain(front, at);
	if (size)
		answer(front, from, out, size);
	else
		journal_line(front->journal, "silence to %s", at);
}

static void readable(void *owner)
{
	struct front *front = owner;
	uint8_t bytes[2048];

	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(front->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from,
				     &len);

		/* ECONNREFUSED: a client had gone before its answer came */
		if (n < 0 && errno != ECONNREFUSED && errno != EINTR)
			return;
		if (n >= 0)
			request(front, &from, bytes, (size_t)n);
	}
}

void front_watch(struct front *front, struct watch *watch)
{
	watch_fd(watch, front->fd, POLLIN, readable, front);
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
	if (front->fd >= 0)
		close(front->fd);
	front->fd = -1;
}
