/* SPDX-License-Identifier: MIT */
/* The parts of the command that need no gateway: substitutions, options, JSON, and a hook that
 * hangs for longer than anybody wants to wait for a test. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "failure.h"
#include "hook.h"
#include "json.h"
#include "options.h"
#include "secret.h"
#include "template.h"

static const natpmp_mapping sample = {
	.protocol = NATPMP_TCP,
	.internal_port = 80,
	.external_port = 8080,
	.lifetime = 60,
	.internal_address = "192.168.1.5",
	.external_address = "203.0.113.7",
};

static const natpmp_mapping sample6 = {
	.protocol = NATPMP_UDP,
	.internal_port = 80,
	.external_port = 8080,
	.lifetime = 60,
	.internal_address = "2001:db8::5",
	.external_address = "2001:db8::7",
	.dialect = NATPMP_DIALECT_PCP,
};

/* ------------------------------------------------------------- template -- */

static void expands(const char *text, const natpmp_mapping *mapping, const char *wanted)
{
	char *expanded = template_expand(text, mapping);

	ck_assert_str_eq(expanded, wanted);
	free(expanded);
}

START_TEST(test_template)
{
	const natpmp_mapping none = {.protocol = NATPMP_UDP};

	expands("", &sample, "");
	expands("%p %h %P %H", &sample, "80 192.168.1.5 8080 203.0.113.7");
	expands("%%p %%h %%P %%H", &sample, "%p %h %P %H");
	expands("%%%p", &sample, "%%p"); /* the two before a token, whatever is before them */
	expands("100% %d %", &sample, "100% %d %");
	expands("%% 100%%\\n +%%Y %%", &sample, "%% 100%%\\n +%%Y %%");
	expands("%H:%P%", &sample, "203.0.113.7:8080%");
	expands("[%p|%h|%P|%H]", &none, "[|||]");
	expands("%H: %h:", &none, ": :");
}
END_TEST

/* In brackets where a port comes behind, or what else a colon parts from it. */
START_TEST(test_template_brackets)
{
	expands("%H:%P %h:%p", &sample6, "[2001:db8::7]:8080 [2001:db8::5]:80");
	expands("http://%H:80/ %H:", &sample6, "http://[2001:db8::7]:80/ [2001:db8::7]:");
	expands("%H %h,%H", &sample6, "2001:db8::7 2001:db8::5,2001:db8::7");
	expands("[%H]:%P", &sample6, "[2001:db8::7]:8080");
	expands("%%H:%P", &sample6, "%H:8080");
	expands("%p:%H", &sample6, "80:2001:db8::7");
}
END_TEST

/* -------------------------------------------------------------- options -- */

enum { WORDS = 16 };

static struct options options;

static enum next parse(const char *line)
{
	static char copy[400];
	char *words[WORDS + 1] = {NULL};
	int count = 0;

	snprintf(copy, sizeof(copy), "natpmp %s", line);
	for (char *word = strtok(copy, " "); word && count < WORDS; word = strtok(NULL, " "))
		words[count++] = word;
	options_free(&options);
	optind = 0; /* getopt begins afresh */
	/* The command is a part of words: only whether there is one may be looked at. */
	return options_parse(&options, count, words);
}

static void wants(size_t i, natpmp_protocol protocol, unsigned internal, unsigned external)
{
	ck_assert_uint_lt(i, options.count);
	ck_assert_int_eq(options.wanted[i].protocol, protocol);
	ck_assert_uint_eq(options.wanted[i].internal_port, internal);
	ck_assert_uint_eq(options.wanted[i].external_port, external);
}

START_TEST(test_gem_options)
{
	ck_assert_int_eq(parse(""), NEXT_WORK);
	ck_assert_uint_eq(options.count, 1);
	wants(0, NATPMP_TCP, 0, 0);
	ck_assert_uint_eq(options.wanted[0].lifetime, 0);
	ck_assert_int_eq(options.job, JOB_MAP);
	ck_assert_ptr_null(options.command);

	ck_assert_int_eq(parse("-t udp -p 633 -P 13033 --ttl 10 -v"), NEXT_WORK);
	wants(0, NATPMP_UDP, 633, 13033);
	ck_assert_uint_eq(options.wanted[0].lifetime, 10);
	ck_assert(options.verbose);

	ck_assert_int_eq(parse("--type tcp --port 633 --public 13033 --verbose run it"), NEXT_WORK);
	wants(0, NATPMP_TCP, 633, 13033);
	ck_assert_int_eq(options.job, JOB_HOLD);
	ck_assert_ptr_nonnull(options.command);

	ck_assert_int_eq(parse("-?"), NEXT_HELP);
	ck_assert_int_eq(parse("-v -?"), NEXT_HELP);
	ck_assert_int_eq(parse("--help"), NEXT_HELP);
	ck_assert_int_eq(parse("--version"), NEXT_VERSION);
}
END_TEST

