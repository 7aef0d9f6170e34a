/* SPDX-License-Identifier: MIT */
/*
 * gatewayd - a gateway on loopback that speaks NAT-PMP and PCP, for tests and for
 * showing: the model behind a socket, with mappings that really carry traffic.
 */
#include "ask.h"
#include "commander.h"
#include "control.h"
#include "front.h"
#include "journal.h"
#include "model.h"
#include "relay.h"
#include "settings.h"
#include "text.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPPINGS 4096

struct options {
	union endpoint listen;
	union endpoint listen6; /* no family = none */
	uint32_t relay_address;
	bool relays;
	struct model_profile profile;
	uint64_t seed;
	uint32_t clock;
	const char *log;
	const char *control;
	const char *tell;
	const char *ask;
};

struct daemon {
	struct journal journal;
	struct model model;
	struct model_slot *slots;
	struct front front;
	struct relays relays;
	struct commander commander;
	struct control control;
	struct watch watch;
	bool relaying;
	bool input_watched; /* standard input is a pipe: its end is ours */
	bool input_ended;
};

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
	(void)number;
	told_to_end = 1;
}

/* --------------------------------------------------------------- options -- */

static const char usage_head[] =
	"usage: gatewayd [options]\n"
	"       gatewayd --tell PATH COMMAND...\n"
	"       gatewayd --ask ADDR:PORT HEX [COUNT [FROM]]\n"
	"A NAT-PMP and PCP gateway on loopback. Prints `listening ADDR:PORT`, then a line per\n"
	"event; ends on SIGTERM, SIGINT, `quit`, or when standard input is a pipe and ends.\n"
	"  --listen ADDR[:PORT]      where requests come, port 0 = any (127.0.0.1:0)\n"
	"  --listen6 [ADDR6][:PORT]  the same for PCP by IPv6; port 0 = as that of IPv4. Prints\n"
	"                            `listening6 [ADDR6]:PORT` behind the other line\n"
	"  --relay-address ADDR      where external ports open (127.0.0.2)\n"
	"  --no-relay                forward no traffic\n"
	"  --profile NAME            how to behave (rfc); before --set and the like\n"
	"  --external-address ADDR   or none (11.22.33.44)\n"
	"  --set NAME=VALUE          change a setting of the profile\n"
	"  --clock SECONDS           what its clock shows at the start (0)\n"
	"  --seed N                  of random ports and losses (another every time)\n"
	"  --log FILE                lines go there, but for the first\n"
	"  --control PATH            Unix socket for commands\n"
	"  --tell PATH COMMAND...    send a command there, print the reply; exit status 0 when\n"
	"                            it is ok, 1 error, 2 when there is none\n"
	"  --ask ADDR:PORT HEX [COUNT [FROM]]\n"
	"                            send these bytes to a gateway, from an own address; print\n"
	"                            COUNT (1) answers as `HEX from ADDR:PORT` or `refused`;\n"
	"                            exit status 1 when fewer came in 3 s\n"
	"  --help\n";

static const char usage_log[] =
	"Lines, each with monotonic milliseconds in front:\n"
	"  request address | map tcp|udp internal P suggested P lifetime S |\n"
	"      delete tcp|udp internal P suggested P | delete-all tcp|udp suggested P |\n"
	"      pcp announce | pcp map tcp|udp internal P suggested P lifetime S |\n"
	"      pcp delete tcp|udp internal P suggested P, both [options LENGTH] |\n"
	"      bytes HEX from ADDR:PORT\n"
	"  answer address A result N clock S |\n"
	"      map tcp|udp internal P external P lifetime S result N clock S |\n"
	"      pcp announce lifetime S result N clock S |\n"
	"      pcp map tcp|udp internal P external P address A lifetime S result N clock S |\n"
	"      bytes HEX to ADDR:PORT [from ADDR:PORT]\n"
	"  silence to, drop request from, drop answer to, unsendable ..., violation RULE from\n"
	"  mapping + tcp|udp INTERNAL -> EXTERNAL client ADDR [pcp], the same with - when it ends\n"
	"  relay tcp|udp EXTERNAL bound on A | not bound on A: WHY | connection from |\n"
	"      datagram N bytes from | inside refuses: WHY\n"
	"  send ... to (unasked), command LINE, end\n";

static void usage(void)
{
	fputs(usage_head, stdout);
	fputs("Profiles:\n", stdout);
	for (size_t i = 0; model_profiles[i]; i++)
		printf("  %-16s %s\n", model_profiles[i]->name, model_profiles[i]->about);
	fputs("Commands:\n", stdout);
	commander_help(stdout);
	fputs("Settings:\n", stdout);
	settings_print(stdout);
	fputs(usage_log, stdout);
}

static bool apply_setting(struct model_profile *profile, char *text)
{
	char *equals = strchr(text, '=');

	if (!equals)
		return false;
	*equals = '\0';
	return settings_apply(profile, text, equals + 1);
}

