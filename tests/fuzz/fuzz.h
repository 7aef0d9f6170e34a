/* SPDX-License-Identifier: MIT */
/* What the fuzzers share. An entry point is libFuzzer's, or replay.c's. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Not assert(): it must hold in every build. */
#define insist(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
