/* SPDX-License-Identifier: Apache-2.0 */
/* batch - postcards, and what belongs between them, on their way to a worker.
 */
#include <config.h>

#include "server/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

struct batch *
batch_create(void)
{
    struct batch *batch = lh_alloc(sizeof *batch);

    batch->next = NULL;
    batch->len = batch->n_postcards = 0;
    batch->is_awaited = false;
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

bool
batch_is_full(const struct batch *batch)
{
    return batch->len >= BATCH_BYTES;
}

static struct batch_record *
add(struct batch *batch, enum batch_kind kind, size_t n_more)
{
    struct batch_record *r =
        (struct batch_record *) (void *) (batch->bytes + batch->len);

    assert(!batch_is_full(batch));
    r->kind = kind;
    batch->is_awaited |= kind == BATCH_ROUND || kind == BATCH_FLUSH;
    r->len = (uint32_t) (sizeof *r + ((n_more + 7) & ~(size_t) 7));
    batch->len += r->len;
    return r;
}

struct batch_record *
batch_add(struct batch *batch, enum batch_kind kind)
{
    return add(batch, kind, 0);
}

void
batch_add_postcard(struct batch *batch, const struct postcard *p)
{
    struct batch_record *r = add(batch, BATCH_POSTCARD, p->caplen);

    r->postcard = *p;
    r->postcard.header = (const uint8_t *) (r + 1);
    if (p->caplen) {
        memcpy(r + 1, p->header, p->caplen);
    }
    batch->n_postcards++;
}

struct batch_record *
batch_next(struct batch *batch, size_t *ofs)
{
    struct batch_record *r;

    if (*ofs >= batch->len) {
        return NULL;
    }
    r = (struct batch_record *) (void *) (batch->bytes + *ofs);
    *ofs += r->len;
    return r;
}

void
batch_clear(struct batch *batch)
{
    struct batch_record *r;
    size_t ofs = 0;

    while ((r = batch_next(batch, &ofs))) {
        if (r->kind == BATCH_TOPOLOGY) {
            topology_unref(r->topology.topology);
        }
    }
    batch->len = batch->n_postcards = 0;
    batch->is_awaited = false;
}
