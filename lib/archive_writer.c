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
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"

#define SEGMENT_BYTES     (64ull << 20)
#define BLOCK_BYTES       ((size_t) 4 << 20)
#define BLOCK_MAX_RECORDS 65536u

struct archive_writer {
    /* Set when opened. */
    char *dir; /* Owned. */
    uint64_t segment_bytes;
    size_t block_bytes;
    uint64_t retain_bytes, retain_ns;
    int lock_fd;

    /* The file being written. */
    int fd;          /* -1: none; the next write opens one. */
    uint64_t number; /* Of the newest file, open or not; 0: none yet. */
    uint64_t size;   /* Where the next block goes. */
    uint64_t max_ns; /* Latest last postcard in it. */
    char *path;      /* For messages.  Owned. */

    struct archive_old *old; /* All other files.  Owned. */

    uint64_t next_sequence;
    struct history_encoder *encoder; /* What is not in a file yet. */
    struct byte_buf raw, packed;     /* Scratch. */
    char *topology;                  /* JSON, or NULL.  Owned. */
    uint64_t topology_ns;
    bool is_topology_due; /* The file does not have it yet. */

    uint64_t n_unsynced; /* Histories written and not yet durable. */
    uint64_t n_unsynced_hops;
    uint64_t unsynced_min_ns, unsynced_max_ns;
    bool needs_dir_sync;

    /* Lost and not yet told in the archive. */
    uint64_t n_untold;
    uint64_t untold_min_ns, untold_max_ns;

    struct archive_writer_counters counters;
    char trouble[600]; /* Empty while all is well. */
};

/* --- Writing ------------------------------------------------------------ */

static void
note_trouble(struct archive_writer *w, const char *what, int error)
{
    w->counters.write_errors++;
    snprintf(w->trouble, sizeof w->trouble, "%s: %s: %s",
             w->path ? w->path : w->dir, what, strerror(error));
}

