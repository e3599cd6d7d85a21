/* SPDX-License-Identifier: Apache-2.0 */
/* invariant - what must hold of all packets, and the filters that say when it
 * does not.
 *
 * An invariant is a line of an invariant file (netwatch(1)),
 * which apps/invariant_file.h reads; apps/invariant_phf.h makes its filters.
 *
 * Ownership: an invariant owns its texts and sets.
 *
 * Threads: plain data. */
#ifndef APPS_INVARIANT_H
#define APPS_INVARIANT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"

/* Spans of time in a file. */
#define INVARIANT_MIN_SPAN_NS UINT64_C(1000000000)
#define INVARIANT_MAX_SPAN_NS (UINT64_C(30) * 86400 * 1000000000)

/* --- who ----------------------------------------------------------------- */

enum invariant_member_kind {
    INVARIANT_HOST,  /* 'text' is an address, IPv4 or IPv6, */
    INVARIANT_NET,   /* or a network, "10.0.1.0/24", */
    INVARIANT_MAC,   /* or a MAC address. */
    INVARIANT_VLAN,  /* 'text' is the number. */
    INVARIANT_PORT,  /* 'text' is a switch, 'port' a port of it, as a filter
                      * takes them. */
    INVARIANT_SWITCH /* 'text' is a switch. */
};

struct invariant_member {
    enum invariant_member_kind kind;
    char *text; /* Owned. */
    char *port; /* Owned, or NULL. */
};

/* Where packets come from or go to: any of the members; none: anywhere. */
struct invariant_set {
    size_t n, allocated;
    struct invariant_member *members; /* Owned. */
    char *text;                       /* As it was written, or NULL.  Owned. */
};

/* Adds copies; 'port' may be NULL. */
void invariant_set_add(struct invariant_set *, enum invariant_member_kind,
                       const char *text, const char *port);
/* Adds copies of all members of 'other'. */
void invariant_set_add_set(struct invariant_set *,
                           const struct invariant_set *other);
void invariant_set_uninit(struct invariant_set *);

/* --- what ---------------------------------------------------------------- */

enum invariant_kind {
    INVARIANT_NO_LOOPS,
    INVARIANT_NO_BLACK_HOLES, /* Nothing dropped or lost. */
    INVARIANT_NO_DROPS,
    INVARIANT_NO_LOSSES,
    INVARIANT_NO_PUNTS,     /* Nothing sent to the controller. */
    INVARIANT_NO_TRAFFIC,   /* Nothing delivered. */
    INVARIANT_ISOLATE,      /* Nothing delivered either way. */
    INVARIANT_WAYPOINT,     /* Past one of the stops. */
    INVARIANT_AT_MOST,      /* Not more than max_hops. */
    INVARIANT_EQUALS,       /* By the stops, in their order. */
    INVARIANT_REACH_WITHIN, /* After what failed something is delivered within
                             * span_ns. */
    INVARIANT_REACH_EVERY   /* Something is delivered every span_ns. */
};

/* One place of a path: any of these switches, as filters take them. */
struct invariant_stop {
    size_t n, allocated;
    char **switches; /* Owned. */
};

/* What a match of a filter means. */
enum invariant_sign {
    INVARIANT_VIOLATED, /* It does not hold. */
    INVARIANT_REACHED,  /* Of the two kinds of reach: delivered, */
    INVARIANT_FAILED    /* or not. */
};

struct invariant_filter {
    enum invariant_sign sign;
    char *phf;   /* Owned. */
    char *about; /* What it finds, for people.  Owned. */
};

struct invariant {
    char *name; /* As given, or its text.  Owned. */
    char *text; /* The line without name and comment.  Owned. */
    unsigned int line;
    enum invariant_kind kind;
    struct invariant_set from, to;
    char *matching, *except; /* BPF expressions, or NULL.  Owned. */
    uint64_t max_hops;
    uint64_t span_ns;  /* Of reach. */
    uint64_t clear_ns; /* How long it has to hold to have recovered; 0: as for
                        * all. */
    size_t n_stops, allocated_stops;
    struct invariant_stop *stops; /* Owned. */
    size_t n_filters, allocated_filters;
    struct invariant_filter *filters; /* Owned. */
};

void invariant_uninit(struct invariant *);

bool invariant_is_reach(const struct invariant *);

/* Whether 'h', which a filter of it matched, may have matched only because
 * postcards are missing: a loss without complete evidence, a path with a gap
 * where the path is what counts. */
bool invariant_is_uncertain(const struct invariant *, const struct history *h);

#endif /* apps/invariant.h */
