/* SPDX-License-Identifier: Apache-2.0 */
/* query - finds stored histories that match a filter, in order of time. */
#include <config.h>

#include "phf/query.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/query_block.h"

/* Histories given out in one step. */
#define GIVE_PER_STEP 16

/* One block to read. */
struct part {
    struct query_block block;
    uint64_t bound_ns; /* No history in it comes before this in the query's
                        * order. */
    size_t kept;       /* Bytes of it in kept_bytes. */
    size_t n_waiting;  /* Matches that wait. */
};

/* A match that waits. */
struct match {
    uint64_t first_ns;
    uint32_t part;
    uint32_t at;     /* In the block. */
    uint64_t number; /* Of the matches, for a stable order. */
};

struct query {
    struct query_config config;
    struct topology *topology;
    size_t n_parts;
    struct part *parts; /* In the query's order.  Owned. */
    size_t next_part;   /* To be read. */
    bool is_scanning;   /* The part before is not scanned to its end. */
    size_t kept_bytes;
    size_t n_matches, allocated_matches;
    struct match *heap; /* The next to give out first.  Owned. */
    uint64_t n_found;
    bool is_done;
    struct query_totals totals;
};

/* --- What to read ------------------------------------------------------- */

/* True when time 'a' comes before 'b' in the query's order. */
static bool
is_before(const struct query *q, uint64_t a, uint64_t b)
{
    return q->config.is_desc ? a > b : a < b;
}

static int
compare_asc(const void *a_, const void *b_)
{
    const struct part *a = a_, *b = b_;

    return a->bound_ns < b->bound_ns ? -1 : a->bound_ns > b->bound_ns;
}

static int
compare_desc(const void *a, const void *b)
{
    return compare_asc(b, a);
}

static void
add_part(struct query *q, const struct part *part, uint64_t min_ns,
         uint64_t max_ns)
{
    if (max_ns >= q->config.since_ns && min_ns < q->config.until_ns) {
        struct part *p = &q->parts[q->n_parts++];

        *p = *part;
        p->bound_ns = q->config.is_desc ? max_ns : min_ns;
    }
}

/* What is pending. */
static void
add_pending(struct query *q)
{
    struct part part = {
        .block = {.pending = q->config.pending.payload,
                  .pending_len = q->config.pending.len,
                  .pending_table_len = q->config.pending.table_len}};

    if (q->config.pending.len) {
        add_part(q, &part, q->config.pending.min_ns, q->config.pending.max_ns);
    }
}

struct query *
query_create(const struct query_config *config)
{
    struct query *q = lh_alloc_zero(sizeof *q);
    struct archive_reader *r = config->reader;
    size_t n = r ? archive_reader_n_blocks(r) : 0;

    q->config = *config;
    q->topology = config->topology ? topology_ref(config->topology) : NULL;
    q->parts = lh_alloc_array(NULL, n + 1, sizeof *q->parts);
    for (size_t i = 0; i < n; i++) {
        struct part part = {
            .block = {.reader = r, .entry = *archive_reader_entry(r, i)}};
        const struct archive_block *block = &part.block.entry.block;

        if (block->kind == ARCHIVE_HISTORIES ||
            block->kind == ARCHIVE_COLUMNS) {
            add_part(q, &part, block->min_ns, block->max_ns);
        }
    }
    add_pending(q);
    if (q->n_parts) {
        qsort(q->parts, q->n_parts, sizeof *q->parts,
              config->is_desc ? compare_desc : compare_asc);
    }
    q->totals.n_blocks = q->n_parts;
    if (r) {
        q->totals.lost =
            archive_reader_lost(r, config->since_ns, config->until_ns);
    }
    return q;
}

/* Counts what the part holds now. */
static void
count_kept(struct query *q, struct part *part)
{
    size_t size = query_block_size(&part->block);

    q->kept_bytes += size - part->kept;
    part->kept = size;
}

static void
close_part(struct query *q, struct part *part)
{
    query_block_close(&part->block);
    count_kept(q, part);
}

void
query_destroy(struct query *q)
{
    if (q) {
        for (size_t i = 0; i < q->n_parts; i++) {
            close_part(q, &q->parts[i]);
        }
        free(q->config.pending.payload);
        phf_destroy(q->config.phf);
        topology_unref(q->topology);
        free(q->parts);
        free(q->heap);
        free(q);
    }
}

const struct query_totals *
query_totals(const struct query *q)
{
    return &q->totals;
}

/* --- Matches in order --------------------------------------------------- */

