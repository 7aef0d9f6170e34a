/* SPDX-License-Identifier: MIT */
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "json.h"

/* The directory, to be freed; NULL: this user has none. */
static char *directory(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path;

	if (!runtime || *runtime != '/' || asprintf(&path, "%s/natpmp", runtime) < 0)
		return NULL;
	return path;
}

/* ------------------------------------------------------------------ ours -- */

void record_begin(struct record *record)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *path = directory();

	*record = (struct record){.fd = -1};
	if (!path || (mkdir(path, 0700) < 0 && errno != EEXIST) ||
	    asprintf(&record->path, "%s/%ld", path, (long)getpid()) < 0) {
		record->path = NULL;
	} else {
		record->fd = open(record->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		/* Taken by a process of that number in another container. */
		if (record->fd >= 0 && fcntl(record->fd, F_SETLK, &lock) < 0) {
			close(record->fd);
			record->fd = -1;
		}
	}
	free(path);
}

static const char *or_none(const char *text)
{
	return *text ? text : "-";
}

void record_write(struct record *record, const struct record_line *lines, size_t count)
{
	char *text = NULL;
	size_t size;
	FILE *out = record->fd < 0 ? NULL : open_memstream(&text, &size);

	if (!out)
		return;
	for (const struct record_line *line = lines; line < lines + count; line++) {
		const natpmp_mapping *mapping = &line->mapping;

		fprintf(out, "%d %d %u %s %u %s %d %s %d %lld %lld\n", line->family,
			mapping->protocol, mapping->internal_port,
			or_none(mapping->internal_address), mapping->external_port,
			or_none(mapping->external_address), mapping->dialect,
			or_none(line->gateway), line->up, (long long)line->since,
			(long long)line->until);
	}
	if (fclose(out) == 0 && (!record->text || strcmp(text, record->text) != 0)) {
		if (ftruncate(record->fd, 0) == 0)
			(void)!pwrite(record->fd, text, size, 0);
		free(record->text);
		record->text = text;
		return;
	}
	free(text);
}

void record_end(struct record *record)
{
	if (record->fd >= 0) {
		unlink(record->path);
		close(record->fd);
	}
	free(record->path);
	free(record->text);
}

/* ----------------------------------------------------------- those there -- */

typedef void each_line(const struct record_line *line, long pid, void *arg);

static void take_address(char address[NATPMP_ADDRESS_LEN], const char *word)
{
	if (strcmp(word, "-") != 0)
		snprintf(address, NATPMP_ADDRESS_LEN, "%s", word);
}

/* What record_write() has written. False: it is not one of ours. */
static bool read_line(char *text, struct record_line *line)
{
	enum {
		FAMILY,
		PROTOCOL,
		INTERNAL,
		HERE,
		EXTERNAL,
		THERE,
		DIALECT,
		GATEWAY,
		UP,
		SINCE,
		UNTIL,
		WORDS
	};
	natpmp_mapping *mapping = &line->mapping;
	char *word[WORDS], *rest = text;

	memset(line, 0, sizeof(*line));
	for (size_t i = 0; i < WORDS; i++) {
		word[i] = strtok_r(i ? NULL : text, " \n", &rest);
		if (!word[i])
			return false;
	}
	line->family = (natpmp_family)strtoul(word[FAMILY], NULL, 10);
	mapping->dialect = (natpmp_dialect)strtoul(word[DIALECT], NULL, 10);
	mapping->protocol = (natpmp_protocol)strtoul(word[PROTOCOL], NULL, 10);
	mapping->internal_port = (uint16_t)strtoul(word[INTERNAL], NULL, 10);
	mapping->external_port = (uint16_t)strtoul(word[EXTERNAL], NULL, 10);
	take_address(mapping->internal_address, word[HERE]);
	take_address(mapping->external_address, word[THERE]);
	take_address(line->gateway, word[GATEWAY]);
	line->up = *word[UP] == '1';
	line->since = (time_t)strtoll(word[SINCE], NULL, 10);
	line->until = (time_t)strtoll(word[UNTIL], NULL, 10);
	return protocol_name(mapping->protocol) != NULL;
}

