/* SPDX-License-Identifier: Apache-2.0 */
/* query_block - the histories of one block of an archive, or of what is
 * pending, that match a filter.
 *
 * Of a block of columns the index is asked first, and most often nothing else
 * is read.  Then the filter is asked of the dictionary: once for each shape
 * when it asks nothing of headers, else once for each flow.  Only a flow for
 * which that does not decide, because a test read bytes that differ from
 * packet to packet, has its packets looked at; and of flows that cannot match
 * nothing is read at all.
 *
 * Work is done in small steps.
 *
 * Threads: one at a time. */
#ifndef PHF_QUERY_BLOCK_H
#define PHF_QUERY_BLOCK_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_reader.h"
#include "lib/history.h"
#include "lib/history_columns.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/block_sieve.h"
#include "phf/flow_sieves.h"
#include "phf/phf.h"

/* What is asked. */
struct query_filter {
    const struct phf *phf;
    const struct topology *topology; /* May be NULL. */
    struct block_sieve *sieve;       /* Of phf; NULL: no index is asked. */
    struct flow_sieves *sieves;      /* Of phf and topology; NULL: nothing is
                                      * remembered from block to block. */
    uint64_t since_ns, until_ns;     /* Of the first postcard. */
};

/* A history in a block. */
struct query_place {
    uint64_t first_ns;
    uint32_t at; /* For the block. */
};

struct query_block {
    const char *dir;            /* NULL: pending. */
    struct archive_entry entry; /* In the archive there. */
    const uint8_t *pending;     /* Its payload; must stay. */
    size_t pending_len, pending_table_len;

    /* While it is open. */
    struct column_decoder *columns;  /* Owned; or NULL. */
    uint8_t *payload;                /* Of a block of histories.  Owned. */
    struct history_decoder *decoder; /* Owned if payload is there. */

    /* While it is scanned. */
    int phase;
    uint8_t *verdicts;         /* Of each flow.  Owned. */
    struct history_view *view; /* Of the record at hand; or NULL.  Owned. */
    bool asks_rows;            /* Some flow needs its packets looked at. */
    size_t flow, row;
    size_t n_wanted; /* The first flows, of which some may have matches; stays
                      * when the block is closed. */
};

/* Counted while a block is scanned. */
struct query_block_counters {
    uint64_t scanned;   /* Histories decided. */
    uint64_t n_limits;  /* Matchings that gave up. */
    uint64_t n_skipped; /* 1 if the index of the block said enough. */
};

/* Opens the block for scanning or reading; nothing when it is open.  Returns
 * 0, or an errno as archive_fetch_columns(). */
int query_block_open(struct query_block *, struct lh_error *);
static inline bool
query_block_is_open(const struct query_block *b)
{
    return b->columns || b->payload;
}
/* Closes it; it may be opened again. */
void query_block_close(struct query_block *);
/* Bytes of memory it holds now. */
size_t query_block_size(const struct query_block *);

enum query_block_state {
    QUERY_BLOCK_MORE, /* Step again. */
    QUERY_BLOCK_END,  /* All was looked at. */
    QUERY_BLOCK_BROKEN
};

/* Looks at some histories of a block, open and not scanned before, from the
 * first on after a query_block_rewind(), and calls 'found' for each that
 * matches.  Sets '*error', to 0 unless it is broken. */
void query_block_rewind(struct query_block *);
enum query_block_state
query_block_step(struct query_block *, const struct query_filter *,
                 struct query_block_counters *,
                 void (*found)(void *aux, const struct query_place *),
                 void *aux, int *error, struct lh_error *why);

/* What a filter says of a flow of a block of columns. */
enum query_block_verdict {
    QUERY_FLOW_MISS,
    QUERY_FLOW_MATCH,
    QUERY_FLOW_ASK /* Each of its packets is to be asked. */
};
/* Asks all flows of an open block of columns, not scanned before, and shows
 * 'visit' the shapes that the sieve, which is of the filter, did not know
 * (flow_sieve_read()).  Returns 0, or an errno as above with the reason. */
int query_block_decide(struct query_block *, const struct query_filter *,
                       struct flow_sieve *, struct query_block_counters *,
                       column_visit_function *visit, void *aux,
                       struct lh_error *why);
enum query_block_verdict query_block_verdict(const struct query_block *,
                                             size_t flow);

/* Reads all that histories at places are made of.  Returns 0 or an errno as
 * above. */
int query_block_load(struct query_block *, struct lh_error *why);

/* The history at a place of an open block.  It is good until the next call of
 * a function for this block; '*owned' is what the caller has to destroy, or
 * NULL.  Returns 0 or an errno. */
int query_block_history(struct query_block *, uint32_t at,
                        const struct history **h, struct history **owned,
                        struct lh_error *why);

#endif /* phf/query_block.h */
