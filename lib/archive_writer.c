/* SPDX-License-Identifier: Apache-2.0 */
/* archive_writer - appends histories to an archive, round by round. */
#include <config.h>

#include "lib/archive_writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_block.h"
#include "lib/archive_dir.h"
#include "lib/archive_old.h"
#include "lib/archive_stock.h"
#include "lib/lh_alloc.h"
#include "lib/archive_writer_impl.h"

#define BLOCK_MAX_RECORDS 65536u

/* --- Writing ------------------------------------------------------------ */

static void
note_trouble(struct archive_writer *w, const char *what, int error)
{
    w->counters.write_errors++;
    if (error == ENOSPC || error == EDQUOT) {
        /* A merge takes space, and what was merged still does. */
        w->must_shrink = true;
        if (w->merger) {
            archive_merger_cancel(w->merger);
        }
    }
    snprintf(w->trouble, sizeof w->trouble, "%s: %s: %s",
             w->path ? w->path : w->dir, what, strerror(error));
}

void
archive_writer_retire(struct archive_writer *w)
{
    uint64_t written_ns = archive_dir_written_ns(w->fd);

    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
    if (w->number && w->path) {
        struct archive_old_file file = {
            .segment = {.first = w->number, .last = w->number},
            .size = w->size,
            .max_ns = w->max_ns < written_ns ? w->max_ns : written_ns,
            .n_blocks = w->n_blocks,
            .n_records = w->n_records,
        };

        archive_old_add(w->old, &file);
    }
    free(w->path);
    w->path = NULL;
    w->size = 0;
    w->max_ns = 0;
    w->n_blocks = 0;
    w->n_records = 0;
}

/* 'n' histories between the two times will never be durable. */
static void
lose(struct archive_writer *w, uint64_t n, uint64_t min_ns, uint64_t max_ns)
{
    if (!n) {
        return;
    }
    w->counters.lost += n;
    if (!w->n_untold || min_ns < w->untold_min_ns) {
        w->untold_min_ns = min_ns;
    }
    if (max_ns > w->untold_max_ns) {
        w->untold_max_ns = max_ns;
    }
    w->n_untold += n;
}

/* Writes all of 'packed' at the end of the file, or leaves the file as it
 * was. */
static int
write_packed(struct archive_writer *w)
{
    const uint8_t *p = w->packed.data;
    size_t left = w->packed.len;
    uint64_t at = w->size;

    while (left) {
        ssize_t n = pwrite(w->fd, p, left, (off_t) at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int error = n < 0 ? errno : EIO;

            note_trouble(w, "cannot write", error);
            if (ftruncate(w->fd, (off_t) w->size)) {
                /* What stays is a torn block: the next goes elsewhere. */
                w->size = at;
                archive_writer_retire(w);
            }
            return error;
        }
        p += n;
        at += (uint64_t) n;
        left -= (size_t) n;
    }
    w->size = at;
    w->counters.blocks++;
    w->counters.bytes += w->packed.len;
    return 0;
}

/* Writes the block that stands in 'packed', made of 'raw_len' bytes. */
static int
write_made(struct archive_writer *w, const struct archive_block *block,
           size_t raw_len)
{
    int error = write_packed(w);

    if (!error) {
        w->next_sequence++;
        w->counters.raw_bytes += raw_len;
        w->max_ns = block->max_ns > w->max_ns ? block->max_ns : w->max_ns;
    }
    return error;
}

static int
write_block(struct archive_writer *w, struct archive_block *block,
            const void *raw, size_t raw_len)
{
    block->sequence = w->next_sequence;
    byte_buf_clear(&w->packed);
    archive_block_pack(block, raw, raw_len, &w->packed);
    return write_made(w, block, raw_len);
}

/* Writes what was finished elsewhere or, where that is NULL, what the encoder
 * holds. */
static int
write_columns(struct archive_writer *w, struct archive_block *block,
              const struct archive_columns *made, size_t raw_len)
{
    block->sequence = w->next_sequence;
    byte_buf_clear(&w->packed);

    size_t start = archive_block_begin_columns(block->sequence, &w->packed);
    size_t table_len;

    if (made) {
        byte_buf_put(&w->packed, made->payload.data, made->payload.len);
        table_len = made->table_len;
    } else {
        table_len =
            column_encoder_finish(w->encoder, ARCHIVE_ZSTD_LEVEL, &w->packed);
    }
    archive_block_end_columns(block, start, table_len, &w->packed);
    return write_made(w, block, raw_len);
}

/* Stores the topology where it is due. */
static int
write_topology(struct archive_writer *w)
{
    if (!w->is_topology_due || !w->topology) {
        return 0;
    }

    struct archive_block block = {.kind = ARCHIVE_TOPOLOGY,
                                  .n_records = 1,
                                  .min_ns = w->topology_ns,
                                  .max_ns = w->topology_ns};
    uint64_t max_ns = w->max_ns;
    int error = write_block(w, &block, w->topology, strlen(w->topology));

    /* Names do not keep old histories from being removed. */
    w->max_ns = max_ns;
    w->is_topology_due = error != 0;
    return error;
}

