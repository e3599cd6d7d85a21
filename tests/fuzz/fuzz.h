/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz - what every fuzz target defines.
 *
 * With --enable-fuzzers libFuzzer calls it; otherwise tests/fuzz/fuzz_main.c
 * does, once for each file of the corpus. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H 1

#include <stddef.h>
#include <stdint.h>

/* Tries the 'size' bytes at 'data', which end where the allocation ends, and
 * aborts if a promise of the code under test is broken.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* tests/fuzz/fuzz.h */
