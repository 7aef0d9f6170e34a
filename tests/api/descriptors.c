/* SPDX-License-Identifier: MIT */
/* A full descriptor table: an error or a later success, never harm. And what the descriptors are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "os/udp.h"

static const struct ip_address no_address, loopback = {{[10] = 0xff, 0xff, 127, 0, 0, 1}},
					   stranger = {{[10] = 0xff, 0xff, 198, 51, 100, 1}};

static enum os_status open_to(struct udp *udp, uint16_t port)
{
	struct endpoint peer = {.address = loopback, .port = port};

	return udp_open(udp, &peer, &no_address, NULL);
}

/* No descriptor is to be had any more, up to so many that are now free. */
static void leave(unsigned count)
{
	int lowest = dup(STDIN_FILENO);
	struct rlimit limit;

	ck_assert_int_ge(lowest, 0);
	close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)lowest + count;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void leave_plenty(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A context needs none until it is used; the descriptor to wait by is one or several. */
START_TEST(new_and_fd_with_a_full_table)
{
	unsigned before = open_descriptors();
	int fd, failed = 0;

	for (unsigned count = 0;; count++) {
		natpmp_ctx *ctx;

		leave(count);
		int status = natpmp_new(&ctx, NULL);
		errno = 0;
		fd = natpmp_fd(ctx);
		int error = errno;
		leave_plenty();
		ok(status);
		if (fd < 0) {
			ck_assert_int_eq(fd, NATPMP_E_SYSTEM);
			ck_assert_int_eq(error, EMFILE);
			ck_assert_uint_eq(open_descriptors(), before);
			ck_assert_int_ge(natpmp_fd(ctx), 0); /* recovered */
			failed++;
		}
		ok(natpmp_free(ctx));
		ck_assert_uint_eq(open_descriptors(), before);
		if (fd >= 0)
			break;
	}
	ck_assert_int_ge(failed, 1);
}

START_TEST(map_with_a_full_table)
{
	struct responder *r = responder_start();
	unsigned before = open_descriptors();
	int failed = 0;

	for (unsigned count = 0;; count++) {
		natpmp_ctx *ctx = client(responder_port(r), SOON);
		natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

		leave(count);
		errno = 0;
		int status = natpmp_map(ctx, &m), error = errno;
		leave_plenty();
		if (status) {
			ck_assert_int_eq(status, NATPMP_E_SYSTEM);
			ck_assert_int_eq(error, EMFILE);
			failed++;
			ok(natpmp_map(ctx, &m)); /* recovered */
		}
		natpmp_free(ctx);
		ck_assert_uint_eq(open_descriptors(), before);
		if (!status)
			break;
	}
	ck_assert_int_ge(failed, 1);
	responder_stop(r);
}

START_TEST(no_port_with_a_full_table)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 0, 60);
	natpmp_lease *lease;

	natpmp_lease *first = hold_up(ctx, NATPMP_UDP, 53, NULL); /* all is open that is needed */
	leave(0);
	ck_assert_int_eq(natpmp_hold(ctx, &m, NULL, NULL, &lease), NATPMP_E_SYSTEM);
	ck_assert_ptr_null(lease);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_SYSTEM);
	leave_plenty();
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
	ok(natpmp_release(first));
	natpmp_free(ctx);
	responder_stop(r);
}

/* A hold that begins with no descriptor left: down for that reason, up when there is one. */
START_TEST(hold_with_a_full_table_recovers)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	struct events events = {0};
	natpmp_lease *lease;

	leave(0);
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_SYSTEM);
	leave_plenty();
	ck_assert(drive(ctx, &events, 2, 8000)); /* looked for every 5 s */
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	natpmp_free(ctx);
	responder_stop(r);
}

static int count_runs(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	int *runs = arg;

	(void)lease;
	(void)mapping;
	++*runs;
	return 0;
}