static void
retire_segment(struct archive_writer *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
    if (w->number && w->path) {
        archive_old_add(w->old, w->number, w->size, w->max_ns);
    }
    free(w->path);
    w->path = NULL;
    w->size = 0;
    w->max_ns = 0;
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
                retire_segment(w);
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

static int
write_block(struct archive_writer *w, struct archive_block *block,
            const void *raw, size_t raw_len)
{
    block->sequence = w->next_sequence;
    byte_buf_clear(&w->packed);
    archive_block_pack(block, raw, raw_len, &w->packed);

    int error = write_packed(w);

    if (!error) {
        w->next_sequence++;
        w->counters.raw_bytes += raw_len;
        w->max_ns = block->max_ns > w->max_ns ? block->max_ns : w->max_ns;
    }
    return error;
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
    if (w->fd >= 0 && w->size < w->segment_bytes) {
        return 0;
    }
    if (w->fd >= 0 && w->n_unsynced && fsync(w->fd)) {
        note_trouble(w, "cannot sync", errno);
        lose(w, w->n_unsynced, w->unsynced_min_ns, w->unsynced_max_ns);
        w->n_unsynced = 0;
        w->n_unsynced_hops = 0;
    }
    retire_segment(w);
    w->path = archive_dir_segment(w->dir, w->number + 1);
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

/* Writes what the encoder holds as a block, or loses it. */
static void
seal(struct archive_writer *w)
{
    const struct history_encoder_totals *totals =
        history_encoder_totals(w->encoder);

    if (!totals->n_records) {
        return;
    }

    struct archive_block block = {.kind = ARCHIVE_HISTORIES,
                                  .n_records = totals->n_records,
                                  .n_hops = totals->n_hops,
                                  .min_ns = totals->min_ns,
                                  .max_ns = totals->max_ns};
    int error = prepare(w);

    if (!error) {
        byte_buf_clear(&w->raw);
        history_encoder_finish(w->encoder, &w->raw);
        error = write_block(w, &block, w->raw.data, w->raw.len);
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
        w->n_unsynced += block.n_records;
        w->n_unsynced_hops += block.n_hops;
        w->trouble[0] = '\0';
    }
    history_encoder_reset(w->encoder);
}

void
archive_writer_add(struct archive_writer *w, const struct history *h)
{
    const struct history_encoder_totals *totals =
        history_encoder_totals(w->encoder);

    w->counters.in++;
    if (history_encoder_add(w->encoder, h)) {
        w->counters.refused++;
    } else if (totals->size >= w->block_bytes ||
               totals->n_records >= BLOCK_MAX_RECORDS) {
        seal(w);
    }
}

void
archive_writer_set_topology(struct archive_writer *w,
                            const struct topology *topology, uint64_t now_ns)
{
    json_t *json = topology_to_json(topology);

    free(w->topology);
    w->topology = json_dumps(json, JSON_COMPACT);
    w->topology_ns = now_ns;
    json_decref(json);
    w->is_topology_due = true;
    prepare(w);
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
        retire_segment(w);
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
    seal(w);
    if (w->n_untold || w->is_topology_due) {
        /* That so little can be written does not end the trouble. */
        prepare(w);
    }
    sync_segment(w);

    int error = archive_old_retain(w->old, w->dir, w->size, w->retain_bytes,
                                   w->retain_ns, now_ns,
                                   &w->counters.segments_removed);

    if (error) {
        note_trouble(w, "cannot remove an old file", error);
    }
}

void
archive_writer_pending(const struct archive_writer *w, struct byte_buf *out)
{
    if (history_encoder_totals(w->encoder)->n_records) {
        history_encoder_finish(w->encoder, out);
    }
}

void
archive_writer_get_counters(const struct archive_writer *w,
                            struct archive_writer_counters *counters)
{
    *counters = w->counters;
    counters->held =
        w->n_unsynced + history_encoder_totals(w->encoder)->n_records;
    counters->total_bytes = w->size + archive_old_bytes(w->old);
}

const char *
archive_writer_trouble(const struct archive_writer *w)
{
    return w->trouble[0] ? w->trouble : NULL;
}

/* --- Opening ------------------------------------------------------------ */

/* Cuts what a dead writer left half written at the end of the open file. */
static int
cut_tail(struct archive_writer *w, const struct archive_stock *stock,
         struct archive_recovery *recovery, struct lh_error *error)
{
    if (ftruncate(w->fd, (off_t) stock->torn_offset) || fsync(w->fd)) {
        int retval = errno;

        lh_error_set(error, "%s: cannot cut its torn end: %s", w->path,
                     strerror(retval));
        return retval;
    }
    w->size = stock->torn_offset;
    recovery->was_torn = true;
    snprintf(recovery->file, sizeof recovery->file, "%s", w->path);
    recovery->offset = stock->torn_offset;
    recovery->n_cut = stock->size - stock->torn_offset;
    return 0;
}

/* Opens the newest file for more blocks and finds the last sequence. */
static int
open_last(struct archive_writer *w, uint64_t number, bool *has_sequence,
          struct archive_recovery *recovery, struct lh_error *error)
{
    struct archive_stock stock;

    w->number = number;
    w->path = archive_dir_segment(w->dir, number);
    w->fd = open(w->path, O_RDWR | O_CLOEXEC);
    if (w->fd < 0) {
        int retval = errno;

        lh_error_set(error, "%s: %s", w->path, strerror(retval));
        return retval;
    }

    int retval = archive_stock_take(w->path, w->fd, &stock, error);

    if (retval) {
        return retval;
    }
    w->size = stock.size;
    w->max_ns = stock.max_ns;
    *has_sequence = stock.has_block;
    if (stock.has_block) {
        w->next_sequence = stock.last_sequence + 1;
    }
    if (stock.is_torn) {
        retval = cut_tail(w, &stock, recovery, error);
    }
    if (stock.has_damage) {
        recovery->is_damaged = true;
        snprintf(recovery->damage, sizeof recovery->damage,
                 "%s: %" PRIu64 " bytes at byte %" PRIu64 " are no block",
                 w->path, stock.damage_len, stock.damage_offset);
    }
    if (!retval && (stock.has_damage || stock.has_newer)) {
        retire_segment(w);
    }
    return retval;
}

/* Takes stock of the files that are there. */
static int
open_segments(struct archive_writer *w, struct archive_recovery *recovery,
              struct lh_error *error)
{
    uint64_t *numbers;
    size_t n;
    int retval = archive_dir_list(w->dir, &numbers, &n, error);
    bool has_sequence = false;

    if (retval) {
        return retval;
    }
    for (size_t i = 0; i + 1 < n && !retval; i++) {
        char *path = archive_dir_segment(w->dir, numbers[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct archive_stock stock = {0};

        if (fd < 0) {
            retval = errno;
            lh_error_set(error, "%s: %s", path, strerror(retval));
        } else {
            retval = archive_stock_take(path, fd, &stock, error);
            close(fd);
        }
        free(path);
        archive_old_add(w->old, numbers[i], stock.size, stock.max_ns);
        if (stock.has_block) {
            w->next_sequence = stock.last_sequence + 1;
        }
    }
    if (!retval && n) {
        retval = open_last(w, numbers[n - 1], &has_sequence, recovery, error);
    }
    free(numbers);
    return retval;
}

int
archive_writer_open(const struct archive_writer_config *config,
                    struct archive_writer **wp,
                    struct archive_recovery *recovery, struct lh_error *error)
{
    struct archive_recovery unused;
    int retval = archive_dir_create(config->dir, error);

    *wp = NULL;
    recovery = recovery ? recovery : &unused;
    memset(recovery, 0, sizeof *recovery);
    if (retval) {
        return retval;
    }

    struct archive_writer *w = lh_alloc_zero(sizeof *w);

    w->dir = lh_strdup(config->dir);
    w->segment_bytes =
        config->segment_bytes ? config->segment_bytes : SEGMENT_BYTES;
    w->block_bytes = config->block_bytes ? config->block_bytes : BLOCK_BYTES;
    w->retain_bytes = config->retain_bytes;
    w->retain_ns = config->retain_ns;
    w->fd = -1;
    w->lock_fd = -1;
    w->next_sequence = 1;
    w->old = archive_old_create();
    w->encoder = history_encoder_create();

    retval = archive_dir_lock(config->dir, &w->lock_fd, error);
    if (!retval) {
        retval = archive_meta_agree(config->dir, &config->packet_id,
                                    config->flow_log, config->now_ns, error);
    }
    if (!retval) {
        retval = open_segments(w, recovery, error);
    }
    if (retval) {
        archive_writer_close(w);
        return retval;
    }
    *wp = w;
    return 0;
}

void
archive_writer_close(struct archive_writer *w)
{
    if (!w) {
        return;
    }
    seal(w);
    if (w->n_untold) {
        prepare(w);
    }
    sync_segment(w);
    if (w->fd >= 0) {
        close(w->fd);
    }
    if (w->lock_fd >= 0) {
        close(w->lock_fd);
    }
    history_encoder_destroy(w->encoder);
    byte_buf_uninit(&w->raw);
    byte_buf_uninit(&w->packed);
    free(w->dir);
    free(w->path);
    archive_old_destroy(w->old);
    free(w->topology);
    free(w);
}
