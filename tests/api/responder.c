/* SPDX-License-Identifier: MIT */
#include "responder.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEARD_MAX = 4096, PACKET_MAX = 1500 };

#define DEFAULT_ADDRESS 0xcb007105U /* 203.0.113.5 */

struct responder {
	pthread_t thread;
	pthread_mutex_t mutex;
	struct manner manner;
	_Atomic uint64_t began; /* us */
	struct heard heard[HEARD_MAX];
	size_t count;
	uint16_t port;
	int fd, stop[2];
	int other_port, other_address; /* sockets */
};

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_ms(void)
{
	return now_us() / 1000;
}

static struct sockaddr_in loopback(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
}

/* -1: taken. */
static int bind_udp(uint32_t address, uint16_t port, uint16_t *bound)
{
	struct sockaddr_in here = loopback(address, port);
	socklen_t len = sizeof(here);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) < 0) {
		close(fd);
		return -1;
	}
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &len), 0);
	*bound = ntohs(here.sin_port);
	return fd;
}

uint16_t closed_port(void)
{
	uint16_t port = 0;
	int fd = bind_udp(INADDR_LOOPBACK, 0, &port);

	close(fd);
	return port;
}

static uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)get16(b) << 16 | get16(b + 2);
}

static void put16(uint8_t *b, unsigned value)
{
	b[0] = (uint8_t)(value >> 8);
	b[1] = (uint8_t)value;
}

static void put32(uint8_t *b, uint32_t value)
{
	put16(b, value >> 16);
	put16(b + 2, value & 0xffff);
}

static uint32_t clock_of(const struct responder *r)
{
	return (uint32_t)((now_us() - r->began) / 1000000);
}

/* --- what it says --- */

static size_t answer_map(const struct responder *r, const struct manner *m, const uint8_t *request,
			 uint8_t *bytes)
{
	uint16_t internal = get16(request + 4), external = get16(request + 6);
	uint32_t lifetime = get32(request + 8);

	bytes[1] = request[1] | 0x80;
	uint16_t result = m->no_tcp && request[1] == 2 ? 2 : m->result;

	put16(bytes + 2, result);
	put32(bytes + 4, clock_of(r));
	put16(bytes + 8, internal);
	if (result || !lifetime)
		return 16;
	external = m->external_port ? m->external_port : external ? external : internal;
	if (m->contrary) /* odd for TCP, even for UDP */
		external = (uint16_t)((external & ~1U) | (request[1] == 2));
	put16(bytes + 10, external);
	put32(bytes + 12, m->most && m->most < lifetime ? m->most : lifetime);
	return 16;
}

static size_t answer_address(const struct responder *r, const struct manner *m, uint8_t *bytes)
{
	bytes[1] = 0x80;
	put16(bytes + 2, m->address_result);
	put32(bytes + 4, clock_of(r));
	if (!m->address_result && !m->no_address)
		put32(bytes + 8, m->address ? m->address : DEFAULT_ADDRESS);
	return 12;
}

static size_t answer_pcp(const struct responder *r, const struct manner *m, uint8_t *bytes)
{
	if (m->pcp) {
		bytes[0] = 2;
		bytes[1] = 0x80;
		put32(bytes + 8, clock_of(r));
		return 24;
	}
	bytes[1] = 0x80; /* a NAT-PMP gateway that knows no version 2 */
	bytes[3] = 1;
	put32(bytes + 4, clock_of(r));
	return 8;
}

static void answer(struct responder *r, const struct manner *m, const struct heard *heard)
{
	struct sockaddr_in to = loopback(heard->from, heard->from_port);
	uint8_t bytes[PACKET_MAX] = {0};
	size_t len = 0;

	if (heard->len >= 2 && heard->bytes[0] == 2)
		len = answer_pcp(r, m, bytes);
	else if (heard->len == 2 && heard->bytes[1] == 0)
		len = answer_address(r, m, bytes);
	else if (heard->len == 12)
		len = answer_map(r, m, heard->bytes, bytes);
	if (!len)
		return;
	if (m->padded_to > len)
		len = m->padded_to;
	if (m->from_other_port || m->from_other_address) {
		uint8_t wrong[PACKET_MAX];
		memcpy(wrong, bytes, len);
		put16(wrong + 2, 2); /* a no, should anyone believe it */
		sendto(m->from_other_port ? r->other_port : r->other_address, wrong, len, 0,
		       (struct sockaddr *)&to, sizeof(to));
		usleep(20000);
	}
	sendto(r->fd, bytes, len, 0, (struct sockaddr *)&to, sizeof(to));
}

static void hear(struct responder *r)
{
	struct heard heard = {.at = now_us()};
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct manner manner;
	ssize_t n = recvfrom(r->fd, heard.bytes, sizeof(heard.bytes), 0, (struct sockaddr *)&from,
			     &from_len);

	if (n < 0)
		return;
	heard.len = (size_t)n;
	heard.from = ntohl(from.sin_addr.s_addr);
	heard.from_port = ntohs(from.sin_port);
	pthread_mutex_lock(&r->mutex);
	if (r->count < HEARD_MAX)
		r->heard[r->count++] = heard;
	manner = r->manner;
	if (r->manner.lose)
		r->manner.lose--;
	pthread_mutex_unlock(&r->mutex);
	if (manner.silent || manner.lose || (manner.address_silent && heard.len == 2))
		return;
	if (manner.delay)
		usleep(manner.delay * 1000);
	answer(r, &manner, &heard);
}