/* Without holds there is no news to wait for: what wakes nobody up is not kept open. */
START_TEST(H13_watches_end_with_the_last_hold)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct events none = {0};

	ok(natpmp_map(ctx, &m));
	ck_assert_int_ge(natpmp_fd(ctx), 0); /* there from now on */
	ck_assert_int_eq(natpmp_timeout(ctx), -1);
	unsigned before = open_descriptors();
	for (int i = 0; i < 3; i++) {
		natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
		natpmp_lease *other = hold_up(ctx, NATPMP_TCP, 81, NULL);
		unsigned watched = open_descriptors();
		ck_assert_uint_gt(watched, before);
		ok(natpmp_release(lease));
		drive(ctx, &none, 1, 50);
		ck_assert_uint_eq(open_descriptors(), watched);
		ok(natpmp_release(other));
		drive(ctx, &none, 1, 50);
		ck_assert_uint_eq(open_descriptors(), before);
		ck_assert_int_eq(natpmp_timeout(ctx), -1);
	}
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(scope_with_a_full_table)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 500);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 600);
	int runs = 0;

	leave(0);
	errno = 0;
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, count_runs, &runs), NATPMP_E_SYSTEM);
	ck_assert_int_eq(errno, EMFILE);
	leave_plenty();
	ck_assert_int_eq(runs, 0);
	ok(natpmp_with_mapping(ctx, &m, count_runs, &runs));
	ck_assert_int_eq(runs, 1);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(H1_descriptors_do_not_leak_into_programs)
{
	struct responder *r = responder_start();
	unsigned before = open_descriptors();
	bool was_open[256];

	for (int fd = 0; fd < 256; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) >= 0;
	natpmp_ctx *ctx = client(responder_port(r), 0);
	hold_up(ctx, NATPMP_TCP, 80, NULL);
	ck_assert_uint_gt(open_descriptors(), before);
	for (int fd = 0; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);
		ck_assert_msg(was_open[fd] || flags < 0 || (flags & FD_CLOEXEC), "descriptor %d",
			      fd);
	}
	natpmp_free(ctx);
	ck_assert_uint_eq(open_descriptors(), before);
	responder_stop(r);
}

/* Nobody else can have the port that answers come to, whichever options they set. */
START_TEST(H1_request_socket_is_not_shared)
{
	struct sockaddr_in here;
	socklen_t len = sizeof(here);
	struct udp udp;
	int on = 1;

	ck_assert_int_eq(open_to(&udp, closed_port()), OS_OK);
	ck_assert(ip_is_equal(&udp.own, &loopback));
	ck_assert(fcntl(udp.handle, F_GETFL) & O_NONBLOCK);
	ck_assert_int_eq(getsockname(udp.handle, (struct sockaddr *)&here, &len), 0);
	for (int options = 0; options < 4; options++) {
		int other = socket(AF_INET, SOCK_DGRAM, 0);
		if (options & 1)
			setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (options & 2)
			setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		ck_assert_int_eq(bind(other, (struct sockaddr *)&here, sizeof(here)), -1);
		ck_assert_int_eq(errno, EADDRINUSE);
		close(other);
	}
	udp_close(&udp);
}

/* The second send hears of the first one's error, and goes out nevertheless. */
START_TEST(H3_error_on_the_next_send)
{
	uint16_t port = closed_port();
	struct datagram batch[UDP_BATCH];
	struct udp udp;

	ck_assert_int_eq(open_to(&udp, port), OS_OK);
	ck_assert(udp_send(&udp, (const uint8_t *)"first", 5));
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	ck_assert(udp_send(&udp, (const uint8_t *)"second", 6));
	while (!responder_heard(r))
		usleep(1000);
	ck_assert_uint_eq(responder_nth(r, 0).len, 6);
	ck_assert_uint_eq(udp_receive(&udp, batch), 1);
	ck_assert_int_eq(batch[0].kind, UDP_REFUSED);
	ck_assert_uint_eq(batch[0].len, 5); /* whose error it was */
	ck_assert_mem_eq(batch[0].bytes, "first", 5);
	ck_assert_uint_eq(udp_receive(&udp, batch), 0);
	udp_close(&udp);
	responder_stop(r);
}

/* One batch holds the errors and what came after them, in their order. */
START_TEST(H3_errors_come_before_answers)
{
	uint16_t port = closed_port();
	struct datagram batch[UDP_BATCH];
	struct udp udp;

	ck_assert_int_eq(open_to(&udp, port), OS_OK);
	ck_assert(udp_send(&udp, (const uint8_t *)"first", 5));
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	ck_assert(udp_send(&udp, (const uint8_t *)"\0\0", 2)); /* what is the address? */
	struct pollfd readable = {.fd = udp.handle, .events = POLLIN};
	do
		ck_assert_int_eq(poll(&readable, 1, SOON), 1);
	while (!(readable.revents & POLLIN));
	ck_assert_uint_eq(udp_receive(&udp, batch), 2);
	ck_assert_int_eq(batch[0].kind, UDP_REFUSED);
	ck_assert_int_eq(batch[1].kind, UDP_DATAGRAM);
	ck_assert_uint_eq(batch[1].len, 12);
	ck_assert(ip_is_equal(&batch[1].from.address, &loopback));
	ck_assert_uint_eq(batch[1].from.port, port);
	udp_close(&udp);
	responder_stop(r);
}

