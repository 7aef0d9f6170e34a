/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "json.h"

/* What the options say before they are looked at together. */
struct parse {
	struct options *options;
	const char *given[TABLE_ROWS]; /* the value, "" for one without; NULL: not given */
	natpmp_protocol protocol;      /* 0: -t was not given */
	uint32_t lifetime;
	long external_port; /* -1: -P was not given */
	const char *job;    /* hold, close, ...: the one given, NULL: none */
	struct host gateway[FAMILIES], source[FAMILIES]; /* in the order given */
};

char *printable(const char *format, va_list arguments)
{
	char *text, *line = NULL;
	size_t size;
	FILE *out;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	out = open_memstream(&line, &size);
	for (const char *c = text; out && *c; c++)
		fprintf(out, *c < ' ' || *c > '~' ? "\\x%02x" : "%c", (unsigned char)*c);
	if (out && fclose(out) != 0) {
		free(line);
		line = NULL;
	}
	free(text);
	return line;
}

void options_mistake(const char *format, ...)
{
	va_list arguments;
	char *line;

	va_start(arguments, format);
	line = printable(format, arguments);
	va_end(arguments);
	if (line)
		fprintf(stderr, "natpmp: %s\n", line);
	free(line);
}

#define mistake(...) (options_mistake(__VA_ARGS__), false)

static bool parse_number(const char *text, unsigned long least, unsigned long most,
			 unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoul(text, &end, 10);
	return !*end && !errno && *number >= least && *number <= most;
}

