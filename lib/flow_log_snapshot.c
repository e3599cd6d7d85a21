/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_snapshot - all that stood in a switch at some row, so that a state
 * need not be put together from the beginning. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

#define ZSTD_LEVEL 1
#define MAX_RAW    (UINT64_C(1) << 30)

/* The records of what stands, one after another. */
static void
put_items(const struct flow_log_build *b, struct byte_buf *raw)
{
    for (size_t i = 0; i < b->n_items; i++) {
        const struct flow_log_item *item = &b->items[i];

        if (item->is_there) {
            byte_buf_put_u8(raw, item->class);
            byte_buf_put_uvarint(raw, item->id);
            byte_buf_put_uvarint(raw, item->seq);
            byte_buf_put_uvarint(raw, item->change);
            byte_buf_put_uvarint(raw, item->time_ns);
            byte_buf_put_uvarint(raw, item->len);
            byte_buf_put(raw, b->bytes.data + item->ofs, item->len);
        }
    }
}

bool
flow_log_snapshot_write(struct flow_log *writer, uint64_t seq,
                        struct flow_log_build *b)
{
    struct byte_buf raw = BYTE_BUF_INIT;
    struct db_statement *s;
    uint8_t *data;
    size_t len;

    put_items(b, &raw);
    data = lh_alloc(ZSTD_compressBound(raw.len));
    len = ZSTD_compress(data, ZSTD_compressBound(raw.len), raw.data, raw.len,
                        ZSTD_LEVEL);
    s = flow_log_db_statement(writer, STATEMENT_PUT_SNAPSHOT);
    db_bind_int(s, 1, (int64_t) b->dpid);
    db_bind_int(s, 2, (int64_t) seq);
    db_bind_int(s, 3, (int64_t) b->n_there);
    db_bind_blob(s, 4, data, ZSTD_isError(len) ? 0 : len);
    db_step(s);
    free(data);
    byte_buf_uninit(&raw);
    return db_reset(s);
}

/* Adds the items of a snapshot; false when it is damaged. */
static bool
get_items(const uint8_t *data, size_t len, struct flow_log_build *b)
{
    unsigned long long raw_len = ZSTD_getFrameContentSize(data, len);
    struct bytes_reader reader;

    if (raw_len > MAX_RAW) {
        return false;
    }

    size_t n = ZSTD_decompress(byte_buf_extend(&b->bytes, raw_len), raw_len,
                               data, len);

    if (ZSTD_isError(n) || n != raw_len) {
        return false;
    }
    reader = bytes_reader(b->bytes.data, b->bytes.len);
    while (bytes_left(&reader)) {
        uint8_t class = bytes_get_u8(&reader);
        struct flow_log_item *item = flow_log_build_set(
            b, class, (uint32_t) byte_buf_get_uvarint(&reader));

        item->seq = byte_buf_get_uvarint(&reader);
        item->change = byte_buf_get_uvarint(&reader);
        item->time_ns = byte_buf_get_uvarint(&reader);
        item->len = byte_buf_get_uvarint(&reader);
        item->ofs = reader.ofs;
        bytes_get(&reader, item->len);
    }
    return !reader.failed;
}

int
flow_log_snapshot_read(struct flow_log *log, uint64_t seq, uint64_t *at,
                       struct flow_log_build *b, struct lh_error *error)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_SNAPSHOT);
    int retval = 0;

    *at = 0;
    db_bind_int(s, 1, (int64_t) b->dpid);
    db_bind_int(s, 2, (int64_t) seq);
    if (db_step(s)) {
        size_t len;
        const uint8_t *data = db_blob(s, 1, &len);

        *at = (uint64_t) db_int(s, 0);
        if (!get_items(data, len, b)) {
            lh_error_set(error,
                         "flow log %s: the snapshot of switch %016llx at row "
                         "%llu is damaged",
                         log->path, (unsigned long long) b->dpid,
                         (unsigned long long) *at);
            retval = EBADMSG;
        }
    }
    if (!db_reset(s) && !retval) {
        retval = db_error(log->db, "cannot read", error);
    }
    return retval;
}

static bool
make(struct flow_log *writer, uint64_t seq, struct flow_log_tally *tally)
{
    struct flow_log_build b;
    bool went_well;

    flow_log_build_init(&b, tally->dpid);
    went_well = !flow_log_build_read(writer, seq, &b, NULL) &&
                flow_log_snapshot_write(writer, seq, &b);
    if (went_well) {
        tally->n_since = 0;
        tally->snapshot_at = FLOW_LOG_SNAPSHOT_MIN;
        if (b.n_there * FLOW_LOG_SNAPSHOT_RATIO > tally->snapshot_at) {
            tally->snapshot_at = b.n_there * FLOW_LOG_SNAPSHOT_RATIO;
        }
    }
    flow_log_build_uninit(&b);
    return went_well;
}

bool
flow_log_snapshot_all(struct flow_log *writer, uint64_t seq)
{
    for (size_t i = 0; i < writer->n_tallies; i++) {
        struct flow_log_tally *tally = &writer->tallies[i];

        if (tally->n_since >= tally->snapshot_at &&
            !make(writer, seq, tally)) {
            return false;
        }
    }
    return true;
}
