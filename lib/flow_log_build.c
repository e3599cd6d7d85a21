/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_build - puts together what stood in a switch at some row of the
 * log: the newest snapshot before it, and the rows since. */
#include <config.h>

#include "lib/flow_log.h"

#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

#define FIRST_SLOTS 1024
#define MAX_SCAN    65536

void
flow_log_build_init(struct flow_log_build *b, uint64_t dpid)
{
    *b = (struct flow_log_build){.dpid = dpid, .n_slots = FIRST_SLOTS};
    b->slots = lh_alloc_zero(b->n_slots * sizeof *b->slots);
}

void
flow_log_build_uninit(struct flow_log_build *b)
{
    byte_buf_uninit(&b->bytes);
    free(b->items);
    free(b->slots);
    *b = (struct flow_log_build){.items = NULL};
}

/* Where the item is, or would be. */
static uint32_t *
find_slot(const struct flow_log_build *b, uint8_t class, uint32_t id)
{
    size_t mask = b->n_slots - 1;
    size_t i = ((uint64_t) id * 0x9e3779b1u + class * 0x85ebca6bu) & mask;

    for (;; i = (i + 1) & mask) {
        const struct flow_log_item *item;

        if (!b->slots[i]) {
            return &b->slots[i];
        }
        item = &b->items[b->slots[i] - 1];
        if (item->id == id && item->class == class) {
            return &b->slots[i];
        }
    }
}

static void
grow(struct flow_log_build *b)
{
    free(b->slots);
    b->n_slots *= 2;
    b->slots = lh_alloc_zero(b->n_slots * sizeof *b->slots);
    for (size_t i = 0; i < b->n_items; i++) {
        *find_slot(b, b->items[i].class, b->items[i].id) = (uint32_t) i + 1;
    }
}

struct flow_log_item *
flow_log_build_find(const struct flow_log_build *b, uint8_t class, uint32_t id)
{
    uint32_t slot = *find_slot(b, class, id);

    return slot && b->items[slot - 1].is_there ? &b->items[slot - 1] : NULL;
}

void
flow_log_build_remove(struct flow_log_build *b, uint8_t class, uint32_t id)
{
    struct flow_log_item *item = flow_log_build_find(b, class, id);

    if (item) {
        item->is_there = false;
        b->n_there--;
    }
}

struct flow_log_item *
flow_log_build_set(struct flow_log_build *b, uint8_t class, uint32_t id)
{
    uint32_t *slot = find_slot(b, class, id);
    struct flow_log_item *item;

    if (!*slot) {
        b->items = lh_alloc_grow(b->items, b->n_items, &b->allocated_items,
                                 sizeof *b->items);
        b->items[b->n_items++].is_there = false;
        *slot = (uint32_t) b->n_items;
        if (b->n_items * 2 > b->n_slots) {
            struct flow_log_item *last = &b->items[b->n_items - 1];

            last->class = class;
            last->id = id;
            grow(b);
            slot = find_slot(b, class, id);
        }
    }
    item = &b->items[*slot - 1];
    b->n_there += !item->is_there;
    *item = (struct flow_log_item){.class = class, .id = id, .is_there = true};
    return item;
}

static void
set_from_row(struct flow_log_build *b, uint8_t class,
             const struct flow_log_row *row)
{
    struct flow_log_item *item = flow_log_build_set(b, class, row->id);

    item->seq = row->seq;
    item->change = row->change;
    item->time_ns = row->time_ns;
    item->ofs = b->bytes.len;
    flow_log_record_put(&b->bytes, row);
    item->len = b->bytes.len - item->ofs;
}

static void
apply_row(struct flow_log_build *b, const struct flow_log_row *row)
{
    switch (row->kind) {
    case KIND_MADE:
    case KIND_AGAIN:
        set_from_row(b, 0, row);
        break;
    case KIND_REMOVED:
        flow_log_build_remove(b, 0, row->id);
        break;
    case KIND_GROUP:
        set_from_row(b, FLOW_LOG_GROUP, row);
        break;
    case KIND_GROUP_GONE:
        flow_log_build_remove(b, FLOW_LOG_GROUP, row->id);
        break;
    case KIND_METER:
        set_from_row(b, FLOW_LOG_METER, row);
        break;
    case KIND_METER_GONE:
        flow_log_build_remove(b, FLOW_LOG_METER, row->id);
        break;
    default:
        break; /* Changes nothing that stands. */
    }
}

int
flow_log_build_read(struct flow_log *log, uint64_t seq,
                    struct flow_log_build *b, struct lh_error *error)
{
    struct db_statement *s;
    uint64_t from;
    int retval = flow_log_snapshot_read(log, seq, &from, b, error);

    if (retval) {
        return retval;
    }
    /* A few rows of other switches are read faster than an index. */
    s = flow_log_db_statement(log, seq - from <= MAX_SCAN
                                       ? STATEMENT_NOTES_BETWEEN
                                       : STATEMENT_NOTES_OF_SWITCH);
    db_bind_int(s, 1, (int64_t) b->dpid);
    db_bind_int(s, 2, (int64_t) from);
    db_bind_int(s, 3, (int64_t) seq);
    while (db_step(s)) {
        struct flow_log_row row;

        flow_log_store_row(s, &row);
        apply_row(b, &row);
    }
    return db_reset(s) ? 0 : db_error(log->db, "cannot read", error);
}
