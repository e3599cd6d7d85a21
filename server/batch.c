/* SPDX-License-Identifier: Apache-2.0 */
/* batch - packets as they were received, or something that belongs between
 * them, on their way to all workers. */
#include <config.h>

#include "server/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64

struct batch *
batch_create(void)
{
    size_t size = (sizeof(struct batch) + LINE - 1) / LINE * LINE;
    struct batch *batch = aligned_alloc(LINE, size);

    if (!batch) {
        abort();
    }
    /* Bytes are touched when they are needed. */
    memset(batch, 0, offsetof(struct batch, bytes));
    return batch;
}

void
batch_destroy(struct batch *batch)
{
    if (batch) {
        batch_clear(batch);
        free(batch);
    }
}

static void *
copy(struct batch *batch, const void *data, size_t len)
{
    uint8_t *to = batch->bytes + batch->n_bytes;

    memcpy(to, data, len);
    batch->n_bytes += len;
    return to;
}

/* A copy of the visit; neighbours mostly have the same. */
static const struct hop_template *
copy_visit(struct batch *batch, const struct hop_template *visit)
{
    if (!batch->visit || !hop_template_equal(batch->visit, visit)) {
        batch->n_bytes = (batch->n_bytes + 7) & ~(size_t) 7;
        batch->visit = copy(batch, visit, visit->size);
    }
    return batch->visit;
}

void
batch_add(struct batch *batch, const struct ingest_packet *packet,
          uint32_t share)
{
    struct ingest_packet *to = &batch->packets[batch->n];

    batch->shares[batch->n++] = share;

    to->time_ns = packet->time_ns;
    to->len = packet->len < BATCH_MAX_LEN ? packet->len : BATCH_MAX_LEN;
    to->encap = packet->encap;
    to->data = copy(batch, packet->data, to->len);
    to->is_dropped = packet->is_dropped;
    to->visit = packet->visit ? copy_visit(batch, packet->visit) : NULL;
    to->from =
        packet->from ? copy(batch, packet->from, sizeof *packet->from) : NULL;
}

void
batch_clear(struct batch *batch)
{
    topology_unref(batch->topology);
    batch->topology = NULL;
    batch->file = NULL;
    batch->round = NULL;
    batch->n = batch->n_bytes = 0;
    batch->visit = NULL;
}
