/* SPDX-License-Identifier: Apache-2.0 */
/* query - finds stored histories that match a filter, in order of time. */
#include <config.h>

#include "phf/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy_gate.h"
#include "lib/lh_alloc.h"
#include "phf/query_block.h"
#include "phf/query_copies.h"
#include "phf/query_job.h"

/* Histories given out in one step. */
#define GIVE_PER_STEP 16

/* One block to read. */
struct part {
    struct query_block block; /* Not opened here. */
    uint64_t bound_ns; /* No history in it comes before this in the query's
                        * order. */
    enum {
        PART_NEW,
        PART_SCANNING, /* The crew has the job. */
        PART_SCANNED,
        PART_READING /* The crew has it again, to read what was dropped. */
    } state;
    struct query_job *job;       /* Unless the crew has it, or all is done.
                                  * Owned. */
    uint32_t copy;               /* 0, or its shard's number: another shard
                                  * has the same histories. */
    size_t kept;                 /* Bytes of it in kept_bytes. */
    size_t n, next;              /* Matches, and the one to give out. */
    struct query_place *matches; /* Owned. */
};

struct query {
    struct query_config config;
    struct query_shared *shared; /* Owned reference. */
    size_t n_parts;
    struct part *parts; /* In the query's order.  Owned. */
    size_t next_part;   /* To be read. */
    size_t first_open;  /* All before it are scanned. */
    size_t n_given;     /* Jobs that the crew has. */
    size_t kept_bytes;
    uint64_t n_waiting; /* Matches. */
    size_t n_heap;
    uint32_t *heap; /* Parts with matches that wait, the one with the next to
                     * give out first; room for all.  Owned. */
    struct copy_gate *gate; /* NULL: there are no copies.  Owned. */
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

/* Packets were left out of a part between these times. */
static void
note_sampled(struct query *q, uint64_t min_ns, uint64_t max_ns)
{
    struct query_totals *t = &q->totals;

    min_ns = min_ns < q->config.since_ns ? q->config.since_ns : min_ns;
    max_ns = max_ns >= q->config.until_ns ? q->config.until_ns - 1 : max_ns;
    if (!t->sampled_since_ns || min_ns < t->sampled_since_ns) {
        t->sampled_since_ns = min_ns;
    }
    if (max_ns > t->sampled_until_ns) {
        t->sampled_until_ns = max_ns;
    }
}

static void
add_part(struct query *q, const struct part *part, uint64_t min_ns,
         uint64_t max_ns, bool is_sampled)
{
    if (max_ns >= q->config.since_ns && min_ns < q->config.until_ns) {
        struct part *p = &q->parts[q->n_parts++];

        *p = *part;
        p->bound_ns = q->config.is_desc ? max_ns : min_ns;
        if (is_sampled) {
            note_sampled(q, min_ns, max_ns);
        }
    }
}

/* What is pending. */
static void
add_pending(struct query *q)
{
    for (size_t i = 0; i < q->shared->n_pending; i++) {
        const struct archive_pending *p = &q->shared->pending[i];
        struct part part = {.block = {.pending = p->payload,
                                      .pending_len = p->len,
                                      .pending_table_len = p->table_len}};

        if (p->len && !q->config.has_shard) {
            add_part(q, &part, p->min_ns, p->max_ns, p->is_sampled);
        }
    }
}

/* What jobs need when the query is gone. */
static struct query_shared *
share(struct query *q, const struct query_config *config)
{
    struct query_shared *shared = lh_alloc_zero(sizeof *shared);

    shared->query = q;
    shared->n_refs = 1;
    shared->phf = config->phf;
    shared->topology =
        config->topology ? topology_ref(config->topology) : NULL;
    shared->pending = config->pending;
    shared->n_pending = config->n_pending;
    shared->dir =
        config->reader ? lh_strdup(archive_reader_dir(config->reader)) : NULL;
    shared->sieve = block_sieve_create(shared->phf);
    shared->sieves = flow_sieves_create(shared->phf, shared->topology);
    shared->filter = (struct query_filter){
        .phf = shared->phf,
        .topology = shared->topology,
        .sieve = shared->sieve,
        .sieves = shared->sieves,
        .since_ns = config->since_ns,
        .until_ns = config->until_ns,
    };
    shared->limit = config->limit;
    shared->is_desc = config->is_desc;
    atomic_init(&shared->is_cancelled, false);
    return shared;
}

struct query *
query_create(const struct query_config *config)
{
    struct query *q = lh_alloc_zero(sizeof *q);
    struct archive_reader *r = config->reader;
    size_t n = r ? archive_reader_n_blocks(r) : 0;
    struct query_copies copies;

    query_copies_init(&copies, r);
    q->gate = copies.n ? copy_gate_create() : NULL;
    q->config = *config;
    q->shared = share(q, config);
    q->parts = lh_alloc_array(NULL, n + config->n_pending, sizeof *q->parts);
    for (size_t i = 0; i < n; i++) {
        struct part part = {.block = {.dir = q->shared->dir,
                                      .entry = *archive_reader_entry(r, i)}};
        const struct archive_block *block = &part.block.entry.block;

        if (config->has_shard &&
            !query_copies_is_of(&part.block.entry.segment, config->shard)) {
            continue;
        }
        if (query_copies_has(&copies, &part.block.entry.segment)) {
            part.copy = part.block.entry.segment.shard;
        }
        if (block->kind == ARCHIVE_HISTORIES ||
            block->kind == ARCHIVE_COLUMNS) {
            add_part(q, &part, block->min_ns, block->max_ns,
                     block->is_sampled);
        }
    }
    query_copies_uninit(&copies);
    add_pending(q);
    if (q->n_parts) {
        qsort(q->parts, q->n_parts, sizeof *q->parts,
              config->is_desc ? compare_desc : compare_asc);
    }
    q->heap = lh_alloc_array(NULL, q->n_parts + 1, sizeof *q->heap);
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
    size_t size = part->job ? query_block_size(&part->job->block) : 0;

    q->kept_bytes += size - part->kept;
    part->kept = size;
}

static void
end_part(struct query *q, struct part *part)
{
    query_job_destroy(part->job);
    part->job = NULL;
    count_kept(q, part);
    q->n_waiting -= part->n - part->next;
    part->next = part->n;
    free(part->matches);
    part->matches = NULL;
}

void
query_destroy(struct query *q)
{
    if (q) {
        atomic_store(&q->shared->is_cancelled, true);
        q->shared->query = NULL;
        for (size_t i = 0; i < q->n_parts; i++) {
            end_part(q, &q->parts[i]);
        }
        query_shared_unref(q->shared);
        copy_gate_destroy(q->gate);
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

static const struct query_place *
next_match(const struct query *q, uint32_t part)
{
    const struct part *p = &q->parts[part];

    return &p->matches[p->next];
}

/* Whether part 'a' has the match to give out before that of 'b'. */
static bool
part_is_before(const struct query *q, uint32_t a, uint32_t b)
{
    uint64_t a_ns = next_match(q, a)->first_ns;
    uint64_t b_ns = next_match(q, b)->first_ns;

    return a_ns != b_ns ? is_before(q, a_ns, b_ns) : a < b;
}

/* Lets the part at 'i' of the heap down to its place. */
static void
sift_down(struct query *q, size_t i)
{
    uint32_t part = q->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= q->n_heap) {
            break;
        }
        if (child + 1 < q->n_heap &&
            part_is_before(q, q->heap[child + 1], q->heap[child])) {
            child++;
        }
        if (!part_is_before(q, q->heap[child], part)) {
            break;
        }
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = part;
}

static void
push_part(struct query *q, uint32_t part)
{
    size_t i = q->n_heap++;

    while (i && part_is_before(q, part, q->heap[(i - 1) / 2])) {
        q->heap[i] = q->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->heap[i] = part;
}

/* --- Jobs --------------------------------------------------------------- */

static void
note_damage(struct query *q, const struct part *part, int retval,
            const struct lh_error *why)
{
    struct lh_error *error = q->totals.damaged ? NULL : &q->totals.damage;

    if (part->block.dir) {
        archive_reader_broken(q->config.reader, &part->block.entry, retval,
                              why, error);
    } else if (error) {
        *error = *why;
    }
    q->totals.damaged++;
}

/* The block is scanned: takes its matches. */
static void
end_scan(struct query *q, struct part *part, size_t index)
{
    struct query_job *job = part->job;

    q->totals.n_read++;
    q->totals.scanned += job->counters.scanned;
    q->totals.n_limits += job->counters.n_limits;
    q->totals.n_skipped += job->counters.n_skipped;
    part->state = PART_SCANNED;
    while (q->first_open < q->n_parts &&
           q->parts[q->first_open].state >= PART_SCANNED) {
        q->first_open++;
    }
    part->n = job->n;
    part->matches = job->matches;
    job->matches = NULL;
    q->n_waiting += part->n;
    if (!part->n) {
        end_part(q, part);
        return;
    }
    push_part(q, (uint32_t) index);
    count_kept(q, part);
    if (q->kept_bytes > QUERY_MAX_KEPT) {
        query_block_close(&job->block);
        count_kept(q, part);
    }
}

/* The job is done, for the first time or again. */
static void
end_job(struct query *q, struct query_job *job)
{
    struct part *part = &q->parts[job->part];

    part->job = job;
    if (job->error) {
        note_damage(q, part, job->error, &job->why);
    }
    if (part->state == PART_SCANNING) {
        end_scan(q, part, job->part);
    } else {
        part->state = PART_SCANNED;
        count_kept(q, part);
        if (job->error) {
            query_job_destroy(part->job);
            part->job = NULL; /* None of its matches can be given out. */
        }
    }
}

static void
give_job(struct query *q, struct part *part)
{
    struct query_job *job = part->job;

    part->job = NULL;
    q->n_given++;
    if (q->config.crew) {
        count_kept(q, part);
        crew_give(q->config.crew, &job->base);
    } else {
        query_job_run(job);
        query_take(&job->base);
    }
}

void
query_take(struct crew_job *base)
{
    struct query_job *job = (struct query_job *) base;
    struct query *q = job->shared->query;

    if (q) {
        q->n_given--;
        end_job(q, job);
    } else {
        query_job_destroy(job);
    }
}

/* --- Steps -------------------------------------------------------------- */

/* Whether the first match that waits is the next in order. */
static bool
can_give(const struct query *q)
{
    return q->n_heap && (q->first_open == q->n_parts ||
                         is_before(q, next_match(q, q->heap[0])->first_ns,
                                   q->parts[q->first_open].bound_ns));
}

/* Gives the crew as much as it should have; true if that was anything.  When
 * there is something to give out, there is no hurry. */
static bool
read_ahead(struct query *q, bool is_needed)
{
    size_t n_ahead = q->config.crew ? 2 * crew_n_threads(q->config.crew) : 1;
    bool has_given = false;

    if (q->kept_bytes > QUERY_MAX_KEPT / 2) {
        n_ahead = is_needed ? 1 : 0;
    }
    while (q->next_part < q->n_parts && q->n_given < n_ahead) {
        struct part *part = &q->parts[q->next_part];

        part->state = PART_SCANNING;
        part->job = query_job_create(q->shared, q->next_part++, &part->block);
        give_job(q, part);
        has_given = true;
        if (!q->config.crew) {
            break;
        }
    }
    return has_given;
}

/* Takes the first match off those that wait. */
static void
pop_match(struct query *q)
{
    struct part *part = &q->parts[q->heap[0]];

    part->next++;
    q->n_waiting--;
    if (part->next == part->n) {
        end_part(q, part);
        q->heap[0] = q->heap[--q->n_heap];
    }
    if (q->n_heap) {
        sift_down(q, 0);
    }
}

/* Gives out the next match.  False when its block has to be read first. */
static bool
give_one(struct query *q)
{
    struct part *part = &q->parts[q->heap[0]];
    const struct history *h;
    struct history *owned = NULL;
    struct lh_error why = {.pos = -1};
    int retval;

    if (part->state == PART_READING) {
        return false;
    }
    if (part->job && !query_block_is_open(&part->job->block)) {
        part->state = PART_READING;
        give_job(q, part);
        return false;
    }
    if (part->job) {
        retval = query_block_history(
            &part->job->block, part->matches[part->next].at, &h, &owned, &why);
        if (retval) {
            note_damage(q, part, retval, &why);
        } else if (!part->copy ||
                   copy_gate_admits(q->gate,
                                    part->matches[part->next].first_ns,
                                    part->copy, h)) {
            q->config.give(q->config.aux, h);
            q->totals.n++;
        }
        history_destroy(owned);
    }
    pop_match(q);
    return true;
}

static enum query_state
finish(struct query *q, bool is_truncated)
{
    q->is_done = true;
    q->totals.is_truncated = is_truncated;
    atomic_store(&q->shared->is_cancelled, true);
    return QUERY_DONE;
}

/* Gives out some matches. */
static enum query_state
give_some(struct query *q)
{
    for (int i = 0; i < GIVE_PER_STEP && can_give(q); i++) {
        if (q->config.is_busy(q->config.aux)) {
            return QUERY_BUSY;
        }
        if (!give_one(q)) {
            return q->config.crew ? QUERY_WAIT : QUERY_MORE;
        }
        if (q->config.limit && q->totals.n >= q->config.limit) {
            return finish(q, true);
        }
    }
    return QUERY_MORE;
}

enum query_state
query_step(struct query *q)
{
    bool has_read;

    if (q->is_done) {
        return QUERY_DONE;
    }
    if (q->n_waiting > QUERY_MAX_WAITING) {
        return finish(q, true);
    }
    if (can_give(q)) {
        if (q->config.crew) {
            read_ahead(q, false);
        }
        return give_some(q);
    }
    has_read = read_ahead(q, true);
    if (!q->n_given && q->next_part == q->n_parts && !q->n_heap) {
        return finish(q, false);
    }
    return q->config.crew && !has_read ? QUERY_WAIT : QUERY_MORE;
}

void
query_run(struct query *q, bool (*is_ended)(void *aux), void *aux)
{
    enum query_state state = QUERY_MORE;

    while (state != QUERY_DONE && !(is_ended && is_ended(aux))) {
        struct crew_job *job;

        state = query_step(q);
        if (state == QUERY_WAIT) {
            crew_wait(q->config.crew, 100);
        }
        while (q->config.crew && (job = crew_take(q->config.crew)) != NULL) {
            query_take(job);
        }
    }
}

void
query_drain(struct crew *crew)
{
    while (crew_n_jobs(crew)) {
        struct crew_job *job = crew_take(crew);

        if (job) {
            query_take(job);
        } else {
            crew_wait(crew, -1);
        }
    }
}
