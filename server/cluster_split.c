/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_split - life, reading, checkpoints. */
#include <config.h>
#include "server/cluster_split.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/card_batch.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "server/catch_up.h"
#include "server/cluster_split_impl.h"
#include "server/loss_wait.h"
#include "server/sample_gate.h"

#define INTERVAL_MS 200
/* Between checkpoints that would say nothing but how far was read. */
#define STALE_NS UINT64_C(2000000000)
#define TICK_MS  20
/* See is_worth_it(). */
#define MOST_INTERVALS 5
#define FEW_HISTORIES  64
#define MANY_HISTORIES ((size_t) 512) /* For each stage-2 shard. */
/* Between ticks that are later than this anything may have come. */
#define SLEPT_NS UINT64_C(500000000)
/* Agents hear of a new threshold, and their batches come, so late. */
#define AGENTS_LATE_NS UINT64_C(3000000000)
/* Bytes of histories that wait: a checkpoint is not waited for longer. */
#define EARLY_BYTES (2u << 20)
/* So long the messages of a snapshot may be missing, while NATS can be asked
 * for them, */
#define SNAPSHOT_NS UINT64_C(60000000000)
/* as it is then by another reader, so often: a NATS server that has not yet
 * all that the others have says of what there is that it is all. */
#define READ_AGAIN_NS UINT64_C(1000000000)

/* --- Checkpoints. ---------------------------------------------------------
 */

static void
begin(struct cluster_split *s, uint64_t now_ns)
{
    const struct cluster_snapshot_head head = {
        .epoch = s->config.epoch,
        .checkpoint = cluster_checkpoint_next(s->checkpoint),
        .secret = s->secret,
    };
    struct byte_buf *parts;
    uint64_t floor;
    uint32_t n =
        cluster_snapshot_put(&head, cluster_codecs_card_writer(s->codecs),
                             s->paths, s->merge, s->wait, &parts);

    if (s->pull) {
        s->position = bus_pull_next_seq(s->pull);
    }
    s->begun_ns = now_ns;
    s->is_dirty = s->is_stale = false;
    cluster_merge_begin_commit(s->merge);
    floor = cluster_merge_floor(s->merge, s->position);
    s->floor = floor > s->floor ? floor : s->floor;
    cluster_checkpoint_begin(s->checkpoint, s->floor, parts, n);
    free(parts);
}

/* Batches of few histories cost and weigh the more for each, so where some
 * come it waits longer; where hardly any come that does not matter. */
static bool
is_worth_it(const struct cluster_split *s, uint64_t since_ns)
{
    const struct cluster_outbox *box = cluster_checkpoint_box(s->checkpoint);
    uint64_t interval_ns = (uint64_t) s->config.interval_ms * 1000000u;
    size_t n = cluster_outbox_n(box);

    return cluster_outbox_size(box) > EARLY_BYTES ||
           since_ns >= MOST_INTERVALS * interval_ns ||
           (since_ns >= interval_ns &&
            (n <= FEW_HISTORIES || n >= MANY_HISTORIES * s->config.n_stores));
}

static void
begin_if_due(struct cluster_split *s, uint64_t now_ns)
{
    uint64_t since_ns = now_ns - s->begun_ns;
    bool is_due = s->state == SPLIT_DRAINING || is_worth_it(s, since_ns);

    if (!cluster_checkpoint_is_ready(s->checkpoint) || !is_due) {
        return;
    }
    if (s->is_dirty || (s->is_stale && (s->state == SPLIT_DRAINING ||
                                        since_ns >= STALE_NS))) {
        begin(s, now_ns);
    }
}

static void
arm_work(struct cluster_split *s)
{
    event_active(s->work, 0, 0);
}

static void
on_work(int fd, short events, void *s_)
{
    static const struct timeval soon = {.tv_sec = 0};
    struct cluster_split *s = s_;

    if (s->state == SPLIT_RUNNING) {
        if (cluster_split_work(s)) {
            evtimer_add(s->work, &soon); /* After what else is there. */
        }
        if (s->pull) {
            bus_pull_hold(s->pull, cluster_split_is_full(s));
        }
        begin_if_due(s, monotonic_ns());
    }
}

/* --- Reading. -------------------------------------------------------------
 */

static void
set_pull_trouble(struct cluster_split *s, const char *why)
{
    free(s->pull_trouble);
    s->pull_trouble = lh_strdup(why);
}

