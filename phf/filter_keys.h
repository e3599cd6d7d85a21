/* SPDX-License-Identifier: Apache-2.0 */
/* filter_keys - facts, one of which every history has that a filter matches.
 *
 * Threads: pure functions. */
#ifndef PHF_FILTER_KEYS_H
#define PHF_FILTER_KEYS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phf/bpf_keys.h"
#include "phf/phf_impl.h"

#define FILTER_KEYS_MAX 64

/* What a fact is about.  All but the last are the same for all packets of a
 * path. */
enum filter_fact {
    FACT_DPID,
    FACT_SWITCH, /* By the hash of its name. */
    FACT_IN_PORT,
    FACT_OUT_PORT,
    FACT_VERSION,
    FACT_VERDICT,
    FACT_TWICE, /* Value 1: a back-reference may match something. */
    FACT_HEADER /* A field of a header. */
};

struct filter_key {
    enum filter_fact fact;
    struct bpf_field field; /* FACT_HEADER. */
    uint64_t low, high;
};

struct filter_keys {
    size_t n;      /* 0: the filter matches nothing. */
    uint64_t cost; /* How often a history has one: a guess. */
    struct filter_key keys[FILTER_KEYS_MAX];
};

/* Finds keys about the path, or about headers, or whichever is better.  False
 * when there are none. */
bool filter_keys_find(const struct phf *, bool on_path, bool on_headers,
                      struct filter_keys *);

/* Calls 'need' for facts about the path that every match has, not one of them
 * but all. */
void filter_keys_needs(const struct phf *,
                       void (*need)(void *aux, const struct filter_key *),
                       void *aux);

/* The value of a name. */
uint64_t filter_keys_name(const char *name);

#endif /* phf/filter_keys.h */