/* What was clear with the gem's options alone is clear today. */
START_TEST(test_abbreviations)
{
	ck_assert_int_eq(parse("--por 633 --pu 13033 --ty u --tt 90m --verb"), NEXT_WORK);
	wants(0, NATPMP_UDP, 633, 13033);
	ck_assert_uint_eq(options.wanted[0].lifetime, 5400);
	ck_assert(options.verbose);
	ck_assert_int_eq(parse("--po=633 --vers"), NEXT_VERSION);
	ck_assert_int_eq(parse("--h"), NEXT_HELP);
	ck_assert_int_eq(parse("--p 1"), NEXT_MISTAKE);
	ck_assert_int_eq(parse("--t 1"), NEXT_MISTAKE);
	ck_assert_int_eq(parse("--ver"), NEXT_MISTAKE);
	ck_assert_int_eq(parse("-t t -p 1/u -p 1:2/t -p 3/b -p 4/UD"), NEXT_WORK);
	wants(0, NATPMP_UDP, 1, 0);
	wants(1, NATPMP_TCP, 1, 2);
	wants(2, NATPMP_TCP_UDP, 3, 0);
	wants(3, NATPMP_UDP, 4, 0);
	ck_assert_int_eq(parse("--ttl 2h"), NEXT_WORK);
	ck_assert_uint_eq(options.wanted[0].lifetime, 7200);
	ck_assert_int_eq(parse("--ttl 49710d"), NEXT_WORK);
	ck_assert_uint_eq(options.wanted[0].lifetime, 4294944000U);
	ck_assert_int_eq(parse("--ttl 30s"), NEXT_WORK);
	ck_assert_uint_eq(options.wanted[0].lifetime, 30);
}
END_TEST

START_TEST(test_several_ports)
{
	ck_assert_int_eq(parse("-p 6881/udp -p 8080:80/tcp -p 5 -p 6:7 -t both"), NEXT_WORK);
	ck_assert_uint_eq(options.count, 4);
	wants(0, NATPMP_UDP, 6881, 0);
	wants(1, NATPMP_TCP, 8080, 80);
	wants(2, NATPMP_TCP_UDP, 5, 0);
	wants(3, NATPMP_TCP_UDP, 6, 7);
	ck_assert_int_eq(parse("-p 80/tcp -p 80/udp"), NEXT_WORK);
	ck_assert_int_eq(parse("-p 0 -p 0"), NEXT_WORK);
	ck_assert_int_eq(parse("-p 65535:65535/BOTH"), NEXT_WORK);
	wants(0, NATPMP_TCP_UDP, 65535, 65535);
}
END_TEST

/* name NULL: none is given. */
static void gateway_is(natpmp_family family, int kind, const char *name, unsigned port)
{
	const struct host *host = &options.gateway[family];

	ck_assert_int_eq(host->text != NULL, name != NULL);
	if (!name)
		return;
	ck_assert_int_eq((int)host->kind, kind);
	ck_assert_str_eq(host->name, name);
	ck_assert_uint_eq(host->port, port);
}

static void families(bool v4, bool v6)
{
	ck_assert_int_eq(options.family[NATPMP_IPV4], v4);
	ck_assert_int_eq(options.family[NATPMP_IPV6], v6);
}

START_TEST(test_families)
{
	ck_assert_int_eq(parse(""), NEXT_WORK);
	families(true, false);
	ck_assert_int_eq(parse("-4 --hold"), NEXT_WORK);
	families(true, false);
	ck_assert_int_eq(parse("-6 -p 443"), NEXT_WORK);
	families(false, true);
	ck_assert_int_eq(parse("--ipv6 --ipv4 --dialect auto run"), NEXT_WORK);
	families(true, true);
	/* What may be there is looked for, unless somebody has said what to look for. */
	ck_assert_int_eq(parse("--check"), NEXT_WORK);
	families(true, true);
	ck_assert(!options.family_named);
	ck_assert_int_eq(parse("--check -i eth0 --dialect pcp"), NEXT_WORK);
	families(true, true);
	for (size_t i = 0; i < 6; i++) {
		static const char *const lines[] = {
			"--check -4",        "--check -g 10.0.0.1",
			"--check -g router", "--check --source 10.0.0.2",
			"--check --vpn",     "--check --dialect natpmp"};

		ck_assert_int_eq(parse(lines[i]), NEXT_WORK);
		families(true, false);
	}
}
END_TEST

