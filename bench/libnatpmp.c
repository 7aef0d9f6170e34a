/* SPDX-License-Identifier: MIT */
/* The same as natpmp_new(), natpmp_map(), natpmp_free(), by libnatpmp: to compare system calls. Its
 * port is 5351 always. libnatpmp ADDRESS */
#include <arpa/inet.h>
#include <natpmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

static void mark(const char *name)
{
	(void)!write(-1, name, strlen(name));
}

static void expect(int is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

/* As natpmpc.c of libnatpmp does it. */
static void wait_for_answer(natpmp_t *n)
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
	expect(result == 0, "an answer");
}

int main(int argc, char **argv)
{
	natpmp_t n;

	expect(argc == 2, "usage: libnatpmp ADDRESS");
	mark("libnatpmp");
	expect(initnatpmp(&n, 1, inet_addr(argv[1])) == 0, "initnatpmp");
	expect(sendnewportmappingrequest(&n, NATPMP_PROTOCOL_TCP, 80, 80, 60) == 12, "a request");
	wait_for_answer(&n);
	expect(sendpublicaddressrequest(&n) == 2, "a request");
	wait_for_answer(&n);
	closenatpmp(&n);
	mark("end");
	return 0;
}
