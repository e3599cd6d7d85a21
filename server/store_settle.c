/* SPDX-License-Identifier: Apache-2.0 */
/* store_settle - implementation. */
#include <config.h>
#include "server/store_settle.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/archive_commit.h"
#include "lib/archive_shards.h"
#include "lib/bus_kv.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/shard_commit.h"
#include "server/store_disk.h"
#include "server/store_note.h"

#define PERIOD_MS  2000
#define TIMEOUT_MS 1000

struct store_settle {
    struct store_settle_config config;
    char *bucket, *dir;   /* Owned. */
    struct event *timer;  /* Owned. */
    uint32_t shard;       /* Looked at. */
    uint32_t n_unsettled; /* So far. */
    uint64_t *settled;    /* By slot: the last epoch here that was settled.
                           * Owned. */
    struct store_settle_counters counters;
};

static void look_on(struct store_settle *);

/* Of a shard, or of a copy of one. */
static char *
path_of(const struct store_settle *s, uint32_t slot)
{
    return store_disk_path(s->dir,
                           archive_shards_number(slot % s->config.n_shards,
                                                 slot / s->config.n_shards));
}

/* What the record says of the shard looked at. */
static void
judge(struct store_settle *s, const struct shard_commit_record *record)
{
    char *path = path_of(s, s->shard);
    struct archive_commit commit;
    struct store_note note;
    struct lh_error error;
    uint64_t n_cut;
    int retval = archive_commit_load(path, &commit, &error);

    if (!retval) {
        retval = store_note_read(&note, record->note, record->n_note, &error);
    }
    if (!retval) {
        if (!s->config.is_owned(s->config.aux, s->shard) &&
            (record->epoch > commit.epoch || note.cluster != commit.cluster)) {
            retval = store_disk_settle(path, &note, record->note_epoch, &n_cut,
                                       &error);
            if (!retval) {
                s->settled[s->shard] = commit.epoch;
                s->n_unsettled--;
                s->counters.settled++;
                s->counters.cut_bytes += n_cut;
            }
        }
        store_note_uninit(&note);
    }
    if (retval && retval != EBUSY && retval != ENOENT) {
        say_warn("archive: what of %s was committed is not known: %s", path,
                 error.text);
    }
    free(path);
}

static void
on_get(void *s_, int error_number, const char *why,
       const struct bus_kv_entry *entry)
{
    struct store_settle *s = s_;
    struct shard_commit_record record;

    if (!error_number && shard_commit_read(entry, &record)) {
        judge(s, &record);
    }
    s->shard++;
    look_on(s);
}

/* What an epoch wrote last may be there without a word in the file `commit`:
 * blocks come first, and the disk may be full then. */
static bool
is_unsettled(struct store_settle *s, uint32_t shard)
{
    char *path = path_of(s, shard);
    struct archive_commit commit;
    bool is = !s->config.is_owned(s->config.aux, shard) &&
              !archive_commit_load(path, &commit, NULL) &&
              commit.epoch != s->settled[shard];

    free(path);
    return is;
}

/* Looks at this shard or the next ones, one at a time. */
static void
look_on(struct store_settle *s)
{
    uint32_t ms = s->config.period_ms ? s->config.period_ms : PERIOD_MS;
    const struct timeval wait = {.tv_sec = ms / 1000,
                                 .tv_usec = ms % 1000 * 1000};
    char key[SHARD_COMMIT_KEY_SIZE];

    for (; s->shard < s->config.n_shards * s->config.n_copies; s->shard++) {
        if (is_unsettled(s, s->shard)) {
            s->n_unsettled++;
            shard_commit_key(s->shard, key);
            if (!bus_kv_get(s->config.bus, s->bucket, key, TIMEOUT_MS, on_get,
                            s, NULL)) {
                return;
            }
        }
    }
    s->counters.unsettled = s->n_unsettled;
    evtimer_add(s->timer, &wait);
}

static void
on_timer(int fd, short events, void *s_)
{
    struct store_settle *s = s_;

    s->shard = 0;
    s->n_unsettled = 0;
    look_on(s);
}

struct store_settle *
store_settle_create(const struct store_settle_config *config)
{
    struct store_settle *s = lh_alloc_zero(sizeof *s);

    s->config = *config;
    s->config.n_copies = config->n_copies ? config->n_copies : 1;
    s->settled = lh_alloc_zero((size_t) s->config.n_shards *
                               s->config.n_copies * sizeof *s->settled);
    s->bucket = lh_strdup(config->bucket);
    s->dir = lh_strdup(config->dir);
    s->timer = evtimer_new(bus_get_base(config->bus), on_timer, s);
    if (!s->timer) {
        abort();
    }
    on_timer(-1, 0, s);
    return s;
}

void
store_settle_destroy(struct store_settle *s)
{
    if (s) {
        bus_forget(s->config.bus, s);
        event_free(s->timer);
        free(s->settled);
        free(s->bucket);
        free(s->dir);
        free(s);
    }
}

void
store_settle_get_counters(const struct store_settle *s,
                          struct store_settle_counters *counters)
{
    *counters = s->counters;
}
