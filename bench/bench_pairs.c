/* SPDX-License-Identifier: MIT */
/*
 * What natpmp_map() on an open context adds to its two exchanges: in turns, one natpmp_map() and
 * the same bytes over a connected socket that does nothing else. bench_map ADDRESS PORT [ROUNDS]
 */
#include <arpa/inet.h>
#include <natpmpc.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { PORT = 40000 };

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int open_socket(const char *address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("no socket to the gateway");
		exit(1);
	}
	return fd;
}

static double exchange_bare(int fd)
{
	static const uint8_t map[12] = {0,           2,    0, 0, PORT >> 8, PORT & 0xff, PORT >> 8,
					PORT & 0xff, 0,    0, 0x1c, 0x20};
	static const uint8_t address[2] = {0, 0};
	uint8_t bytes[64];
	double began = now_us();

	if (send(fd, map, sizeof(map), 0) < 0 || recv(fd, bytes, sizeof(bytes), 0) < 16 ||
	    send(fd, address, sizeof(address), 0) < 0 || recv(fd, bytes, sizeof(bytes), 0) < 12) {
		fprintf(stderr, "the gateway does not answer as it should\n");
		exit(1);
	}
	return now_us() - began;
}

static double map_once(natpmp_ctx *ctx)
{
	natpmp_mapping mapping = {.protocol = NATPMP_TCP, .internal_port = PORT};
	double began = now_us();
	int status = natpmp_map(ctx, &mapping);

	if (status) {
		fprintf(stderr, "natpmp_map: %s\n", natpmp_strerror(status));
		exit(1);
	}
	return now_us() - began;
}

static void print_row(const char *what, double *times, size_t count)
{
	qsort(times, count, sizeof(*times), by_size);
	printf("%-28s median %7.1f us, p99 %7.1f us\n", what, times[count / 2],
	       times[count * 99 / 100]);
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 5000;
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	if (argc < 3 || !rounds) {
		fprintf(stderr, "usage: bench_map ADDRESS PORT [ROUNDS]\n");
		return 2;
	}
	options.gateway = argv[1];
	options.gateway_port = (uint16_t)strtoul(argv[2], NULL, 10);
	double *bare = calloc(rounds, sizeof(*bare)), *mapped = calloc(rounds, sizeof(*mapped));
	if (!bare || !mapped || natpmp_new(&ctx, &options))
		return 1;
	int fd = open_socket(argv[1], options.gateway_port);
	for (size_t i = 0; i < rounds; i++) {
		bare[i] = exchange_bare(fd);
		mapped[i] = map_once(ctx);
	}
	print_row("two bare exchanges", bare, rounds);
	print_row("natpmp_map, open context", mapped, rounds);
	printf("ratio of the medians: %.2f\n", mapped[rounds / 2] / bare[rounds / 2]);
	natpmp_free(ctx);
	free(bare);
	free(mapped);
	return 0;
}
