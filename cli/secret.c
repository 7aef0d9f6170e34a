/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where it is, to be freed; NULL: nowhere. */
static char *find_directory(void)
{
	const char *state = getenv("STATE_DIRECTORY"), *home = getenv("XDG_STATE_HOME");
	char *path = NULL;
	int length = -1;

	if (state && *state == '/')
		length = asprintf(&path, "%.*s", (int)strcspn(state, ":"), state);
	else if (home && *home == '/')
		length = asprintf(&path, "%s/natpmp", home);
	else if ((home = getenv("HOME")) && *home == '/')
		length = asprintf(&path, "%s/.local/state/natpmp", home);
	return length < 0 ? NULL : path;
}

/* With all above it. */
static bool make_directory(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700); /* if that fails the last does, too, and says why */
		*slash = '/';
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* NULL: it has been read. */
static const char *read_secret(int fd, unsigned char secret[SECRET_SIZE])
{
	unsigned char bytes[SECRET_SIZE + 1];
	struct stat found;

	if (fstat(fd, &found) < 0)
		return strerror(errno);
	if (!S_ISREG(found.st_mode))
		return "it is no ordinary file";
	if (found.st_uid != geteuid() || found.st_mode & (S_IRWXG | S_IRWXO))
		return "others may read or write it: remove it, and a new one is made";
	if (read(fd, bytes, sizeof(bytes)) != SECRET_SIZE)
		return "it is not 32 bytes long: remove it, and a new one is made";
	memcpy(secret, bytes, SECRET_SIZE);
	return NULL;
}

/* False: errno says why. A file with less in it would never be put right, so it is on the disk
 * before it has its name. */
static bool write_secret(int fd)
{
	unsigned char secret[SECRET_SIZE];

	if (getrandom(secret, sizeof(secret), 0) != SECRET_SIZE)
		return false;
	errno = ENOSPC;
	return write(fd, secret, sizeof(secret)) == SECRET_SIZE && fsync(fd) == 0;
}

/* It gets its name when all is in it, and only if there is none: of two who start at once one is
 * first, and the other takes what that one made. False: errno says why. */
static bool make_secret(const char *path)
{
	char *fresh;
	int fd, error = 0;

	if (asprintf(&fresh, "%s.XXXXXX", path) < 0)
		return false;
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd < 0 || !write_secret(fd) || (link(fresh, path) < 0 && errno != EEXIST))
		error = errno;
	if (fd >= 0) {
		unlink(fresh);
		close(fd);
	}
	free(fresh);
	errno = error;
	return !error;
}

/* A descriptor; -1: errno says why. */
static int open_secret(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* NULL: it has been read, maybe after it was made. */
static const char *load(char *directory, const char *path, unsigned char secret[SECRET_SIZE])
{
	const char *trouble;
	int fd = open_secret(path);

	if (fd < 0 && errno == ENOENT && make_directory(directory) && make_secret(path))
		fd = open_secret(path);
	if (fd < 0)
		return strerror(errno);
	trouble = read_secret(fd, secret);
	close(fd);
	return trouble;
}

bool secret_load(unsigned char secret[SECRET_SIZE], char why[SECRET_WHY_LEN])
{
	char *directory = find_directory(), *path;
	const char *trouble;

	if (!directory) {
		snprintf(why, SECRET_WHY_LEN,
			 "neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME "
			 "names a place for it");
		return false;
	}
	if (asprintf(&path, "%s/secret", directory) < 0)
		path = NULL;
	trouble = path ? load(directory, path, secret) : strerror(ENOMEM);
	if (trouble)
		snprintf(why, SECRET_WHY_LEN, "%s: %s", path ? path : directory, trouble);
	free(path);
	free(directory);
	return !trouble;
}
