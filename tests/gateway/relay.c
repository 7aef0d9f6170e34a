/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	STREAMS_MAX = 512, /* TCP connections of all mappings together */
	PEERS_MAX = 64,    /* UDP peers of one mapping; the idlest makes room */
	BATCH = 64,        /* datagrams or connections taken in one go */
	BUFFER = 16384,
	ACCEPT_PAUSE = 100 /* ms */
};

/* One direction of a TCP connection: read from fd[side], write to fd[!side]. */
struct flow {
	size_t start;
	size_t end;
	bool ended; /* end of file was read */
	bool shut;  /* and passed on */
	uint8_t bytes[BUFFER];
};

enum { OUTSIDE, INSIDE };

struct stream {
	struct stream *next;
	struct relay *relay;
	bool dead;
	bool connecting;
	int fd[2];
	struct flow flow[2];
};

struct peer {
	struct peer *next;
	struct relay *relay;
	bool dead;
	int fd; /* connected to the internal port */
	union endpoint outside;
	uint64_t used; /* ms */
};

struct relay {
	struct relay *next;
	struct relays *relays;
	struct model_mapping mapping;
	bool dead;
	int fd; /* bound to the external port; -1 = that failed */
	struct stream *streams;
	struct peer *peers;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* ----------------------------------------------------------------- tcp -- */

static void stream_kill(struct stream *stream)
{
	if (stream->dead)
		return;
	close_fd(&stream->fd[OUTSIDE]);
	close_fd(&stream->fd[INSIDE]);
	stream->dead = true;
	stream->relay->relays->streams--;
}

/* The outside sees a reset, as it would without anybody listening. */
static void stream_abort(struct stream *stream)
{
	struct linger now = {1, 0};

	for (int side = 0; side < 2; side++)
		if (stream->fd[side] >= 0)
			setsockopt(stream->fd[side], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	stream_kill(stream);
}

/* Move what can be moved one way; false = the connection broke. */
static bool flow_pump(struct stream *stream, int side)
{
	struct flow *flow = &stream->flow[side];
	ssize_t n;

	if (!flow->ended && flow->end < BUFFER) {
		n = recv(stream->fd[side], flow->bytes + flow->end, BUFFER - flow->end, 0);
		if (n < 0 && !would_block())
			return false;
		if (n == 0)
			flow->ended = true;
		if (n > 0)
			flow->end += (size_t)n;
	}
	if (flow->start < flow->end) {
		n = send(stream->fd[!side], flow->bytes + flow->start, flow->end - flow->start,
			 MSG_NOSIGNAL);
		if (n < 0 && !would_block())
			return false;
		if (n > 0)
			flow->start += (size_t)n;
	}
	if (flow->start == flow->end)
		flow->start = flow->end = 0;
	if (flow->ended && !flow->end && !flow->shut) {
		shutdown(stream->fd[!side], SHUT_WR);
		flow->shut = true;
	}
	return true;
}

static bool stream_connected(struct stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(stream->fd[INSIDE], SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		journal_line(stream->relay->relays->journal, "relay tcp %u inside refuses: %s",
			     stream->relay->mapping.external_port, strerror(error));
	stream->connecting = false;
	return error == 0;
}

static void stream_ready(void *owner)
{
	struct stream *stream = owner;

	if (stream->dead)
		return;
	if (stream->connecting && !stream_connected(stream))
		stream_abort(stream);
	else if (!flow_pump(stream, OUTSIDE) || !flow_pump(stream, INSIDE))
		stream_abort(stream);
	else if (stream->flow[OUTSIDE].shut && stream->flow[INSIDE].shut)
		stream_kill(stream);
}

static void stream_watch(struct stream *stream, struct watch *watch)
{
	short events[2] = {0, 0};

	if (stream->connecting) {
		watch_fd(watch, stream->fd[INSIDE], POLLOUT, stream_ready, stream);
		return;
	}
	for (int side = 0; side < 2; side++) {
		const struct flow *flow = &stream->flow[side];

		if (!flow->ended && flow->end < BUFFER)
			events[side] |= POLLIN;
		if (flow->start < flow->end)
			events[!side] |= POLLOUT;
	}
	watch_fd(watch, stream->fd[OUTSIDE], events[OUTSIDE], stream_ready, stream);
	watch_fd(watch, stream->fd[INSIDE], events[INSIDE], stream_ready, stream);
}

/* A socket on its way to the internal port. It comes from the relay address,
 * so that the server there sees a stranger; which only loopback allows. */
static int connect_inside(const struct relay *relay, int type)
{
	union endpoint to = endpoint_of(model_host_number(&relay->mapping.client),
					relay->mapping.internal_port);
	union endpoint from = endpoint_of(relay->relays->address, 0);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (model_host_number(&relay->mapping.client) >> 24 == 127)
		(void)bind(fd, &from.any, endpoint_size(&from));
	if (connect(fd, &to.any, endpoint_size(&to)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void stream_open(struct relay *relay, int outside)
{
	struct stream *stream = NULL;

	if (relay->relays->streams < STREAMS_MAX)
		stream = malloc(sizeof(*stream));
	if (!stream) {
		close(outside);
		return;
	}
	/* Not the buffers: they are large. */
	memset(stream, 0, offsetof(struct stream, flow));
	for (int side = 0; side < 2; side++)
		memset(&stream->flow[side], 0, offsetof(struct flow, bytes));
	stream->relay = relay;
	stream->connecting = true;
	stream->fd[OUTSIDE] = outside;
	stream->fd[INSIDE] = connect_inside(relay, SOCK_STREAM);
	stream->next = relay->streams;
	relay->streams = stream;
	relay->relays->streams++;
	if (stream->fd[INSIDE] < 0)
		stream_abort(stream);
}

static void listener_ready(void *owner)
{
	struct relay *relay = owner;

	for (int i = 0; i < BATCH && !relay->dead; i++) {
		union endpoint from;
		socklen_t len = sizeof(from);
		char text[TEXT_ENDPOINT];
		int fd = accept4(relay->fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				relay->relays->accept_at = journal_now() + ACCEPT_PAUSE;
			return;
		}
		journal_line(relay->relays->journal, "relay tcp %u connection from %s",
			     relay->mapping.external_port, text_of_endpoint(&from, text));
		stream_open(relay, fd);
	}
}

/* ----------------------------------------------------------------- udp -- */

static void peer_kill(struct peer *peer)
{
	close_fd(&peer->fd);
	peer->dead = true;
}

static void peer_ready(void *owner)
{
	struct peer *peer = owner;
	uint8_t bytes[65536];

	for (int i = 0; i < BATCH && !peer->dead; i++) {
		ssize_t n = recv(peer->fd, bytes, sizeof(bytes), 0);

		/* Nobody listening inside (ECONNREFUSED) is no news to the outside. */
		if (n < 0)
			return;
		peer->used = journal_now();
		(void)sendto(peer->relay->fd, bytes, (size_t)n, 0, &peer->outside.any,
			     endpoint_size(&peer->outside));
	}
}

static void make_room(struct relay *relay)
{
	struct peer *idlest = NULL;
	size_t count = 0;

	for (struct peer *peer = relay->peers; peer; peer = peer->next) {
		if (peer->dead)
			continue;
		count++;
		if (!idlest || peer->used < idlest->used)
			idlest = peer;
	}
	if (count >= PEERS_MAX)
		peer_kill(idlest);
}

static struct peer *peer_of(struct relay *relay, const union endpoint *outside)
{
	struct peer *peer;

	for (peer = relay->peers; peer; peer = peer->next)
		if (!peer->dead && peer->outside.v4.sin_port == outside->v4.sin_port &&
		    peer->outside.v4.sin_addr.s_addr == outside->v4.sin_addr.s_addr)
			return peer;
	make_room(relay);
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->relay = relay;
	peer->outside = *outside;
	peer->fd = connect_inside(relay, SOCK_DGRAM);
	if (peer->fd < 0) {
		free(peer);
		return NULL;
	}
	peer->next = relay->peers;
	relay->peers = peer;
	return peer;
}

static void datagrams_ready(void *owner)
{
	struct relay *relay = owner;
	uint8_t bytes[65536];

	for (int i = 0; i < BATCH && !relay->dead; i++) {
		union endpoint from;
		socklen_t len = sizeof(from);
		char text[TEXT_ENDPOINT];
		ssize_t n = recvfrom(relay->fd, bytes, sizeof(bytes), 0, &from.any, &len);
		struct peer *peer;

		if (n < 0)
			return;
		journal_line(relay->relays->journal, "relay udp %u datagram %zd bytes from %s",
			     relay->mapping.external_port, n, text_of_endpoint(&from, text));
		peer = peer_of(relay, &from);
		if (!peer)
			continue;
		peer->used = journal_now();
		/* The first try may only report that an earlier datagram was refused. */
		if (send(peer->fd, bytes, (size_t)n, 0) < 0 && errno == ECONNREFUSED)
			(void)send(peer->fd, bytes, (size_t)n, 0);
	}
}

/* -------------------------------------------------------------- relays -- */

static int bind_outside(const struct relays *relays, const struct model_mapping *mapping)
{
	union endpoint at = endpoint_of(relays->address, mapping->external_port);
	int type = mapping->opcode == MODEL_UDP ? SOCK_DGRAM : SOCK_STREAM;
	int on = 1;
	int saved;
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &at.any, endpoint_size(&at)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) < 0)) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

void relays_open(struct relays *relays, const struct model_mapping *mapping)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	char address[TEXT_ENDPOINT];

	if (!relay)
		return;
	relay->relays = relays;
	relay->mapping = *mapping;
	relay->fd = bind_outside(relays, mapping);
	if (relay->fd < 0)
		journal_line(relays->journal, "relay %s %u not bound on %s: %s",
			     text_of_opcode(mapping->opcode), mapping->external_port,
			     text_of_address(relays->address, address), strerror(errno));
	else
		journal_line(relays->journal, "relay %s %u bound on %s",
			     text_of_opcode(mapping->opcode), mapping->external_port,
			     text_of_address(relays->address, address));
	relay->next = relays->first;
	relays->first = relay;
}

static void relay_kill(struct relay *relay)
{
	for (struct stream *stream = relay->streams; stream; stream = stream->next)
		stream_kill(stream);
	for (struct peer *peer = relay->peers; peer; peer = peer->next)
		peer_kill(peer);
	close_fd(&relay->fd);
	relay->dead = true;
}

void relays_close(struct relays *relays, const struct model_mapping *mapping)
{
	for (struct relay *relay = relays->first; relay; relay = relay->next)
		if (!relay->dead && relay->mapping.opcode == mapping->opcode &&
		    relay->mapping.external_port == mapping->external_port)
			relay_kill(relay);
}

static void relay_reap(struct relay *relay)
{
	for (struct stream **at = &relay->streams; *at;) {
		struct stream *stream = *at;

		if (stream->dead) {
			*at = stream->next;
			free(stream);
		} else {
			at = &stream->next;
		}
	}
	for (struct peer **at = &relay->peers; *at;) {
		struct peer *peer = *at;

		if (peer->dead) {
			*at = peer->next;
			free(peer);
		} else {
			at = &peer->next;
		}
	}
}

static void relays_reap(struct relays *relays)
{
	for (struct relay **at = &relays->first; *at;) {
		struct relay *relay = *at;

		relay_reap(relay);
		if (relay->dead) {
			*at = relay->next;
			free(relay);
		} else {
			at = &relay->next;
		}
	}
}

static void relay_watch(struct relay *relay, struct watch *watch, bool accepts)
{
	if (relay->mapping.opcode == MODEL_UDP)
		watch_fd(watch, relay->fd, POLLIN, datagrams_ready, relay);
	else if (accepts)
		watch_fd(watch, relay->fd, POLLIN, listener_ready, relay);
	for (struct stream *stream = relay->streams; stream; stream = stream->next)
		stream_watch(stream, watch);
	for (struct peer *peer = relay->peers; peer; peer = peer->next)
		watch_fd(watch, peer->fd, POLLIN, peer_ready, peer);
}

void relays_watch(struct relays *relays, struct watch *watch)
{
	bool accepts = journal_now() >= relays->accept_at;

	relays_reap(relays);
	for (struct relay *relay = relays->first; relay; relay = relay->next)
		relay_watch(relay, watch, accepts);
	if (!accepts)
		watch_until(watch, relays->accept_at);
}

void relays_free(struct relays *relays)
{
	for (struct relay *relay = relays->first; relay; relay = relay->next)
		relay_kill(relay);
	relays_reap(relays);
}
