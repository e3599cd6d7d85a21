/* SPDX-License-Identifier: Apache-2.0 */
/* profile_copied - what histories of a shard in two copies sent. */
#include <config.h>

#include "phf/profile_copied.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "phf/query.h"

struct profile_copied {
    const struct profile_ask *ask;
    struct query *query; /* Owned. */
    atomic_bool *is_cancelled;
    struct profile_sums *sums;
};

static void
give(void *copied_, const struct history *h)
{
    struct profile_copied *copied = copied_;

    profile_block_count_history(copied->ask, h, copied->sums);
}

static bool
is_never_busy(void *aux)
{
    return false;
}

static bool
is_cancelled(void *copied_)
{
    struct profile_copied *copied = copied_;

    return atomic_load(copied->is_cancelled);
}

struct profile_copied *
profile_copied_create(const struct profile_copied_config *config)
{
    struct profile_copied *copied = lh_alloc_zero(sizeof *copied);
    struct query_config query = {
        .reader = config->reader,
        .topology = config->ask->topology,
        .since_ns = config->ask->since_ns,
        .until_ns = config->ask->until_ns,
        .has_shard = true,
        .shard = config->shard,
        .give = give,
        .is_busy = is_never_busy,
        .aux = copied,
    };

    copied->ask = config->ask;
    /* The filter is asked when they are counted. */
    if (phf_compile(".*", NULL, &query.phf, NULL)) {
        abort();
    }
    copied->query = query_create(&query);
    return copied;
}

void
profile_copied_destroy(struct profile_copied *copied)
{
    if (copied) {
        query_destroy(copied->query);
        free(copied);
    }
}

uint64_t
profile_copied_count(struct profile_copied *copied, atomic_bool *cancelled,
                     struct profile_sums *sums, struct lh_error *why)
{
    const struct query_totals *totals = query_totals(copied->query);

    copied->is_cancelled = cancelled;
    copied->sums = sums;
    query_run(copied->query, is_cancelled, copied);
    if (totals->damaged) {
        *why = totals->damage;
    }
    return totals->damaged;
}
