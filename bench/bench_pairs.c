/* SPDX-License-Identifier: MIT */
/*
 * The library next to libnatpmp and to a connected socket that does nothing but send the same
 * bytes, at one gateway and in turns.
 *
 *   bench_pairs GATEWAY-NAME ADDRESS ROUNDS natpmp|pcp    port 5351, for libnatpmp knows no other
 *
 * In PCP there is no libnatpmp beside it.
 *
 * A line for each: gateway, what, unit, who, median, lower and upper quartile, 99th percentile;
 * tabs between. GATEWAY-NAME is only repeated.
 */
#include <arpa/inet.h>
#include <natpmpc.h>
#ifdef HAVE_LIBNATPMP
#include <natpmp.h>
#include <sys/select.h>
#include <sys/time.h>
#endif
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	GATEWAY_PORT = 5351,
	OPEN_PORT = 40000,
	FRESH_PORT,
	BARE_PCP_PORT, /* its nonce is another */
	LIFETIME = 7200
};

static const char *gateway;
static natpmp_dialect dialect = NATPMP_DIALECT_NATPMP;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void expect(int is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "failed: %s\n", what);
	exit(1);
}

static void expect_ok(int status, const char *what)
{
	if (status == NATPMP_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, natpmp_strerror(status));
	exit(1);
}

/* --- the floor: the same bytes, no more --- */

static int socket_open(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(GATEWAY_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	expect(fd >= 0 && inet_pton(AF_INET, gateway, &to.sin_addr) == 1 &&
		       connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0,
	       "a socket to the gateway");
	return fd;
}

static void bare_map(int fd, unsigned port, unsigned lifetime)
{
	const uint8_t request[12] = {[1] = 2,
				     [4] = (uint8_t)(port >> 8),
				     [5] = (uint8_t)port,
				     [6] = lifetime ? (uint8_t)(port >> 8) : 0,
				     [7] = lifetime ? (uint8_t)port : 0,
				     [10] = (uint8_t)(lifetime >> 8),
				     [11] = (uint8_t)lifetime};
	uint8_t bytes[64];

	expect(send(fd, request, sizeof(request), 0) == sizeof(request) &&
		       recv(fd, bytes, sizeof(bytes), 0) == 16 && bytes[3] == 0,
	       "a bare mapping");
}

/* MAP of RFC 6887 section 11.1, with a nonce of zeros. */
static double bare_pcp_exchange(int fd)
{
	uint8_t request[60] = {2, 1, [6] = LIFETIME >> 8, [7] = LIFETIME & 0xff, [36] = 6};
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	uint8_t bytes[64];
	double began = now_us();

	request[18] = request[19] = request[54] = request[55] = 0xff;
	expect(getsockname(fd, (struct sockaddr *)&own, &len) == 0, "the own address");
	memcpy(request + 20, &own.sin_addr, 4);
	request[40] = request[42] = BARE_PCP_PORT >> 8;
	request[41] = request[43] = BARE_PCP_PORT & 0xff;
	expect(send(fd, request, sizeof(request), 0) == sizeof(request) &&
		       recv(fd, bytes, sizeof(bytes), 0) == 60 && bytes[3] == 0,
	       "a bare mapping in PCP");
	return now_us() - began;
}

static void bare_address(int fd)
{
	static const uint8_t request[2] = {0, 0};
	uint8_t bytes[64];

	expect(send(fd, request, sizeof(request), 0) == sizeof(request) &&
		       recv(fd, bytes, sizeof(bytes), 0) == 12,
	       "a bare question for the address");
}

static double bare_exchanges(int fd)
{
	double began = now_us();

	bare_map(fd, OPEN_PORT, LIFETIME);
	bare_address(fd);
	return now_us() - began;
}

static double bare_from_nothing(void)
{
	double began = now_us();
	int fd = socket_open();

	bare_map(fd, FRESH_PORT, LIFETIME);
	bare_address(fd);
	bare_map(fd, FRESH_PORT, 0);
	close(fd);
	return now_us() - began;
}

/* --- this library --- */

static natpmp_ctx *context_open(void)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.gateway = gateway;
	options.dialect = dialect;
	expect_ok(natpmp_new(&ctx, &options), "natpmp_new");
	return ctx;
}

static double map_again(natpmp_ctx *ctx)
{
	natpmp_mapping mapping = {.protocol = NATPMP_TCP, .internal_port = OPEN_PORT};
	double began = now_us();

	expect_ok(natpmp_map(ctx, &mapping), "natpmp_map");
	return now_us() - began;
}

static double map_from_nothing(void)
{
	natpmp_mapping mapping = {.protocol = NATPMP_TCP, .internal_port = FRESH_PORT};
	double began = now_us();
	natpmp_ctx *ctx = context_open();

	expect_ok(natpmp_map(ctx, &mapping), "natpmp_map");
	expect_ok(natpmp_unmap(ctx, &mapping), "natpmp_unmap");
	expect_ok(natpmp_free(ctx), "natpmp_free");
	return now_us() - began;
}

/* --- libnatpmp, driven as its own natpmpc.c does --- */