static void
on_trouble(void *s_, const char *why)
{
    struct cluster_split *s = s_;

    set_pull_trouble(s, why);
    s->is_idle = false;
    s->past_since_ns = 0;
}

/* A newer version wrote it, and will have to read it. */
static void
stop_before(struct cluster_split *s, uint64_t seq, const char *why)
{
    bus_pull_close(s->pull);
    s->pull = NULL;
    s->position = seq;
    set_pull_trouble(s, why);
}

static void
on_message(void *s_, const struct bus_pull_message *m)
{
    struct cluster_split *s = s_;
    const struct cluster_merge_message message = {
        .seq = m->seq,
        .stored_ns = m->time_ns,
        .data = m->data,
        .size = m->size,
    };
    struct lh_error error;

    set_pull_trouble(s, NULL);
    s->is_idle = false;
    s->is_stale = true;
    s->n.n_pending = m->n_pending;
    if (cluster_merge_take(s->merge, &message, monotonic_ns(), &error) ==
        ENOTSUP) {
        stop_before(s, m->seq, error.text);
    }
    arm_work(s);
}

static void
on_idle(void *s_)
{
    struct cluster_split *s = s_;

    set_pull_trouble(s, NULL);
    s->is_idle = true;
    s->n.n_pending = 0;
    arm_work(s);
}

static struct bus_pull *
open_pull(struct cluster_split *s, const char *stream, const char *prefix,
          uint64_t start_seq,
          void (*take)(void *aux, const struct bus_pull_message *),
          void (*idle)(void *aux))
{
    char subject[32], name[64];

    snprintf(subject, sizeof subject, "%s.%" PRIu32, prefix, s->config.shard);
    snprintf(name, sizeof name, "split-%" PRIu32 "-%" PRIu64, s->config.shard,
             s->config.epoch);
    return bus_pull_open(s->config.bus, &(struct bus_pull_options){
                                            .stream = stream,
                                            .subject = subject,
                                            .name = name,
                                            .start_seq = start_seq,
                                            .max_bytes = s->config.max_bytes,
                                            .on_message = take,
                                            .on_idle = idle,
                                            .on_trouble = on_trouble,
                                            .aux = s,
                                        });
}

void
cluster_split_read_from(struct cluster_split *s, uint64_t seq)
{
    bus_pull_close(s->pull);
    s->is_idle = false;
    s->pull = open_pull(s, "LH1", "lh.1", seq, on_message, on_idle);
}

/* All that was open is known. */
static void
start(struct cluster_split *s)
{
    s->state = SPLIT_RUNNING;
    s->begun_ns = monotonic_ns();
    s->floor = s->position;
    cluster_split_hear_doors(s);
    cluster_split_read_from(s, s->position);
}

/* --- What the owner before left. ------------------------------------------
 */

static void
close_past(struct cluster_split *s)
{
    bus_pull_close(s->pull);
    s->pull = NULL;
    cluster_snapshot_reader_destroy(s->past);
    s->past = NULL;
}

static void
restore(struct cluster_split *s)
{
    struct lh_error error;

    s->secret = cluster_snapshot_reader_secret(s->past);
    cluster_split_create_paths(s);
    if (cluster_snapshot_reader_restore(s->past, s->paths, s->merge, s->wait,
                                        &s->n.restored, &error)) {
        say_error("shard %" PRIu32 ": what the owner before had open cannot "
                  "be read: %s",
                  s->config.shard, error.text);
        s->n.snapshots_lost++;
    }
    s->n.histories += s->wait ? loss_wait_count(s->wait) : 0;
    close_past(s);
    start(s);
}

static void
start_anew(struct cluster_split *s)
{
    cluster_split_create_paths(s);
    start(s);
}

static void
on_part(void *s_, const struct bus_pull_message *m)
{
    struct cluster_split *s = s_;

    set_pull_trouble(s, NULL);
    if (cluster_snapshot_reader_take(s->past, m->data, m->size)) {
        restore(s);
    }
}

/* Parts are missing.  They were kept before the record was changed, so
 * somebody has removed them; but NATS may yet find them. */
static void
on_past_idle(void *s_)
{
    struct cluster_split *s = s_;

    if (!s->past_since_ns) {
        s->past_since_ns = monotonic_ns();
    }
}

