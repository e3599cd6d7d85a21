/* SPDX-License-Identifier: Apache-2.0 */
/* archive_sums - adds up the blocks of a file, for its sums or to check
 * these. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_fetch.h"
#include "lib/archive_scan.h"
#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"
#include "lib/shape_memo.h"

/* Shapes are forgotten past so many bytes. */
#define MAX_SHAPES_SIZE ((size_t) 64 << 20)

/* A shape, by its number of the memo. */
struct shape {
    uint32_t way;
    uint64_t more; /* Bytes before the IP header, into the first hop. */
    uint16_t proto;
};

struct maker {
    const char *dir;
    struct archive_segment segment;
    const atomic_bool *is_cancelled;
    struct flow_sums *sums;
    struct archive_sums_id id;
    struct shape_memo *memo; /* Owned. */
    size_t n, allocated;
    struct shape *shapes; /* Owned. */
};

static void
note_shape(void *m_, const struct history *h,
           const struct trajectory_skim *skim)
{
    struct maker *m = m_;
    struct shape *shape;

    m->shapes =
        lh_alloc_grow(m->shapes, m->n, &m->allocated, sizeof *m->shapes);
    shape = &m->shapes[m->n++];
    shape->way = way_table_shape(flow_sums_ways(m->sums), h,
                                 trajectory_skim_keys(skim), &shape->more);
    shape->proto = packet_who_proto(trajectory_skim_kind(skim));
}

static int
add_flows(struct maker *m, struct column_decoder *d, struct lh_error *error)
{
    int retval;

    if (shape_memo_size(m->memo) > MAX_SHAPES_SIZE) {
        shape_memo_forget(m->memo);
        m->n = 0;
    }
    retval = column_decoder_need_new_shapes(d, m->memo, note_shape, m, error);
    if (!retval) {
        retval = column_decoder_need_flow_bytes(d, error);
    }
    if (!retval) {
        retval = column_decoder_need_keys(d, error);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d) && !retval; i++) {
        const struct column_flow *flow = column_decoder_flow(d, i);
        const struct shape *shape =
            &m->shapes[column_decoder_shape_number(d, flow->shape)];
        struct column_key key = column_decoder_key(d, i);
        struct packet_who who = {.proto = shape->proto,
                                 .n_addr = key.n_addr,
                                 .n_ports = key.n_ports,
                                 .src = key.src,
                                 .dst = key.dst,
                                 .ports = key.ports};

        flow_sums_add(m->sums, shape->way, &who, flow->n_rows,
                      column_decoder_flow_bytes(d, i) +
                          flow->n_rows * shape->more);
    }
    return retval;
}

/* Adds those that are no trajectory's. */
static int
add_others(struct maker *m, struct history_decoder *d, struct lh_error *error)
{
    struct history_view *view = history_view_create();
    struct history_record record;
    int retval = d ? history_decoder_next(d, &record, error) : ENODATA;

    while (!retval) {
        struct history *h;

        retval = history_decoder_view(d, record.offset, view, &h, error);
        if (!retval) {
            flow_sums_add_history(m->sums, h);
            retval = history_decoder_next(d, &record, error);
        }
    }
    history_view_destroy(view);
    return retval == ENODATA ? 0 : retval;
}

static int
add_columns(struct maker *m, const struct archive_entry *entry,
            struct lh_error *error)
{
    struct column_decoder *d;
    struct history_decoder *others;
    int retval = archive_fetch_columns(m->dir, entry, &d, error);

    if (retval) {
        return retval;
    }
    retval = add_flows(m, d, error);
    if (!retval) {
        retval = column_decoder_plain(d, &others, error);
    }
    if (!retval) {
        retval = add_others(m, others, error);
    }
    column_decoder_destroy(d);
    return retval;
}

static int
add_histories(struct maker *m, const struct archive_entry *entry,
              struct lh_error *error)
{
    struct history_decoder *d = NULL;
    uint8_t *payload;
    int retval = archive_fetch_load(m->dir, entry, &payload, error);

