/* SPDX-License-Identifier: MIT */
#include "commander.h"

#include "settings.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define WORDS_MAX 8

struct words {
	char *word[WORDS_MAX + 1]; /* NULL ends them; word[0] is the command */
	size_t count;
};

/* Returns false when the words make no sense; commander->note may say more. */
typedef bool command_fn(struct commander *commander, const struct words *words);

static bool failed(struct commander *commander)
{
	snprintf(commander->note, sizeof(commander->note), "%s", strerror(errno));
	return false;
}

/* --------------------------------------------------- misbehaviour knobs -- */

/* COMMAND VALUE|off [COUNT] */
static bool turn(const struct words *words, struct knob *knob, int64_t max)
{
	int64_t value, left = UINT32_MAX;

	if (strcmp(words->word[1], "off") == 0) {
		knob->left = 0;
		return words->count == 2;
	}
	if (!text_number(words->word[1], 0, max, &value) ||
	    (words->count > 2 && !text_number(words->word[2], 1, INT32_MAX, &left)))
		return false;
	*knob = (struct knob){(uint32_t)value, (uint32_t)left};
	return true;
}

static bool count_down(const struct words *words, struct knob *knob)
{
	int64_t left;

	if (!text_number(words->word[1], 0, INT32_MAX, &left))
		return false;
	knob->left = (uint32_t)left;
	return true;
}

static bool cmd_drop(struct commander *commander, const struct words *words)
{
	return count_down(words, &commander->front->drop);
}

static bool cmd_drop_answer(struct commander *commander, const struct words *words)
{
	return count_down(words, &commander->front->drop_answer);
}

static bool cmd_drop_percent(struct commander *commander, const struct words *words)
{
	int64_t percent;

	if (!text_number(words->word[1], 0, 100, &percent))
		return false;
	commander->front->drop_percent = (uint32_t)percent;
	return true;
}

static bool cmd_delay(struct commander *commander, const struct words *words)
{
	return turn(words, &commander->front->delay, 3600 * 1000);
}

static bool cmd_duplicate(struct commander *commander, const struct words *words)
{
	return turn(words, &commander->front->duplicate, 100);
}

static bool cmd_truncate(struct commander *commander, const struct words *words)
{
	return turn(words, &commander->front->truncate, MODEL_PACKET_MAX);
}

static bool cmd_pad(struct commander *commander, const struct words *words)
{
	return turn(words, &commander->front->pad, MODEL_PACKET_MAX);
}

static uint16_t own_port(const struct front *front)
{
	return endpoint_port(&front->doors[0].local);
}

static bool cmd_answer_from(struct commander *commander, const struct words *words)
{
	struct front *front = commander->front;
	int64_t left = UINT32_MAX;

	if (strcmp(words->word[1], "off") == 0) {
		front->stray.left = 0;
		return true;
	}
	if (!text_endpoint(words->word[1], own_port(front), &front->stray_from) ||
	    (words->count > 2 && !text_number(words->word[2], 1, INT32_MAX, &left)))
		return false;
	front->stray.left = (uint32_t)left;
	return true;
}

static bool cmd_refuse(struct commander *commander, const struct words *words)
{
	bool on = strcmp(words->word[1], "on") == 0;

	if (!on && strcmp(words->word[1], "off") != 0)
		return false;
	return front_refuse(commander->front, on) || failed(commander);
}

static bool cmd_reset(struct commander *commander, const struct words *words)
{
	struct model_profile profile = commander->model->profile;

	(void)words;
	front_reset(commander->front);
	settings_result(&profile, "off", NULL);
	settings_pcp_result(&profile, "off", NULL);
	profile.forced_error_lifetime = -1;
	profile.forced_port = -1;
	profile.forced_lifetime = -1;
	profile.clock_permille = 1000;
	model_set_profile(commander->model, journal_now(), &profile);
	return front_refuse(commander->front, false) || failed(commander);
}

/* ----------------------------------------------------------- the gateway -- */

