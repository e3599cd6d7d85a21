/* SPDX-License-Identifier: Apache-2.0 */
/* random_bpf - holds bpf_machine against libpcap's bpf_filter(), and
 * bpf_keys against bpf_machine.
 *
 * Threads: pure but for the allocations. */
#ifndef TESTS_PHF_RANDOM_BPF_H
#define TESTS_PHF_RANDOM_BPF_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phf/bpf_keys.h"

/* Makes of the bytes a program and a packet, and aborts when both machines do
 * not agree on whether the program is valid or on what it returns, or when it
 * accepts a packet that has none of its keys.  True when it was valid. */
bool random_bpf_check(const uint8_t *data, size_t size);

/* Whether a packet has one of the keys. */
bool random_bpf_has_key(const struct bpf_keys *, const uint8_t *packet,
                        size_t caplen);

#endif /* tests/phf/random_bpf.h */
