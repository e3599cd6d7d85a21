/* SPDX-License-Identifier: Apache-2.0 */
/* archive_merge - several files of an archive become one. */
#include <config.h>

#include "lib/archive_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/archive_block.h"
#include "lib/archive_scan.h"
#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"
#include "lib/section_list.h"

/* Nobody waits for it. */
#define ZSTD_LEVEL 6
/* A block has at least so many histories before it is written. */
#define TARGET_RECORDS 65536u
#define MAX_RECORDS    (2 * TARGET_RECORDS)
#define MAX_HOPS       (COLUMNS_MAX_HOPS / 2)
#define MAX_SIZE       ((size_t) 24 << 20)
/* Such blocks are copied. */
#define LARGE_RECORDS 32768u
#define LARGE_STORED  (4u << 20)
/* Blocks become one if no more than this is between what was left out. */
#define RATIO_ALIKE 1.05
/* Rows between two looks at whether to go on. */
#define ROWS_AT_ONCE 1024u

struct merge {
    struct archive_merge *job;
    int out;
    uint64_t size;                  /* Written. */
    struct column_encoder *encoder; /* Owned. */
    uint64_t first, last;           /* Sequences of what it holds. */
    uint64_t next; /* Sequence of the next block if none is missing; 0: any. */
    struct byte_buf packed;   /* Scratch. */
    struct byte_buf topology; /* The last one, as stored. */
};

static bool
is_cancelled(const struct merge *m)
{
    return atomic_load_explicit(m->job->is_cancelled, memory_order_relaxed);
}

static int
write_packed(struct merge *m)
{
    size_t done = 0;

    while (done < m->packed.len) {
        ssize_t n = pwrite(m->out, m->packed.data + done, m->packed.len - done,
                           (off_t) m->size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? errno : EIO;
        }
        done += (size_t) n;
        m->size += (uint64_t) n;
    }
    return 0;
}

static void
count_block(struct merge *m, const struct archive_block *block)
{
    struct archive_old_file *merged = &m->job->merged;

    if (block->kind == ARCHIVE_COLUMNS || block->kind == ARCHIVE_HISTORIES) {
        merged->n_blocks++;
        merged->n_records += block->n_records;
    }
    if (block->kind != ARCHIVE_TOPOLOGY && block->max_ns > merged->max_ns) {
        merged->max_ns = block->max_ns;
    }
}

/* Writes what was collected as one block. */
static int
flush(struct merge *m)
{
    const struct column_totals *totals = column_encoder_totals(m->encoder);
    struct archive_block block = {.kind = ARCHIVE_COLUMNS,
                                  .n_records = totals->n_records,
                                  .n_hops = totals->n_hops,
                                  .sequence = m->last,
                                  .min_ns = totals->min_ns,
                                  .max_ns = totals->max_ns,
                                  .is_sampled =
                                      sample_tally_is_sampled(&totals->kept)};
    size_t start, table_len;

    if (!totals->n_records) {
        return 0;
    }
    byte_buf_clear(&m->packed);
    start = archive_block_begin_columns(m->first, &m->packed);
    table_len = column_encoder_finish(m->encoder, ZSTD_LEVEL, &m->packed);
    archive_block_end_columns(&block, start, table_len, &m->packed);
    column_encoder_reset(m->encoder);
    count_block(m, &block);
    return write_packed(m);
}

/* --- Reading ------------------------------------------------------------ */

static int
add_rows(struct merge *m, struct column_decoder *d, struct lh_error *error)
{
    int retval = column_decoder_need_times(d, error);
    unsigned int n_rows = 0;

    if (!retval) {
        retval = column_decoder_need_rows(d, error);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d) && !retval; i++) {
        size_t n = column_decoder_flow(d, i)->n_rows;

        for (size_t k = 0; k < n && !retval; k++) {
            struct trajectory_packet packet;
            struct trajectory *t;

            retval = column_decoder_packet(d, i, k, &t, &packet, error);
            if (!retval) {
                column_encoder_add(m->encoder, t, &packet);
            }
            if (!retval && ++n_rows % ROWS_AT_ONCE == 0 && is_cancelled(m)) {
                retval = ECANCELED;
            }
        }
    }
    return retval;
}

