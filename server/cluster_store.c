/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store - implementation. */
#include <config.h>
#include "server/cluster_store_impl.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_shards.h"
#include "lib/bus_pull.h"
#include "lib/bus_sweep.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/say.h"
#include "server/cluster_codecs.h"
#include "server/shard_commit.h"
#include "server/store_disk.h"
#include "server/store_intake.h"
#include "server/store_message.h"
#include "server/store_note.h"

#define ROUND_MS     1000
#define RETRY_MS     1000
#define MAX_RETRY_MS 8000
#define PURGE_NS     UINT64_C(2000000000)
/* Old files are looked after at least so often. */
#define DISK_NS UINT64_C(30000000000)

static void
set_timer(struct cluster_store *s, uint32_t ms)
{
    const struct timeval wait = {.tv_sec = ms / 1000,
                                 .tv_usec = ms % 1000 * 1000};

    evtimer_add(s->timer, &wait);
}

static uint32_t
round_ms(const struct cluster_store *s)
{
    return s->config.round_ms ? s->config.round_ms : ROUND_MS;
}

static void
set_trouble(struct cluster_store *s, const char *why)
{
    if (strcmp(s->trouble, why) != 0) {
        snprintf(s->trouble, sizeof s->trouble, "%s", why);
        say_error("archive of shard %" PRIu32 ": %s; nothing is lost, what "
                  "is not stored waits in NATS",
                  s->config.shard, why);
    }
}

static void fail(struct cluster_store *, const char *why);

/* --- Opening and failing ------------------------------------------------- */

/* Ends reading; what was not committed is forgotten. */
void
cluster_store_stop(struct cluster_store *s)
{
    bus_pull_close(s->pull);
    s->pull = NULL;
    store_disk_close(s->disk);
    s->is_busy = false;
    s->is_held = false;
    s->has_news = false;
    cluster_store_forget_copies(s);
}

static void
fail(struct cluster_store *s, const char *why)
{
    set_trouble(s, why);
    cluster_store_stop(s);
    s->state = FAILED;
    s->counters.restarts++;
    set_timer(s, s->retry_ms);
    s->retry_ms =
        s->retry_ms * 2 > MAX_RETRY_MS ? MAX_RETRY_MS : s->retry_ms * 2;
}

/* Begins to read what is not committed. */
static void
open_all(struct cluster_store *s)
{
    struct lh_error error;

    if (store_disk_open(s->disk, &s->note, s->note_epoch, s->config.epoch,
                        &error)) {
        fail(s, error.text);
        return;
    }
    if (s->topology) {
        store_disk_set_topology(s->disk, s->topology, s->topology_ns);
    }
    if (store_intake_restart(s->intake, &s->note.accept)) {
        fail(s, "the shard's record is damaged");
        return;
    }
    s->state = READING;
    s->disk_ns = s->trouble[0] ? 0 : monotonic_ns();
    s->missing_ns = 0;
    s->read_seq = s->position;
    s->is_fall_due = false;
    cluster_store_read(s);
    set_timer(s, round_ms(s));
    if (!s->is_open) {
        s->is_open = true;
        s->config.on_event(s->config.aux, s, STORE_OPEN);
    }
}

/* Does nothing more, and says so in a moment, when it may be destroyed. */
static void
end(struct cluster_store *s, enum cluster_store_event event)
{
    if (s->state != ENDED) {
        cluster_store_stop(s);
        s->state = ENDED;
        s->last_event = event;
        set_timer(s, 0);
    }
}

/* --- Rounds -------------------------------------------------------------- */

static void
purge(struct cluster_store *s)
{
    uint64_t now_ns = monotonic_ns();
    uint64_t floor = cluster_store_floor(s);

    if (!cluster_store_has_read(s)) {
        return;
    }
    /* The last message stays: NATS, when it is killed, may begin to number an
     * empty stream anew. */
    if (floor > 1 && (s->is_draining || now_ns >= s->purge_ns + PURGE_NS)) {
        bus_sweep_below(s->sweep, floor - 1);
        s->purge_ns = now_ns;
    }
}

/* Writes what is wanted into the record. */
void
cluster_store_advance(struct cluster_store *s)
{
    struct byte_buf out = BYTE_BUF_INIT;
    int retval;

    store_note_put(&s->wanted_note, &out);
    retval = shard_commit_advance(s->commit, s->wanted, out.data, out.len);
    /* EPERM: fenced, which on_commit() was told. */
    assert(!retval || retval == EPERM);
    s->is_under_way = !retval;
    byte_buf_uninit(&out);
}

/* The note of the next round. */
void
cluster_store_prepare(struct cluster_store *s)
{
    store_note_copy(&s->wanted_note, &s->note);
    if (s->note_epoch && s->note_epoch != s->config.epoch) {
        store_note_end(&s->wanted_note, s->note_epoch);
    }
    s->wanted_note.round++;
}

