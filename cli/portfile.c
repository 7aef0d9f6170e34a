/* SPDX-License-Identifier: MIT */
#include "portfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"

enum { RETRY = 1000 }; /* ms, not sooner after a failure */

static bool has_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
	struct stat found;
	bool none =
		directory && stat(directory, &found) < 0 && (errno == ENOENT || errno == ENOTDIR);

	free(directory);
	return !none;
}

bool portfile_usable(const char *path)
{
	struct stat found;

	if (!has_directory(path)) {
		options_mistake("--port-file %s: no such directory; make it, or give another name",
				path);
		return false;
	}
	/* Replacing /dev/null or a directory is not what anybody means. */
	if (stat(path, &found) < 0 || S_ISREG(found.st_mode))
		return true;
	options_mistake("--port-file %s: it is there and no ordinary file; give another name",
			path);
	return false;
}

/* errno, 0 on success. No fsync: after a crash the port is another one anyway. */
static int write_file(int fd, const char *text, mode_t mode)
{
	ssize_t length = (ssize_t)strlen(text), written = write(fd, text, (size_t)length);
	int error = written < 0 ? errno : written < length ? ENOSPC : 0;

	if (!error && fchmod(fd, mode) < 0)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	return error;
}

/* The writer's work; errno, 0 on success. */
static int replace(const char *path, const char *text)
{
	char *fresh;
	int fd, error;

	if (asprintf(&fresh, "%s.XXXXXX", path) < 0)
		return ENOMEM;
	fd = mkostemp(fresh, O_CLOEXEC);
	error = fd < 0 ? errno : write_file(fd, text, 0666 & ~umask(0));
	if (!error && rename(fresh, path) < 0)
		error = errno;
	if (error) {
		unlink(fresh);
		unlink(path); /* a wrong port misleads more than none */
	}
	free(fresh);
	return error;
}

static void failed(struct portfile *file, int error, struct output *output)
{
	file->stale = true;
	if (!file->failed_at)
		output_error(output,
			     "--port-file %s: %s; make room or mend the path, it is tried again "
			     "at the next renewal",
			     file->path, strerror(error));
	file->failed_at = now_ms();
}

/* Nobody is to find it. */
static void withdraw(const struct portfile *file, struct output *output)
{
	if (unlink(file->path) < 0 && errno != ENOENT && errno != ENOTDIR)
		output_error(output, "--port-file %s: %s; remove it by hand", file->path,
			     strerror(errno));
}

void portfile_begin(struct portfile *file, const char *path, struct output *output)
{
	*file = (struct portfile){.path = path};
	if (path)
		withdraw(file, output);
}

void portfile_set(struct portfile *file, char *text)
{
	if (file->text && text && !strcmp(file->text, text)) {
		free(text);
		return;
	}
	free(file->text);
	file->text = text;
	file->stale = text != NULL;
}

void portfile_work(struct portfile *file, const struct signals *signals, struct output *output)
{
	uint64_t now = now_ms();

	if (!file->stale || file->writer || (file->failed_at && now < file->failed_at + RETRY))
		return;
	file->stale = false;
	file->writer = child_fork(signals, true);
	if (file->writer == 0)
		_exit(replace(file->path, file->text));
	if (file->writer < 0) {
		file->writer = 0;
		failed(file, errno, output);
	}
}

bool portfile_busy(const struct portfile *file)
{
	return file->writer || (file->stale && !file->failed_at);
}

bool portfile_reap(struct portfile *file, pid_t pid, int wait_status, struct output *output)
{
	if (!file->writer || pid != file->writer)
		return false;
	file->writer = 0;
	if (!WIFEXITED(wait_status)) {
		failed(file, EINTR, output);
	} else if (WEXITSTATUS(wait_status)) {
		failed(file, WEXITSTATUS(wait_status), output);
	} else if (file->failed_at) {
		file->failed_at = 0;
		output_note(output, "--port-file %s is written again", file->path);
	}
	return true;
}

void portfile_end(struct portfile *file, struct output *output)
{
	if (file->writer)
		waitpid(file->writer, NULL, 0); /* lest it comes after us */
	if (file->text)
		withdraw(file, output);
	free(file->text);
	file->text = NULL;
}
