/* SPDX-License-Identifier: Apache-2.0 */
/* archive_part - what one of several threads adds to an archive. */
#include <config.h>

#include "lib/archive_part.h"

#include <stdlib.h>

#include "lib/archive_writer_impl.h"
#include "lib/column_shapes.h"
#include "lib/lh_alloc.h"

struct archive_part {
    struct archive_writer *writer;
    struct column_encoder *encoder; /* Owned. */
    struct archive_columns columns; /* Scratch. */
    struct column_shapes **shapes;  /* Somebody else's, or NULL. */
    uint64_t flow;                  /* Of the last row, */
    uint32_t index;                 /* and which it is in the encoder; */
    bool has_flow;                  /* it was in this block. */
    struct archive_part_counters counters;
};

struct archive_part *
archive_part_create(struct archive_writer *writer)
{
    struct archive_part *part = lh_alloc_zero(sizeof *part);

    part->writer = writer;
    part->encoder = column_encoder_create(&writer->packet_id, writer->unit);
    return part;
}

void
archive_part_destroy(struct archive_part *part)
{
    if (part) {
        archive_part_seal(part);
        archive_part_abandon(part);
    }
}

void
archive_part_abandon(struct archive_part *part)
{
    if (part) {
        column_encoder_destroy(part->encoder);
        byte_buf_uninit(&part->columns.payload);
        free(part);
    }
}

void
archive_part_seal(struct archive_part *part)
{
    const struct column_totals *totals = column_encoder_totals(part->encoder);
    struct archive_columns *columns = &part->columns;

    if (totals->n_records) {
        byte_buf_clear(&columns->payload);
        columns->table_len = column_encoder_finish(
            part->encoder, ARCHIVE_ZSTD_LEVEL, &columns->payload);
        archive_writer_append(part->writer, totals, columns);
        column_encoder_reset(part->encoder);
        part->has_flow = false;
    }
}

static void
seal_if_full(struct archive_part *part)
{
    if (archive_writer_is_full(part->writer, part->encoder)) {
        archive_part_seal(part);
    }
}

/* Before the first history of a block. */
static void
begin_if_empty(struct archive_part *part)
{
    if (part->shapes && !column_encoder_totals(part->encoder)->n_records) {
        column_shapes_renew(part->shapes);
        column_encoder_use_shapes(part->encoder, *part->shapes);
    }
}

void
archive_part_share_shapes(struct archive_part *part,
                          struct column_shapes **shapes)
{
    part->shapes = shapes;
}

void
archive_part_add(struct archive_part *part, const struct history *h)
{
    begin_if_empty(part);
    part->counters.in++;
    if (column_encoder_add_history(part->encoder, h)) {
        part->counters.refused++;
    } else {
        column_encoder_count_kept(part->encoder, h->left_out, 1);
        seal_if_full(part);
    }
}

void
archive_part_add_packet(struct archive_part *part, struct trajectory *t,
                        const struct trajectory_packet *packet)
{
    begin_if_empty(part);
    part->counters.in++;
    column_encoder_count_kept(part->encoder, packet->left_out, 1);
    column_encoder_add(part->encoder, t, packet);
    seal_if_full(part);
}

/* Finds the flow of a row; false: its shape is none. */
static bool
find_flow(struct archive_part *part, const struct history_batch_item *item)
{
    uint32_t shape;

    if (part->has_flow && part->flow == item->flow) {
        return true;
    }
    shape = history_batch_reader_shape(item->reader,
                                       column_encoder_shapes(part->encoder));
    if (shape == COLUMN_NO_SHAPE) {
        return false;
    }
    part->has_flow = true;
    part->flow = item->flow;
    part->index =
        column_encoder_flow(part->encoder, shape, item->packet.header);
    return true;
}

int
archive_part_add_item(struct archive_part *part,
                      const struct history_batch_item *item,
                      struct lh_error *error)
{
    int retval = 0;

    if (item->trajectory) {
        archive_part_add_packet(part, item->trajectory, &item->packet);
    } else if (item->history) {
        archive_part_add(part, item->history);
    } else {
        begin_if_empty(part);
        if (find_flow(part, item)) {
            part->counters.in++;
            column_encoder_count_kept(part->encoder, item->packet.left_out, 1);
            column_encoder_add_row(part->encoder, part->index, &item->packet);
            seal_if_full(part);
        } else {
            struct history_batch_item whole = *item;

            retval =
                history_batch_reader_trajectory(item->reader, &whole, error);
            if (!retval) {
                archive_part_add_packet(part, whole.trajectory, &whole.packet);
            }
        }
    }
    return retval;
}

void
archive_part_pending(struct archive_part *part, struct archive_pending *p)
{
    archive_writer_encode(part->encoder, p);
}

void
archive_part_get_counters(const struct archive_part *part,
                          struct archive_part_counters *counters)
{
    *counters = part->counters;
}