START_TEST(test_gateways_of_families)
{
	ck_assert_int_eq(parse("-6 -g fe80::1%eth0"), NEXT_WORK);
	gateway_is(NATPMP_IPV6, HOST_IPV6, "fe80::1%eth0", 0);
	ck_assert_int_eq(parse("-6 -g [fe80::1%eth0]:99"), NEXT_WORK);
	gateway_is(NATPMP_IPV6, HOST_IPV6, "fe80::1%eth0", 99);
	ck_assert_int_eq(parse("-6 -g [::1]"), NEXT_WORK);
	gateway_is(NATPMP_IPV6, HOST_IPV6, "::1", 0);
	ck_assert_int_eq(parse("-6 -g ::1:5351"), NEXT_WORK);
	gateway_is(NATPMP_IPV6, HOST_IPV6, "::1:5351", 0);
	ck_assert_int_eq(parse("-6 -4 -g ::1 -g 10.0.0.1:7"), NEXT_WORK);
	gateway_is(NATPMP_IPV4, HOST_IPV4, "10.0.0.1", 7);
	gateway_is(NATPMP_IPV6, HOST_IPV6, "::1", 0);
	ck_assert_int_eq(parse("-4 -6 -g router:9"), NEXT_WORK);
	gateway_is(NATPMP_IPV4, HOST_NAME, "router", 9);
	gateway_is(NATPMP_IPV6, HOST_NAME, "router", 9);
	ck_assert_int_eq(parse("-4 -6 -g router -g ::1"), NEXT_WORK);
	gateway_is(NATPMP_IPV4, HOST_NAME, "router", 0);
	gateway_is(NATPMP_IPV6, HOST_IPV6, "::1", 0);
	ck_assert_int_eq(parse("-4 -6 -g 10.0.0.1"), NEXT_WORK);
	gateway_is(NATPMP_IPV6, HOST_IPV6, NULL, 0);
	ck_assert_int_eq(parse("-4 -6 --source 2001:db8::5 --source 10.0.0.2"), NEXT_WORK);
	ck_assert_str_eq(options.source[NATPMP_IPV4].text, "10.0.0.2");
	ck_assert_str_eq(options.source[NATPMP_IPV6].text, "2001:db8::5");
}
END_TEST

START_TEST(test_dialects)
{
	static const struct {
		const char *line;
		natpmp_dialect dialect;
	} dialects[] = {
		{"", NATPMP_DIALECT_AUTO},
		{"--dialect auto", NATPMP_DIALECT_AUTO},
		{"--dialect a", NATPMP_DIALECT_AUTO},
		{"--dialect NAT", NATPMP_DIALECT_NATPMP},
		{"--dial natpmp --close-all", NATPMP_DIALECT_NATPMP},
		{"--dialect p -6", NATPMP_DIALECT_PCP},
		{"--vpn --dialect n", NATPMP_DIALECT_NATPMP},
	};

	for (size_t i = 0; i < sizeof(dialects) / sizeof(*dialects); i++) {
		ck_assert_int_eq(parse(dialects[i].line), NEXT_WORK);
		ck_assert_int_eq(options.library.dialect, dialects[i].dialect);
	}
}
END_TEST

START_TEST(test_gateway_option)
{
	ck_assert_int_eq(parse("-g 10.2.0.1"), NEXT_WORK);
	gateway_is(NATPMP_IPV4, HOST_IPV4, "10.2.0.1", 0);
	gateway_is(NATPMP_IPV6, HOST_IPV4, NULL, 0);
	ck_assert_int_eq(parse("--gateway 10.2.0.1:99 --timeout 3 -i eth0"), NEXT_WORK);
	gateway_is(NATPMP_IPV4, HOST_IPV4, "10.2.0.1", 99);
	ck_assert_uint_eq(options.library.deadline, 3000);
	ck_assert_str_eq(options.library.interface, "eth0");
	ck_assert_int_eq(parse("--timeout 7.75"), NEXT_WORK);
	ck_assert_uint_eq(options.library.deadline, 7750);
	ck_assert_int_eq(parse("--timeout .5"), NEXT_WORK);
	ck_assert_uint_eq(options.library.deadline, 500);
	ck_assert_int_eq(parse("--timeout 0.001"), NEXT_WORK);
	ck_assert_uint_eq(options.library.deadline, 1);
	ck_assert_int_eq(parse("--timeout 4294967"), NEXT_WORK);
	ck_assert_uint_eq(options.library.deadline, 4294967000U);
}
END_TEST

START_TEST(test_jobs)
{
	ck_assert_int_eq(parse("--hold --retry --port-file f --on-change c --json -q"), NEXT_WORK);
	ck_assert_int_eq(options.job, JOB_HOLD);
	ck_assert(options.retry && options.json && options.quiet);
	ck_assert_int_eq(parse("--close -p 1"), NEXT_WORK);
	ck_assert_int_eq(options.job, JOB_CLOSE);
	ck_assert_int_eq(parse("--close-all"), NEXT_WORK);
	wants(0, NATPMP_TCP_UDP, 0, 0);
	ck_assert_int_eq(parse("--close-all -t tcp"), NEXT_WORK);
	wants(0, NATPMP_TCP, 0, 0);
	ck_assert_int_eq(parse("--address"), NEXT_WORK);
	ck_assert_int_eq(options.job, JOB_ADDRESS);
	ck_assert_int_eq(parse("--check -t udp"), NEXT_WORK);
	ck_assert_int_eq(options.job, JOB_CHECK);
	wants(0, NATPMP_UDP, 0, 0);
	ck_assert_int_eq(parse("--vpn -p 0 -t both --hold"), NEXT_WORK);
	ck_assert_int_ne(options.library.vpn_ports, 0);
}
END_TEST

