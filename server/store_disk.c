/* SPDX-License-Identifier: Apache-2.0 */
/* store_disk - implementation. */
#include <config.h>
#include "server/store_disk.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_commit.h"
#include "lib/archive_dir.h"
#include "lib/archive_part.h"
#include "lib/archive_shards.h"
#include "lib/crew.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"

#define DIVIDE_NS UINT64_C(5000000000)

struct store_disk {
    struct store_disk_config config;
    char *dir, *path, *flow_log; /* Owned. */
    struct crew *crew;           /* Owned. */
    struct event *event;         /* Of the crew.  Owned. */

    struct archive_writer *writer;    /* Owned; NULL: closed. */
    struct archive_part *part;        /* Owned. */
    uint64_t retain_bytes, retain_ns; /* Of all shards. */
    uint64_t divided_ns;              /* When that was divided last. */
    uint64_t cluster, epoch;
    struct archive_place committed;
    uint64_t n_added;
    uint64_t n_cut;

    /* The round under way. */
    bool is_busy;
    struct crew_job job;          /* The thread's from here on: */
    struct archive_commit commit; /* to be written, */
    uint64_t n_due;               /* histories to be durable, */
    uint64_t now_ns;
    int retval; /* and how it ended. */
    struct lh_error error;
};

char *
store_disk_path(const char *dir, uint32_t shard)
{
    return archive_shards_path(dir, shard);
}

/* --- A round ------------------------------------------------------------- */

/* What all shards may have together is divided as they need it: when they have
 * too much, each gives up the same share of what it has. */
static void
divide_retain(struct store_disk *d)
{
    uint64_t own, all, bytes = 0;

    if (!d->retain_bytes || d->now_ns < d->divided_ns + DIVIDE_NS ||
        archive_shards_bytes(d->dir, d->config.shard, &own, &all, NULL)) {
        return;
    }
    d->divided_ns = d->now_ns;
    if (all > d->retain_bytes) {
        bytes = (uint64_t) ((double) own / (double) all *
                            (double) d->retain_bytes) +
                1;
    }
    archive_writer_set_retain(d->writer, bytes, d->retain_ns);
}

/* In the crew's thread: all up to commit.after becomes durable, then what says
 * so. */
static void
run_round(struct crew_job *job)
{
    struct store_disk *d =
        (struct store_disk *) (void *) ((char *) job -
                                        offsetof(struct store_disk, job));
    struct archive_writer_counters counters;

    divide_retain(d);
    archive_writer_round(d->writer, d->now_ns);
    archive_writer_get_counters(d->writer, &counters);
    d->retval = 0;
    if (counters.lost || counters.durable < d->n_due) {
        d->retval = EIO;
        if (!archive_writer_trouble(d->writer, &d->error)) {
            lh_error_set(&d->error, "%s: not all could be written", d->path);
        }
    } else {
        d->retval = archive_commit_store(d->path, &d->commit, &d->error);
    }
}

static void
on_crew(int fd, short events, void *d_)
{
    struct store_disk *d = d_;

    if (crew_take(d->crew)) {
        d->is_busy = false;
        d->config.on_end(d->config.aux, d->retval, &d->error);
    }
}

static void
wait_round(struct store_disk *d)
{
    while (d->is_busy) {
        crew_wait(d->crew, -1);
        d->is_busy = !crew_take(d->crew);
    }
}

void
store_disk_begin(struct store_disk *d, uint64_t round)
{
    struct archive_writer_counters counters;

    assert(!d->is_busy && d->writer);
    archive_part_seal(d->part);
    d->n_added = 0;
    d->commit = (struct archive_commit){
        .cluster = d->cluster,
        .epoch = d->epoch,
        .round = round,
        .before = d->committed,
    };
    archive_writer_get_place(d->writer, &d->commit.after);
    archive_writer_get_counters(d->writer, &counters);
    d->n_due = counters.durable + counters.held;
    d->now_ns = time_spec_now();
    d->error = (struct lh_error){.pos = -1};
    d->job.run = run_round;
    d->is_busy = true;
    crew_give(d->crew, &d->job);
}

void
store_disk_commit(struct store_disk *d)
{
    d->committed = d->commit.after;
    archive_writer_commit(d->writer, &d->committed);
}

/* --- Opening ------------------------------------------------------------- */

int
store_disk_settle(const char *path, const struct store_note *note,
                  uint64_t note_epoch, uint64_t *n_cut, struct lh_error *error)
{
    struct archive_commit commit;
    int retval = archive_commit_load(path, &commit, error);

    *n_cut = 0;
    if (!retval) {
        const struct archive_place *end =
            store_note_counts(note, note_epoch, &commit) ? &commit.after
                                                         : &commit.before;

        retval = archive_cut(path, end, n_cut, error);
        commit.before = *end;
        commit.after = *end;
    }
    if (!retval) {
        retval = archive_commit_store(path, &commit, error);
    }
    return retval;
}

/* The number that the next file has at least: no file that there was had it.
 * A place at the beginning of a file may be of one that there never was, as
 * what is cut to nothing stays; it must not be passed over, as a first file of
 * another number than 1 says that some were removed. */
static uint64_t
find_min_number(const char *path)
{
    struct archive_commit commit;

    return archive_commit_load(path, &commit, NULL)
               ? 0
               : commit.after.number + (commit.after.offset > 0);
}