/* connect() keeps others out, but not what was queued before it: so the sender is looked at. An
 * unconnected socket stands for that moment. */
START_TEST(H2_datagrams_of_somebody_else)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(here);
	struct udp udp = {.peer.address = loopback, .own = loopback};
	struct datagram batch[UDP_BATCH];
	struct sockaddr_in peer;
	int peers[2];

	udp.handle = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(udp.handle, (struct sockaddr *)&here, sizeof(here)), 0);
	ck_assert_int_eq(getsockname(udp.handle, (struct sockaddr *)&here, &len), 0);
	for (int i = 0; i < 2; i++) {
		peers[i] = socket(AF_INET, SOCK_DGRAM, 0);
		ck_assert_int_eq(connect(peers[i], (struct sockaddr *)&here, sizeof(here)), 0);
	}
	len = sizeof(peer);
	ck_assert_int_eq(getsockname(peers[1], (struct sockaddr *)&peer, &len), 0);
	udp.peer.port = ntohs(peer.sin_port);
	ck_assert_int_eq(send(peers[0], "forged", 6, 0), 6);
	ck_assert_int_eq(send(peers[1], "true", 4, 0), 4);
	ck_assert_uint_eq(udp_receive(&udp, batch), 2);
	ck_assert_int_eq(batch[0].kind, UDP_STRANGER);
	ck_assert_int_eq(batch[1].kind, UDP_DATAGRAM);
	ck_assert_uint_eq(batch[1].len, 4);
	ck_assert_mem_eq(batch[1].bytes, "true", 4);
	udp.peer.address.bytes[15]++;
	ck_assert_int_eq(send(peers[1], "true", 4, 0), 4);
	ck_assert_uint_eq(udp_receive(&udp, batch), 1);
	ck_assert_int_eq(batch[0].kind, UDP_STRANGER); /* right port, wrong address */
	udp_close(&udp);
	close(peers[0]);
	close(peers[1]);
}

START_TEST(batch_is_full_while_there_may_be_more)
{
	struct responder *r = responder_start();
	struct datagram batch[UDP_BATCH];
	struct udp udp;

	ck_assert_int_eq(open_to(&udp, responder_port(r)), OS_OK);
	for (size_t i = 0; i <= UDP_BATCH; i++)
		ck_assert(udp_send(&udp, (const uint8_t *)"\0\0", 2));
	while (responder_heard(r) <= UDP_BATCH)
		usleep(1000);
	usleep(20000);
	ck_assert_uint_eq(udp_receive(&udp, batch), UDP_BATCH);
	ck_assert_uint_eq(udp_receive(&udp, batch), 1);
	ck_assert_uint_eq(udp_receive(&udp, batch), 0);
	udp_close(&udp);
	responder_stop(r);
}

START_TEST(H4_no_route)
{
	struct endpoint far = {.address = stranger, .port = 5351};
	struct endpoint near = {.address = loopback, .port = 5351};
	struct udp udp;

	/* from a loopback address nothing else can be reached */
	ck_assert_int_eq(udp_open(&udp, &far, &loopback, "no-such-thing"), OS_NO_INTERFACE);
	ck_assert_int_eq(udp.handle, NO_HANDLE);
	ck_assert_int_eq(udp_open(&udp, &near, &stranger, NULL), OS_NOT_OURS);
	ck_assert_int_eq(udp.handle, NO_HANDLE);
}

int main(void)
{
	return RUN_TESTS("api-descriptors", new_and_fd_with_a_full_table, map_with_a_full_table,
			 no_port_with_a_full_table, hold_with_a_full_table_recovers,
			 H13_watches_end_with_the_last_hold, scope_with_a_full_table,
			 H1_descriptors_do_not_leak_into_programs, H1_request_socket_is_not_shared,
			 H2_datagrams_of_somebody_else, H3_error_on_the_next_send,
			 H3_errors_come_before_answers, batch_is_full_while_there_may_be_more,
			 H4_no_route);
}