static void read_file(int where, const char *name, each_line *each, void *arg)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(where, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	struct record_line line;
	char text[400];

	if (!in) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK) {
		if (fgetc(in) != EOF) /* else its writer is about to lock it */
			unlinkat(where, name, 0);
	} else {
		while (fgets(text, sizeof(text), in)) {
			if (read_line(text, &line))
				each(&line, strtol(name, NULL, 10), arg);
		}
	}
	fclose(in);
}

static int is_of_process(const struct dirent *entry)
{
	return !entry->d_name[strspn(entry->d_name, "0123456789")];
}

/* -1: there is no directory to look into. */
static int read_all(each_line *each, void *arg)
{
	char *path = directory(), own[24];
	struct dirent **entries;
	int where, count;

	if (!path)
		return -1;
	snprintf(own, sizeof(own), "%ld", (long)getpid());
	where = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	count = scandir(path, &entries, is_of_process, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (strcmp(name, own) != 0)
			read_file(where, name, each, arg);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (where >= 0)
		close(where);
	free(path);
	return 0;
}

struct warning {
	const struct record_line *ours;
	const struct session *session;
	struct output *output;
};

static void warn(const struct record_line *line, long pid, void *arg)
{
	const struct warning *warning = arg;
	const struct record_line *ours = warning->ours;
	char name[OUTPUT_NAME_LEN];

	if (line->family == ours->family &&
	    line->mapping.internal_port == ours->mapping.internal_port &&
	    line->mapping.protocol & ours->mapping.protocol &&
	    !strcmp(line->gateway, ours->gateway))
		output_note(warning->output,
			    "%s is kept open by another natpmp (process %ld), too: the first of "
			    "the two that ends closes it for both",
			    output_name(warning->session, &ours->mapping, name), pid);
}

void record_warn(const struct record_line *line, const struct session *session,
		 struct output *output)
{
	struct warning warning = {line, session, output};

	if (line->mapping.internal_port)
		(void)read_all(warn, &warning);
}

/* ------------------------------------------------------------- --status -- */

struct listing {
	struct output *output;
	unsigned count;
};

static const char *clock_text(time_t when, char text[24])
{
	struct tm local;

	if (!when || !localtime_r(&when, &local) ||
	    !strftime(text, 24, "%Y-%m-%d %H:%M:%S", &local))
		return "-";
	return text;
}

static void show_json(struct output *output, const struct record_line *line, long pid)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	json_begin(out, "status", time(NULL));
	json_mapping(out, line->family, &line->mapping);
	json_string(out, "gateway", line->gateway);
	json_bool(out, "up", line->up);
	json_time(out, "since", line->since);
	json_time(out, "expires", line->until);
	json_number(out, "process", (unsigned long)pid);
	json_end(out);
	if (fclose(out) == 0)
		output_text(output, text);
	free(text);
}

static void show(const struct record_line *line, long pid, void *arg)
{
	struct listing *listing = arg;
	const natpmp_mapping *mapping = &line->mapping;
	char external[OUTPUT_END_LEN], internal[OUTPUT_END_LEN], since[24], until[24], text[320];

	listing->count++;
	if (listing->output->options->json) {
		show_json(listing->output, line, pid);
		return;
	}
	snprintf(text, sizeof(text), "%s -> %s %s %s, since %s, until %s, process %ld\n",
		 output_end_of(mapping->external_address, mapping->external_port, external),
		 output_end_of(mapping->internal_address, mapping->internal_port, internal),
		 protocol_name(mapping->protocol), line->up ? "up" : "down",
		 clock_text(line->since, since), clock_text(line->until, until), pid);
	output_text(listing->output, text);
}

int record_show(struct output *output)
{
	struct listing listing = {output, 0};

	if (read_all(show, &listing) < 0) {
		output_error(output, "XDG_RUNTIME_DIR is not set, so nothing is known of other "
				     "natpmp; set it, and start them with it");
		return STATUS_OTHER;
	}
	if (!listing.count)
		output_note(output, "no natpmp of yours keeps a port open now");
	return STATUS_DONE;
}