static bool change(struct commander *commander, const char *name, const char *value)
{
	struct model_profile profile = commander->model->profile;

	if (!settings_apply(&profile, name, value))
		return false;
	model_set_profile(commander->model, journal_now(), &profile);
	return true;
}

static bool cmd_set(struct commander *commander, const struct words *words)
{
	return change(commander, words->word[1], words->word[2]);
}

/* lifetime, port, address: a setting that is a command of its own */
static bool cmd_setting(struct commander *commander, const struct words *words)
{
	return change(commander, words->word[0], words->word[1]);
}

static bool cmd_result(struct commander *commander, const struct words *words)
{
	return settings_result(&commander->model->profile, words->word[1], words->word[2]);
}

static bool cmd_pcp_result(struct commander *commander, const struct words *words)
{
	return settings_pcp_result(&commander->model->profile, words->word[1], words->word[2]);
}

static bool cmd_restart(struct commander *commander, const struct words *words)
{
	bool keep_table = false, keep_clock = false;

	for (size_t i = 1; i < words->count; i++) {
		if (strcmp(words->word[i], "keep-table") == 0)
			keep_table = true;
		else if (strcmp(words->word[i], "keep-clock") == 0)
			keep_clock = true;
		else
			return false;
	}
	model_restart(commander->model, journal_now(), keep_table, keep_clock);
	return true;
}

static bool cmd_clock(struct commander *commander, const struct words *words)
{
	int64_t seconds;

	if (!text_number(words->word[1], 0, UINT32_MAX, &seconds))
		return false;
	if (words->count == 2)
		model_set_clock(commander->model, journal_now(), (uint32_t)seconds);
	else if (strcmp(words->word[2], "natpmp") == 0)
		model_set_natpmp_clock(commander->model, journal_now(), (uint32_t)seconds);
	else if (strcmp(words->word[2], "pcp") == 0)
		model_set_pcp_clock(commander->model, journal_now(), (uint32_t)seconds);
	else
		return false;
	return true;
}

/* The address belongs to the place, not to the make of the gateway: it stays. */
static bool cmd_profile(struct commander *commander, const struct words *words)
{
	const struct model_profile *found = model_profile_find(words->word[1]);
	struct model_profile profile;

	if (!found)
		return false;
	profile = *found;
	profile.external_address = commander->model->profile.external_address;
	model_set_profile(commander->model, journal_now(), &profile);
	return true;
}

static bool cmd_manual(struct commander *commander, const struct words *words)
{
	union endpoint inside;
	enum model_opcode opcode;
	int64_t external;

	if (!settings_opcode(words->word[1], &opcode) || opcode == MODEL_ADDRESS ||
	    !text_endpoint(words->word[2], 0, &inside) || inside.any.sa_family != AF_INET ||
	    endpoint_port(&inside) == 0 || !text_number(words->word[3], 1, 65535, &external))
		return false;
	if (model_add_manual(commander->model, journal_now(), ntohl(inside.v4.sin_addr.s_addr),
			     opcode, endpoint_port(&inside), (uint16_t)external))
		return true;
	snprintf(commander->note, sizeof(commander->note), "port taken or table full");
	return false;
}

static void print_mapping(FILE *reply, uint64_t now, const struct model_mapping *mapping)
{
	bool ipv4 = model_host_is_ipv4(&mapping->client);
	char text[TEXT_ENDPOINT];

	fprintf(reply, "%s %s%s%s:%u -> %u ", text_of_opcode(mapping->opcode), ipv4 ? "" : "[",
		text_of_host(&mapping->client, text), ipv4 ? "" : "]", mapping->internal_port,
		mapping->external_port);
	if (mapping->manual)
		fprintf(reply, "manual");
	else
		fprintf(reply, "left %" PRIu64, (mapping->expires - now + 999) / 1000);
	if (mapping->maker == MODEL_BY_PCP) {
		fprintf(reply, " pcp nonce ");
		for (size_t i = 0; i < MODEL_NONCE; i++)
			fprintf(reply, "%02x", mapping->nonce[i]);
	}
	fputc('\n', reply);
}