static bool apply_profile(struct options *options, const char *name)
{
	const struct model_profile *profile = model_profile_find(name);

	if (profile)
		options->profile = *profile;
	return profile != NULL;
}

enum {
	LISTEN = 1,
	LISTEN6,
	RELAY,
	NO_RELAY,
	PROFILE,
	ADDRESS,
	SET,
	CLOCK,
	SEED,
	LOG,
	CONTROL,
	TELL,
	ASK,
	HELP
};

static bool apply_option(struct options *options, int option, char *value)
{
	int64_t number = 0;
	bool good = true;

	switch (option) {
	case LISTEN:
		return text_endpoint(value, 0, &options->listen) &&
		       options->listen.any.sa_family == AF_INET;
	case LISTEN6:
		return text_endpoint(value, 0, &options->listen6) &&
		       options->listen6.any.sa_family == AF_INET6;
	case RELAY:
		return text_address(value, &options->relay_address);
	case NO_RELAY:
		options->relays = false;
		return true;
	case PROFILE:
		return apply_profile(options, value);
	case ADDRESS:
		return settings_apply(&options->profile, "address", value);
	case SET:
		return apply_setting(&options->profile, value);
	case CLOCK:
		good = text_number(value, 0, UINT32_MAX, &number);
		options->clock = (uint32_t)number;
		return good;
	case SEED:
		good = text_number(value, 0, INT64_MAX, &number);
		options->seed = (uint64_t)number;
		return good;
	case LOG:
		options->log = value;
		return true;
	case CONTROL:
		options->control = value;
		return true;
	case TELL:
		options->tell = value;
		return true;
	case ASK:
		options->ask = value;
		return true;
	default:
		return false;
	}
}

/* Returns an exit status, or -1 to go on. */
static int read_options(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"listen", required_argument, NULL, LISTEN},
		{"listen6", required_argument, NULL, LISTEN6},
		{"relay-address", required_argument, NULL, RELAY},
		{"no-relay", no_argument, NULL, NO_RELAY},
		{"profile", required_argument, NULL, PROFILE},
		{"external-address", required_argument, NULL, ADDRESS},
		{"set", required_argument, NULL, SET},
		{"clock", required_argument, NULL, CLOCK},
		{"seed", required_argument, NULL, SEED},
		{"log", required_argument, NULL, LOG},
		{"control", required_argument, NULL, CONTROL},
		{"tell", required_argument, NULL, TELL},
		{"ask", required_argument, NULL, ASK},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		if (option == HELP) {
			usage();
			return 0;
		}
		if (option == '?')
			return 2;
		if (!apply_option(options, option, optarg)) {
			fprintf(stderr, "gatewayd: %s: not a value for this option\n", optarg);
			return 2;
		}
	}
	if (optind < argc && !options->tell && !options->ask) {
		fprintf(stderr, "gatewayd: %s: not an option\n", argv[optind]);
		return 2;
	}
	return -1;
}

static int tell(const char *path, char **words)
{
	char command[CONTROL_LINE] = "";
	size_t len = 0;

	for (; *words; words++) {
		int n = snprintf(command + len, sizeof(command) - len, "%s%s", len ? " " : "",
				 *words);

		if (n < 0 || (size_t)n >= sizeof(command) - len) {
			fprintf(stderr, "gatewayd: the command is too long\n");
			return 2;
		}
		len += (size_t)n;
	}
	return control_tell(path, command);
}

/* ADDR:PORT and HEX [COUNT [FROM]] */
static int ask_words(const char *gateway, char **words)
{
	union endpoint from, to;
	uint8_t bytes[2 * MODEL_PACKET_MAX];
	int64_t count = 1;
	size_t len;

	if (!text_endpoint(gateway, MODEL_PORT, &to) || !words[0] ||
	    !text_endpoint(to.any.sa_family == AF_INET6 ? "[::]" : "0.0.0.0", 0, &from) ||
	    !text_hex(words[0], bytes, sizeof(bytes), &len) ||
	    (words[1] && !text_number(words[1], 0, 1000, &count)) ||
	    (words[1] && words[2] && !text_endpoint(words[2], 0, &from)) ||
	    from.any.sa_family != to.any.sa_family) {
		fprintf(stderr, "gatewayd: --ask ADDR:PORT HEX [COUNT [FROM]]\n");
		return 2;
	}
	return ask(&from, &to, bytes, len, (unsigned)count);
}

/* ---------------------------------------------------------------- daemon -- */

static void on_change(void *arg, const struct model_mapping *mapping, bool came)
{
	struct daemon *daemon = arg;
	char text[TEXT_ENDPOINT];

	journal_line(&daemon->journal, "mapping %c %s %u -> %u client %s%s", came ? '+' : '-',
		     text_of_opcode(mapping->opcode), mapping->internal_port,
		     mapping->external_port, text_of_host(&mapping->client, text),
		     mapping->maker == MODEL_BY_PCP ? " pcp" : "");
	if (!daemon->relaying || !model_host_is_ipv4(&mapping->client))
		return;
	if (came)
		relays_open(&daemon->relays, mapping);
	else
		relays_close(&daemon->relays, mapping);
}

