/* SPDX-License-Identifier: Apache-2.0 */
/* siphash - SipHash-2-4 (Aumasson and Bernstein, 2012), a keyed hash that who
 * does not know the key cannot compute.
 *
 * Threads: pure function. */
#ifndef RECORDER_SIPHASH_H
#define RECORDER_SIPHASH_H 1

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_LEN 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY_LEN], const uint8_t *data,
                 size_t len);

#endif /* recorder/siphash.h */
