/* SPDX-License-Identifier: Apache-2.0 */
/* archive_writer - opening an archive, and what a dead writer left. */
#include <config.h>

#include "lib/archive_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "lib/archive_stock.h"
#include "lib/archive_sums.h"
#include "lib/archive_writer_impl.h"
#include "lib/lh_alloc.h"

#define SEGMENT_BYTES (64ull << 20)
#define BLOCK_BYTES   ((size_t) 16 << 20)
#define MERGE_BLOCKS  64
#define SUMS_RECORDS  65536
#define MERGE_KEEP_NS (600ull * 1000000000)

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
open_last(struct archive_writer *w, const struct archive_segment *segment,
          bool *has_sequence, struct archive_recovery *recovery,
          struct lh_error *error)
{
    struct archive_stock stock;

    w->number = segment->last;
    w->path = archive_dir_segment(w->dir, segment);
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
    w->n_blocks = stock.n_blocks;
    w->n_records = stock.n_records;
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
        archive_writer_retire(w);
    }
    return retval;
}

/* Files that were merged stay for as long as after a merge. */
static void
add_covered(struct archive_writer *w, const struct archive_segment *covered,
            size_t n, uint64_t now_ns)
{
    for (size_t i = 0; i < n; i++) {
        char *path = archive_dir_segment(w->dir, &covered[i]);
        struct stat st;

        if (!stat(path, &st)) {
            archive_old_add_covered(w->old, &covered[i],
                                    (uint64_t) st.st_size +
                                        archive_sums_size(w->dir, &covered[i]),
                                    now_ns);
        }
        free(path);
    }
}

/* Takes stock of a file that nothing is written into any more.  One that
 * cannot be read is said and left as it is, as old as the system says. */
static bool
take_old(struct archive_writer *w, const struct archive_segment *segment,
         struct archive_stock *stock, struct archive_recovery *recovery)
{
    char *path = archive_dir_segment(w->dir, segment);
    int fd = open(path, O_RDONLY | O_CLOEXEC), retval;
    struct lh_error error;
    struct stat st;

    if (fd >= 0) {
        uint64_t written_ns = archive_dir_written_ns(fd);

        retval = archive_stock_take(path, fd, stock, &error);
        if (!retval && stock->max_ns > written_ns) {
            stock->max_ns = written_ns;
        }
        close(fd);
    } else {
        retval = errno;
        lh_error_set(&error, "%s: %s", path, strerror(retval));
    }
    if (retval) {
        memset(stock, 0, sizeof *stock);
        if (!stat(path, &st)) {
            stock->size = (uint64_t) st.st_size;
            stock->max_ns = (uint64_t) st.st_mtim.tv_sec * 1000000000u;
        }
        recovery->is_damaged = true;
        snprintf(recovery->damage, sizeof recovery->damage, "%s", error.text);
    }
    free(path);
    return !retval;
}

/* Takes stock of the files that are there. */
static int
open_segments(struct archive_writer *w, uint64_t now_ns,
              struct archive_recovery *recovery, struct lh_error *error)
{
    struct archive_segment *segments, *covered;
    size_t n, n_covered;
    int retval =
        archive_dir_list(w->dir, &segments, &n, &covered, &n_covered, error);
    bool has_sequence = false;

    if (retval) {
        return retval;
    }
    add_covered(w, covered, n_covered, now_ns);
    free(covered);
    /* Into what was merged nothing is written any more. */
    bool has_open = n && segments[n - 1].first == segments[n - 1].last &&
                    w->committed == UINT64_MAX;

    for (size_t i = 0; i < n - has_open && !retval; i++) {
        struct archive_stock stock;
        bool is_readable = take_old(w, &segments[i], &stock, recovery);
        struct archive_old_file file = {
            .segment = segments[i],
            .size = stock.size,
            .max_ns = stock.max_ns,
            .n_blocks = stock.n_blocks,
            .n_records = stock.n_records,
            .is_fixed = !is_readable || stock.has_damage || stock.has_newer ||
                        stock.is_torn,
            .sums_size =
                archive_sums_find(w->dir, &segments[i], &stock.sums_id),
            .has_no_sums = stock.sums_id.is_sampled,
        };

        if (!file.sums_size) {
            /* Whatever is there is of no use. */
            archive_sums_remove(w->dir, &segments[i]);
        }
        archive_old_add(w->old, &file);
        w->number = segments[i].last;
        if (stock.has_block) {
            w->next_sequence = stock.last_sequence + 1;
        }
    }
    if (!retval && has_open) {
        retval =
            open_last(w, &segments[n - 1], &has_sequence, recovery, error);
    }
    free(segments);
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
    w->limits = (struct archive_old_limits){
        .max_bytes = config->retain_bytes,
        .max_ns = config->retain_ns,
        .keep_ns =
            config->merge_keep_ns ? config->merge_keep_ns : MERGE_KEEP_NS,
    };
    w->merge_blocks =
        config->merge_blocks ? config->merge_blocks : MERGE_BLOCKS;
    w->sums_records =
        config->sums_records ? config->sums_records : SUMS_RECORDS;
    w->fd = -1;
    w->lock_fd = -1;
    w->next_sequence = 1;
    w->committed = config->is_tentative ? 0 : UINT64_MAX;
    w->old = archive_old_create();
    w->packet_id = config->packet_id;
    w->unit = config->unit;
    pthread_mutex_init(&w->mutex, NULL);
    w->merger = config->merges
                    ? archive_merger_create(config->dir, &config->packet_id)
                    : NULL;
    w->encoder = column_encoder_create(&config->packet_id, config->unit);

    retval = archive_dir_lock(config->dir, &w->lock_fd, error);
    if (!retval) {
        retval = archive_meta_agree(config->dir, &config->packet_id,
                                    config->flow_log, config->now_ns, error);
    }
    if (!retval) {
        archive_dir_clean(config->dir);
        retval = open_segments(w, config->now_ns, recovery, error);
    }
    if (retval) {
        archive_writer_abandon(w);
        return retval;
    }
    if (w->fd < 0 && w->number + 1 < config->min_number) {
        w->number = config->min_number - 1;
    }
    *wp = w;
    return 0;
}

void
archive_writer_abandon(struct archive_writer *w)
{
    if (w) {
        if (w->fd >= 0) {
            close(w->fd);
        }
        archive_merger_destroy(w->merger);
        if (w->lock_fd >= 0) {
            close(w->lock_fd);
        }
        pthread_mutex_destroy(&w->mutex);
        column_encoder_destroy(w->encoder);
        byte_buf_uninit(&w->packed);
        free(w->dir);
        free(w->path);
        archive_old_destroy(w->old);
        free(w->topology);
        free(w);
    }
}

void
archive_writer_get_place(const struct archive_writer *w_,
                         struct archive_place *place)
{
    struct archive_writer *w = (struct archive_writer *) w_;

    pthread_mutex_lock(&w->mutex);
    *place = w->fd >= 0 ? (struct archive_place){w->number, w->size}
                        : (struct archive_place){w->number + 1, 0};
    pthread_mutex_unlock(&w->mutex);
}

void
archive_writer_commit(struct archive_writer *w,
                      const struct archive_place *place)
{
    pthread_mutex_lock(&w->mutex);
    w->committed = place->number;
    pthread_mutex_unlock(&w->mutex);
}

void
archive_writer_set_retain(struct archive_writer *w, uint64_t bytes,
                          uint64_t ns)
{
    pthread_mutex_lock(&w->mutex);
    w->limits.max_bytes = bytes;
    w->limits.max_ns = ns;
    pthread_mutex_unlock(&w->mutex);
}