static int
add_plain(struct merge *m, struct column_decoder *d, struct lh_error *error)
{
    struct history_decoder *plain;
    struct history_record record;
    int retval = column_decoder_plain(d, &plain, error);

    if (retval || !plain) {
        return retval;
    }
    while (!retval &&
           !(retval = history_decoder_next(plain, &record, error))) {
        struct history *h;

        retval = history_decoder_read(plain, record.offset, &h, error);
        if (!retval) {
            retval = column_encoder_add_history(m->encoder, h);
            history_destroy(h);
        }
    }
    return retval == ENODATA ? 0 : retval;
}

/* Counts what was left out for the block, with what was collected if that is
 * much alike; else that is written first, for a block's figures scale by one
 * number. */
static int
join_kept(struct merge *m, const struct archive_block *block,
          struct column_decoder *d, struct lh_error *error)
{
    const struct column_totals *totals = column_encoder_totals(m->encoder);
    double ratio = sample_tally_ratio(&totals->kept), other;
    struct sample_tally kept;
    int retval = column_decoder_kept(d, &kept, error);

    if (!kept.n) {
        sample_tally_add(&kept, 0, block->n_records);
    }
    other = sample_tally_ratio(&kept);
    if (!retval && totals->n_records &&
        (other > ratio * RATIO_ALIKE || ratio > other * RATIO_ALIKE)) {
        retval = flush(m);
    }
    for (size_t i = 0; i < kept.n; i++) {
        column_encoder_count_kept(m->encoder, kept.of[i].left_out,
                                  kept.of[i].packets);
    }
    return retval;
}

/* Adds the block of columns whose payload is at 'payload'. */
static int
add_columns(struct merge *m, const struct archive_block *block,
            const uint8_t *payload, struct lh_error *error)
{
    const struct column_totals *totals = column_encoder_totals(m->encoder);
    uint32_t before;
    struct column_decoder *d;
    int retval;

    if (XXH64(payload, block->raw_len, 0) != block->payload_hash) {
        return EBADMSG;
    }
    retval = column_decoder_open(payload + ARCHIVE_COLUMNS_PREFIX,
                                 block->stored_len - ARCHIVE_COLUMNS_PREFIX,
                                 block->raw_len - ARCHIVE_COLUMNS_PREFIX, &d,
                                 error);
    if (retval) {
        return retval;
    }
    retval = join_kept(m, block, d, error);
    if (!totals->n_records) {
        m->first = bytes_be64(payload);
    }
    before = totals->n_records;
    m->last = block->sequence;
    if (!retval) {
        retval = add_rows(m, d, error);
    }
    if (!retval) {
        retval = add_plain(m, d, error);
    }
    column_decoder_destroy(d);
    return !retval && totals->n_records - before != block->n_records ? EBADMSG
                                                                     : retval;
}

static bool
is_large(const struct archive_block *block)
{
    return block->n_records >= LARGE_RECORDS ||
           block->stored_len >= LARGE_STORED;
}

/* Whether what was collected is written before 'block' is added. */
static bool
is_full(const struct merge *m, const struct archive_block *block)
{
    const struct column_totals *totals = column_encoder_totals(m->encoder);

    return totals->n_records >= TARGET_RECORDS ||
           totals->n_records + block->n_records > MAX_RECORDS ||
           totals->n_hops + block->n_hops > MAX_HOPS ||
           totals->size > MAX_SIZE;
}

/* Ends the block at hand where others are missing, so that between any two of
 * the sequences of a block none is.  Returns 0 or an errno. */
static int
follow(struct merge *m, const struct archive_block *block,
       const uint8_t *payload)
{
    uint64_t first =
        block->kind == ARCHIVE_COLUMNS ? bytes_be64(payload) : block->sequence;
    bool follows = !m->next || first == m->next;

    m->next = block->sequence + 1;
    return follows ? 0 : flush(m);
}

