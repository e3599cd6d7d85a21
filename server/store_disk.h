/* SPDX-License-Identifier: Apache-2.0 */
/* store_disk - the archive of a stage-2 shard, DIR/shard-<mm>/: rounds that
 * count only when they are committed.
 *
 *     store_disk_open(disk, &note, note_epoch, epoch)
 *                                  what does not count is cut off
 *     store_disk_add() ..
 *     store_disk_begin(disk)       all that was added is made durable
 *     on_end(aux, 0):              now the caller commits, and then calls
 *     store_disk_commit(disk)
 *     on_end(aux, errno) or fenced: store_disk_close(), and open again
 *
 * Threads: one; a thread of its own waits for the disk between
 * store_disk_begin() and 'on_end'. */
#ifndef SERVER_STORE_DISK_H
#define SERVER_STORE_DISK_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/archive_writer.h"
#include "lib/history_batch.h"
#include "lib/lh_error.h"
#include "server/store_note.h"

struct event_base;
struct store_disk;

struct store_disk_config {
    struct event_base *base;
    const char *dir; /* DIR. */
    uint32_t shard;  /* And copy: archive_shards_number(). */
    struct packet_id_config packet_id;
    enum column_unit unit;
    const char *flow_log;
    struct column_shapes **shapes; /* archive_part_share_shapes(); or NULL. */
    void (*on_end)(void *aux, int error_number, const struct lh_error *);
    void *aux;
};

/* ENOMEM: there can be no thread. */
int store_disk_create(const struct store_disk_config *, struct store_disk **,
                      struct lh_error *);
/* Waits for a round under way; 'on_end' is not called. */
void store_disk_destroy(struct store_disk *);

/* Opens the archive for 'epoch', whose record has 'note'; cuts off what does
 * not count.  Returns 0, or an errno with the reason: it is closed. */
int store_disk_open(struct store_disk *, const struct store_note *note,
                    uint64_t note_epoch, uint64_t epoch, struct lh_error *);
/* Forgets what was added.  Waits for a round under way; if the last one was
 * committed the shard is settled: nobody needs its record to read it. */
void store_disk_close(struct store_disk *);

void store_disk_set_topology(struct store_disk *, const struct topology *,
                             uint64_t now_ns);
/* Returns 0, or EBADMSG with the reason: it is a row that is no
 * trajectory's. */
int store_disk_add(struct store_disk *, const struct history_batch_item *,
                   struct lh_error *);
/* Histories added and in no round yet. */
uint64_t store_disk_n_added(const struct store_disk *);

/* Begins round 'round', the last one having been committed. */
void store_disk_begin(struct store_disk *, uint64_t round);
void store_disk_commit(struct store_disk *);

/* What is there of all shards in DIR at most; 0: no limit.  Before it is
 * opened. */
void store_disk_set_retain(struct store_disk *, uint64_t bytes, uint64_t ns);
/* Without waiting: false while a round is under way, or when closed. */
bool store_disk_peek(const struct store_disk *,
                     struct archive_writer_counters *);
/* Bytes cut off so far. */
uint64_t store_disk_n_cut(const struct store_disk *);

/* DIR/shard-<mm>, for free(). */
char *store_disk_path(const char *dir, uint32_t shard);
/* Cuts off what does not count of a shard that nobody writes here; '*n_cut' is
 * set.  Returns as archive_commit_load() and archive_cut(); ENOENT: there is
 * nothing to be done. */
int store_disk_settle(const char *path, const struct store_note *note,
                      uint64_t note_epoch, uint64_t *n_cut, struct lh_error *);

#endif /* server/store_disk.h */