static void input_ready(void *owner)
{
	struct daemon *daemon = owner;
	char bytes[256];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		daemon->input_ended = true;
}

/* A shell gives its background jobs /dev/null: no reason to end at once. */
static bool input_is_pipe(void)
{
	struct stat stat;

	return fstat(STDIN_FILENO, &stat) == 0 &&
	       (S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode));
}

/* A signal is let in only while waiting, so none is missed before it. */
static void catch_signals(sigset_t *mask)
{
	struct sigaction action;
	sigset_t ends;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_handler = on_signal;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, mask);
	sigdelset(mask, SIGTERM);
	sigdelset(mask, SIGINT);
}

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool complain(const char *what)
{
	fprintf(stderr, "gatewayd: %s: %s\n", what, strerror(errno));
	return false;
}

static bool listen_on(struct daemon *daemon, const struct options *options)
{
	const struct door *doors = daemon->front.doors;
	union endpoint local = options->listen6;
	char text[TEXT_ENDPOINT];

	if (!front_open(&daemon->front, &options->listen))
		return complain(text_of_endpoint(&options->listen, text));
	printf("listening %s\n", text_of_endpoint(&doors[0].local, text));
	fflush(stdout);
	if (local.any.sa_family != AF_INET6)
		return true;
	if (endpoint_port(&local) == 0)
		endpoint_set_port(&local, endpoint_port(&doors[0].local));
	if (!front_open(&daemon->front, &local))
		return complain(text_of_endpoint(&local, text));
	printf("listening6 %s\n", text_of_endpoint(&doors[1].local, text));
	fflush(stdout);
	return true;
}

static bool start(struct daemon *daemon, const struct options *options)
{
	uint64_t now = journal_now();

	daemon->journal.file = stdout;
	if (options->log && !(daemon->journal.file = fopen(options->log, "we")))
		return complain(options->log);
	daemon->slots = calloc(MAPPINGS, sizeof(*daemon->slots));
	if (!daemon->slots)
		return complain("the table");
	model_init(&daemon->model, &options->profile, daemon->slots, MAPPINGS, options->seed, now);
	model_set_clock(&daemon->model, now, options->clock);
	daemon->model.table.on_change = on_change;
	daemon->model.table.on_change_arg = daemon;
	daemon->relaying = options->relays;
	daemon->relays =
		(struct relays){.journal = &daemon->journal, .address = options->relay_address};
	daemon->front = (struct front){
		.journal = &daemon->journal, .model = &daemon->model, .seed = options->seed};
	front_init(&daemon->front);
	daemon->commander = (struct commander){
		.journal = &daemon->journal, .model = &daemon->model, .front = &daemon->front};
	daemon->control.commander = &daemon->commander;
	daemon->control.path = options->control;
	daemon->input_watched = input_is_pipe();
	if (!control_open(&daemon->control))
		return complain(options->control);
	return listen_on(daemon, options);
}

static void serve(struct daemon *daemon, const sigset_t *mask)
{
	while (!told_to_end && !daemon->commander.quit && !daemon->input_ended) {
		model_expire(&daemon->model, journal_now());
		front_due(&daemon->front);
		watch_begin(&daemon->watch);
		if (daemon->input_watched)
			watch_fd(&daemon->watch, STDIN_FILENO, POLLIN, input_ready, daemon);
		front_watch(&daemon->front, &daemon->watch);
		control_watch(&daemon->control, &daemon->watch);
		relays_watch(&daemon->relays, &daemon->watch);
		watch_until(&daemon->watch, model_next_expiry(&daemon->model));
		watch_run(&daemon->watch, mask);
	}
	journal_line(&daemon->journal, "end");
}

static void stop(struct daemon *daemon)
{
	relays_free(&daemon->relays);
	if (daemon->front.journal)
		front_close(&daemon->front);
	if (daemon->control.commander)
		control_close(&daemon->control);
	watch_free(&daemon->watch);
	free(daemon->slots);
	if (daemon->journal.file && daemon->journal.file != stdout)
		fclose(daemon->journal.file);
}

int main(int argc, char **argv)
{
	struct options options = {.listen = endpoint_of(INADDR_LOOPBACK, 0),
				  .relay_address = INADDR_LOOPBACK + 1,
				  .relays = true,
				  .profile = *model_profiles[0],
				  .seed = journal_now() << 16 ^ (uint64_t)getpid()};
	struct daemon *daemon;
	sigset_t mask;
	int status = read_options(&options, argc, argv);

	if (status >= 0)
		return status;
	if (options.tell)
		return tell(options.tell, argv + optind);
	if (options.ask)
		return ask_words(options.ask, argv + optind);
	daemon = calloc(1, sizeof(*daemon));
	if (!daemon)
		return 1;
	catch_signals(&mask);
	raise_limits();
	if (start(daemon, &options))
		serve(daemon, &mask);
	else
		status = 1;
	stop(daemon);
	free(daemon);
	return status == 1 ? 1 : 0;
}
