/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure.h"
#include "json.h"
#include "lookup.h"
#include "template.h"

static void step_aside(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setsid();
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* NATPMP_[OLD_]name[_number]=value */
static const char *const names[] = {"INTERNAL_PORT",    "EXTERNAL_PORT", "INTERNAL_ADDRESS",
				    "EXTERNAL_ADDRESS", "PROTOCOL",      "FAMILY"};
enum { NAMES = sizeof(names) / sizeof(*names) };

static bool is_of_mapping(const char *variable)
{
	if (strncmp(variable, "NATPMP_", 7) != 0)
		return false;
	variable += 7;
	if (!strncmp(variable, "OLD_", 4))
		variable += 4;
	for (size_t i = 0; i < NAMES; i++) {
		size_t length = strlen(names[i]);
		const char *end = variable + length;

		if (strncmp(variable, names[i], length) != 0)
			continue;
		if (*end == '_')
			end += 1 + strspn(end + 1, "0123456789");
		if (*end == '=')
			return true;
	}
	return false;
}

/* What a natpmp that runs this one has said of its own mappings, and the service manager to us. */
static void forget_environment(void)
{
	char **kept = environ;

	for (char **variable = environ; *variable; variable++) {
		if (!is_of_mapping(*variable))
			*kept++ = *variable;
	}
	*kept = NULL;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

pid_t child_fork(bool aside)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (aside)
			step_aside();
		forget_environment();
	}
	return pid;
}

void child_environment(const char *prefix, const char *suffix, const natpmp_mapping *mapping)
{
	bool known = mapping->external_port != 0;
	char internal[8] = "", external[8] = "", variable[64];
	const char *values[NAMES] = {internal,
				     external,
				     mapping->internal_address,
				     mapping->external_address,
				     known ? protocol_name(mapping->protocol) : "",
				     known ? family_name(family_of(mapping)) : ""};

	if (known) {
		snprintf(internal, sizeof(internal), "%u", mapping->internal_port);
		snprintf(external, sizeof(external), "%u", mapping->external_port);
	}
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(variable, sizeof(variable), "NATPMP_%s%s%s", prefix, names[i], suffix);
		setenv(variable, values[i], 1);
	}
}

__attribute__((noreturn)) static void fail(const char *what, int error)
{
	_exit(lookup_refuse(what, error));
}

/* Nothing is freed: exec or exit does. */
void child_exec(const struct signals *signals, char *const *words, bool shell,
		const natpmp_mapping *mapping)
{
	char **arguments;
	size_t count = 0;

	while (words[count])
		count++;
	arguments = calloc(count + 1, sizeof(*arguments));
	if (!arguments)
		fail(words[0], ENOMEM);
	for (size_t i = 0; i < count; i++) {
		arguments[i] = template_expand(words[i], mapping);
		if (!arguments[i])
			fail(words[i], ENOMEM);
	}
	signals_restore(signals);
	if (shell)
		execl("/bin/sh", "sh", "-c", "--", arguments[0], (char *)NULL);
	else
		execvp(arguments[0], arguments);
	fail(shell ? "/bin/sh" : arguments[0], errno);
}

int child_exit_status(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return STATUS_SIGNAL + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}
