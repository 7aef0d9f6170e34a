/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's entry point without libFuzzer, for any compiler:
 *   NAME CORPUS.txt          each line's bytes, and every prefix of them
 *   NAME --file INPUT...     inputs that a fuzzer wrote
 *   NAME --seed CORPUS.txt DIRECTORY   the lines as files, for a fuzzer to begin with
 */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

enum { ROOM = 4096 };

static size_t read_line(const char *text, uint8_t bytes[ROOM])
{
	size_t len = 0;
	unsigned value;
	int used;

	while (len < ROOM && sscanf(text, " %2x%n", &value, &used) == 1) {
		bytes[len++] = (uint8_t)value;
		text += used;
	}
	return len;
}

static int write_seed(const char *directory, unsigned number, const uint8_t *bytes, size_t len)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%03u", directory, number);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file)) {
		perror(path);
		return 1;
	}
	return 0;
}

static int corpus(const char *path, const char *directory)
{
	static char line[3 * ROOM];
	static uint8_t bytes[ROOM];
	unsigned lines = 0, inputs = 0;
	int failed = 0;
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		return 1;
	}
	while (!failed && fgets(line, sizeof(line), file)) {
		size_t len = read_line(line, bytes);

		if (!len)
			continue;
		lines++;
		if (directory)
			failed = write_seed(directory, lines, bytes, len);
		for (size_t part = 0; !directory && part <= len; part++, inputs++)
			LLVMFuzzerTestOneInput(bytes, part);
	}
	fclose(file);
	printf("%u lines, %u inputs\n", lines, inputs);
	return failed || !lines;
}

static int replay(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(path, "rb");

	if (!file) {
		perror(path);
		return 1;
	}
	size_t len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, len);
	printf("%s: %zu bytes\n", path, len);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc == 2)
		return corpus(argv[1], NULL);
	if (argc == 4 && !strcmp(argv[1], "--seed"))
		return corpus(argv[2], argv[3]);
	if (argc < 3 || strcmp(argv[1], "--file") != 0) {
		fprintf(stderr,
			"usage: %s CORPUS.txt | --file INPUT... | --seed CORPUS.txt DIRECTORY\n",
			argv[0]);
		return 2;
	}
	for (int i = 2; i < argc; i++)
		failed |= replay(argv[i]);
	return failed;
}
