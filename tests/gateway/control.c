/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* ---------------------------------------------------------------- socket -- */

/* The socket gives up after a second, so that a client who reads nothing
 * cannot stall the gateway for longer. */
static bool write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static void hang_up(struct control_client *client)
{
	close(client->fd);
	client->fd = -1;
	client->len = 0;
}

static void run_and_reply(struct control_client *client, char *line)
{
	struct commander *commander = client->control->commander;
	char *text = NULL;
	size_t len = 0;

	commander->reply = open_memstream(&text, &len);
	if (!commander->reply) {
		hang_up(client);
		return;
	}
	commander_run(commander, line);
	fclose(commander->reply);
	commander->reply = NULL;
	if (!text || !write_all(client->fd, text, len))
		hang_up(client);
	free(text);
}

static void client_ready(void *owner)
{
	struct control_client *client = owner;
	ssize_t n = recv(client->fd, client->line + client->len,
			 sizeof(client->line) - 1 - client->len, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* gone, or a line too long */
		hang_up(client);
		return;
	}
	client->len += (size_t)n;
	while (client->fd >= 0 && (end = memchr(client->line, '\n', client->len))) {
		size_t used = (size_t)(end - client->line) + 1;

		*end = '\0';
		run_and_reply(client, client->line);
		if (client->fd < 0)
			return;
		client->len -= used;
		memmove(client->line, end + 1, client->len);
	}
}

static void caller_ready(void *owner)
{
	struct control *control = owner;
	struct timeval second = {1, 0};
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		if (control->clients[i].fd >= 0)
			continue;
		control->clients[i].fd = fd;
		return;
	}
	close(fd);
}

static bool path_of(const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(address->sun_path, path, strlen(path));
	return true;
}

bool control_open(struct control *control)
{
	struct sockaddr_un address;
	int saved;

	control->fd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		control->clients[i].control = control;
		control->clients[i].fd = -1;
	}
	if (!control->path)
		return true;
	if (!path_of(control->path, &address))
		return false;
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		return false;
	if (bind(control->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return listen(control->fd, CONTROL_CLIENTS) == 0;
	saved = errno;
	close(control->fd); /* and leave the file alone: it is somebody else's */
	control->fd = -1;
	errno = saved;
	return false;
}

void control_watch(struct control *control, struct watch *watch)
{
	bool room = false;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		room = room || client->fd < 0;
		watch_fd(watch, client->fd, POLLIN, client_ready, client);
	}
	if (room)
		watch_fd(watch, control->fd, POLLIN, caller_ready, control);
}

void control_close(struct control *control)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (control->clients[i].fd >= 0)
			hang_up(&control->clients[i]);
	if (control->fd >= 0) {
		close(control->fd);
		unlink(control->path);
	}
	control->fd = -1;
}

/* ------------------------------------------------------------------ tell -- */

static int converse(FILE *stream)
{
	char line[CONTROL_LINE];

	while (fgets(line, sizeof(line), stream)) {
		fputs(line, stdout);
		if (strncmp(line, "ok", 2) == 0)
			return 0;
		if (strncmp(line, "error", 5) == 0)
			return 1;
	}
	return 2;
}

int control_tell(const char *path, const char *command)
{
	struct timeval patience = {5, 0};
	struct sockaddr_un address;
	FILE *stream = NULL;
	int status = 2;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !path_of(path, &address) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		goto cleanup;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	stream = fdopen(fd, "r");
	if (!stream || !write_all(fd, command, strlen(command)) || !write_all(fd, "\n", 1))
		goto cleanup;
	status = converse(stream);
cleanup:
	if (status == 2)
		fprintf(stderr, "gatewayd: no reply at %s\n", path);
	if (stream)
		fclose(stream);
	else if (fd >= 0)
		close(fd);
	return status;
}