static const char *const mistakes[] = {
	"-p 65536",
	"-p 1:65536",
	"-p -1",
	"-p +1",
	"-p 12x",
	"-p 1.5",
	"-p x",
	"-p 1/sctp",
	"-p 1/",
	"-p 1:",
	"-p :1",
	"-p 1:2:3",
	"-p /tcp",
	"-p 0x10",
	"-p 99999999999999999999",
	"-p 1000000000000000000000000000000000000000",
	"-p",
	"--port",
	"-P 65536",
	"-P x",
	"-t sctp",
	"-t",
	"-t tcpudp",
	"-t x",
	"--ttl 0",
	"--ttl -1",
	"--ttl 4294967296",
	"--ttl 1w",
	"--timeout 0",
	"--timeout 0.000",
	"--timeout .",
	"--timeout .-5",
	"--timeout 1.5s",
	"--timeout 1.2.3",
	"--timeout 4294968",
	"-g 10.0.0.1:0",
	"-g 10.0.0.1:",
	"-g 10.0.0.1:65536",
	"-g a/b",
	"-g a:b",
	"-g ::1",
	"-6 -g 10.0.0.1",
	"-6 -g [::1",
	"-6 -g [::1]5351",
	"-6 -g [::1]:0",
	"-g 10.0.0.1 -g 10.0.0.2",
	"-g router -g router2",
	"-4 -6 -g ::1 -g ::2",
	"-4 -6 -g ::1 -g 10.0.0.1 -g router",
	"-4 -6 -g router -g router2",
	"--source router",
	"--source 10.0.0.1:7",
	"--source 2001:db8::5",
	"-6 --source 10.0.0.1",
	"--source 10.0.0.1 --source 10.0.0.2",
	"--dialect",
	"--dialect upnp",
	"--dialect pcp2",
	"--vpn --dialect pcp",
	"--vpn -6",
	"--vpn -4 -6",
	"-6 --dialect natpmp",
	"-4 -6 --dialect natpmp",
	"--close-all --dialect pcp",
	"--close-all -6",
	"--status -6",
	"--ipv6=1",
	"--ipv",
	"-x",
	"--nonsense",
	"--hold=1",
	"--clo",
	"-P 1 -p 1 -p 2",
	"-P 1 -p 1:2",
	"-p 80 -p 80",
	"-p 80/tcp -p 80/both",
	"--hold --close -p 1",
	"--hold cmd",
	"80",
	"80 443",
	"--check cmd",
	"--close",
	"--close -p 0",
	"--close-all -p 1",
	"--address -p 1",
	"--check -P 1",
	"--retry",
	"--on-change x -p 1",
	"--port-file x",
	"--json --print x",
	"--close -p 1 --print x",
	"--check --print x",
	"--vpn -p 1",
	"--vpn -P 1",
	"--vpn -p 0:1",
	"--vpn -p 0 -p 0",
	"--vpn --close-all",
};

START_TEST(test_mistakes)
{
	ck_assert_msg(parse(mistakes[_i]) == NEXT_MISTAKE, "taken for good: %s", mistakes[_i]);
}
END_TEST

/* ----------------------------------------------------------------- JSON -- */

static char *text;
static size_t text_size;

static FILE *begin(void)
{
	FILE *out = open_memstream(&text, &text_size);

	ck_assert_ptr_nonnull(out);
	json_begin(out, "test", 1000000);
	return out;
}

static void ends_as(FILE *out, const char *wanted)
{
	json_end(out);
	fclose(out);
	ck_assert_str_eq(text, wanted);
	free(text);
}

static void quotes(const char *value, const char *wanted)
{
	char line[200];
	FILE *out = begin();

	json_string(out, "key", value);
	snprintf(line, sizeof(line), "{\"event\":\"test\",\"time\":1000000,\"key\":%s}\n", wanted);
	ends_as(out, line);
}

