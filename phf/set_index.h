/* SPDX-License-Identifier: Apache-2.0 */
/* set_index - which filters of a set a history can match at all.
 *
 * A fact is something a history has: a switch, port, version or verdict of
 * some hop, a switch that stands twice, a value in a header (what BPF
 * expressions need: phf/bpf_keys.h).  A filter has keys if every history that
 * it matches has one of these facts; then it is tried only where one of them
 * is.  Keys come from what a match must pass: its beginning, its end, or a
 * position that none goes round.  Of several choices the one is taken that a
 * usual network should have most seldom.
 *
 * Facts of a path are the same for all flows on it; so what is found for a
 * path and for a flow on it are asked apart.  Every filter that matches a
 * packet is
 *
 *     found by set_index_find_path() of its path, and, if it has keys in
 *     headers (set_index_has_header_keys()), by set_index_find_headers(), or
 *
 *     set_index_is_on_headers(), and found by set_index_find_headers().
 *
 * 'keyed' tells the latter, bit by bit, which of the others the path does not
 * rule out.
 *
 * Ownership: all zero to set_index_uninit().
 *
 * Threads: one. */
#ifndef PHF_SET_INDEX_H
#define PHF_SET_INDEX_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/topology.h"
#include "lib/trajectory_path.h"
#include "phf/bpf_keys.h"
#include "phf/key_map.h"
#include "phf/phf_impl.h"

/* Facts of a history, more or less: a bit for the hash of each. */
struct set_index_facts {
    uint64_t bits[2];
};

/* What is known of one filter. */
struct set_index_filter {
    bool is_on_headers;   /* It has keys in headers and none on the path. */
    bool has_header_keys; /* In 'flows'. */
    struct set_index_facts needs; /* Facts of a path that all matches have. */
    uint32_t mark;                /* The last round that found it. */
};

/* A field of headers that keys are about. */
struct set_index_field {
    struct bpf_field field;
    uint32_t column;
    /* While finding: what was looked up last, in which round, and the round
     * in which it was not one value for all packets. */
    uint32_t value;
    uint32_t round, round_all;
};

/* The fields that packets of a class may have. */
struct set_index_class {
    struct bpf_class class;
    size_t n;
    uint32_t *numbers; /* Of fields.  Owned. */
};

struct set_index_list {
    size_t n, allocated;
    uint32_t *numbers; /* In order.  Owned. */
};

struct set_index {
    size_t n_built, n_filters; /* With keys; and with those added since. */
    struct set_index_filter *filters; /* Owned. */
    struct key_map paths;             /* Filters by facts of paths, */
    struct key_map flows;             /* by those of headers, */
    struct key_map both;              /* and by the better of the two. */
    unsigned int columns; /* Facts of paths that are asked for: bits. */
    size_t n_fields, allocated_fields;
    struct set_index_field *fields;       /* Owned. */
    struct set_index_class last;          /* Class that was asked for. */
    struct set_index_list always;         /* Filters without any keys, */
    struct set_index_list always_on_path; /* and those with neither keys on
                                           * the path nor in headers. */

    uint32_t round;
    size_t n_found;
    uint32_t *found; /* Owned. */
    uint64_t *bits;  /* By number, while many are sorted; else 0.  Owned. */
};

/* Makes the index of 'n' filters. */
void set_index_build(struct set_index *, const struct phf *const *, size_t n);
void set_index_uninit(struct set_index *);
/* Filters of which the index was made. */
static inline size_t
set_index_count(const struct set_index *x)
{
    return x->n_built;
}
/* Makes them 'n', of which the last are found wherever a path is.  False when
 * they are so many already. */
bool set_index_extend(struct set_index *, size_t n);

/* The filters to be run on 'history', in order; '*n' says how many.  Good
 * until the next call.  'topology' gives names and may be NULL. */
uint32_t *set_index_find(struct set_index *, const struct history *,
                         const struct topology *topology, size_t *n);
/* Those to be run on the path of 'history' whatever its headers. */
const uint32_t *set_index_find_path(struct set_index *, const struct history *,
                                    const struct topology *topology,
                                    size_t *n);
/* A path whose headers are all laid out alike: Ethernet, IP. */
struct set_index_level {
    const struct trajectory_path *path;
    const uint8_t *header; /* Of one packet, at the reference hop. */
    size_t caplen;
    /* Bytes, bit by bit: the same at all hops; in all packets of a flow. */
    const uint64_t *kept, *constant;
};
/* What is read of each flow on such a path. */
struct set_index_reading {
    uint32_t column;
    uint16_t ofs;
    uint8_t size;
    bool is_kept;    /* It is the same at all hops. */
    bool is_varying; /* From packet to packet: anything may be there. */
};
/* Hands the readings of the path to 'add'. */
void
set_index_read_level(const struct set_index *, const struct set_index_level *,
                     void (*add)(void *aux, const struct set_index_reading *),
                     void *aux);
/* A flow on it, and what was found for the path. */
struct set_index_flow {
    const struct trajectory_path *path;
    const uint8_t *header; /* Of one packet, at the reference hop. */
    const struct set_index_reading *readings;
    size_t n_readings;
    const uint64_t *keyed;
};
/* Those to be run on such a flow. */
const uint32_t *set_index_find_level(struct set_index *,
                                     const struct set_index_flow *, size_t *n);
/* Those to be run on 'history' by what its headers have, or, if 'is_flow', on
 * the flow of which it is one packet. */
const uint32_t *set_index_find_headers(struct set_index *,
                                       const struct history *, bool is_flow,
                                       const uint64_t *keyed, size_t *n);

static inline bool
set_index_has_header_keys(const struct set_index *x, uint32_t index)
{
    return x->filters[index].has_header_keys;
}

static inline bool
set_index_is_on_headers(const struct set_index *x, uint32_t index)
{
    return x->filters[index].is_on_headers;
}

/* Whether any filter has keys in headers. */
static inline bool
set_index_asks_headers(const struct set_index *x)
{
    return x->flows.n > 0;
}

#endif /* phf/set_index.h */