static void
open_past(struct cluster_split *s)
{
    const struct cluster_checkpoint_past *from = &s->from;

    s->past = cluster_snapshot_reader_create(
        from->epoch, from->checkpoint, from->n_parts, &s->config.id_config);
    /* Where parts are missing, a copy of the stream may number them apart. */
    s->pull =
        open_pull(s, "LHS", "lh.s", s->past_since_ns ? 1 : from->snapshot_seq,
                  on_part, on_past_idle);
    s->past_read_ns = monotonic_ns();
}

static void
give_past_up(struct cluster_split *s)
{
    say_error("shard %" PRIu32 ": what the owner before had open is not in "
              "the stream LHS any more, and is lost",
              s->config.shard);
    s->n.snapshots_lost++;
    close_past(s);
    start_anew(s);
}

static void
on_claimed(void *s_, const struct cluster_checkpoint_past *past)
{
    struct cluster_split *s = s_;

    s->position = past->position;
    if (s->state != SPLIT_CLAIMING) {
        return; /* Drained before. */
    }
    if (!past->n_parts) {
        start_anew(s);
        return;
    }
    s->state = SPLIT_RESTORING;
    s->from = *past;
    open_past(s);
}

/* --- Time and ends. -------------------------------------------------------
 */

static void
on_committed(void *s_)
{
    struct cluster_split *s = s_;

    if (s->merge) {
        cluster_merge_end_commit(s->merge);
    }
    if (s->state == SPLIT_RUNNING) {
        arm_work(s);
    }
}

static void
end(struct cluster_split *s, enum cluster_split_event event)
{
    s->state = SPLIT_ENDED;
    s->last_event = event;
    event_active(s->tick, 0, 0);
}

static bool
may_go(void *s_, const uint8_t *data, size_t size)
{
    const struct cluster_split *s = s_;

    return !s->merge || !cluster_merge_needs(s->merge, data, size);
}

static void
on_fenced(void *s)
{
    end(s, CLUSTER_SPLIT_FENCED);
}

/* Parts of the snapshot are missing. */
static void
look_for_past(struct cluster_split *s, uint64_t now_ns, bool slept)
{
    if (slept || !bus_is_connected(s->config.bus)) {
        s->past_since_ns = now_ns; /* They may be on their way. */
    } else if (now_ns - s->past_since_ns > SNAPSHOT_NS) {
        give_past_up(s);
    } else if (now_ns - s->past_read_ns > READ_AGAIN_NS) {
        close_past(s);
        open_past(s);
    }
}

static void
tick(struct cluster_split *s, uint64_t now_ns)
{
    bool slept = s->ticked_ns && now_ns - s->ticked_ns > SLEPT_NS;

    if (s->state == SPLIT_RESTORING && s->past_since_ns) {
        look_for_past(s, now_ns, slept);
    }
    if (s->state == SPLIT_RUNNING) {
        s->slept = slept;
        s->is_idle = s->is_idle && bus_is_connected(s->config.bus);
        if (s->pull) {
            cluster_split_look_at_doors(s, now_ns);
        }
        arm_work(s);
    } else if (s->state == SPLIT_DRAINING) {
        begin_if_due(s, now_ns);
        if (cluster_checkpoint_is_done(s->checkpoint) && !s->is_dirty &&
            !s->is_stale) {
            end(s, CLUSTER_SPLIT_DRAINED);
        }
    }
    s->ticked_ns = now_ns;
    cluster_checkpoint_run(s->checkpoint, now_ns);
}

static void
on_tick(int fd, short events, void *s_)
{
    static const struct timeval wait = {.tv_usec = TICK_MS * 1000};
    struct cluster_split *s = s_;

    if (s->state == SPLIT_ENDED) {
        bus_pull_close(s->pull);
        s->pull = NULL;
        s->config.on_event(s->config.aux, s, s->last_event);
        return;
    }
    evtimer_add(s->tick, &wait);
    tick(s, monotonic_ns());
    if (s->state == SPLIT_RUNNING && !s->is_open_told) {
        s->is_open_told = true;
        s->config.on_event(s->config.aux, s, CLUSTER_SPLIT_OPEN);
    }
}