    if (retval) {
        return retval;
    }
    retval = history_decoder_create(payload, entry->block.raw_len, &d, error);
    if (!retval) {
        retval = add_others(m, d, error);
    }
    history_decoder_destroy(d);
    free(payload);
    return retval;
}

static int
add_item(struct maker *m, const struct archive_scan_item *item,
         struct lh_error *error)
{
    struct archive_entry entry = {m->segment, item->offset, item->block};
    int retval = 0;

    if (m->is_cancelled && atomic_load(m->is_cancelled)) {
        return ECANCELED;
    }
    if (item->what != ARCHIVE_SCAN_BLOCK) {
        return item->what == ARCHIVE_SCAN_ERROR ? item->error : EBADMSG;
    }
    archive_sums_id_add(&m->id, item->offset, &item->block);
    if (m->id.is_sampled) {
        return ENOTSUP;
    }
    if (item->block.kind == ARCHIVE_COLUMNS) {
        retval = add_columns(m, &entry, error);
    } else if (item->block.kind == ARCHIVE_HISTORIES) {
        retval = add_histories(m, &entry, error);
    }
    if (!retval && flow_sums_is_over(m->sums)) {
        retval = EFBIG;
    }
    return retval == ENODATA ? EBADMSG : retval;
}

int
archive_sums_make(const char *dir, const struct archive_segment *segment,
                  const atomic_bool *is_cancelled, struct flow_sums **sums,
                  struct archive_sums_id *id, struct lh_error *error)
{
    struct maker m = {.dir = dir,
                      .segment = *segment,
                      .is_cancelled = is_cancelled,
                      .sums = flow_sums_create(),
                      .memo = shape_memo_create()};
    char *path = archive_dir_segment(dir, segment);
    int fd = open(path, O_RDONLY | O_CLOEXEC), retval = 0;
    struct lh_error why = {.pos = -1};
    struct archive_scan_item item;
    struct archive_scan scan;
    struct stat st;

    if (fd < 0 || fstat(fd, &st)) {
        retval = errno;
    } else {
        archive_scan_init(&scan, fd, 0, (uint64_t) st.st_size);
        while (!retval &&
               archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) {
            retval = add_item(&m, &item, &why);
        }
    }
    if (retval) {
        lh_error_set(error, "%s: %s", path,
                     why.text[0] ? why.text : strerror(retval));
        flow_sums_destroy(m.sums);
        m.sums = NULL;
    }
    if (fd >= 0) {
        close(fd);
    }
    shape_memo_destroy(m.memo);
    free(m.shapes);
    free(path);
    *sums = m.sums;
    *id = m.id;
    return retval;
}

int
archive_sums_check(const char *dir, const struct archive_segment *segment,
                   const struct archive_sums_id *id, struct lh_error *error)
{
    struct flow_sums_view stored, made = {.n = 0};
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct flow_sums *sums = NULL;
    struct archive_sums_id found;
    size_t table_len;
    bool is_whole;
    int retval =
        archive_sums_read(dir, segment, id, FLOW_SUMS_FLOWS, &stored, error);

    if (retval) {
        return retval;
    }
    retval = archive_sums_make(dir, segment, NULL, &sums, &found, error);
    if (!retval) {
        table_len = flow_sums_put(sums, 0, &bytes, &is_whole);
        if (!is_whole ||
            flow_sums_read(bytes.data, bytes.len, table_len, FLOW_SUMS_FLOWS,
                           &made, error) ||
            !flow_sums_view_equal(&stored, &made)) {
            lh_error_set(error, "it says other than the packets");
            retval = EBADMSG;
        }
    }
    flow_sums_view_uninit(&stored);
    flow_sums_view_uninit(&made);
    flow_sums_destroy(sums);
    byte_buf_uninit(&bytes);
    return retval;
}