static bool cmd_mappings(struct commander *commander, const struct words *words)
{
	uint64_t now = journal_now();
	const struct model_mapping *mapping;
	size_t cursor = 0, count = 0;

	(void)words;
	while ((mapping = model_next(commander->model, now, &cursor))) {
		print_mapping(commander->reply, now, mapping);
		count++;
	}
	snprintf(commander->note, sizeof(commander->note), "%zu", count);
	return true;
}

/* mapping tcp|udp ADDR:PORT [natpmp|pcp] */
static bool cmd_mapping(struct commander *commander, const struct words *words)
{
	enum model_maker makers = MODEL_BY_ANY;
	const struct model_mapping *mapping = NULL;
	union endpoint inside;
	struct model_host client;
	enum model_opcode opcode;
	uint64_t now = journal_now();
	size_t count = 0;

	if (!settings_opcode(words->word[1], &opcode) || opcode == MODEL_ADDRESS ||
	    !text_endpoint(words->word[2], 0, &inside))
		return false;
	if (words->count > 3 && strcmp(words->word[3], "natpmp") == 0)
		makers = MODEL_BY_NATPMP;
	else if (words->count > 3 && strcmp(words->word[3], "pcp") == 0)
		makers = MODEL_BY_PCP;
	else if (words->count > 3)
		return false;
	client = endpoint_host(&inside);
	while ((mapping = model_find(commander->model, now, &client, opcode, endpoint_port(&inside),
				     makers, mapping))) {
		print_mapping(commander->reply, now, mapping);
		count++;
	}
	snprintf(commander->note, sizeof(commander->note), "%zu", count);
	return true;
}

static bool cmd_requests(struct commander *commander, const struct words *words)
{
	(void)words;
	snprintf(commander->note, sizeof(commander->note), "%" PRIu64, commander->model->requests);
	return true;
}

/* ------------------------------------------------------- packets unasked -- */

struct parcel {
	union endpoint from;
	bool has_from; /* else from where requests come */
	union endpoint to;
	size_t len;
	uint8_t bytes[MODEL_PACKET_MAX];
};

static bool emit(struct commander *commander, const struct parcel *parcel)
{
	char packet[TEXT_PACKET], at[TEXT_ENDPOINT];

	if (!front_send(commander->front, parcel->has_from ? &parcel->from : NULL, &parcel->to,
			parcel->bytes, parcel->len))
		return failed(commander);
	journal_line(commander->journal, "send %s to %s",
		     text_of_answer(parcel->bytes, parcel->len, packet),
		     text_of_endpoint(&parcel->to, at));
	return true;
}

static bool to_latest_client(struct commander *commander, union endpoint *to)
{
	*to = commander->front->last;
	if (endpoint_port(to) != 0)
		return true;
	snprintf(commander->note, sizeof(commander->note), "no client so far");
	return false;
}

static bool read_pair(struct commander *commander, const char *name, const char *value,
		      struct parcel *parcel)
{
	if (strcmp(name, "from") == 0) {
		parcel->has_from = true;
		return text_endpoint(value, own_port(commander->front), &parcel->from);
	}
	if (strcmp(name, "to") == 0 && strcmp(value, "client") == 0)
		return to_latest_client(commander, &parcel->to);
	if (strcmp(name, "to") == 0)
		return text_endpoint(value, MODEL_ANNOUNCE_PORT, &parcel->to);
	return strcmp(name, "bytes") == 0 &&
	       text_hex(value, parcel->bytes, sizeof(parcel->bytes), &parcel->len);
}

/* Pairs of words from the given one on */
static bool read_pairs(struct commander *commander, const struct words *words, size_t first,
		       struct parcel *parcel)
{
	for (size_t i = first; i < words->count; i += 2)
		if (!words->word[i + 1] ||
		    !read_pair(commander, words->word[i], words->word[i + 1], parcel))
			return false;
	return true;
}

