/* SPDX-License-Identifier: MIT */
/* sandbox - system calls that fail from now on, as a service manager or a sandbox has it. Each test
 * runs in a process of its own, which stays confined. */
#ifndef SANDBOX_H
#define SANDBOX_H

/* socket() of that family fails with that error. */
void sandbox_deny_family(int family, int error);
/* That system call (SYS_...) fails with that error. */
void sandbox_deny_call(long call, int error);

#endif
