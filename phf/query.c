/* SPDX-License-Identifier: Apache-2.0 */
/* query - finds stored histories that match a filter, in order of time. */
#include <config.h>

#include "phf/query.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history_codec.h"
#include "lib/lh_alloc.h"

/* Histories looked at, and given out, in one step. */
#define SCAN_PER_STEP 128
#define GIVE_PER_STEP 16

/* One block to read. */
struct part {
    struct archive_entry entry; /* Not used for what is pending. */
    bool is_pending;
    uint64_t bound_ns; /* No history in it comes before this in the query's
                        * order. */
    uint8_t *payload;  /* While it is kept.  Owned. */
    size_t len;
    struct history_decoder *decoder; /* While payload is kept.  Owned. */
    size_t n_waiting;                /* Matches that wait. */
};

/* A match that waits. */
struct match {
    uint64_t first_ns;
    uint32_t part;
    uint32_t offset; /* Payloads have at most 64 MiB. */
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

/* What is pending, if it can be read: it was encoded just now. */
static void
add_pending(struct query *q)
{
    struct part part = {.is_pending = true,
                        .payload = q->config.pending,
                        .len = q->config.pending_len};
    struct history_decoder *d;
    struct history_record record;
    uint64_t min_ns = UINT64_MAX, max_ns = 0;

    if (!part.len ||
        history_decoder_create(part.payload, part.len, &d, NULL)) {
        return;
    }
    while (!history_decoder_next(d, &record, NULL)) {
        min_ns = record.first_ns < min_ns ? record.first_ns : min_ns;
        max_ns = record.first_ns > max_ns ? record.first_ns : max_ns;
    }
    history_decoder_destroy(d);
    add_part(q, &part, min_ns, max_ns);
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
        struct part part = {.entry = *archive_reader_entry(r, i)};
        const struct archive_block *block = &part.entry.block;

        if (block->kind == ARCHIVE_HISTORIES) {
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

/* Lets go of a part's payload, which can be read again unless pending. */
static void
drop_payload(struct query *q, struct part *part)
{
    history_decoder_destroy(part->decoder);
    part->decoder = NULL;
    if (part->payload && !part->is_pending) {
        q->kept_bytes -= part->len;
        free(part->payload);
        part->payload = NULL;
    }
}

void
query_destroy(struct query *q)
{
    if (q) {
        for (size_t i = 0; i < q->n_parts; i++) {
            drop_payload(q, &q->parts[i]);
        }
        free(q->config.pending);
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

/* Makes sure that the part's payload and decoder are there. */
static bool
need_payload(struct query *q, struct part *part)
{
    if (!part->payload) {
        if (archive_reader_load(q->config.reader, &part->entry, &part->payload,
                                first_damage(q))) {
            return false;
        }
        part->len = part->entry.block.raw_len;
        q->kept_bytes += part->len;
    }
    return part->decoder ||
           !history_decoder_create(part->payload, part->len, &part->decoder,
                                   first_damage(q));
}

/* The part will be read no more unless for a match; keeps its payload for
 * that if there is room. */
static void
end_part(struct query *q, struct part *part)
{
    if (!part->n_waiting || q->kept_bytes > QUERY_MAX_KEPT) {
        drop_payload(q, part);
    }
}

static void
open_next_part(struct query *q)
{
    struct part *part = &q->parts[q->next_part++];

    q->totals.n_read++;
    if (need_payload(q, part)) {
        q->is_scanning = true;
    } else {
        q->totals.damaged++;
        drop_payload(q, part);
    }
}

/* Looks at one record and keeps it if it matches. */
static void
look_at(struct query *q, struct part *part,
        const struct history_record *record)
{
    struct history *h;

    if (record->first_ns < q->config.since_ns ||
        record->first_ns >= q->config.until_ns ||
        history_decoder_read(part->decoder, record->offset, &h, NULL)) {
        return;
    }
    q->totals.scanned++;

    enum phf_result result = phf_match(q->config.phf, h, q->topology);

    if (result == PHF_MATCH) {
        struct match m = {record->first_ns, (uint32_t) (part - q->parts),
                          (uint32_t) record->offset, q->n_found++};

        push_match(q, &m);
        part->n_waiting++;
    } else if (result == PHF_LIMIT) {
        q->totals.n_limits++;
    }
    history_destroy(h);
}

static void
scan(struct query *q)
{
    struct part *part = &q->parts[q->next_part - 1];

    for (int i = 0; i < SCAN_PER_STEP; i++) {
        struct history_record record;
        int error =
            history_decoder_next(part->decoder, &record, first_damage(q));

        if (error) {
            q->totals.damaged += error != ENODATA;
            q->is_scanning = false;
            end_part(q, part);
            return;
        }
        look_at(q, part, &record);
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
    struct history *h;

    part->n_waiting--;
    if (need_payload(q, part) &&
        !history_decoder_read(part->decoder, m.offset, &h, first_damage(q))) {
        q->config.give(q->config.aux, h);
        history_destroy(h);
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