/* Makes sure that a file is open which has room. */
static int
need_segment(struct archive_writer *w)
{
    if (w->fd >= 0 && w->size < w->segment_bytes &&
        !archive_writer_has_small(w)) {
        return 0;
    }
    if (w->fd >= 0 && w->n_unsynced && fsync(w->fd)) {
        note_trouble(w, "cannot sync", errno);
        lose(w, w->n_unsynced, w->unsynced_min_ns, w->unsynced_max_ns);
        w->n_unsynced = 0;
        w->n_unsynced_hops = 0;
    }
    archive_writer_retire(w);
    struct archive_segment segment = {.first = w->number + 1,
                                      .last = w->number + 1};

    w->path = archive_dir_segment(w->dir, &segment);
    w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0660);
    if (w->fd < 0) {
        int error = errno;

        note_trouble(w, "cannot create", error);
        free(w->path);
        w->path = NULL;
        if (error == EEXIST) {
            w->number++;
        }
        return error;
    }
    w->number++;
    w->needs_dir_sync = true;
    w->is_topology_due = true;
    return 0;
}

/* Tells in the archive what was lost before. */
static int
write_loss(struct archive_writer *w)
{
    if (!w->n_untold) {
        return 0;
    }

    struct archive_block block = {.kind = ARCHIVE_LOSS,
                                  .n_records = 1,
                                  .min_ns = w->untold_min_ns,
                                  .max_ns = w->untold_max_ns};
    json_t *json = json_pack("{s:I, s:I, s:I, s:s}", "histories",
                             (json_int_t) w->n_untold, "min_ns",
                             (json_int_t) w->untold_min_ns, "max_ns",
                             (json_int_t) w->untold_max_ns, "reason",
                             w->trouble[0] ? w->trouble : "unknown");
    char *text = json_dumps(json, JSON_COMPACT);
    int error = write_block(w, &block, text, strlen(text));

    if (!error) {
        w->n_untold = 0;
        w->untold_min_ns = 0;
        w->untold_max_ns = 0;
    }
    free(text);
    json_decref(json);
    return error;
}

/* Makes ready for a block of histories: a file with room, the topology, and
 * what was lost before. */
static int
prepare(struct archive_writer *w)
{
    int error = need_segment(w);

    if (!error) {
        error = write_topology(w);
    }
    if (!error) {
        error = write_loss(w);
    }
    return error;
}

/* Writes a block of what 'totals' counts, or loses it. */
static void
append(struct archive_writer *w, const struct column_totals *totals,
       const struct archive_columns *made)
{
    struct archive_block block = {.kind = ARCHIVE_COLUMNS,
                                  .n_records = totals->n_records,
                                  .n_hops = totals->n_hops,
                                  .min_ns = totals->min_ns,
                                  .max_ns = totals->max_ns,
                                  .is_sampled =
                                      sample_tally_is_sampled(&totals->kept)};
    int error = prepare(w);

    if (!error) {
        error = write_columns(w, &block, made, totals->size);
    }
    if (error) {
        lose(w, block.n_records, block.min_ns, block.max_ns);
    } else {
        if (!w->n_unsynced || block.min_ns < w->unsynced_min_ns) {
            w->unsynced_min_ns = block.min_ns;
        }
        if (!w->n_unsynced || block.max_ns > w->unsynced_max_ns) {
            w->unsynced_max_ns = block.max_ns;
        }
        w->n_blocks++;
        w->n_records += block.n_records;
        w->n_unsynced += block.n_records;
        w->n_unsynced_hops += block.n_hops;
        w->trouble[0] = '\0';
    }
}

void
archive_writer_append(struct archive_writer *w,
                      const struct column_totals *totals,
                      const struct archive_columns *made)
{
    pthread_mutex_lock(&w->mutex);
    append(w, totals, made);
    pthread_mutex_unlock(&w->mutex);
}

/* Writes what the encoder holds as a block, or loses it. */
static void
seal(struct archive_writer *w)
{
    const struct column_totals *totals = column_encoder_totals(w->encoder);

    if (totals->n_records) {
        append(w, totals, NULL);
        column_encoder_reset(w->encoder);
    }
}

bool
archive_writer_is_full(const struct archive_writer *w,
                       const struct column_encoder *encoder)
{
    const struct column_totals *totals = column_encoder_totals(encoder);

    return totals->size >= w->block_bytes ||
           totals->n_records >= BLOCK_MAX_RECORDS ||
           column_encoder_is_full(encoder);
}

static void
seal_if_full(struct archive_writer *w)
{
    if (archive_writer_is_full(w, w->encoder)) {
        pthread_mutex_lock(&w->mutex);
        seal(w);
        pthread_mutex_unlock(&w->mutex);
    }
}