/* Whether old files are to be looked after. */
static bool
is_disk_due(const struct cluster_store *s)
{
    return monotonic_ns() >= s->disk_ns + DISK_NS;
}

static void
begin_round(struct cluster_store *s)
{
    assert(!s->is_busy && s->state == READING);
    s->is_busy = true;
    s->has_news = false;
    cluster_store_prepare(s);
    byte_buf_clear(&s->wanted_note.accept);
    s->wanted = store_intake_floor(s->intake, cluster_store_next_seq(s),
                                   &s->wanted_note.accept);
    cluster_store_note_copies(s);
    s->n_round = store_disk_n_added(s->disk);
    s->is_on_disk = s->n_round || is_disk_due(s);
    if (s->is_on_disk) {
        s->disk_ns = monotonic_ns();
        store_disk_begin(s->disk, s->wanted_note.round);
    } else {
        cluster_store_advance(s);
    }
}

static void
on_durable(void *s_, int error_number, const struct lh_error *error)
{
    struct cluster_store *s = s_;

    if (error_number) {
        fail(s, error->text);
    } else {
        cluster_store_advance(s);
    }
}

/* A round is committed. */
static void
end_round(struct cluster_store *s)
{
    s->is_busy = false;
    cluster_store_end_copies(s);
    if (s->is_on_disk) {
        store_disk_commit(s->disk);
        s->retry_ms = RETRY_MS;
        if (s->trouble[0]) {
            say_info("archive of shard %" PRIu32 ": stores again",
                     s->config.shard);
            s->trouble[0] = '\0';
        }
    }
    s->counters.archived += s->n_round;
    s->counters.commits++;
    purge(s);
    if (s->is_held) {
        s->is_held = false;
        bus_pull_hold(s->pull, false);
    }
    set_timer(s, s->is_draining ? 0 : round_ms(s));
}

static void
on_timer(int fd, short events, void *s_)
{
    struct cluster_store *s = s_;

    if (s->state == READING && !s->is_draining) {
        cluster_store_look(s);
    }
    if (s->state == ENDED) {
        s->config.on_event(s->config.aux, s, s->last_event);
    } else if (s->state == FAILED && s->is_under_way) {
        set_timer(s, s->retry_ms); /* What it is opened with is not known. */
    } else if (s->state == FAILED && !s->is_draining) {
        open_all(s);
    } else if (s->state == READING && !s->is_busy && s->is_skipping) {
        cluster_store_skip(s);
    } else if (s->state == READING && !s->is_busy &&
               (s->has_news || is_disk_due(s))) {
        begin_round(s);
    } else if (s->is_draining && !s->is_busy) {
        end(s, STORE_DRAINED);
    } else if (!s->is_busy) {
        /* When idle, commits that nobody waits for are purged too. */
        purge(s);
        set_timer(s, round_ms(s));
    }
}

void
cluster_store_draw(struct cluster_store *s)
{
    s->note.cluster = random64_draw();
}

static void
take_note(struct cluster_store *s, uint64_t position, const uint8_t *note,
          size_t n_note, uint64_t note_epoch)
{
    struct lh_error error;

    s->position = position;
    s->note_epoch = note_epoch;
    store_note_uninit(&s->note);
    if (n_note && store_note_read(&s->note, note, n_note, &error)) {
        /* Nothing is read until somebody has helped. */
        set_trouble(s, error.text);
    } else if (s->config.team) {
        s->is_claimed = true;
        cluster_store_begin_copies(s);
    } else if (n_note) {
        open_all(s);
    } else {
        /* The first owner of all: what it writes down is from now on known
         * to be of this bus. */
        cluster_store_draw(s);
        cluster_store_prepare(s);
        s->wanted = position;
        cluster_store_advance(s);
    }
}

static void
on_commit(void *s_, enum shard_commit_outcome outcome, uint64_t position,
          const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    struct cluster_store *s = s_;

    if (s->state == ENDED) {
        return;
    }
    switch (outcome) {
    case SHARD_COMMIT_CLAIMED:
        take_note(s, position, note, n_note, note_epoch);
        break;
    case SHARD_COMMIT_DONE:
        s->position = position;
        s->note_epoch = s->config.epoch;
        store_note_copy(&s->note, &s->wanted_note);
        s->is_under_way = false;
        if (s->state == CLAIMING) {
            open_all(s);
        } else if (s->state == READING) {
            end_round(s);
        }
        break;
    case SHARD_COMMIT_FENCED:
        end(s, STORE_FENCED);
        break;
    }
}

/* --- Life ---------------------------------------------------------------- */

static int
add(void *s_, const struct history_batch_item *item, struct lh_error *error)
{
    struct cluster_store *s = s_;

    if (s->config.team) {
        cluster_store_note_time(s, item);
    }
    return store_disk_add(s->disk, item, error);
}