START_TEST(test_json_strings)
{
	quotes("plain", "\"plain\"");
	quotes(NULL, "null");
	quotes("", "null");
	quotes("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	quotes("\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\\u007f\"");
	quotes("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8c\x8d", "\"\\u00e9 \\u20ac \\ud83c\\udf0d\"");
	/* Lone, cut off, overlong, a surrogate, beyond Unicode. */
	quotes("a\x80z", "\"a\\ufffdz\"");
	quotes("\xc3", "\"\\ufffd\"");
	quotes("\xe2\x82", "\"\\ufffd\\ufffd\"");
	quotes("\xc0\xaf", "\"\\ufffd\\ufffd\"");
	quotes("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
	quotes("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	quotes("\xff", "\"\\ufffd\"");
}
END_TEST

START_TEST(test_json_members)
{
	const natpmp_mapping none = {.protocol = NATPMP_TCP_UDP};
	FILE *out = begin();

	json_mapping(out, NATPMP_IPV4, &sample);
	json_error(out, "error", NATPMP_OK);
	ends_as(out, "{\"event\":\"test\",\"time\":1000000,\"family\":\"ipv4\","
		     "\"protocol\":\"tcp\",\"internal_"
		     "address\":\"192.168.1.5\","
		     "\"internal_port\":80,\"external_address\":\"203.0.113.7\","
		     "\"external_port\":8080,\"external_kind\":\"reserved\",\"lifetime\":60,"
		     "\"dialect\":null,"
		     "\"error\":null}\n");
	out = begin();
	json_mapping(out, NATPMP_IPV6, &none);
	ends_as(out, "{\"event\":\"test\",\"time\":1000000,\"family\":\"ipv6\","
		     "\"protocol\":\"both\",\"internal_"
		     "address\":null,"
		     "\"internal_port\":null,\"external_address\":null,\"external_port\":null,"
		     "\"external_kind\":null,\"lifetime\":null,\"dialect\":null}\n");
	out = begin();
	json_mapping(out, NATPMP_IPV6, &sample6);
	ends_as(out, "{\"event\":\"test\",\"time\":1000000,\"family\":\"ipv6\","
		     "\"protocol\":\"udp\",\"internal_address\":\"2001:db8::5\","
		     "\"internal_port\":80,\"external_address\":\"2001:db8::7\","
		     "\"external_port\":8080,\"external_kind\":\"reserved\",\"lifetime\":60,"
		     "\"dialect\":\"pcp\"}\n");
	out = begin();
	json_number(out, "most", 4294967295UL);
	json_bool(out, "yes", true);
	json_bool(out, "no", false);
	json_known(out, "nothing", 0);
	ends_as(out, "{\"event\":\"test\",\"time\":1000000,\"most\":4294967295,\"yes\":true,\"no\":"
		     "false,"
		     "\"nothing\":null}\n");
}
END_TEST

/* --------------------------------------------------------------- output -- */

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A line that is cut off does not swallow the beginning of the next. */
START_TEST(test_output_cut_line)
{
	static const struct options quiet = {.quiet = true};
	struct output cut;
	char file[] = "/tmp/natpmp-unit.XXXXXX", found[100] = "";
	int fd = mkstemp(file), before = dup(STDOUT_FILENO);

	ck_assert_int_ge(fd, 0);
	unlink(file);
	signal(SIGXFSZ, SIG_IGN);
	output_init(&cut, &quiet);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	limit_files(10);
	output_text(&cut, "the first line\n");
	limit_files(RLIM_INFINITY);
	output_text(&cut, "second\n");
	output_text(&cut, "third\n");
	dup2(before, STDOUT_FILENO);
	ck_assert_int_gt(pread(fd, found, sizeof(found) - 1, 0), 0);
	ck_assert_str_eq(found, "the first \nsecond\nthird\n");
	ck_assert_int_eq(cut.lost, EFBIG);
	ck_assert_int_ne(output_end(&cut, 0), 0);
	close(fd);
	close(before);
}
END_TEST

/* While a mapping is held a reader that does not read loses the oldest lines, and no other. */
START_TEST(test_output_late_lines)
{
	static const struct options quiet = {.quiet = true};
	struct output late;
	int ends[2], before = dup(STDOUT_FILENO);
	unsigned i, last = 0, number;
	char line[100];
	FILE *in;

	ck_assert_int_eq(pipe(ends), 0);
	output_init(&late, &quiet);
	late.holding = true;
	fflush(stdout);
	dup2(ends[1], STDOUT_FILENO);
	for (i = 1; i <= 20000; i++) {
		snprintf(line, sizeof(line), "line %05u\n", i);
		output_text(&late, line);
	}
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	in = fdopen(ends[0], "r");
	for (int round = 0; round < 3; round++) {
		while (fgets(line, sizeof(line), in)) {
			ck_assert_int_eq(sscanf(line, "line %05u\n", &number), 1);
			ck_assert_uint_gt(number, last);
			last = number;
		}
		clearerr(in);
		output_flush(&late);
	}
	dup2(before, STDOUT_FILENO);
	ck_assert_uint_eq(last, 20000);
	ck_assert_int_eq(late.lost, EAGAIN);
	ck_assert_uint_eq(late.late_length, 0);
	output_end(&late, 0);
	fclose(in);
	close(ends[1]);
	close(before);
}
END_TEST

/* -------------------------------------------------------------- failure -- */

START_TEST(test_exit_statuses)
{
	static const struct {
		int status, exit_status;
	} pairs[] = {
		{NATPMP_E_NO_GATEWAY, 3},
		{NATPMP_E_POINT_TO_POINT, 3},
		{NATPMP_E_NO_ROUTE, 3},
		{NATPMP_E_NO_INTERFACE, 3},
		{NATPMP_E_TIMEOUT, 4},
		{NATPMP_E_NO_SERVICE, 4},
		{NATPMP_E_UNREACHABLE, 4},
		{NATPMP_E_REFUSED, 5},
		{NATPMP_E_NOT_AUTHORIZED, 6},
		{NATPMP_E_VERSION, 7},
		{NATPMP_E_NETWORK_FAILURE, 7},
		{NATPMP_E_NO_RESOURCES, 7},
		{NATPMP_E_OPCODE, 7},
		{NATPMP_E_RESULT, 7},
		{NATPMP_E_PORTS_DIFFER, 7},
		{NATPMP_E_BAD_ANSWER, 7},
		{NATPMP_E_OTHER_PORT, 7},
		{NATPMP_E_MALFORMED, 7},
		{NATPMP_E_OPTION, 7},
		{NATPMP_E_PROTOCOL, 7},
		{NATPMP_E_QUOTA, 7},
		{NATPMP_E_ADDRESS_MISMATCH, 7},
		{NATPMP_E_NO_ADDRESS, 3},
		{NATPMP_E_NO_MEMORY, 1},
		{NATPMP_E_SYSTEM, 1},
		{NATPMP_E_NO_PORT, 1},
		{-59, 1},
		{-1000, 1},
		{INT_MIN, 1},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		const struct failure *failure = failure_find(pairs[i].status);

		ck_assert_int_eq(failure->exit_status, pairs[i].exit_status);
		ck_assert_str_ne(failure->code, "");
		ck_assert_str_ne(failure->advice, "");
	}
}
END_TEST

START_TEST(test_addresses)
{
	static const char *const useless[] = {"",          "10.0.0.1", "100.64.0.1", "169.254.0.1",
					      "127.0.0.1", "fd00::1",  "fe80::1",    "::1"};

	ck_assert_ptr_null(failure_of_address("11.22.33.44"));
	ck_assert_ptr_null(failure_of_address("2a00::1"));
	for (size_t i = 0; i < sizeof(useless) / sizeof(*useless); i++)
		ck_assert_ptr_nonnull(failure_of_address(useless[i]));
	ck_assert_ptr_nonnull(strstr(failure_of_address("10.0.0.1")->what, "second NAT"));
	ck_assert_ptr_null(strstr(failure_of_address("fd00::1")->what, "NAT"));
}
END_TEST

/* --------------------------------------------------------------- secret -- */

static char home[] = "/tmp/natpmp-unit.XXXXXX";
static char why[SECRET_WHY_LEN];

static void begin_home(void)
{
	strcpy(home + strlen(home) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(home));
	ck_assert_int_eq(setenv("HOME", home, 1), 0);
	unsetenv("XDG_STATE_HOME");
	unsetenv("STATE_DIRECTORY");
}

static void end_home(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", home);
	ck_assert_int_eq(system(command), 0);
}

static const char *in_home(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static void has_mode(const char *name, mode_t mode)
{
	struct stat found;

	ck_assert_int_eq(stat(in_home(name), &found), 0);
	ck_assert_uint_eq(found.st_mode & 07777, mode);
}

static void write_file(const char *name, const char *bytes, size_t length, mode_t mode)
{
	int fd = open(in_home(name), O_WRONLY | O_CREAT | O_TRUNC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, length), (ssize_t)length);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void is_useless(const char *reason)
{
	unsigned char secret[SECRET_SIZE];

	ck_assert(!secret_load(secret, why));
	ck_assert_msg(strstr(why, reason) != NULL, "%s", why);
}

START_TEST(test_secret_is_kept)
{
	static const unsigned char zero[SECRET_SIZE];
	unsigned char first[SECRET_SIZE] = {0}, again[SECRET_SIZE] = {0}, other[SECRET_SIZE] = {0};
	mode_t before = umask(0);

	begin_home();
	ck_assert(secret_load(first, why));
	ck_assert_mem_ne(first, zero, SECRET_SIZE);
	has_mode(".local/state/natpmp", 0700);
	has_mode(".local/state/natpmp/secret", 0600);
	ck_assert(secret_load(again, why));
	ck_assert_mem_eq(first, again, SECRET_SIZE);

	/* Nothing is left beside it. */
	ck_assert_int_eq(unlink(in_home(".local/state/natpmp/secret")), 0);
	ck_assert_int_eq(rmdir(in_home(".local/state/natpmp")), 0);
	ck_assert(secret_load(other, why));
	ck_assert_mem_ne(first, other, SECRET_SIZE);
	umask(before);
	end_home();
}
END_TEST

START_TEST(test_secret_has_its_place)
{
	unsigned char state[SECRET_SIZE], xdg[SECRET_SIZE], again[SECRET_SIZE];
	char value[200];

	begin_home();
	ck_assert_int_eq(mkdir(in_home("one"), 0755), 0);
	snprintf(value, sizeof(value), "%s/one:%s/two", home, home);
	setenv("STATE_DIRECTORY", value, 1);
	setenv("XDG_STATE_HOME", in_home("xdg"), 1);
	ck_assert(secret_load(state, why));
	has_mode("one/secret", 0600);
	unsetenv("STATE_DIRECTORY");
	ck_assert(secret_load(xdg, why));
	has_mode("xdg/natpmp/secret", 0600);
	ck_assert_mem_ne(state, xdg, SECRET_SIZE);
	setenv("STATE_DIRECTORY", value, 1);
	ck_assert(secret_load(again, why));
	ck_assert_mem_eq(state, again, SECRET_SIZE);
	ck_assert_int_ne(access(in_home("two"), F_OK), 0);

	/* Relative paths are not valid (XDG Base Directory Specification). */
	setenv("STATE_DIRECTORY", "one", 1);
	setenv("XDG_STATE_HOME", "xdg", 1);
	unsetenv("HOME");
	is_useless("HOME");
	end_home();
}
END_TEST

START_TEST(test_secret_that_is_none)
{
	static const char zeros[SECRET_SIZE + 1];

	begin_home();
	setenv("STATE_DIRECTORY", home, 1);
	write_file("secret", zeros, SECRET_SIZE - 1, 0600);
	is_useless("not 32 bytes");
	write_file("secret", zeros, SECRET_SIZE + 1, 0600);
	is_useless("not 32 bytes");
	write_file("secret", zeros, 0, 0600);
	is_useless("not 32 bytes");
	write_file("secret", zeros, SECRET_SIZE, 0640);
	is_useless("others may read or write it");
	write_file("secret", zeros, SECRET_SIZE, 0602);
	is_useless("others may read or write it");
	write_file("secret", zeros, SECRET_SIZE, 0600);
	ck_assert(secret_load((unsigned char[SECRET_SIZE]){0}, why));

	ck_assert_int_eq(unlink(in_home("secret")), 0);
	ck_assert_int_eq(mkdir(in_home("secret"), 0700), 0);
	is_useless("no ordinary file");
	ck_assert_int_eq(rmdir(in_home("secret")), 0);
	ck_assert_int_eq(mkfifo(in_home("secret"), 0600), 0);
	is_useless("no ordinary file"); /* and nobody waits for a writer */
	write_file("file", "", 0, 0600);
	setenv("STATE_DIRECTORY", in_home("file/below"), 1);
	is_useless("Not a directory");
	end_home();
}
END_TEST

/* Of many who start at once each has the same one. */
START_TEST(test_secret_of_many)
{
	enum { MANY = 16 };
	unsigned char secret[SECRET_SIZE], theirs[SECRET_SIZE];
	int start[2], said[2];
	char go;

	begin_home();
	ck_assert_int_eq(pipe(start), 0);
	ck_assert_int_eq(pipe(said), 0);
	for (int i = 0; i < MANY; i++) {
		if (fork())
			continue;
		close(start[1]);
		(void)!read(start[0], &go, 1); /* until all are there */
		if (!secret_load(secret, why))
			memset(secret, i, sizeof(secret));
		(void)!write(said[1], secret, sizeof(secret));
		_exit(0);
	}
	close(start[1]);
	ck_assert_int_eq(read(said[0], secret, sizeof(secret)), SECRET_SIZE);
	for (int i = 1; i < MANY; i++) {
		ck_assert_int_eq(read(said[0], theirs, sizeof(theirs)), SECRET_SIZE);
		ck_assert_mem_eq(secret, theirs, SECRET_SIZE);
	}
	ck_assert(secret_load(theirs, why));
	ck_assert_mem_eq(secret, theirs, SECRET_SIZE);
	ck_assert_int_eq(unlink(in_home(".local/state/natpmp/secret")), 0);
	while (wait(NULL) > 0)
		continue;
	ck_assert_int_eq(rmdir(in_home(".local/state/natpmp")), 0); /* nothing is left beside */
	close(start[0]);
	close(said[0]);
	close(said[1]);
	end_home();
}
END_TEST

/* ----------------------------------------------------------------- hook -- */

static uint64_t clock_now;

uint64_t now_ms(void)
{
	return clock_now;
}

static const struct session session = {.suffix = ""};
static struct hook hook;
static struct signals signals;
static struct output output;

static void work(void)
{
	hook_work(&hook, &signals, &output);
}

/* Wait for it really; what it died of, 0 if it exited. */
static int reap(void)
{
	pid_t pid = hook.pid;
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(hook_reap(&hook, pid, status, &output));
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void begin_hook(const char *command)
{
	static const struct options none = {.quiet = true};

	clock_now = 1000000;
	hook = (struct hook){.command = command, .session = &session};
	output_init(&output, &none);
	ck_assert_int_eq(signals_begin(&signals), 0);
	hook_change(&hook, &sample);
	work();
	ck_assert_int_gt(hook.pid, 0);
	ck_assert(!hook.waiting);
}

START_TEST(test_hook_hangs)
{
	begin_hook("exec sleep 1000");
	ck_assert(hook_due(&hook) == NEVER); /* it may, as long as nothing waits for it */
	clock_now += 10 * (uint64_t)HOOK_PATIENCE;
	work();
	ck_assert_int_eq(hook.kills, 0);
	hook_change(&hook, &sample);
	work();
	ck_assert_int_eq(hook.kills, 1);
	ck_assert_int_eq(reap(), SIGTERM);

	work(); /* what waited */
	ck_assert_int_gt(hook.pid, 0);
	ck_assert(!hook.waiting);
	ck_assert_int_eq(hook.kills, 0);
	clock_now += 1000;
	hook_change(&hook, &sample);
	work();
	ck_assert(hook_due(&hook) == clock_now - 1000 + HOOK_PATIENCE);
	clock_now = hook_due(&hook) - 1;
	work();
	ck_assert_int_eq(hook.kills, 0);
	clock_now++;
	work();
	ck_assert_int_eq(hook.kills, 1);
	ck_assert_int_eq(reap(), SIGTERM);
}
END_TEST

START_TEST(test_hook_ignores_the_end)
{
	char ready[] = "/tmp/natpmp-unit.XXXXXX";
	char command[100];
	int fd = mkstemp(ready);

	ck_assert_int_ge(fd, 0);
	snprintf(command, sizeof(command), "trap '' TERM; rm %s; while :; do sleep 0.05; done",
		 ready);
	begin_hook(command);
	while (access(ready, F_OK) == 0)
		usleep(1000); /* check's own time limit is the bound */
	hook_end(&hook);
	ck_assert(hook_due(&hook) == clock_now + HOOK_FAREWELL);
	clock_now += HOOK_FAREWELL;
	work();
	ck_assert_int_eq(hook.kills, 1);
	ck_assert(hook_due(&hook) == clock_now + HOOK_GRACE);
	clock_now += HOOK_GRACE;
	work();
	ck_assert_int_eq(hook.kills, 2);
	ck_assert_int_eq(reap(), SIGKILL);
	close(fd);
}
END_TEST

/* The one that runs fails: when is it run again? */
static void fails_and_waits(uint64_t pause)
{
	ck_assert_int_eq(reap(), 0);
	ck_assert(hook_due(&hook) == clock_now + pause);
	clock_now = hook_due(&hook) - 1;
	work();
	ck_assert_int_eq(hook.pid, 0);
	clock_now++;
	work();
	ck_assert_int_gt(hook.pid, 0);
	ck_assert(hook_due(&hook) == NEVER);
}

START_TEST(test_hook_is_run_again)
{
	static const uint64_t pauses[] = {5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000};

	begin_hook("exit 3");
	for (size_t i = 0; i < sizeof(pauses) / sizeof(*pauses); i++)
		fails_and_waits(pauses[i]);

	/* What is newer comes at once, and anew. */
	ck_assert_int_eq(reap(), 0);
	hook_change(&hook, &sample);
	work();
	ck_assert_int_gt(hook.pid, 0);
	fails_and_waits(5000);
	hook_change(&hook, &sample);
	ck_assert_int_eq(reap(), 0);
	work();
	ck_assert_int_gt(hook.pid, 0);
	fails_and_waits(5000);

	/* Nothing is run again once we are at our end, whether it waits or runs. */
	hook_end(&hook);
	ck_assert_int_eq(reap(), 0);
	ck_assert(hook_due(&hook) == NEVER);
	begin_hook("exit 3");
	ck_assert_int_eq(reap(), 0);
	hook_end(&hook);
	ck_assert(hook_due(&hook) == NEVER);
}
END_TEST

START_TEST(test_hook_was_told)
{
	natpmp_mapping other = sample;

	begin_hook("exit $((NATPMP_EXTERNAL_PORT != 8080))");
	ck_assert_uint_eq(hook.told.external_port, 0);
	ck_assert_int_eq(reap(), 0);
	ck_assert_uint_eq(hook.told.external_port, 8080);
	ck_assert(hook_due(&hook) == NEVER);
	other.external_port = 8081;
	hook_change(&hook, &other);
	work();
	ck_assert_int_eq(reap(), 0);
	ck_assert_uint_eq(hook.told.external_port, 8080);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cli");
	TCase *cases = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, test_template);
	tcase_add_test(cases, test_template_brackets);
	tcase_add_test(cases, test_gem_options);
	tcase_add_test(cases, test_abbreviations);
	tcase_add_test(cases, test_several_ports);
	tcase_add_test(cases, test_gateway_option);
	tcase_add_test(cases, test_families);
	tcase_add_test(cases, test_gateways_of_families);
	tcase_add_test(cases, test_dialects);
	tcase_add_test(cases, test_jobs);
	tcase_add_loop_test(cases, test_mistakes, 0, sizeof(mistakes) / sizeof(*mistakes));
	tcase_add_test(cases, test_json_strings);
	tcase_add_test(cases, test_json_members);
	tcase_add_test(cases, test_output_cut_line);
	tcase_add_test(cases, test_output_late_lines);
	tcase_add_test(cases, test_exit_statuses);
	tcase_add_test(cases, test_addresses);
	tcase_add_test(cases, test_secret_is_kept);
	tcase_add_test(cases, test_secret_has_its_place);
	tcase_add_test(cases, test_secret_that_is_none);
	tcase_add_test(cases, test_secret_of_many);
	tcase_add_test(cases, test_hook_hangs);
	tcase_add_test(cases, test_hook_ignores_the_end);
	tcase_add_test(cases, test_hook_is_run_again);
	tcase_add_test(cases, test_hook_was_told);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	options_free(&options);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