static void *listen_on(void *arg)
{
	struct responder *r = arg;
	struct pollfd fds[2] = {{.fd = r->fd, .events = POLLIN},
				{.fd = r->stop[0], .events = POLLIN}};

	while (poll(fds, 2, -1) >= 0 && !fds[1].revents)
		if (fds[0].revents)
			hear(r);
	return NULL;
}

/* --- from the test --- */

struct responder *responder_start_on(uint32_t address, uint16_t port)
{
	struct responder *r = calloc(1, sizeof(*r));
	sigset_t all, before;
	uint16_t unused;

	ck_assert_ptr_nonnull(r);
	r->fd = bind_udp(address, port, &r->port);
	if (r->fd < 0) {
		free(r);
		return NULL;
	}
	r->other_port = bind_udp(INADDR_LOOPBACK, 0, &unused);
	r->other_address =
		bind_udp(INADDR_LOOPBACK + 1, address == INADDR_LOOPBACK ? r->port : 0, &unused);
	ck_assert_int_ge(r->other_address, 0);
	r->began = now_us() - 86400ULL * 1000000;
	ck_assert_int_eq(pipe(r->stop), 0);
	pthread_mutex_init(&r->mutex, NULL);
	sigfillset(&all); /* signals are for the test itself */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ck_assert_int_eq(pthread_create(&r->thread, NULL, listen_on, r), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

struct responder *responder_start_at(uint16_t port)
{
	return responder_start_on(INADDR_LOOPBACK, port);
}

struct responder *responder_start(void)
{
	struct responder *r = responder_start_at(0);

	ck_assert_ptr_nonnull(r);
	return r;
}

void responder_stop(struct responder *r)
{
	close(r->stop[1]); /* readable: its end */
	pthread_join(r->thread, NULL);
	pthread_mutex_destroy(&r->mutex);
	close(r->stop[0]);
	close(r->fd);
	close(r->other_port);
	close(r->other_address);
	free(r);
}

void responder_says(struct responder *r, const struct sockaddr_in *to, const void *bytes,
		    size_t len)
{
	struct in_addr interface = {htonl(INADDR_LOOPBACK)};

	ck_assert_int_eq(
		setsockopt(r->fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)), 0);
	ck_assert_int_eq(sendto(r->fd, bytes, len, 0, (const struct sockaddr *)to, sizeof(*to)),
			 (ssize_t)len);
}

uint16_t responder_port(const struct responder *r)
{
	return r->port;
}

void responder_be(struct responder *r, const struct manner *manner)
{
	pthread_mutex_lock(&r->mutex);
	r->manner = *manner;
	pthread_mutex_unlock(&r->mutex);
}

void responder_reboot(struct responder *r)
{
	pthread_mutex_lock(&r->mutex);
	r->began = now_us();
	pthread_mutex_unlock(&r->mutex);
}

uint32_t responder_clock(struct responder *r)
{
	pthread_mutex_lock(&r->mutex);
	uint32_t clock = clock_of(r);
	pthread_mutex_unlock(&r->mutex);
	return clock;
}

size_t responder_heard(struct responder *r)
{
	pthread_mutex_lock(&r->mutex);
	size_t count = r->count;
	pthread_mutex_unlock(&r->mutex);
	return count;
}

struct heard responder_nth(struct responder *r, size_t n)
{
	struct heard heard;

	pthread_mutex_lock(&r->mutex);
	ck_assert_uint_lt(n, r->count);
	heard = r->heard[n];
	pthread_mutex_unlock(&r->mutex);
	return heard;
}

static size_t count_map(struct responder *r, uint8_t protocol, uint16_t port, bool deletions)
{
	size_t count = 0;

	pthread_mutex_lock(&r->mutex);
	for (size_t i = 0; i < r->count; i++) {
		const struct heard *h = &r->heard[i];
		if (h->len == 12 && h->bytes[0] == 0 && h->bytes[1] == protocol &&
		    get16(h->bytes + 4) == port && (get32(h->bytes + 8) == 0) == deletions)
			count++;
	}
	pthread_mutex_unlock(&r->mutex);
	return count;
}

size_t responder_asked(struct responder *r, uint8_t protocol, uint16_t port)
{
	return count_map(r, protocol, port, false);
}

size_t responder_deleted(struct responder *r, uint8_t protocol, uint16_t port)
{
	return count_map(r, protocol, port, true);
}

size_t responder_asked_address(struct responder *r)
{
	size_t count = 0;

	pthread_mutex_lock(&r->mutex);
	for (size_t i = 0; i < r->count; i++)
		count += r->heard[i].len == 2;
	pthread_mutex_unlock(&r->mutex);
	return count;
}