static bool
may_go(void *s_, const uint8_t *data, size_t size)
{
    const struct cluster_store *s = s_;

    return !store_intake_needs(s->intake, data, size);
}

struct cluster_store *
cluster_store_create(const struct cluster_store_config *config)
{
    struct cluster_store *s = lh_alloc_zero(sizeof *s);
    struct cluster_codecs *codecs =
        cluster_codecs_take(config->codecs, &config->packet_id);
    const struct store_disk_config disk = {
        .base = bus_get_base(config->bus),
        .dir = config->dir,
        .shard = archive_shards_number(config->shard, config->copy),
        .packet_id = config->packet_id,
        .unit = config->unit,
        .flow_log = config->flow_log,
        .shapes = cluster_codecs_shapes(codecs),
        .on_end = on_durable,
        .aux = s,
    };
    const struct store_intake_config intake = {
        .shard = config->shard,
        .codecs = codecs,
        .on_history = config->on_history,
        .on_packet = config->on_packet,
        .is_watched = config->is_watched,
        .on_hole = config->on_hole,
        .packet_id = config->packet_id,
        .add = add,
        .aux = config->aux,
        .add_aux = s,
        .skips = config->team != NULL,
    };
    struct lh_error error;

    s->config = *config;
    s->stream = lh_strdup(config->stream);
    s->subject = lh_asprintf("%s.%" PRIu32, config->subject, config->shard);
    s->sweep = bus_sweep_open(config->bus, s->stream, s->subject, may_go, s);
    s->retry_ms = RETRY_MS;
    s->intake = store_intake_create(&intake);
    cluster_codecs_unref(codecs);
    s->timer = evtimer_new(disk.base, on_timer, s);
    if (!s->timer || store_disk_create(&disk, &s->disk, &error)) {
        abort();
    }
    store_disk_set_retain(s->disk, config->retain_bytes, config->retain_ns);
    if (config->team) {
        cluster_store_open_copies(s);
    }
    s->commit = shard_commit_claim(config->bus, config->bucket, config->slot,
                                   config->epoch, on_commit, s);
    return s;
}

void
cluster_store_destroy(struct cluster_store *s)
{
    if (s) {
        store_copies_destroy(s->copies);
        shard_commit_destroy(s->commit);
        bus_pull_close(s->pull);
        bus_sweep_close(s->sweep);
        bus_forget(s->config.bus, s);
        store_disk_destroy(s->disk);
        store_intake_destroy(s->intake);
        event_free(s->timer);
        store_note_uninit(&s->note);
        store_note_uninit(&s->wanted_note);
        topology_unref(s->topology);
        free(s->stream);
        free(s->subject);
        free(s);
    }
}

void
cluster_store_drain(struct cluster_store *s)
{
    if (!s->is_draining && s->state != ENDED) {
        s->is_draining = true;
        cluster_store_stop_refill(s);
        if (s->pull) {
            bus_pull_hold(s->pull, true);
            s->is_held = false;
        }
        if (!s->is_busy) {
            set_timer(s, 0);
        }
    }
}

/* --- Use ----------------------------------------------------------------- */

void
cluster_store_set_topology(struct cluster_store *s,
                           const struct topology *topology, uint64_t now_ns)
{
    topology_unref(s->topology);
    s->topology = topology_ref(topology);
    s->topology_ns = now_ns;
    store_disk_set_topology(s->disk, topology, now_ns);
}

uint32_t
cluster_store_slot(const struct cluster_store *s)
{
    return s->config.slot;
}

uint32_t
cluster_store_copy(const struct cluster_store *s)
{
    return s->config.copy;
}

uint64_t
cluster_store_epoch(const struct cluster_store *s)
{
    return s->config.epoch;
}

void
cluster_store_get_counters(const struct cluster_store *s_,
                           struct cluster_store_counters *c)
{
    struct cluster_store *s = (struct cluster_store *) s_;
    store_disk_peek(s->disk, &s->counters.archive);
    s->counters.cut_bytes = store_disk_n_cut(s->disk);
    s->counters.position = s->position;
    s->counters.next_seq = cluster_store_next_seq(s);
    store_intake_collect(s->intake, &s->counters);
    *c = s->counters;
}

bool
cluster_store_get_copies(const struct cluster_store *s,
                         struct store_copies_status *status)
{
    if (s->copies) {
        store_copies_get_status(s->copies, status);
    }
    return s->copies != NULL;
}

bool
cluster_store_trouble(const struct cluster_store *s, struct lh_error *error)
{
    const char *why = s->trouble[0]         ? s->trouble
                      : s->stand_trouble[0] ? s->stand_trouble
                                            : s->bus_trouble;

    if (why[0]) {
        lh_error_set(error, "%s", why);
    }
    return why[0] != '\0';
}
