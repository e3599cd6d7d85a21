/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_demands - what addresses and ports a packet must have for a program of
 * the BPF machine to accept it.
 *
 * The program is walked for headers of one kind, of which only addresses and
 * ports are unknown and matter: each way to its acceptance gives an
 * alternative, the values that the way demands of them.  What the way demands
 * of other bytes is taken as possible.  So a packet that fits no alternative
 * is not accepted; one that fits may be.
 *
 * Threads: pure functions. */
#ifndef PHF_BPF_DEMANDS_H
#define PHF_BPF_DEMANDS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/trajectory_skim.h"
#include "phf/bpf_machine.h"

#define BPF_DEMANDS_MAX 16

/* Bits of 'mask' that must be as in 'value'. */
struct bpf_demand {
    struct flow_key mask, value;
};

struct bpf_demands {
    bool is_any; /* Every key may be accepted: 'all' says nothing. */
    size_t n;
    struct bpf_demand all[BPF_DEMANDS_MAX]; /* Alternatives. */
};

/* For headers of that kind whose L3 header begins at 'l3_ofs'. */
void bpf_demands_find(const struct bpf_machine_code *, size_t n,
                      enum header_kind, uint16_t l3_ofs, struct bpf_demands *);

/* Adds an alternative, unless it is there. */
void bpf_demands_add(struct bpf_demands *, const struct bpf_demand *);

/* Whether 'key' fits. */
static inline bool
bpf_demand_fits(const struct bpf_demand *k, const struct flow_key *key)
{
    uint64_t differing = 0;

    for (int i = 0; i < FLOW_KEY_WORDS; i++) {
        differing |= (key->words[i] ^ k->value.words[i]) & k->mask.words[i];
    }
    return !differing;
}

#endif /* phf/bpf_demands.h */