/* Adds the whole block, header and payload, at 'bytes'. */
static int
add_block(struct merge *m, const struct archive_block *block,
          const uint8_t *bytes, size_t len, struct lh_error *error)
{
    const uint8_t *payload = bytes + ARCHIVE_BLOCK_HEADER;
    int retval = follow(m, block, payload);

    if (retval) {
        return retval;
    }
    if (block->kind == ARCHIVE_COLUMNS && !is_large(block)) {
        retval = is_full(m, block) ? flush(m) : 0;
        return retval ? retval : add_columns(m, block, payload, error);
    }
    if (block->kind == ARCHIVE_TOPOLOGY) {
        bool is_same = m->topology.len == block->stored_len &&
                       !memcmp(m->topology.data, payload, block->stored_len);

        if (is_same && column_encoder_totals(m->encoder)->n_records) {
            m->last = block->sequence;
            return 0;
        }
        byte_buf_clear(&m->topology);
        byte_buf_put(&m->topology, payload, block->stored_len);
    }
    retval = flush(m);
    if (!retval) {
        byte_buf_clear(&m->packed);
        byte_buf_put(&m->packed, bytes, len);
        count_block(m, block);
        retval = write_packed(m);
    }
    return retval;
}

static int
add_item(struct merge *m, int fd, const struct archive_scan_item *item,
         struct lh_error *error)
{
    uint8_t *bytes;
    int retval;

    if (is_cancelled(m)) {
        return ECANCELED;
    }
    if (item->what != ARCHIVE_SCAN_BLOCK) {
        return item->what == ARCHIVE_SCAN_ERROR ? item->error : EBADMSG;
    }
    bytes = malloc(item->len);
    if (!bytes) {
        return ENOMEM;
    }
    retval = archive_read_at(fd, item->offset, bytes, item->len);
    if (!retval) {
        retval = add_block(m, &item->block, bytes, item->len, error);
    }
    free(bytes);
    return retval == ENODATA ? EBADMSG : retval;
}

static int
add_source(struct merge *m, const struct archive_segment *segment,
           struct lh_error *error)
{
    char *path = archive_dir_segment(m->job->dir, segment);
    int fd = open(path, O_RDONLY | O_CLOEXEC), retval = 0;
    struct archive_scan_item item;
    struct archive_scan scan;
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        retval = errno;
    } else {
        archive_scan_init(&scan, fd, 0, (uint64_t) st.st_size);
        while (!retval &&
               archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
            retval = add_item(m, fd, &item, error);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    free(path);
    return retval;
}

/* --- The file ----------------------------------------------------------- */

char *
archive_merge_path(const char *dir, const struct archive_segment *segment)
{
    return archive_dir_beside(dir, segment, ".new");
}

int
archive_merge_run(struct archive_merge *job, struct lh_error *error)
{
    struct merge m = {.job = job};
    char *path;
    int retval = 0;

    job->merged = (struct archive_old_file){
        .segment = {.first = job->sources[0].segment.first,
                    .last = job->sources[job->n_sources - 1].segment.last}};
    job->bad = job->n_sources;
    path = archive_merge_path(job->dir, &job->merged.segment);
    m.encoder = column_encoder_create(&job->packet_id, COLUMN_UNIT_AUTO);
    column_encoder_join_flows(m.encoder);
    m.out = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
    if (m.out < 0) {
        retval = errno;
    }
    for (size_t i = 0; i < job->n_sources && !retval; i++) {
        retval = add_source(&m, &job->sources[i].segment, error);
        if (retval == EBADMSG) {
            job->bad = i;
        }
    }
    retval = retval ? retval : flush(&m);
    if (!retval && fsync(m.out)) {
        retval = errno;
    }
    job->merged.size = m.size;
    if (retval) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
        unlink(path);
    }
    if (m.out >= 0) {
        close(m.out);
    }
    column_encoder_destroy(m.encoder);
    byte_buf_uninit(&m.packed);
    byte_buf_uninit(&m.topology);
    free(path);
    return retval;
}
