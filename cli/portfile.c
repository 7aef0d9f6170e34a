/* SPDX-License-Identifier: MIT */
#include "portfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"

enum {
	RETRY = 1000,      /* ms from a failure to the next try */
	FAREWELL = 1000,   /* ms we wait for the file to be removed */
	TEXT_LEN = 1 << 16 /* 10,000 ports */
};

/* ------------------------------------------------------------- claiming -- */

static bool holds_only_ports(int fd)
{
	char text[TEXT_LEN + 1];
	ssize_t length = read(fd, text, TEXT_LEN);

	text[length < 0 ? 0 : length] = '\0';
	return length >= 0 && length < TEXT_LEN && !text[strspn(text, "0123456789\n")] &&
	       (ssize_t)strlen(text) == length;
}

static const char *explain(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return "no such directory; make it, or give another name";
	case EBUSY:
		return "it is mounted by itself, so it cannot be replaced; mount its directory";
	case EACCES:
	case EPERM:
		return "it may not be replaced; look at the permissions of its directory";
	default:
		return strerror(error);
	}
}

/* NULL: it may be replaced, and is not there now. */
static const char *claim(const char *path, char **file)
{
	const char *why = NULL;
	struct stat found;
	int fd;

	if (stat(path, &found) == 0 && !S_ISREG(found.st_mode))
		return "it is there and no ordinary file; give another name";
	/* It has to be there for its links to be followed. */
	fd = open(path, O_RDONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	if (fd < 0)
		return explain(errno);
	*file = realpath(path, NULL);
	if (!holds_only_ports(fd))
		why = "it holds something else than ports; give another name";
	else if (!*file || unlink(*file) < 0)
		why = explain(errno);
	close(fd);
	return why;
}

bool portfile_claim(struct portfile *file, const char *path)
{
	const char *why;

	*file = (struct portfile){.path = path, .keeper = -1};
	why = path ? claim(path, &file->file) : NULL;
	if (why) {
		options_mistake("--port-file %s: %s", path, why);
		portfile_end(file);
	}
	return !why;
}

/* --------------------------------------------------------------- keeper -- */

/* errno, 0 on success. No fsync: after a crash the port is another one anyway. */
static int replace(const char *file, const char *text, size_t length)
{
	char *fresh;
	int fd, error = 0;

	if (asprintf(&fresh, "%s.XXXXXX", file) < 0)
		return ENOMEM;
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0666 & ~umask(0)) < 0)
		error = errno;
	else if (write(fd, text, length) != (ssize_t)length)
		error = ENOSPC;
	if (fd >= 0 && close(fd) < 0 && !error)
		error = errno;
	if (!error && rename(fresh, file) < 0)
		error = errno;
	if (error) {
		unlink(fresh);
		unlink(file); /* a wrong port misleads more than none */
	}
	free(fresh);
	return error;
}

__attribute__((noreturn)) static void keep(const struct portfile *file, int socket,
					   struct output *output)
{
	struct pollfd news = {.fd = socket, .events = POLLIN};
	static char text[TEXT_LEN];
	ssize_t length = 0;
	int error = 0, before = 0;

	for (;;) {
		bool told = poll(&news, 1, error ? RETRY : -1) != 0;

		if (told && (length = recv(socket, text, sizeof(text), 0)) <= 0)
			break;
		error = replace(file->file, text, (size_t)length);
		if (error && !before)
			output_error(output,
				     "--port-file %s: %s; make room or mend the path, it is tried "
				     "again every second",
				     file->path, strerror(error));
		else if (before && !error)
			output_note(output, "--port-file %s is written again", file->path);
		before = error;
		if (told)
			(void)send(socket, "", 1, MSG_NOSIGNAL);
	}
	if (unlink(file->file) < 0 && errno != ENOENT && errno != ENOTDIR)
		output_error(output, "--port-file %s: %s; remove it by hand", file->path,
			     strerror(errno));
	_exit(0);
}

void portfile_begin(struct portfile *file, struct output *output)
{
	int ends[2];
	pid_t pid;

	if (!file->path)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		output_error(output, "--port-file %s: %s", file->path, strerror(errno));
		return;
	}
	pid = child_fork(true);
	if (pid == 0) {
		close(ends[0]);
		keep(file, ends[1], output);
	}
	if (pid < 0)
		output_error(output, "--port-file %s: %s", file->path, strerror(errno));
	close(ends[1]);
	file->keeper = ends[0];
}

/* ------------------------------------------------------------------- us -- */

void portfile_set(struct portfile *file, char *text)
{
	if (file->text && text && !strcmp(file->text, text)) {
		free(text);
		return;
	}
	free(file->text);
	file->text = text;
	file->stale = text && file->keeper >= 0;
}

void portfile_work(struct portfile *file, struct output *output)
{
	char done;
	ssize_t length = file->keeper < 0 ? 1 : recv(file->keeper, &done, 1, MSG_DONTWAIT);

	if (length > 0)
		file->busy = false;
	else if (length == 0) {
		output_error(output, "--port-file %s is kept no longer: its process was ended",
			     file->path);
		close(file->keeper);
		file->keeper = -1;
		file->stale = file->busy = false;
	}
	if (!file->stale || file->busy)
		return;
	(void)send(file->keeper, file->text, strlen(file->text), MSG_NOSIGNAL);
	file->stale = false;
	file->busy = true;
}

bool portfile_busy(const struct portfile *file)
{
	return file->stale || file->busy;
}

void portfile_end(struct portfile *file)
{
	struct pollfd end = {.fd = file->keeper, .events = 0};

	if (file->keeper >= 0) {
		shutdown(file->keeper, SHUT_WR);
		(void)poll(&end, 1, FAREWELL); /* it hangs up when it has removed it */
		close(file->keeper);
	}
	free(file->text);
	free(file->file);
}
