/* SPDX-License-Identifier: MIT */
/*
 * secret - by which a PCP server knows our mappings again after a restart: 32 random bytes in a
 * file that only this user can read.
 *
 *   $STATE_DIRECTORY/secret, as systemd has it; else
 *   $XDG_STATE_HOME/natpmp/secret; else
 *   $HOME/.local/state/natpmp/secret
 */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include <stdbool.h>
#include <stddef.h>

enum { SECRET_SIZE = 32, SECRET_WHY_LEN = 320 };

/* Read it; make it if it is not there. False: there is none that can be kept, and why; then the
 * library takes one that ends with us. */
bool secret_load(unsigned char secret[SECRET_SIZE], char why[SECRET_WHY_LEN]);

#endif
