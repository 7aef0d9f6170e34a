/* SPDX-License-Identifier: MIT */
#include "portfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool portfile_usable(const char *path)
{
	struct stat found;

	/* Replacing /dev/null or a directory is not what anybody means. */
	if (stat(path, &found) < 0 || S_ISREG(found.st_mode))
		return true;
	options_mistake("--port-file %s: it is there and no ordinary file; give another name",
			path);
	return false;
}

static int write_whole(int fd, const char *text)
{
	size_t length = strlen(text);
	ssize_t written = write(fd, text, length);

	if (written < 0)
		return errno;
	return (size_t)written == length ? 0 : ENOSPC;
}

/* errno, 0 on success. No fsync: after a crash of the machine the port is another anyway. */
static int replace(const char *path, const char *text)
{
	mode_t mask = umask(0);
	char *fresh;
	int fd, error;

	umask(mask);
	if (asprintf(&fresh, "%s.XXXXXX", path) < 0)
		return ENOMEM;
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		free(fresh);
		return error;
	}
	error = write_whole(fd, text);
	if (!error && fchmod(fd, 0666 & ~mask) < 0)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	if (!error && rename(fresh, path) < 0)
		error = errno;
	if (error)
		unlink(fresh);
	free(fresh);
	return error;
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

void portfile_work(struct portfile *file, struct output *output)
{
	int error;

	if (!file->stale)
		return;
	error = replace(file->path, file->text);
	file->stale = error != 0;
	if (!error) {
		if (file->complained)
			output_note(output, "--port-file %s is written again", file->path);
		file->complained = false;
		return;
	}
	/* A wrong port misleads more than none. It may also be what makes room. */
	unlink(file->path);
	if (!file->complained)
		output_error(output,
			     "--port-file %s: %s; make room or mend the path, it is tried again "
			     "at the next renewal",
			     file->path, strerror(error));
	file->complained = true;
}

void portfile_end(struct portfile *file, struct output *output)
{
	if (file->text && unlink(file->path) < 0 && errno != ENOENT)
		output_error(output, "--port-file %s: %s; remove it by hand", file->path,
			     strerror(errno));
	free(file->text);
	file->text = NULL;
}
