/* SPDX-License-Identifier: Apache-2.0 */
/* random64 - a number that nobody outside can guess: a seed of hashes, or what
 * tells one of many apart.
 *
 * Threads: any. */
#ifndef LIB_RANDOM64_H
#define LIB_RANDOM64_H 1

#include <stdint.h>

/* 64 random bits from the kernel (getrandom(2)), which always has them. */
uint64_t random64_draw(void);

#endif /* lib/random64.h */
