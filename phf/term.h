/* SPDX-License-Identifier: Apache-2.0 */
/* term - one test of one value of one hop: `--dpid not 1`.
 *
 * A term on a value that is not known is false, negated or not: no captured
 * byte for --bpf, a port or version that is null, a name without a topology
 * that has it, a path without a verdict.
 *
 * Ownership: term_uninit() frees what a term owns.
 *
 * Threads: plain data; testing changes nothing. */
#ifndef PHF_TERM_H
#define PHF_TERM_H 1

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/history.h"
#include "lib/topology.h"
#include "phf/bpf.h"

/* In the order in which terms of one filter are tested: cheap ones first. */
enum term_kind {
    TERM_DPID,
    TERM_IN_PORT,
    TERM_OUT_PORT,
    TERM_VERSION,
    TERM_VERDICT,
    TERM_BPF
};

struct term {
    enum term_kind kind;
    bool is_negated;
    uint64_t value;       /* dpid, port, version or enum verdict_name, unless
                           * 'name' is set. */
    char *name;           /* Of a switch or port, or NULL.  Owned. */
    struct bpf_test *bpf; /* TERM_BPF.  Owned (a reference). */
};

/* Makes '*copy' the same as '*term'. */
void term_clone(struct term *copy, const struct term *term);
void term_uninit(struct term *);

/* A total order; 0 means that they test the same. */
int term_compare(const struct term *, const struct term *);
uint32_t term_hash(const struct term *);

/* Whether the term holds at 'hop', on a path that ends with 'verdict'.
 * 'topology' resolves names and may be NULL.  'varies' is NULL, or the hop is
 * one of the model of a trajectory; then it is set when the answer may be
 * another for each of its packets. */
bool term_test(const struct term *, const struct history_hop *hop,
               enum verdict_name verdict, const struct topology *topology,
               bool *varies);

/* Writes the term in the language, "--dpid not s1". */
void term_format(const struct term *, FILE *);

#endif /* phf/term.h */
