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

static bool cmd_answer_from(struct commander *commander, const struct words *words)
{
	struct front *front = commander->front;
	int64_t left = UINT32_MAX;

	if (strcmp(words->word[1], "off") == 0) {
		front->stray.left = 0;
		return true;
	}
	if (!text_endpoint(words->word[1], ntohs(front->local.sin_port), &front->stray_from) ||
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
	model_set_clock(commander->model, journal_now(), (uint32_t)seconds);
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
	struct sockaddr_in inside;
	enum model_opcode opcode;
	int64_t external;

	if (!settings_opcode(words->word[1], &opcode) || opcode == MODEL_ADDRESS ||
	    !text_endpoint(words->word[2], 0, &inside) || inside.sin_port == 0 ||
	    !text_number(words->word[3], 1, 65535, &external))
		return false;
	if (model_add_manual(commander->model, journal_now(), ntohl(inside.sin_addr.s_addr), opcode,
			     ntohs(inside.sin_port), (uint16_t)external))
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

static bool cmd_requests(struct commander *commander, const struct words *words)
{
	(void)words;
	snprintf(commander->note, sizeof(commander->note), "%" PRIu64, commander->model->requests);
	return true;
}

/* ------------------------------------------------------- packets unasked -- */

static bool emit(struct commander *commander, const struct sockaddr_in *from,
		 const struct sockaddr_in *to, const uint8_t *bytes, size_t len)
{
	char packet[TEXT_PACKET], at[TEXT_ENDPOINT];

	if (!front_send(commander->front, from, to, bytes, len))
		return failed(commander);
	journal_line(commander->journal, "send %s to %s", text_of_answer(bytes, len, packet),
		     text_of_endpoint(to, at));
	return true;
}

/* Pairs of words from the given one on: from ADDR[:PORT], bytes HEX */
static bool read_pairs(struct commander *commander, const struct words *words, size_t first,
		       struct sockaddr_in *from, bool *has_from, uint8_t *bytes, size_t *len)
{
	*has_from = false;
	for (size_t i = first; i < words->count; i += 2) {
		const char *value = words->word[i + 1];

		if (!value)
			return false;
		if (strcmp(words->word[i], "from") == 0)
			*has_from =
				text_endpoint(value, ntohs(commander->front->local.sin_port), from);
		else if (strcmp(words->word[i], "bytes") != 0 ||
			 !text_hex(value, bytes, MODEL_PACKET_MAX, len))
			return false;
		if (strcmp(words->word[i], "from") == 0 && !*has_from)
			return false;
	}
	return true;
}

static bool cmd_announce(struct commander *commander, const struct words *words)
{
	struct sockaddr_in to = endpoint_of(INADDR_ALLHOSTS_GROUP, MODEL_ANNOUNCE_PORT);
	struct sockaddr_in from;
	uint8_t bytes[MODEL_PACKET_MAX];
	bool pcp = strcmp(words->word[0], "pcp-announce") == 0;
	bool has_from;
	size_t len = pcp ? model_pcp_announcement(commander->model, journal_now(), bytes)
			 : model_announcement(commander->model, journal_now(), bytes);

	return read_pairs(commander, words, 1, &from, &has_from, bytes, &len) &&
	       emit(commander, has_from ? &from : NULL, &to, bytes, len);
}

static bool cmd_inject(struct commander *commander, const struct words *words)
{
	struct sockaddr_in from;
	uint8_t bytes[MODEL_PACKET_MAX];
	bool has_from;
	size_t len;

	if (!text_hex(words->word[1], bytes, sizeof(bytes), &len) ||
	    !read_pairs(commander, words, 2, &from, &has_from, bytes, &len))
		return false;
	if (commander->front->last.sin_port == 0) {
		snprintf(commander->note, sizeof(commander->note), "no client so far");
		return false;
	}
	return emit(commander, has_from ? &from : NULL, &commander->front->last, bytes, len);
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
	{"result", 1, 2, cmd_result, "result CODE|off [address|udp|tcp]", "force a result code"},
	{"lifetime", 1, 1, cmd_setting, "lifetime SECONDS|off", "force a lifetime"},
	{"port", 1, 1, cmd_setting, "port PORT|off", "force an external port, also on renewals"},
	{"address", 1, 1, cmd_setting, "address ADDR|none", "set the external address"},
	{"set", 2, 2, cmd_set, "set NAME VALUE", "change a setting, see below"},
	{"profile", 1, 1, cmd_profile, "profile NAME", "behave otherwise from now on"},
	{"restart", 0, 2, cmd_restart, "restart [keep-table] [keep-clock]", "lose both"},
	{"clock", 1, 1, cmd_clock, "clock SECONDS", "set the clock"},
	{"announce", 0, 4, cmd_announce, "announce [from ADDR[:PORT]] [bytes HEX]",
	 "multicast a NAT-PMP announcement, or these bytes, to 224.0.0.1:5350"},
	{"pcp-announce", 0, 2, cmd_announce, "pcp-announce [from ADDR[:PORT]]",
	 "multicast a PCP one"},
	{"inject", 1, 3, cmd_inject, "inject HEX [from ADDR[:PORT]]",
	 "send these bytes to the latest client"},
	{"manual", 3, 3, cmd_manual, "manual tcp|udp ADDR:PORT EXTERNAL_PORT",
	 "make a mapping by hand, which no client can delete"},
	{"mappings", 0, 0, cmd_mappings, "mappings", "print those that are live, a line each"},
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
