/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge_leg - what one server has answered to a query. */
#include <config.h>

#include "server/cluster_merge_leg.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/history_codec.h"
#include "lib/lh_alloc.h"

struct batch {
    uint8_t *payload;                /* Owned. */
    struct history_decoder *decoder; /* Owned. */
};

struct merge_leg {
    struct batch batches[CLUSTER_LEG_WINDOW]; /* The oldest first. */
    size_t n;
    uint32_t n_added, n_taken;
    struct history_record next; /* Of the oldest batch, */
    bool has_next;              /* if there is one. */
};

struct merge_leg *
merge_leg_create(void)
{
    return lh_alloc_zero(sizeof(struct merge_leg));
}

static void
drop_oldest(struct merge_leg *leg)
{
    history_decoder_destroy(leg->batches[0].decoder);
    free(leg->batches[0].payload);
    leg->n--;
    for (size_t i = 0; i < leg->n; i++) {
        leg->batches[i] = leg->batches[i + 1];
    }
}

void
merge_leg_end(struct merge_leg *leg)
{
    while (leg->n) {
        drop_oldest(leg);
    }
    leg->has_next = false;
}

void
merge_leg_destroy(struct merge_leg *leg)
{
    if (leg) {
        merge_leg_end(leg);
        free(leg);
    }
}

/* Finds the next record, dropping batches that have none left. */
static int
find_next(struct merge_leg *leg)
{
    leg->has_next = false;
    while (leg->n) {
        int retval =
            history_decoder_next(leg->batches[0].decoder, &leg->next, NULL);

        if (!retval) {
            leg->has_next = true;
            return 0;
        }
        if (retval != ENODATA) {
            return EBADMSG;
        }
        drop_oldest(leg);
        leg->n_taken++;
    }
    return 0;
}

int
merge_leg_add(struct merge_leg *leg, uint32_t number, const uint8_t *payload,
              size_t len)
{
    struct batch *batch = &leg->batches[leg->n];

    if (number != leg->n_added + 1 || leg->n == CLUSTER_LEG_WINDOW || !len) {
        return EBADMSG;
    }
    batch->payload = lh_memdup(payload, len);
    if (history_decoder_create(batch->payload, len, &batch->decoder, NULL)) {
        free(batch->payload);
        return EBADMSG;
    }
    leg->n_added++;
    leg->n++;
    return leg->has_next ? 0 : find_next(leg);
}

int
merge_leg_finish(struct merge_leg *leg, uint32_t number)
{
    return number == leg->n_added + 1 ? 0 : EBADMSG;
}

bool
merge_leg_peek(const struct merge_leg *leg, uint64_t *first_ns)
{
    if (leg->has_next) {
        *first_ns = leg->next.first_ns;
    }
    return leg->has_next;
}

int
merge_leg_take(struct merge_leg *leg, struct history **hp)
{
    struct lh_error error;
    int retval = history_decoder_read(leg->batches[0].decoder,
                                      leg->next.offset, hp, &error);

    if (!retval && find_next(leg)) {
        history_destroy(*hp);
        retval = EBADMSG;
    }
    return retval;
}

uint32_t
merge_leg_n_taken(const struct merge_leg *leg)
{
    return leg->n_taken;
}
