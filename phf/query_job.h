/* SPDX-License-Identifier: Apache-2.0 */
/* query_job - one block of a query: scanned for matches, then read for the
 * histories at them.
 *
 * Ownership: the query's, unless a crew (lib/crew.h) has it.
 *
 * Threads: that of the query, or the one of the crew that runs it. */
#ifndef PHF_QUERY_JOB_H
#define PHF_QUERY_JOB_H 1

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_writer.h"
#include "lib/crew.h"
#include "lib/lh_error.h"
#include "phf/query_block.h"

struct query;

/* What all jobs of a query share. */
struct query_shared {
    struct query_filter filter; /* Immutable. */
    uint64_t limit;             /* Immutable; matches of use; 0: all. */
    bool is_desc;               /* Immutable: latest first. */
    atomic_bool is_cancelled;   /* Nobody waits for the answer. */
    /* Of the query's thread only: */
    struct query *query;             /* NULL: it is gone. */
    size_t n_refs;                   /* The query's and those of its jobs. */
    struct phf *phf;                 /* Owned. */
    struct block_sieve *sieve;       /* Owned. */
    struct flow_sieves *sieves;      /* Owned. */
    struct topology *topology;       /* Owned reference. */
    struct archive_pending *pending; /* Owned, with the payloads. */
    size_t n_pending;
    char *dir; /* Owned. */
};

void query_shared_unref(struct query_shared *);

struct query_job {
    struct crew_job base;
    struct query_shared *shared; /* Counted. */
    size_t part;                 /* Of the query. */
    struct query_block block;
    bool is_scanned; /* Matches are there; else they are looked for. */

    /* What came of it. */
    int error; /* 0, or an errno for which the block counts as damaged. */
    struct lh_error why;
    struct query_block_counters counters;
    size_t n, allocated;
    struct query_place *matches; /* In the query's order.  Owned. */
};

/* Takes a reference of 'shared'. */
struct query_job *query_job_create(struct query_shared *, size_t part,
                                   const struct query_block *);
void query_job_destroy(struct query_job *);

/* Scans the block if it is not scanned; then, when there are matches, reads
 * what they are made of.  Ends early, with anything, when the query is
 * cancelled. */
void query_job_run(struct query_job *);

#endif /* phf/query_job.h */