struct cluster_split *
cluster_split_create(const struct cluster_split_config *config)
{
    struct cluster_split *s = lh_alloc_zero(sizeof *s);
    struct event_base *base = bus_get_base(config->bus);

    s->config = *config;
    if (!s->config.interval_ms) {
        s->config.interval_ms = INTERVAL_MS;
    }
    s->codecs = cluster_codecs_take(config->codecs, &config->id_config);
    s->gate = sample_gate_create(
        2 * (config->window_ns ? config->window_ns : PATH_TABLE_WINDOW_NS) +
        AGENTS_LATE_NS);
    s->catch_up = catch_up_create();
    s->tick = evtimer_new(base, on_tick, s);
    s->work = evtimer_new(base, on_work, s);
    if (!s->tick || !s->work) {
        abort();
    }
    s->checkpoint =
        cluster_checkpoint_create(&(struct cluster_checkpoint_config){
            .bus = config->bus,
            .shard = config->shard,
            .epoch = config->epoch,
            .n_stores = config->n_stores,
            .codecs = s->codecs,
            .sent = config->sent,
            .on_claimed = on_claimed,
            .on_committed = on_committed,
            .on_fenced = on_fenced,
            .may_go = may_go,
            .aux = s,
        });
    event_active(s->tick, 0, 0);
    return s;
}

void
cluster_split_destroy(struct cluster_split *s)
{
    if (s) {
        bus_unsubscribe(s->doors);
        bus_forget(s->config.bus, s);
        bus_pull_close(s->pull);
        cluster_codecs_unref(s->codecs);
        cluster_snapshot_reader_destroy(s->past);
        path_table_destroy(s->paths);
        cluster_merge_destroy(s->merge);
        loss_wait_destroy(s->wait);
        sample_gate_destroy(s->gate);
        catch_up_destroy(s->catch_up);
        cluster_checkpoint_destroy(s->checkpoint);
        topology_unref(s->topology);
        event_free(s->tick);
        event_free(s->work);
        free(s->pull_trouble);
        free(s);
    }
}

void
cluster_split_set_topology(struct cluster_split *s,
                           const struct topology *topology, uint64_t now_ns)
{
    topology_unref(s->topology);
    s->topology = topology_ref(topology);
    if (s->paths && now_ns) {
        path_table_change_topology(s->paths, topology, now_ns);
    } else if (s->paths) {
        path_table_set_topology(s->paths, topology);
    }
}

void
cluster_split_drain(struct cluster_split *s)
{
    if (s->state == SPLIT_CLAIMING || s->state == SPLIT_RESTORING) {
        end(s, CLUSTER_SPLIT_DRAINED); /* Nothing was done. */
    } else if (s->state == SPLIT_RUNNING) {
        if (s->pull) {
            s->position = bus_pull_next_seq(s->pull);
        }
        bus_pull_close(s->pull);
        s->pull = NULL;
        s->state = SPLIT_DRAINING;
    }
}

const char *
cluster_split_trouble(const struct cluster_split *s)
{
    const char *why = cluster_checkpoint_trouble(s->checkpoint);

    if (!why) {
        why = s->pull_trouble;
    }
    if (!why && s->past_since_ns && s->past) {
        why = "what the owner before had open is missing in the stream LHS";
    }
    if (!why && s->merge) {
        why = cluster_merge_trouble(s->merge);
    }
    return why;
}

void
cluster_split_get_counters(const struct cluster_split *s,
                           struct cluster_split_counters *n)
{
    struct cluster_checkpoint_counters checkpoint;

    cluster_checkpoint_get_counters(s->checkpoint, &checkpoint);
    *n = s->n;
    n->committed = checkpoint.histories;
    n->too_large = checkpoint.too_large;
    n->awaiting = s->wait ? loss_wait_count(s->wait) : 0;
    n->waiting = checkpoint.under_way + n->awaiting +
                 cluster_outbox_n(cluster_checkpoint_box(s->checkpoint));
    n->checkpoints = checkpoint.n;
    n->checkpoint = checkpoint.last;
    n->snapshot_bytes = checkpoint.snapshot_bytes;
    n->tentative_bytes = checkpoint.tentative_bytes;
    n->sent_again = checkpoint.sent_again;
    n->position = checkpoint.position;
    n->next_seq = s->pull && !s->past ? bus_pull_next_seq(s->pull) : 0;
    if (s->merge) {
        struct cluster_merge_counters merge;

        path_table_get_counters(s->paths, &n->paths);
        cluster_merge_get_counters(s->merge, &merge);
        n->messages = merge.messages;
        n->again = merge.again;
        n->doubled = merge.doubled;
        n->broken = merge.broken;
        n->held = merge.held;
        n->held_bytes = merge.held_bytes;
        n->hurried = merge.hurried;
        n->late = merge.late;
        n->missing = merge.missing;
        n->doors = merge.doors;
        n->doors_late = merge.behind;
        n->clock_ns = cluster_merge_clock_ns(s->merge);
    }
}
