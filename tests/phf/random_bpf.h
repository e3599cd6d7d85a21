/* SPDX-License-Identifier: Apache-2.0 */
/* random_bpf - holds bpf_machine against libpcap's bpf_filter().
 *
 * Threads: pure but for the allocations. */
#ifndef TESTS_PHF_RANDOM_BPF_H
#define TESTS_PHF_RANDOM_BPF_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes of the bytes a program and a packet, and aborts when both machines do
 * not agree on whether the program is valid or on what it returns.  True when
 * it was valid. */
bool random_bpf_check(const uint8_t *data, size_t size);

#endif /* tests/phf/random_bpf.h */
