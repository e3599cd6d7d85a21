/* SPDX-License-Identifier: Apache-2.0 */
/* batch - postcards, and what belongs between them, on their way to a worker.
 */
#include <config.h>

#include "server/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64

_Static_assert(sizeof(struct batch_record) == LINE, "a line of the cache");

struct batch *
batch_create(void)
{
    struct batch *batch = aligned_alloc(LINE, sizeof *batch);

    if (!batch) {
        abort();
    }
    batch->next = NULL;
    batch->n = batch->n_pieces = 0;
    batch->has_topology = false;
    batch_clear(batch);
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

struct batch_record *
batch_add(struct batch *batch, enum batch_kind kind)
{
    struct batch_record *r = &batch->records[batch->n];

    assert(!batch_is_full(batch));
    batch->n++;
    r->kind = kind;
    batch->is_awaited |= kind == BATCH_ROUND || kind == BATCH_FLUSH;
    batch->has_topology |= kind == BATCH_TOPOLOGY;
    return r;
}

/* Makes sure that the piece stays. */
static void
hold(struct batch *batch, struct piece *piece)
{
    if (!batch->n_pieces || batch->pieces[batch->n_pieces - 1] != piece) {
        batch->pieces[batch->n_pieces++] = piece_ref(piece);
    }
}

/* A copy of the visit in the batch; neighbours mostly have the same. */
static const struct hop_template *
copy_visit(struct batch *batch, const struct hop_template *visit)
{
    if (!batch->visit || !hop_template_equal(batch->visit, visit)) {
        batch->n_bytes = (batch->n_bytes + 7) & ~(size_t) 7;
        batch->visit =
            memcpy(batch->bytes + batch->n_bytes, visit, visit->size);
        batch->n_bytes += visit->size;
    }
    return batch->visit;
}

void
batch_add_postcard(struct batch *batch, const struct postcard *p,
                   struct piece *piece)
{
    struct batch_record *r = batch_add(batch, BATCH_POSTCARD);

    r->postcard = *p;
    batch->n_postcards++;
    if (p->visit) {
        r->postcard.visit = copy_visit(batch, p->visit);
    }
    if (piece && piece_has(piece, p->header, p->caplen)) {
        hold(batch, piece);
    } else if (p->caplen) {
        r->postcard.header = batch->bytes + batch->n_bytes;
        memcpy(batch->bytes + batch->n_bytes, p->header, p->caplen);
        batch->n_bytes += p->caplen;
    }
}

void
batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->n && batch->has_topology; i++) {
        if (batch->records[i].kind == BATCH_TOPOLOGY) {
            topology_unref(batch->records[i].topology.topology);
        }
    }
    for (size_t i = 0; i < batch->n_pieces; i++) {
        piece_unref(batch->pieces[i]);
    }
    batch->n = batch->n_postcards = batch->n_bytes = batch->n_pieces = 0;
    batch->is_awaited = batch->has_topology = false;
    batch->visit = NULL;
}
