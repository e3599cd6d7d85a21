/* SPDX-License-Identifier: Apache-2.0 */
/* query_job - one block of a query. */
#include <config.h>

#include "phf/query_job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

void
query_shared_unref(struct query_shared *shared)
{
    if (!--shared->n_refs) {
        block_sieve_destroy(shared->sieve);
        flow_sieves_destroy(shared->sieves);
        phf_destroy(shared->phf);
        topology_unref(shared->topology);
        for (size_t i = 0; i < shared->n_pending; i++) {
            free(shared->pending[i].payload);
        }
        free(shared->pending);
        free(shared->dir);
        free(shared);
    }
}

static void
run(struct crew_job *base)
{
    query_job_run((struct query_job *) base);
}

struct query_job *
query_job_create(struct query_shared *shared, size_t part,
                 const struct query_block *block)
{
    struct query_job *job = lh_alloc_zero(sizeof *job);

    shared->n_refs++;
    job->base.run = run;
    job->shared = shared;
    job->part = part;
    job->block = *block;
    job->why.pos = -1;
    return job;
}

void
query_job_destroy(struct query_job *job)
{
    if (job) {
        query_block_close(&job->block);
        query_shared_unref(job->shared);
        free(job->matches);
        free(job);
    }
}

static void
found(void *job_, const struct query_place *place)
{
    struct query_job *job = job_;

    job->matches = lh_alloc_grow(job->matches, job->n, &job->allocated,
                                 sizeof *job->matches);
    job->matches[job->n++] = *place;
}

static int
compare_asc(const void *a_, const void *b_)
{
    const struct query_place *a = a_, *b = b_;

    if (a->first_ns != b->first_ns) {
        return a->first_ns < b->first_ns ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Latest first; those of one time in the order of the block. */
static int
compare_desc(const void *a_, const void *b_)
{
    const struct query_place *a = a_, *b = b_;

    if (a->first_ns != b->first_ns) {
        return a->first_ns > b->first_ns ? -1 : 1;
    }
    return a->at < b->at ? -1 : a->at > b->at;
}

static void
scan(struct query_job *job)
{
    const struct query_shared *shared = job->shared;
    enum query_block_state state = QUERY_BLOCK_MORE;

    query_block_rewind(&job->block);
    while (state == QUERY_BLOCK_MORE &&
           !atomic_load_explicit(&job->shared->is_cancelled,
                                 memory_order_relaxed)) {
        state = query_block_step(&job->block, &shared->filter, &job->counters,
                                 found, job, &job->error, &job->why);
    }
    if (job->n) {
        qsort(job->matches, job->n, sizeof *job->matches,
              shared->is_desc ? compare_desc : compare_asc);
    }
    if (shared->limit && job->n > shared->limit) {
        job->n = shared->limit;
    }
}

void
query_job_run(struct query_job *job)
{
    job->error = query_block_open(&job->block, &job->why);
    if (!job->error && !job->is_scanned) {
        scan(job);
    }
    if (!job->error && job->n &&
        !atomic_load_explicit(&job->shared->is_cancelled,
                              memory_order_relaxed)) {
        job->error = query_block_load(&job->block, &job->why);
    }
    if (!job->n) {
        query_block_close(&job->block);
    }
    job->is_scanned = true;
}