static bool cmd_announce(struct commander *commander, const struct words *words)
{
	struct parcel parcel = {.to = endpoint_of(INADDR_ALLHOSTS_GROUP, MODEL_ANNOUNCE_PORT)};
	uint64_t now = journal_now();

	if (strcmp(words->word[0], "pcp-announce") == 0)
		parcel.len = model_pcp_announcement(commander->model, now, parcel.bytes);
	else
		parcel.len = model_announcement(commander->model, now, parcel.bytes);
	return read_pairs(commander, words, 1, &parcel) && emit(commander, &parcel);
}

static bool cmd_inject(struct commander *commander, const struct words *words)
{
	struct parcel parcel = {.has_from = false};

	return text_hex(words->word[1], parcel.bytes, sizeof(parcel.bytes), &parcel.len) &&
	       to_latest_client(commander, &parcel.to) &&
	       read_pairs(commander, words, 2, &parcel) && emit(commander, &parcel);
}

static const struct model_mapping *pcp_mapping_at(struct commander *commander,
						  const union endpoint *inside,
						  enum model_opcode opcode, int64_t port)
{
	struct model_host client = endpoint_host(inside);

	return model_find(commander->model, journal_now(), &client, opcode, (uint16_t)port,
			  MODEL_BY_PCP, NULL);
}

/* pcp-update tcp|udp INTERNAL_PORT [EXTERNAL_PORT|same [COPIES]] */
static bool cmd_pcp_update(struct commander *commander, const struct words *words)
{
	const struct model_mapping *mapping;
	struct parcel parcel = {.has_from = false};
	enum model_opcode opcode;
	int64_t internal, external, copies = 1;
	bool moves = words->count > 3 && strcmp(words->word[3], "same") != 0;

	if (!settings_opcode(words->word[1], &opcode) || opcode == MODEL_ADDRESS ||
	    !text_number(words->word[2], 1, 65535, &internal) ||
	    (moves && !text_number(words->word[3], 1, 65535, &external)) ||
	    (words->count > 4 && !text_number(words->word[4], 1, 3, &copies)) ||
	    !to_latest_client(commander, &parcel.to))
		return false;
	mapping = pcp_mapping_at(commander, &parcel.to, opcode, internal);
	if (!mapping || (moves && !model_move(commander->model, mapping, (uint16_t)external))) {
		snprintf(commander->note, sizeof(commander->note), "%s",
			 mapping ? "port taken" : "no mapping of the latest client by PCP");
		return false;
	}
	mapping = pcp_mapping_at(commander, &parcel.to, opcode, internal);
	parcel.len = model_pcp_update(commander->model, journal_now(), mapping, parcel.bytes);
	while (copies-- > 0)
		if (!emit(commander, &parcel))
			return false;
	return true;
}

static bool cmd_quit(struct commander *commander, const struct words *words)
{
	(void)words;
	commander->quit = true;
	return true;
}

/* -------------------------------------------------------------- commands -- */

