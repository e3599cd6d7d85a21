/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_machine - runs programs of the BPF machine (McCanne and Jacobson, 1993).
 *
 * A program is decoded once: each instruction into an operation of its own
 * with its operand and the ends of its jumps, a load and the comparison that
 * follows it into one.  Answers are those of libpcap's bpf_filter().
 *
 * Ownership: bpf_machine_create() to bpf_machine_destroy().
 *
 * Threads: immutable. */
#ifndef PHF_BPF_MACHINE_H
#define PHF_BPF_MACHINE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An instruction as programs are handed around. */
struct bpf_machine_code {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct bpf_machine;

/* NULL when the 'n' instructions are no valid program: one of them is unknown,
 * jumps past the end, divides by a constant 0 or names memory that there is
 * not, or the last does not return. */
struct bpf_machine *bpf_machine_create(const struct bpf_machine_code *,
                                       size_t n);
void bpf_machine_destroy(struct bpf_machine *);

/* What the program returns for a packet of 'wirelen' bytes, of which 'caplen'
 * stand at 'packet'; a load past those returns 0. */
uint32_t bpf_machine_run(const struct bpf_machine *, const uint8_t *packet,
                         uint32_t wirelen, uint32_t caplen);

#endif /* phf/bpf_machine.h */
