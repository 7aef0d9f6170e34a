/* SPDX-License-Identifier: MIT */
/*
 * An epoll descriptor, two eventfds for wake-ups, and a timer that never expires: set on the wall
 * clock with TFD_TIMER_CANCEL_ON_SET, it becomes readable when that clock jumps, as it does when
 * the machine resumes. Without it, a time-out would not count the time that the machine slept.
 */
#include "os/waiter.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int open_resume_timer(void)
{
	/* The year 2242, or the last second that a 32-bit time can hold. */
	struct itimerspec far_away = {
		.it_value.tv_sec = sizeof(time_t) > 4 ? (time_t)(INT64_C(1) << 33) : INT_MAX};
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0)
		return -1;
	/* If the system cannot do that, time-outs are late after a sleep; nothing else is lost. */
	(void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far_away, NULL);
	return fd;
}

enum os_status waiter_open(struct waiter *waiter)
{
	waiter->timer = NO_HANDLE;
	waiter->armed_at = UINT64_MAX;
	waiter->handle = epoll_create1(EPOLL_CLOEXEC);
	waiter->wakes = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	waiter->thread_wakes = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	waiter->resumes = open_resume_timer();
	if (waiter->handle >= 0 && waiter->wakes >= 0 && waiter->thread_wakes >= 0 &&
	    waiter->resumes >= 0 && waiter_add(waiter, waiter->wakes) == OS_OK &&
	    waiter_add(waiter, waiter->resumes) == OS_OK)
		return OS_OK;
	waiter_close(waiter);
	return OS_FAILED;
}

static void close_handle(os_handle *handle)
{
	if (*handle != NO_HANDLE)
		close(*handle);
	*handle = NO_HANDLE;
}

void waiter_close(struct waiter *waiter)
{
	int saved = errno;

	close_handle(&waiter->timer);
	close_handle(&waiter->resumes);
	close_handle(&waiter->thread_wakes);
	close_handle(&waiter->wakes);
	close_handle(&waiter->handle);
	errno = saved;
}

enum os_status waiter_add(struct waiter *waiter, os_handle handle)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(waiter->handle, EPOLL_CTL_ADD, handle, &event) ? OS_FAILED : OS_OK;
}

void waiter_remove(struct waiter *waiter, os_handle handle)
{
	epoll_ctl(waiter->handle, EPOLL_CTL_DEL, handle, NULL);
}

void waiter_wake(struct waiter *waiter)
{
	(void)!eventfd_write(waiter->wakes, 1);
}

void waiter_wake_thread(struct waiter *waiter)
{
	(void)!eventfd_write(waiter->thread_wakes, 1);
}

void waiter_rest_thread(struct waiter *waiter)
{
	eventfd_t count;

	(void)!eventfd_read(waiter->thread_wakes, &count);
}

enum os_status waiter_arm(struct waiter *waiter, uint64_t at)
{
	struct itimerspec when = {0};

	if (at == waiter->armed_at)
		return OS_OK;
	if (waiter->timer == NO_HANDLE) {
		waiter->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
		if (waiter->timer == NO_HANDLE)
			return OS_FAILED;
		if (waiter_add(waiter, waiter->timer) != OS_OK) {
			close_handle(&waiter->timer);
			return OS_FAILED;
		}
	}
	if (at != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(at / 1000);
		when.it_value.tv_nsec = (long)(at % 1000 * 1000000);
		if (!at)
			when.it_value.tv_nsec = 1; /* all zero would disarm */
	}
	if (timerfd_settime(waiter->timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		return OS_FAILED;
	waiter->armed_at = at;
	return OS_OK;
}

void waiter_rest(struct waiter *waiter)
{
	eventfd_t count;
	uint64_t expirations;

	(void)!eventfd_read(waiter->wakes, &count);
	if (read(waiter->resumes, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED) {
		close_handle(&waiter->resumes);
		waiter->resumes = open_resume_timer();
		if (waiter->resumes != NO_HANDLE)
			(void)waiter_add(waiter, waiter->resumes);
	}
}

bool waiter_sleep(const os_handle handles[], size_t count, uint64_t ms)
{
	struct pollfd readable[WAIT_MAX];
	int timeout = ms < INT_MAX ? (int)ms : ms == UINT64_MAX ? -1 : INT_MAX;

	for (size_t i = 0; i < count; i++)
		readable[i] = (struct pollfd){.fd = handles[i], .events = POLLIN};
	return poll(readable, count, timeout) != 0;
}