static const struct command {
	const char *name;
	size_t min; /* words behind the name */
	size_t max;
	command_fn *fn;
	const char *usage;
	const char *about;
} commands[] = {
	{"drop", 1, 1, cmd_drop, "drop N", "lose the next N requests"},
	{"drop-answer", 1, 1, cmd_drop_answer, "drop-answer N",
	 "lose the next N answers; what was asked is done"},
	{"drop-percent", 1, 1, cmd_drop_percent, "drop-percent P",
	 "lose P percent of requests and as many of the answers"},
	{"delay", 1, 2, cmd_delay, "delay MS|off [COUNT]",
	 "answer later; this and the next four for COUNT answers only, if given"},
	{"duplicate", 1, 2, cmd_duplicate, "duplicate N|off [COUNT]", "N copies in addition"},
	{"truncate", 1, 2, cmd_truncate, "truncate LEN|off [COUNT]", "cut answers to LEN bytes"},
	{"pad", 1, 2, cmd_pad, "pad LEN|off [COUNT]", "fill answers up with zeros to LEN bytes"},
	{"answer-from", 1, 2, cmd_answer_from, "answer-from ADDR[:PORT]|off [COUNT]",
	 "answer from there instead"},
	{"refuse", 1, 1, cmd_refuse, "refuse on|off",
	 "close the port (ICMP port unreachable), open the same again"},
	{"result", 1, 2, cmd_result, "result CODE|off [address|udp|tcp]",
	 "force a result code of NAT-PMP"},
	{"pcp-result", 1, 2, cmd_pcp_result,
	 "pcp-result CODE|off [announce|map|create|renew|delete]",
	 "the same of PCP; map is create and renew"},
	{"error-lifetime", 1, 1, cmd_setting, "error-lifetime SECONDS|off",
	 "force the lifetime of PCP's errors"},
	{"lifetime", 1, 1, cmd_setting, "lifetime SECONDS|off",
	 "force a lifetime; this and the next two for both protocols"},
	{"port", 1, 1, cmd_setting, "port PORT|off", "force an external port, also on renewals"},
	{"address", 1, 1, cmd_setting, "address ADDR|none", "set the external address"},
	{"set", 2, 2, cmd_set, "set NAME VALUE", "change a setting, see below"},
	{"profile", 1, 1, cmd_profile, "profile NAME", "behave otherwise from now on"},
	{"restart", 0, 2, cmd_restart, "restart [keep-table] [keep-clock]", "lose both"},
	{"clock", 1, 2, cmd_clock, "clock SECONDS [natpmp|pcp]", "set both clocks, or this one"},
	{"announce", 0, 6, cmd_announce,
	 "announce [from ADDR[:PORT]] [bytes HEX] [to client|ADDR[:PORT]]",
	 "send a NAT-PMP announcement, or these bytes, to 224.0.0.1:5350, or there"},
	{"pcp-announce", 0, 6, cmd_announce, "pcp-announce ...", "the same with one of PCP"},
	{"pcp-update", 2, 4, cmd_pcp_update,
	 "pcp-update tcp|udp INTERNAL_PORT [EXTERNAL_PORT|same [COPIES]]",
	 "tell the latest client what its mapping is by now: move it there first, if told to"},
	{"inject", 1, 3, cmd_inject, "inject HEX [from ADDR[:PORT]]",
	 "send these bytes to the latest client"},
	{"manual", 3, 3, cmd_manual, "manual tcp|udp ADDR:PORT EXTERNAL_PORT",
	 "make a mapping by hand, which no client can delete"},
	{"mappings", 0, 0, cmd_mappings, "mappings", "print those that are live, a line each"},
	{"mapping", 2, 3, cmd_mapping, "mapping tcp|udp ADDR:PORT [natpmp|pcp]",
	 "print that of a client's internal port, if any, or only the one made by this"},
	{"requests", 0, 0, cmd_requests, "requests", "print how many came so far"},
	{"reset", 0, 0, cmd_reset, "reset", "no misbehaviour and nothing forced any more"},
	{"quit", 0, 0, cmd_quit, "quit", "end"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

void commander_help(FILE *file)
{
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(file, "  %s\n      %s\n", commands[i].usage, commands[i].about);
}

static bool split(char *line, struct words *words)
{
	char *rest = NULL;

	words->count = 0;
	memset(words->word, 0, sizeof(words->word));
	for (char *word = strtok_r(line, " \t\r\n", &rest); word;
	     word = strtok_r(NULL, " \t\r\n", &rest)) {
		if (words->count == WORDS_MAX)
			return false;
		words->word[words->count++] = word;
	}
	return words->count > 0;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

void commander_run(struct commander *commander, char *line)
{
	const struct command *command;
	struct words words;

	commander->note[0] = '\0';
	journal_line(commander->journal, "command %s", line);
	if (!split(line, &words) || !(command = find(words.word[0]))) {
		fprintf(commander->reply, "error no such command\n");
		return;
	}
	if (words.count - 1 < command->min || words.count - 1 > command->max ||
	    !command->fn(commander, &words))
		fprintf(commander->reply, "error %s\n",
			commander->note[0] ? commander->note : command->usage);
	else
		fprintf(commander->reply, "ok%s%s\n", commander->note[0] ? " " : "",
			commander->note);
}
