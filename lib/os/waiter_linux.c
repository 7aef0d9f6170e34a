/* SPDX-License-Identifier: MIT */
#include "os/waiter.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

bool waiter_open(struct waiter *waiter)
{
	*waiter = (struct waiter){.armed = UINT64_MAX};
	waiter->fd = epoll_create1(EPOLL_CLOEXEC);
	/* A timer of that clock goes off at once after a suspend that was too long; the time-out of
	 * a poll() would wait on as if nothing had been. */
	waiter->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (waiter->fd >= 0 && waiter->timer >= 0 && waiter_add(waiter, waiter->timer))
		return true;
	waiter_close(waiter);
	return false;
}

void waiter_close(struct waiter *waiter)
{
	int saved = errno;

	if (waiter->timer >= 0)
		close(waiter->timer);
	if (waiter->fd >= 0)
		close(waiter->fd);
	waiter->fd = waiter->timer = -1;
	errno = saved;
}

bool waiter_add(struct waiter *waiter, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(waiter->fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void waiter_remove(struct waiter *waiter, int fd)
{
	epoll_ctl(waiter->fd, EPOLL_CTL_DEL, fd, NULL);
}

void waiter_arm(struct waiter *waiter, uint64_t at)
{
	struct itimerspec when = {0};

	if (at == waiter->armed)
		return;
	if (at != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at / 1000);
		when.it_value.tv_nsec = (long)(at % 1000 * 1000000);
		if (!at)
			when.it_value.tv_nsec = 1; /* all zero would disarm */
	}
	timerfd_settime(waiter->timer, TFD_TIMER_ABSTIME, &when, NULL);
	waiter->armed = at;
}

void waiter_wait(const struct waiter *waiter)
{
	struct pollfd readable = {.fd = waiter->fd, .events = POLLIN};

	poll(&readable, 1, -1);
}