void
archive_writer_add(struct archive_writer *w, const struct history *h)
{
    w->counters.in++;
    if (column_encoder_add_history(w->encoder, h)) {
        w->counters.refused++;
    } else {
        column_encoder_count_kept(w->encoder, h->left_out, 1);
        seal_if_full(w);
    }
}

void
archive_writer_add_packet(struct archive_writer *w, struct trajectory *t,
                          const struct trajectory_packet *packet)
{
    w->counters.in++;
    column_encoder_count_kept(w->encoder, packet->left_out, 1);
    column_encoder_add(w->encoder, t, packet);
    seal_if_full(w);
}

void
archive_writer_set_topology(struct archive_writer *w,
                            const struct topology *topology, uint64_t now_ns)
{
    json_t *json = topology_to_json(topology);

    pthread_mutex_lock(&w->mutex);
    free(w->topology);
    w->topology = json_dumps(json, JSON_COMPACT);
    w->topology_ns = now_ns;
    json_decref(json);
    w->is_topology_due = true;
    prepare(w);
    pthread_mutex_unlock(&w->mutex);
}

static void
sync_segment(struct archive_writer *w)
{
    if (w->fd < 0) {
        return;
    }
    if (fsync(w->fd)) {
        /* What the kernel could not write is gone, whatever a later fsync
         * says: go on in another file. */
        note_trouble(w, "cannot sync", errno);
        lose(w, w->n_unsynced, w->unsynced_min_ns, w->unsynced_max_ns);
        archive_writer_retire(w);
    } else if (w->needs_dir_sync && archive_dir_sync(w->dir)) {
        note_trouble(w, "cannot sync the directory", errno);
        return;
    } else {
        w->needs_dir_sync = false;
        w->counters.durable += w->n_unsynced;
        w->counters.hops += w->n_unsynced_hops;
    }
    w->n_unsynced = 0;
    w->n_unsynced_hops = 0;
}

void
archive_writer_round(struct archive_writer *w, uint64_t now_ns)
{
    pthread_mutex_lock(&w->mutex);
    seal(w);
    if (w->n_untold || w->is_topology_due) {
        /* That so little can be written does not end the trouble. */
        prepare(w);
    }
    sync_segment(w);

    int error =
        archive_old_retain(w->old, w->dir, w->size, &w->limits, w->must_shrink,
                           now_ns, &w->counters.segments_removed);

    if (error) {
        note_trouble(w, "cannot remove an old file", error);
    }
    archive_writer_merge(w, now_ns);
    pthread_mutex_unlock(&w->mutex);
}

void
archive_writer_encode(struct column_encoder *encoder,
                      struct archive_pending *p)
{
    const struct column_totals *totals = column_encoder_totals(encoder);
    struct byte_buf out = BYTE_BUF_INIT;

    memset(p, 0, sizeof *p);
    if (totals->n_records) {
        p->table_len = column_encoder_finish(encoder, 0, &out);
        p->payload = byte_buf_take(&out, &p->len);
        p->min_ns = totals->min_ns;
        p->max_ns = totals->max_ns;
        p->is_sampled = sample_tally_is_sampled(&totals->kept);
    }
}

void
archive_writer_pending(struct archive_writer *w, struct archive_pending *p)
{
    archive_writer_encode(w->encoder, p);
}

static void
get_counters(const struct archive_writer *w,
             struct archive_writer_counters *counters)
{
    *counters = w->counters;
    counters->held =
        w->n_unsynced + column_encoder_totals(w->encoder)->n_records;
    counters->total_bytes = w->size + archive_old_bytes(w->old);
}

void
archive_writer_get_counters(const struct archive_writer *w_,
                            struct archive_writer_counters *counters)
{
    struct archive_writer *w = (struct archive_writer *) w_;

    pthread_mutex_lock(&w->mutex);
    get_counters(w, counters);
    pthread_mutex_unlock(&w->mutex);
}

bool
archive_writer_peek(const struct archive_writer *w_,
                    struct archive_writer_counters *counters)
{
    struct archive_writer *w = (struct archive_writer *) w_;

    if (pthread_mutex_trylock(&w->mutex)) {
        return false;
    }
    get_counters(w, counters);
    pthread_mutex_unlock(&w->mutex);
    return true;
}

bool
archive_writer_trouble(const struct archive_writer *w_, struct lh_error *error)
{
    struct archive_writer *w = (struct archive_writer *) w_;
    bool has_trouble;

    pthread_mutex_lock(&w->mutex);
    has_trouble = w->trouble[0] != '\0';
    if (has_trouble) {
        lh_error_set(error, "%s", w->trouble);
    }
    pthread_mutex_unlock(&w->mutex);
    return has_trouble;
}

void
archive_writer_close(struct archive_writer *w)
{
    if (w) {
        seal(w);
        if (w->n_untold) {
            prepare(w);
        }
        sync_segment(w);
        archive_writer_abandon(w);
    }
}
