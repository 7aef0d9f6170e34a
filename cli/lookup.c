/* SPDX-License-Identifier: MIT */
#include "lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLANKS " \t"
/* What means nothing to a shell, wherever it stands in a word, and our own %. */
#define PLAIN                                                                                      \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"                           \
	"%+,-./:=@_"

/* The words of a command line without quotes, variables or operators, in one piece of memory; NULL:
 * it is not so plain. */
static char **split(const char *line)
{
	size_t count = 0, most = strlen(line) / 2 + 2;
	char **words, *rest;

	line += strspn(line, BLANKS);
	if (line[strspn(line, PLAIN BLANKS)] || memchr(line, '=', strcspn(line, BLANKS)))
		return NULL;
	words = calloc(1, most * sizeof(*words) + strlen(line) + 1);
	if (!words)
		return NULL;
	rest = strcpy((char *)(words + most), line);
	for (char *word; (word = strsep(&rest, BLANKS));) {
		if (*word)
			words[count++] = word;
	}
	return words;
}

/* errno, 0 for an executable file. */
static int look_at(const char *path)
{
	struct stat found;

	if (stat(path, &found) < 0)
		return errno;
	if (!S_ISREG(found.st_mode))
		return EACCES;
	return access(path, X_OK) < 0 ? errno : 0;
}

/* As execvp(3) searches. */
static int search(const char *name)
{
	const char *path = getenv("PATH");
	int error = ENOENT;

	if (strchr(name, '/'))
		return look_at(name);
	for (path = path ? path : "/bin:/usr/bin"; error && path;) {
		size_t length = strcspn(path, ":");
		char *file;
		int now;

		if (asprintf(&file, "%.*s%s%s", (int)length, path, length ? "/" : "", name) < 0)
			return ENOMEM;
		now = look_at(file);
		free(file);
		if (!now || now == EACCES)
			error = now;
		path = path[length] ? path + length + 1 : NULL;
	}
	return error;
}

/* A word of the shell itself: exit, exec, read. True also if it cannot be asked. */
static bool shell_knows(const char *name)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "command -v -- \"$0\" >/dev/null 2>&1", name,
		      (char *)NULL);
		_exit(0);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid ||
	       (WIFEXITED(status) && !WEXITSTATUS(status));
}

int lookup_refuse(const char *what, int error)
{
	const char *option = options_meant(what);

	if (error != ENOENT)
		options_mistake("cannot run %s: %s%s", what, strerror(error),
				error == EACCES  ? "; it needs the right to be executed (chmod +x)"
				: error == E2BIG ? "; give it fewer or shorter arguments"
						 : "");
	else if (option)
		options_mistake("\"%s\" is taken for a command, and there is none of that name; "
				"did you mean --%s?",
				what, option);
	else
		options_mistake("cannot run %s: not found; look at its name%s", what,
				strchr(what, '/')
					? ", and at the interpreter that its first line names"
					: "");
	return error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
}

int lookup_command(struct options *options)
{
	char *const *command = options->command;
	int error;

	if (command && !command[1]) {
		options->words = split(command[0]);
		if (!options->words)
			return 0; /* the shell's to judge */
		command = options->words;
	}
	error = command ? search(command[0]) : 0;
	if (error && options->words && !strchr(command[0], '/') && shell_knows(command[0]))
		return 0;
	if (error)
		return lookup_refuse(command[0], error);
	options->command = command;
	options->shell = false;
	return 0;
}