static bool parse_port(const char *text, uint16_t *port)
{
	unsigned long number;

	if (!parse_number(text, 0, 65535, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

/* A lifetime: seconds, or with m, h or d behind. */
static bool parse_lifetime(const char *text, uint32_t *seconds)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t digits = strspn(text, "0123456789");
	uint64_t number;

	if (!digits || digits > 10 || (text[digits] && text[digits + 1]))
		return false;
	number = strtoull(text, NULL, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (text[digits] != units[i].unit || !number ||
		    number > UINT32_MAX / units[i].seconds)
			continue;
		*seconds = (uint32_t)(number * units[i].seconds);
		return true;
	}
	return false;
}

/* SECONDS, to the millisecond: 7, 7.75, .5 */
static bool parse_seconds(const char *text, uint32_t *ms)
{
	const char *point = strchr(text, '.');
	size_t whole = point ? (size_t)(point - text) : strlen(text);
	size_t decimals = point ? strlen(point + 1) : 0;
	char digits[16];
	unsigned long number;

	if (whole > 7 || decimals > 3 || (point && !decimals))
		return false;
	snprintf(digits, sizeof(digits), "%.*s%s%.*s", (int)whole, text, point ? point + 1 : "",
		 (int)(3 - decimals), "000");
	if (!parse_number(digits, 1, UINT32_MAX, &number))
		return false;
	*ms = (uint32_t)number;
	return true;
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\n")];
}

struct word {
	const char *name;
	int value;
};

/* One of the words up to the one without a name, or its beginning. */
static bool parse_word(const char *text, const struct word *words, int *value)
{
	for (; *text && words->name; words++) {
		if (strncasecmp(words->name, text, strlen(text)) != 0)
			continue;
		*value = words->value;
		return true;
	}
	return false;
}

static bool parse_type(const char *text, natpmp_protocol *protocol)
{
	static const struct word types[] = {
		{"tcp", NATPMP_TCP}, {"udp", NATPMP_UDP}, {"both", NATPMP_TCP_UDP}, {NULL, 0}};
	int value;

	if (!parse_word(text, types, &value))
		return false;
	*protocol = (natpmp_protocol)value;
	return true;
}

static bool parse_dialect(const char *text, natpmp_dialect *dialect)
{
	static const struct word dialects[] = {{"auto", NATPMP_DIALECT_AUTO},
					       {"natpmp", NATPMP_DIALECT_NATPMP},
					       {"pcp", NATPMP_DIALECT_PCP},
					       {NULL, 0}};
	int value;

	if (!parse_word(text, dialects, &value))
		return false;
	*dialect = (natpmp_dialect)value;
	return true;
}

enum { CHECK_DEADLINE = 1900 }; /* ms */

#define A_PORT        "a port is a number from 1 to 65535, or 0 to have one picked"
#define EXTERNAL_PORT "an external port is a number from 1 to 65535, or 0 for the internal port's"

/* The digits of a port, then one of ends or the end of the text, which it returns; NULL: it is not
 * like that. A port that is too large stays so. */
static const char *take_port(const char *text, const char *ends, unsigned long *port)
{
	size_t digits = strspn(text, "0123456789");

	if (!digits || !strchr(ends, text[digits]))
		return NULL;
	*port = strtoul(text, NULL, 10);
	return text + digits;
}

/* It is like the value of -p, and unlike a command. */
static bool is_mapping(const char *text)
{
	natpmp_protocol protocol;
	unsigned long port;
	const char *end = take_port(text, ":/", &port);

	if (end && *end == ':')
		end = take_port(end + 1, "/", &port);
	return end && (!*end || parse_type(end + 1, &protocol));
}

/* INTERNAL[:EXTERNAL][/TYPE]; protocol 0 when there is no TYPE. */
static bool parse_mapping(const char *text, natpmp_mapping *mapping)
{
	unsigned long internal, external = 0;
	const char *end = take_port(text, ":/", &internal);

	memset(mapping, 0, sizeof(*mapping));
	if (end && *end == ':')
		end = take_port(end + 1, "/", &external);
	if (!end)
		return mistake("-p %s: give INTERNAL[:EXTERNAL][/TYPE], where " A_PORT
			       "; for several ports give -p several times",
			       text);
	if (internal > 65535 || external > 65535)
		return mistake("-p %s: %s", text, internal > 65535 ? A_PORT : EXTERNAL_PORT);
	mapping->internal_port = (uint16_t)internal;
	mapping->external_port = (uint16_t)external;
	if (*end && !parse_type(end + 1, &mapping->protocol))
		return mistake("-p %s: the type is tcp, udp or both", text);
	return true;
}

/* Without brackets a second colon means an IPv6 address, which has all that follows. */
static bool is_ipv6(const char *text)
{
	const char *colon = strchr(text, ':');

	return *text == '[' || (colon && strchr(colon + 1, ':'));
}

/* HOST[:PORT], the host an IPv6 address in brackets if there is a port. Whether an address is a
 * good one, the library says. */
static bool parse_gateway(struct host *host, const char *text)
{
	bool v6 = is_ipv6(text), brackets = *text == '[';
	const char *begin = text + brackets, *end = begin + strcspn(begin, brackets ? "]"
									   : v6     ? ""
										    : ":");
	const char *colon = end + (brackets && *end);
	size_t length = (size_t)(end - begin), plain;

	plain = strspn(begin,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_%:");
	if (*colon && (*colon != ':' || !parse_port(colon + 1, &host->port) || !host->port))
		return mistake("-g %s: give an address or a name, and a port from 1 to 65535 "
			       "if at all, like -g 192.168.1.1, -g 192.168.1.1:5351 or "
			       "-g [fe80::1%%eth0]:5351",
			       text);
	if (length >= sizeof(host->name) || plain < length || (brackets && !*end))
		return mistake("-g %s: give an address or a name, like -g 192.168.1.1", text);
	memcpy(host->name, begin, length);
	host->name[length] = '\0';
	host->kind = v6                                              ? HOST_IPV6
		     : host->name[strspn(host->name, "0123456789.")] ? HOST_NAME
								     : HOST_IPV4;
	return true;
}

static bool parse_source(struct host *host, const char *text)
{
	struct in6_addr address;

	host->kind = is_ipv6(text) ? HOST_IPV6 : HOST_IPV4;
	return inet_pton(host->kind == HOST_IPV6 ? AF_INET6 : AF_INET, text, &address) == 1 ||
	       mistake("--source %s: give an address of this host; \"ip address\" lists them",
		       text);
}

/* There may be one for each family. */
static bool add_host(struct host hosts[FAMILIES], const char *option, const char *text,
		     bool (*parse)(struct host *host, const char *text))
{
	struct host *host = hosts;

	while (host < hosts + FAMILIES && host->text)
		host++;
	if (host == hosts + FAMILIES)
		return mistake("%s %s: that is a third %s: give one for each family", option, text,
			       option);
	host->text = text;
	return parse(host, text);
}

static bool parse_job(struct parse *parse, enum job job, const char *name)
{
	if (parse->job && parse->options->job != job)
		return mistake("--%s and --%s exclude each other: give one", parse->job, name);
	parse->job = name;
	parse->options->job = job;
	return true;
}

/* An option whose value needs to be understood. */
static bool parse_value(struct parse *parse, int c, const char *value)
{
	struct options *options = parse->options;
	uint16_t port;

	switch (c) {
	case 't':
		return parse_type(value, &parse->protocol) ||
		       mistake("-t %s: the type is tcp, udp or both", value);
	case OPT_DIALECT:
		return parse_dialect(value, &options->library.dialect) ||
		       mistake("--dialect %s: the dialect is auto, natpmp or pcp", value);
	case OPT_SOURCE:
		return add_host(parse->source, "--source", value, parse_source);
	case 'p':
		return parse_mapping(value, &options->wanted[options->count++]);
	case 'P':
		if (!parse_port(value, &port))
			return mistake("-P %s: " EXTERNAL_PORT, value);
		parse->external_port = port;
		return true;
	case OPT_TTL:
		return parse_lifetime(value, &parse->lifetime) ||
		       mistake("--ttl %s: a lifetime is 1 to %lu seconds, or like 90m, 2h or 1d; "
			       "to close a port there is --close",
			       value, (unsigned long)UINT32_MAX);
	case OPT_TIMEOUT:
		return parse_seconds(value, &options->library.deadline) ||
		       mistake("--timeout %s: give seconds from 0.001 to %lu, like 3 or 7.75",
			       value, (unsigned long)UINT32_MAX / 1000);
	default: /* 'g' */
		return add_host(parse->gateway, "-g", value, parse_gateway);
	}
}

static bool note_given(struct parse *parse, const struct table_row *row, const char *value)
{
	const char **given = &parse->given[row - option_table];
	char shown[24];

	if (value && is_blank(value))
		return mistake("%s \"%s\" is empty: give a value", table_shown(row, shown), value);
	if (value && *given && row->c != 'p' && row->c != 'g' && row->c != OPT_SOURCE)
		return mistake("%s %s: that is a second %s: give one", table_shown(row, shown),
			       value, shown);
	*given = value ? value : "";
	return true;
}

static bool parse_option(struct parse *parse, const struct table_row *row, const char *value)
{
	struct options *options = parse->options;

	switch (row->c) {
	case 'v':
		options->verbose = true;
		return true;
	case 'q':
		options->quiet = true;
		return true;
	case '4':
	case '6':
		options->family[row->c == '4' ? NATPMP_IPV4 : NATPMP_IPV6] = true;
		options->family_named = true;
		return true;
	case 'i':
		options->library.interface = value;
		return true;
	case OPT_RETRY:
		options->retry = true;
		return true;
	case OPT_ON_CHANGE:
		options->on_change = value;
		return true;
	case OPT_PORT_FILE:
		options->port_file = value;
		return true;
	case OPT_PRINT:
		options->print = value;
		return true;
	case OPT_JSON:
		options->json = true;
		return true;
	case OPT_VPN:
		options->library.vpn_ports = 1;
		return true;
	default:
		if (row->c >= OPT_JOB)
			return parse_job(parse, (enum job)(row->c - OPT_JOB), row->name);
		return parse_value(parse, row->c, value);
	}
}

/* What -t, -P and --ttl say, put into each mapping. */
static bool complete_mappings(struct parse *parse)
{
	struct options *options = parse->options;

	if (parse->external_port >= 0) {
		if (options->count > 1)
			return mistake("-P %ld: which of the %zu ports is it for? "
				       "Write each as -p INTERNAL:EXTERNAL",
				       parse->external_port, options->count);
		if (options->count == 1 && options->wanted->external_port)
			return mistake("-P %ld: -p names external port %u already, drop one",
				       parse->external_port, options->wanted->external_port);
		options->wanted->external_port = (uint16_t)parse->external_port;
	}
	if (!options->count)
		options->count = 1; /* one with a port to be picked */
	for (size_t i = 0; i < options->count; i++) {
		if (!options->wanted[i].protocol)
			options->wanted[i].protocol =
				parse->protocol ? parse->protocol : NATPMP_TCP;
		options->wanted[i].lifetime = parse->lifetime;
	}
	return true;
}

static bool check_mappings(const struct options *options)
{
	const natpmp_mapping *wanted = options->wanted;

	for (size_t i = 0; i < options->count; i++) {
		for (size_t j = 0; wanted[i].internal_port && j < i; j++) {
			if (wanted[i].internal_port == wanted[j].internal_port &&
			    wanted[i].protocol & wanted[j].protocol)
				return mistake("-p %u is given twice for the same type: drop one",
					       wanted[i].internal_port);
		}
		if (options->job == JOB_CLOSE && !wanted[i].internal_port)
			return mistake("--close needs to know which: name its internal port with "
				       "-p, not 0 (--close-all closes all of this host)");
		if (options->job == JOB_CLOSE && wanted[i].external_port)
			return mistake("-p %u:%u: a mapping is closed by its internal port: "
				       "give -p %u",
				       wanted[i].internal_port, wanted[i].external_port,
				       wanted[i].internal_port);
	}
	if (options->library.vpn_ports && (options->count > 1 || wanted->internal_port))
		return mistake("-p %u: with --vpn the gateway picks the port, so leave out -p; "
			       "%%p tells which it is",
			       wanted[options->count - 1].internal_port);
	if (options->library.vpn_ports && wanted->external_port)
		return mistake("-P %u: with --vpn the gateway picks the port, so leave out -P; "
			       "%%P tells which it is",
			       wanted->external_port);
	return true;
}

static bool misplaced(const struct parse *parse, const struct table_row *row)
{
	const char *value = parse->given[row - option_table];
	char shown[24];

	table_shown(row, shown);
	if (!parse->job)
		return mistake("%s needs a port that is kept open: add --hold or a command", shown);
	return mistake("%s%s%s does not go with --%s: leave it out", shown, *value ? " " : "",
		       value, parse->job);
}

/* Does what is given belong to the job? */
static bool check_job(const struct parse *parse)
{
	const struct options *options = parse->options;
	const char *command = options->command ? options->command[0] : NULL;

	if (command && is_mapping(command))
		return mistake("\"%s\" is taken for a command; for a port give -p %s", command,
			       command);
	if (command && is_blank(command))
		return mistake("the command \"%s\" is empty: leave it out, or give one", command);
	if (parse->job && command)
		return mistake("--%s takes no command: drop it, or \"%s\"", parse->job, command);
	for (const struct table_row *row = option_table; row < option_table + TABLE_ROWS; row++) {
		if (parse->given[row - option_table] && !(row->jobs & 1U << options->job))
			return misplaced(parse, row);
	}
	if (options->print && options->json)
		return mistake("--print and --json exclude each other: give one");
	if (options->quiet && options->verbose)
		return mistake("-q and -v exclude each other: give one");
	return true;
}

/* A host goes to the family of its address; a name to each that has no address. */
static bool place_host(struct host place[FAMILIES], const struct options *options,
		       const char *option, const struct host *host)
{
	bool placed = false, wanted = host->kind == HOST_NAME || options->family[host->kind];

	for (int family = 0; family < FAMILIES; family++) {
		if (!options->family[family] || place[family].text ||
		    (host->kind != HOST_NAME && (int)host->kind != family))
			continue;
		place[family] = *host;
		placed = true;
	}
	if (!wanted)
		return mistake("%s %s: that is an %s address: give -%d, too", option, host->text,
			       family_title((natpmp_family)host->kind),
			       host->kind == HOST_IPV6 ? 6 : 4);
	return placed ||
	       mistake("%s %s: that is a second %s: give one", option, host->text, option);
}

static bool place_hosts(struct host place[FAMILIES], const struct options *options,
			const char *option, const struct host given[FAMILIES])
{
	for (int names = 0; names < 2; names++) {
		for (const struct host *host = given; host < given + FAMILIES && host->text;
		     host++) {
			if ((host->kind == HOST_NAME) == names &&
			    !place_host(place, options, option, host))
				return false;
		}
	}
	return true;
}

/* What can be spoken, by which family, and to whom. */
static bool check_families(struct parse *parse)
{
	struct options *options = parse->options;
	natpmp_dialect dialect = options->library.dialect;
	bool v6 = options->family[NATPMP_IPV6];

	if (options->library.vpn_ports && (v6 || dialect == NATPMP_DIALECT_PCP))
		return mistake("%s: with --vpn only NAT-PMP is spoken, on IPv4: drop one",
			       v6 ? "-6" : "--dialect pcp");
	if (v6 && dialect == NATPMP_DIALECT_NATPMP)
		return mistake("-6: NAT-PMP is for IPv4 alone: leave out --dialect natpmp");
	if (options->job == JOB_CLOSE_ALL && (v6 || dialect == NATPMP_DIALECT_PCP))
		return mistake("%s: PCP cannot close all at once: give --close, and each with -p",
			       v6 ? "-6" : "--dialect pcp");
	if (!options->family_named) {
		options->family[NATPMP_IPV4] = true;
		options->family[NATPMP_IPV6] = options->job == JOB_CHECK && !parse->gateway->text &&
					       !parse->source->text &&
					       !options->library.vpn_ports &&
					       dialect != NATPMP_DIALECT_NATPMP;
	}
	return place_hosts(options->gateway, options, "-g", parse->gateway) &&
	       place_hosts(options->source, options, "--source", parse->source);
}

/* What an unknown or ambiguous --word could be. */
static void unknown_long(const char *word)
{
	size_t used = 0, length = strcspn(word + 2, "=");
	char names[512] = "";

	for (const struct table_row *row = option_table; row < option_table + TABLE_ROWS; row++) {
		if (!row->name || strncmp(row->name, word + 2, length) != 0)
			continue;
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s--%s",
					 used ? " or " : "", row->name);
	}
	if (used)
		options_mistake("%s could be %s: give one in full", word, names);
	else
		options_mistake("%s: no such option; \"natpmp --help\" lists them", word);
}

const char *options_meant(const char *word)
{
	if (!strcmp(word, "list"))
		return "status";
	for (const struct table_row *row = option_table; *word && row < option_table + TABLE_ROWS;
	     row++) {
		if (row->name && !strncmp(row->name, word, strlen(word)))
			return row->name;
	}
	return NULL;
}

/* getopt_long() came upon something that it does not know, or that lacks its value, or has one. */
static enum next unknown_option(int c, char **argv)
{
	const struct table_row *row = table_find(optopt);
	const char *word = argv[optind - 1];

	if (c == '?' && optopt == '?')
		return NEXT_HELP;
	if (c == ':')
		options_mistake("%s needs a value; \"natpmp --help\" shows which", word);
	else if (!optopt)
		unknown_long(word);
	else if (row)
		options_mistake("%s: --%s takes no value, leave it out", word, row->name);
	else
		options_mistake("-%c is no option; \"natpmp --help\" lists them", optopt);
	return NEXT_MISTAKE;
}

static enum next parse_all(struct parse *parse, int argc, char **argv)
{
	struct table_getopt known = {.letters = ""};
	int c;

	if (argc == 2 && !strcmp(argv[1], "--list-options"))
		return NEXT_LIST;
	table_fill(&known);
	opterr = 0;
	while ((c = getopt_long(argc, argv, known.letters, known.names, NULL)) != -1) {
		const struct table_row *row = table_find(c);

		if (c == 'h')
			return NEXT_HELP;
		if (c == OPT_VERSION)
			return NEXT_VERSION;
		if (!row)
			return unknown_option(c, argv);
		if (!note_given(parse, row, optarg) || !parse_option(parse, row, optarg))
			return NEXT_MISTAKE;
	}
	return NEXT_WORK;
}

enum next options_parse(struct options *options, int argc, char **argv)
{
	struct parse parse = {.options = options, .external_port = -1};
	enum next next;

	*options = (struct options){.library = NATPMP_OPTIONS_INIT};
	/* Every argument could be a -p, and without any there is one. */
	options->wanted = calloc((size_t)argc + 1, sizeof(*options->wanted));
	if (!options->wanted) {
		options_mistake("no memory: close some programs");
		return NEXT_MISTAKE;
	}
	next = parse_all(&parse, argc, argv);
	if (next != NEXT_WORK)
		return next;
	if (optind < argc) {
		options->command = argv + optind;
		options->shell = !options->command[1];
		options->job = JOB_HOLD;
	}
	if (!check_job(&parse) || !check_families(&parse) || !complete_mappings(&parse) ||
	    !check_mappings(options))
		return NEXT_MISTAKE;
	/* With both questions and a test mapping in silence that makes 4 s. */
	if (options->job == JOB_CHECK && !options->library.deadline)
		options->library.deadline = CHECK_DEADLINE;
	/* All of this host, unless a type is named. */
	if (options->job == JOB_CLOSE_ALL && !parse.protocol)
		options->wanted->protocol = NATPMP_TCP_UDP;
	return NEXT_WORK;
}

void options_free(struct options *options)
{
	free(options->wanted);
	options->wanted = NULL;
	free(options->words);
	options->words = NULL;
}