static bool
match_is_before(const struct query *q, const struct match *a,
                const struct match *b)
{
    return a->first_ns != b->first_ns ? is_before(q, a->first_ns, b->first_ns)
                                      : a->number < b->number;
}

static void
push_match(struct query *q, const struct match *m)
{
    q->heap = lh_alloc_grow(q->heap, q->n_matches, &q->allocated_matches,
                            sizeof *q->heap);

    size_t i = q->n_matches++;

    while (i) {
        size_t parent = (i - 1) / 2;

        if (!match_is_before(q, m, &q->heap[parent])) {
            break;
        }
        q->heap[i] = q->heap[parent];
        i = parent;
    }
    q->heap[i] = *m;
}

static struct match
pop_match(struct query *q)
{
    struct match top = q->heap[0];
    struct match last = q->heap[--q->n_matches];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= q->n_matches) {
            break;
        }
        if (child + 1 < q->n_matches &&
            match_is_before(q, &q->heap[child + 1], &q->heap[child])) {
            child++;
        }
        if (!match_is_before(q, &q->heap[child], &last)) {
            break;
        }
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
    return top;
}

/* --- Steps -------------------------------------------------------------- */

/* Where the first damage is described; NULL when it was. */
static struct lh_error *
first_damage(struct query *q)
{
    return q->totals.damaged ? NULL : &q->totals.damage;
}

/* The part will be read no more unless for a match; keeps it open for that if
 * there is room. */
static void
end_part(struct query *q, struct part *part)
{
    count_kept(q, part);
    if (!part->n_waiting || q->kept_bytes > QUERY_MAX_KEPT) {
        close_part(q, part);
    }
}

static void
open_next_part(struct query *q)
{
    struct part *part = &q->parts[q->next_part++];

    q->totals.n_read++;
    if (query_block_open(&part->block, first_damage(q))) {
        q->totals.damaged++;
    } else {
        query_block_rewind(&part->block);
        q->is_scanning = true;
    }
}

static void
found(void *q_, const struct query_place *place)
{
    struct query *q = q_;
    struct match m = {place->first_ns, (uint32_t) q->next_part - 1, place->at,
                      q->n_found++};

    push_match(q, &m);
    q->parts[m.part].n_waiting++;
}

static void
scan(struct query *q)
{
    struct part *part = &q->parts[q->next_part - 1];
    struct query_filter filter = {q->config.phf, q->topology,
                                  q->config.since_ns, q->config.until_ns};
    struct query_block_counters counters = {0};
    enum query_block_state state = query_block_step(
        &part->block, &filter, &counters, found, q, first_damage(q));

    q->totals.scanned += counters.scanned;
    q->totals.n_limits += counters.n_limits;
    if (state != QUERY_BLOCK_MORE) {
        q->totals.damaged += state == QUERY_BLOCK_BROKEN;
        q->is_scanning = false;
        end_part(q, part);
    }
}

/* Whether the first match that waits is the next in order. */
static bool
can_give(const struct query *q)
{
    if (!q->n_matches || q->is_scanning) {
        return false;
    }
    return q->next_part == q->n_parts ||
           is_before(q, q->heap[0].first_ns, q->parts[q->next_part].bound_ns);
}

static void
give_one(struct query *q)
{
    struct match m = pop_match(q);
    struct part *part = &q->parts[m.part];
    const struct history *h;
    struct history *owned;

    part->n_waiting--;
    if (!query_block_open(&part->block, first_damage(q)) &&
        !query_block_history(&part->block, m.at, &h, &owned,
                             first_damage(q))) {
        q->config.give(q->config.aux, h);
        history_destroy(owned);
        q->totals.n++;
    } else {
        q->totals.damaged++;
    }
    end_part(q, part);
}

static enum query_state
finish(struct query *q, bool is_truncated)
{
    q->is_done = true;
    q->totals.is_truncated = is_truncated;
    return QUERY_DONE;
}

enum query_state
query_step(struct query *q)
{
    if (q->is_done) {
        return QUERY_DONE;
    }
    if (can_give(q)) {
        for (int i = 0; i < GIVE_PER_STEP && can_give(q); i++) {
            if (q->config.is_busy(q->config.aux)) {
                return QUERY_BUSY;
            }
            give_one(q);
            if (q->config.limit && q->totals.n >= q->config.limit) {
                return finish(q, true);
            }
        }
    } else if (q->is_scanning) {
        scan(q);
        if (q->n_matches > QUERY_MAX_WAITING) {
            return finish(q, true);
        }
    } else if (q->next_part < q->n_parts) {
        open_next_part(q);
    } else {
        assert(!q->n_matches);
        return finish(q, false);
    }
    return QUERY_MORE;
}