static int
open_writer(struct store_disk *d, struct lh_error *error)
{
    const struct archive_writer_config config = {
        .dir = d->path,
        .packet_id = d->config.packet_id,
        .flow_log = d->flow_log,
        .unit = d->config.unit,
        .retain_ns = d->retain_ns,
        .now_ns = time_spec_now(),
        .merges = true,
        .is_tentative = true,
        .min_number = find_min_number(d->path),
    };
    struct archive_recovery recovery;
    int retval = archive_writer_open(&config, &d->writer, &recovery, error);

    if (!retval && recovery.is_damaged) {
        say_warn("archive: damaged: %s", recovery.damage);
    }
    return retval;
}

int
store_disk_open(struct store_disk *d, const struct store_note *note,
                uint64_t note_epoch, uint64_t epoch, struct lh_error *error)
{
    uint64_t n_cut = 0;
    int retval = archive_dir_create(d->dir, error);

    assert(!d->writer);
    if (!retval) {
        retval = archive_meta_agree(d->dir, &d->config.packet_id, d->flow_log,
                                    time_spec_now(), error);
    }
    if (!retval) {
        retval = archive_dir_create(d->path, error);
    }
    if (!retval) {
        retval = store_disk_settle(d->path, note, note_epoch, &n_cut, error);
        retval = retval == ENOENT ? 0 : retval;
    }
    if (!retval) {
        retval = open_writer(d, error);
    }
    d->n_cut += n_cut;
    if (retval) {
        return retval;
    }
    if (n_cut) {
        say_info("archive: %s: cut off %" PRIu64 " bytes that were not "
                 "committed",
                 d->path, n_cut);
    }
    d->cluster = note->cluster;
    d->epoch = epoch;
    archive_writer_get_place(d->writer, &d->committed);
    archive_writer_commit(d->writer, &d->committed);
    d->part = archive_part_create(d->writer);
    if (d->config.shapes) {
        archive_part_share_shapes(d->part, d->config.shapes);
    }
    d->n_added = 0;

    /* From now on this epoch's rounds count. */
    const struct archive_commit commit = {
        .cluster = d->cluster,
        .epoch = epoch,
        .round = note->round,
        .before = d->committed,
        .after = d->committed,
    };

    retval = archive_commit_store(d->path, &commit, error);
    if (retval) {
        store_disk_close(d);
    }
    return retval;
}

/* Whether the last round is known to count, and the file does not say so. */
static bool
is_open_question(const struct store_disk *d)
{
    const struct archive_place *before = &d->commit.before;
    const struct archive_place *after = &d->commit.after;

    return d->writer && d->commit.epoch == d->epoch && !d->retval &&
           after->number == d->committed.number &&
           after->offset == d->committed.offset &&
           (before->number != after->number ||
            before->offset != after->offset);
}

void
store_disk_close(struct store_disk *d)
{
    bool is_asked;

    wait_round(d);
    is_asked = is_open_question(d);
    archive_part_abandon(d->part);
    d->part = NULL;
    archive_writer_abandon(d->writer);
    d->writer = NULL;
    d->n_added = 0;
    if (is_asked) {
        struct lh_error ignored; /* Whoever opens it finds out. */

        d->commit.before = d->commit.after;
        archive_commit_store(d->path, &d->commit, &ignored);
    }
}

int
store_disk_create(const struct store_disk_config *config,
                  struct store_disk **dp, struct lh_error *error)
{
    struct store_disk *d = lh_alloc_zero(sizeof *d);

    *dp = NULL;
    d->config = *config;
    d->dir = lh_strdup(config->dir);
    d->flow_log = lh_strdup(config->flow_log);
    d->path = store_disk_path(config->dir, config->shard);
    d->crew = crew_create(1, CREW_NORMAL);
    d->event = d->crew ? event_new(config->base, crew_fd(d->crew),
                                   EV_READ | EV_PERSIST, on_crew, d)
                       : NULL;
    if (!d->event || event_add(d->event, NULL)) {
        lh_error_set(error, "%s: no thread for it", d->path);
        store_disk_destroy(d);
        return ENOMEM;
    }
    *dp = d;
    return 0;
}

void
store_disk_destroy(struct store_disk *d)
{
    if (d) {
        store_disk_close(d);
        if (d->event) {
            event_free(d->event);
        }
        if (d->crew) {
            crew_destroy(d->crew);
        }
        free(d->dir);
        free(d->path);
        free(d->flow_log);
        free(d);
    }
}

/* --- Use ----------------------------------------------------------------- */

void
store_disk_set_topology(struct store_disk *d, const struct topology *topology,
                        uint64_t now_ns)
{
    if (d->writer) {
        archive_writer_set_topology(d->writer, topology, now_ns);
    }
}

int
store_disk_add(struct store_disk *d, const struct history_batch_item *item,
               struct lh_error *error)
{
    int retval = archive_part_add_item(d->part, item, error);

    d->n_added += !retval;
    return retval;
}

uint64_t
store_disk_n_added(const struct store_disk *d)
{
    return d->n_added;
}

void
store_disk_set_retain(struct store_disk *d, uint64_t bytes, uint64_t ns)
{
    d->retain_bytes = bytes;
    d->retain_ns = ns;
}

bool
store_disk_peek(const struct store_disk *d,
                struct archive_writer_counters *counters)
{
    return d->writer && archive_writer_peek(d->writer, counters);
}

uint64_t
store_disk_n_cut(const struct store_disk *d)
{
    return d->n_cut;
}