#ifdef HAVE_LIBNATPMP
static void theirs_wait(natpmp_t *n)
{
	natpmpresp_t response;
	int result;

	do {
		struct timeval timeout;
		fd_set fds;
		FD_ZERO(&fds);
		FD_SET(n->s, &fds);
		getnatpmprequesttimeout(n, &timeout);
		select(FD_SETSIZE, &fds, NULL, NULL, &timeout);
		result = readnatpmpresponseorretry(n, &response);
	} while (result == NATPMP_TRYAGAIN);
	expect(result == 0, "an answer to libnatpmp");
}

static void theirs_map(natpmp_t *n, uint16_t port, uint32_t lifetime)
{
	expect(sendnewportmappingrequest(n, NATPMP_PROTOCOL_TCP, port, lifetime ? port : 0,
					 lifetime) == 12,
	       "sendnewportmappingrequest");
	theirs_wait(n);
}

static void theirs_address(natpmp_t *n)
{
	expect(sendpublicaddressrequest(n) == 2, "sendpublicaddressrequest");
	theirs_wait(n);
}

static void theirs_open(natpmp_t *n)
{
	expect(initnatpmp(n, 1, inet_addr(gateway)) == 0, "initnatpmp");
}

static double theirs_again(natpmp_t *n)
{
	double began = now_us();

	theirs_map(n, OPEN_PORT, LIFETIME);
	theirs_address(n);
	return now_us() - began;
}

static double theirs_from_nothing(void)
{
	double began = now_us();
	natpmp_t n;

	theirs_open(&n);
	theirs_map(&n, FRESH_PORT, LIFETIME);
	theirs_address(&n);
	theirs_map(&n, FRESH_PORT, 0);
	closenatpmp(&n);
	return now_us() - began;
}
#endif

/* --- in turns --- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_row(const char *where, const char *what, const char *who, double *times,
		      size_t count)
{
	qsort(times, count, sizeof(*times), by_size);
	printf("%s\t%s\tus\t%s\t%.1f\t%.1f\t%.1f\t%.1f\n", where, what, who, times[count / 2],
	       times[count / 4], times[count * 3 / 4], times[count * 99 / 100]);
}

enum series { OURS, BARE, THEIRS, OURS_NEW, BARE_NEW, THEIRS_NEW, SERIES };

static void measure_pcp(const char *name, double *times[SERIES], size_t rounds)
{
	static const char again[] = "mapping by PCP, all open";
	natpmp_ctx *ctx = context_open();
	int fd = socket_open();

	for (size_t i = 0; i < rounds; i++) {
		times[BARE][i] = bare_pcp_exchange(fd);
		times[OURS][i] = map_again(ctx);
		times[OURS_NEW][i] = map_from_nothing();
	}
	print_row(name, again, "natpmp_map()", times[OURS], rounds);
	print_row(name, again, "bare socket", times[BARE], rounds);
	print_row(name, "by PCP from nothing: open, map, unmap, close", "libnatpmpc",
		  times[OURS_NEW], rounds);
	natpmp_free(ctx);
	close(fd);
}

static void measure_natpmp(const char *name, double *times[SERIES], size_t rounds)
{
	natpmp_ctx *ctx = context_open();
	int fd = socket_open();
#ifdef HAVE_LIBNATPMP
	natpmp_t theirs;
	theirs_open(&theirs);
#endif
	for (size_t i = 0; i < rounds; i++) {
		times[BARE][i] = bare_exchanges(fd);
		times[OURS][i] = map_again(ctx);
		times[BARE_NEW][i] = bare_from_nothing();
		times[OURS_NEW][i] = map_from_nothing();
#ifdef HAVE_LIBNATPMP
		times[THEIRS][i] = theirs_again(&theirs);
		times[THEIRS_NEW][i] = theirs_from_nothing();
#endif
	}
	static const char again[] = "mapping and address, all open";
	static const char fresh[] = "from nothing: open, map, unmap, close";
	print_row(name, again, "natpmp_map()", times[OURS], rounds);
	print_row(name, again, "bare socket", times[BARE], rounds);
#ifdef HAVE_LIBNATPMP
	print_row(name, again, "libnatpmp", times[THEIRS], rounds);
	closenatpmp(&theirs);
#endif
	print_row(name, fresh, "libnatpmpc", times[OURS_NEW], rounds);
	print_row(name, fresh, "bare socket", times[BARE_NEW], rounds);
#ifdef HAVE_LIBNATPMP
	print_row(name, fresh, "libnatpmp", times[THEIRS_NEW], rounds);
#endif
	natpmp_free(ctx);
	close(fd);
}

int main(int argc, char **argv)
{
	size_t rounds = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
	double *times[SERIES];

	if (!rounds) {
		fprintf(stderr, "usage: bench_pairs GATEWAY-NAME ADDRESS ROUNDS natpmp|pcp\n");
		return 2;
	}
	gateway = argv[2];
	for (int i = 0; i < SERIES; i++)
		expect((times[i] = calloc(rounds, sizeof(double))) != NULL, "memory");
	if (strcmp(argv[4], "pcp") == 0) {
		dialect = NATPMP_DIALECT_PCP;
		measure_pcp(argv[1], times, rounds);
	} else {
		measure_natpmp(argv[1], times, rounds);
	}
	for (int i = 0; i < SERIES; i++)
		free(times[i]);
	return 0;
}
