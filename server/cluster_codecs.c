/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_codecs - what the shards of a server pack and read with. */
#include <config.h>
#include "server/cluster_codecs.h"

#include <stdlib.h>

#include "lib/card_batch.h"
#include "lib/column_shapes.h"
#include "lib/history_batch.h"
#include "lib/lh_alloc.h"
#include "server/cluster_wire.h"

struct cluster_codecs {
    unsigned int n_refs;
    struct packet_id_config id_config;
    unsigned int batch_version, history_version;
    struct card_batch_writer *card_writer; /* Each NULL until asked for.
                                            * Owned. */
    struct history_batch_writer *history_writer;
    struct history_batch_reader *history_reader;
    struct column_shapes *shapes;       /* Owned reference, or NULL. */
    struct card_batch_reader **spare;   /* Owned. */
    struct card_batch_scratch *scratch; /* Owned reference, or NULL. */
    size_t n_spare, allocated;
};

struct cluster_codecs *
cluster_codecs_create(const struct packet_id_config *id_config)
{
    struct cluster_codecs *codecs = lh_alloc_zero(sizeof *codecs);

    codecs->n_refs = 1;
    codecs->id_config = *id_config;
    codecs->batch_version = CARD_BATCH_VERSION;
    codecs->history_version = HISTORY_BATCH_VERSION;
    return codecs;
}

struct cluster_codecs *
cluster_codecs_take(struct cluster_codecs *codecs,
                    const struct packet_id_config *id_config)
{
    if (!codecs) {
        return cluster_codecs_create(id_config);
    }
    codecs->n_refs++;
    return codecs;
}

void
cluster_codecs_unref(struct cluster_codecs *codecs)
{
    if (codecs && !--codecs->n_refs) {
        card_batch_writer_destroy(codecs->card_writer);
        history_batch_writer_destroy(codecs->history_writer);
        history_batch_reader_destroy(codecs->history_reader);
        column_shapes_unref(codecs->shapes);
        while (codecs->n_spare) {
            card_batch_reader_destroy(codecs->spare[--codecs->n_spare]);
        }
        card_batch_scratch_unref(codecs->scratch);
        free(codecs->spare);
        free(codecs);
    }
}

void
cluster_codecs_set_wire(struct cluster_codecs *codecs, uint32_t wire)
{
    codecs->batch_version = cluster_wire_batch_version(wire);
    if (codecs->card_writer) {
        card_batch_writer_set_version(codecs->card_writer,
                                      codecs->batch_version);
    }
    codecs->history_version = cluster_wire_history_version(wire);
    if (codecs->history_writer) {
        history_batch_writer_set_version(codecs->history_writer,
                                         codecs->history_version);
    }
}

struct card_batch_writer *
cluster_codecs_card_writer(struct cluster_codecs *codecs)
{
    if (!codecs->card_writer) {
        codecs->card_writer = card_batch_writer_create(&codecs->id_config);
        card_batch_writer_set_version(codecs->card_writer,
                                      codecs->batch_version);
    }
    return codecs->card_writer;
}

struct history_batch_writer *
cluster_codecs_history_writer(struct cluster_codecs *codecs)
{
    if (!codecs->history_writer) {
        codecs->history_writer =
            history_batch_writer_create(&codecs->id_config);
        history_batch_writer_set_version(codecs->history_writer,
                                         codecs->history_version);
    }
    return codecs->history_writer;
}

struct history_batch_reader *
cluster_codecs_history_reader(struct cluster_codecs *codecs)
{
    if (!codecs->history_reader) {
        codecs->history_reader = history_batch_reader_create();
    }
    return codecs->history_reader;
}

struct column_shapes **
cluster_codecs_shapes(struct cluster_codecs *codecs)
{
    if (!codecs->shapes) {
        codecs->shapes = column_shapes_create();
    }
    return &codecs->shapes;
}

struct card_batch_reader *
cluster_codecs_get_reader(struct cluster_codecs *codecs)
{
    if (codecs->n_spare) {
        return codecs->spare[--codecs->n_spare];
    }
    if (!codecs->scratch) {
        codecs->scratch = card_batch_scratch_create();
    }
    return card_batch_reader_create_with(&codecs->id_config, codecs->scratch);
}

void
cluster_codecs_put_reader(struct cluster_codecs *codecs,
                          struct card_batch_reader *reader)
{
    codecs->spare = lh_alloc_grow(codecs->spare, codecs->n_spare,
                                  &codecs->allocated, sizeof *codecs->spare);
    codecs->spare[codecs->n_spare++] = reader;
}
