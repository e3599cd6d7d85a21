/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_queue - what the owner hands to the writer's thread, and what it
 * is told of it. */
#include <config.h>

#include "lib/flow_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/of_port.h"

/* Bytes at which the writer does not wait for more. */
#define CROWD_BYTES (4 << 20)

bool
flow_log_is_crowded(const struct flow_log_shared *shared)
{
    return shared->n_bytes > CROWD_BYTES;
}

void
flow_log_queue_add(struct flow_log *log, struct flow_log_note *note)
{
    assert(log->is_owner);
    note->change = log->change;
    note->seq = UINT64_MAX;
    log->counters.notes++;
    if (note->type <= NOTE_GONE) {
        log->noted_ns = note->time_ns;
    }
    flow_log_notes_add(&log->pending, note);
}

void
flow_log_made(struct flow_log *log, const struct rule *rule)
{
    flow_log_made_again(log, rule, rule->installed_ns);
}

void
flow_log_made_again(struct flow_log *log, const struct rule *rule,
                    uint64_t time_ns)
{
    struct flow_log_note note = {
        .type = NOTE_MADE,
        .dpid = rule->dpid,
        .version = rule->version,
        .time_ns = time_ns > log->noted_ns ? time_ns : log->noted_ns,
        .rule = rule_ref(rule),
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_removed(struct flow_log *log, uint64_t dpid, uint32_t version,
                 uint64_t time_ns, const char *reason)
{
    struct flow_log_note note = {
        .type = NOTE_REMOVED,
        .dpid = dpid,
        .version = version,
        .time_ns = time_ns,
        .text = lh_strdup(reason),
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_event(struct flow_log *log, enum flow_log_event event, uint64_t dpid,
               uint32_t port, uint64_t time_ns, const char *text)
{
    struct flow_log_note note = {
        .type = NOTE_EVENT,
        .event = event,
        .dpid = dpid,
        .port = port,
        .time_ns = time_ns,
        .text = lh_strdup(text),
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_object_set(struct flow_log *log, enum flow_log_class class,
                    uint64_t dpid, uint32_t id, uint64_t time_ns,
                    const char *how, const char *text, const uint8_t *raw,
                    size_t raw_len)
{
    struct flow_log_note note = {
        .type = NOTE_SET,
        .class = class,
        .dpid = dpid,
        .version = id,
        .time_ns = time_ns,
        .text = lh_strdup(text),
        .more = lh_strdup(how),
        .raw = lh_memdup(raw, raw_len),
        .raw_len = raw_len,
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_object_removed(struct flow_log *log, enum flow_log_class class,
                        uint64_t dpid, uint32_t id, uint64_t time_ns,
                        const char *reason)
{
    struct flow_log_note note = {
        .type = NOTE_GONE,
        .class = class,
        .dpid = dpid,
        .version = id,
        .time_ns = time_ns,
        .text = lh_strdup(reason),
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_put_text(struct flow_log *log, const char *key, const char *text)
{
    struct flow_log_note note = {
        .type = NOTE_TEXT,
        .text = lh_strdup(key),
        .more = lh_strdup(text),
    };

    flow_log_queue_add(log, &note);
    flow_log_hand_over(log);
}

uint64_t
flow_log_begin_change(struct flow_log *log)
{
    flow_log_hand_over(log);
    return ++log->change;
}

/* Takes the note, or loses it.  True when it was taken. */
static bool
push(struct flow_log_shared *shared, struct flow_log_note *note,
     uint64_t now_ns)
{
    bool can_be_lost = note->type <= NOTE_GONE;

    note->n_bytes = flow_log_note_bytes(note);
    if (can_be_lost && shared->n_bytes + note->n_bytes > shared->max_bytes) {
        if (!shared->n_lost_unsaid++) {
            shared->lost_since_ns = note->time_ns;
        }
        shared->counters.lost++;
        return false;
    }
    shared->n_bytes += note->n_bytes;
    note->seq = ++shared->seq;
    note->since_ns = now_ns;
    flow_log_notes_add(&shared->queue, note);
    return true;
}

/* Puts on the timeline that notes were lost, now that there is room. */
static void
say_lost(struct flow_log *log, uint64_t now_ns)
{
    struct flow_log_shared *shared = log->shared;
    struct flow_log_note note = {
        .type = NOTE_EVENT,
        .event = FLOW_LOG_GAP,
        .change = log->change,
        .port = OF_PORT_UNKNOWN,
        .time_ns = shared->lost_since_ns,
    };

    if (shared->n_bytes > shared->max_bytes / 2) {
        return;
    }
    note.text = lh_asprintf("%llu changes from here on were lost: more than "
                            "%llu bytes waited for the disk",
                            (unsigned long long) shared->n_lost_unsaid,
                            (unsigned long long) shared->max_bytes);
    log->counters.notes++;
    push(shared, &note, now_ns);
    shared->n_lost_unsaid = 0;
}

void
flow_log_hand_over(struct flow_log *log)
{
    struct flow_log_shared *shared = log->shared;
    struct flow_log_notes *pending = &log->pending;
    uint64_t now_ns;
    bool was_empty, was_crowded;

    if (!pending->n) {
        return;
    }
    now_ns = monotonic_ns();
    pthread_mutex_lock(&shared->mutex);
    was_empty = shared->queue.n == shared->queue.first;
    was_crowded = flow_log_is_crowded(shared);
    if (shared->n_lost_unsaid) {
        say_lost(log, now_ns);
    }
    for (size_t i = 0; i < pending->n; i++) {
        if (!push(shared, &pending->notes[i], now_ns)) {
            flow_log_note_uninit(&pending->notes[i]);
        }
    }
    pending->n = 0;
    if (was_empty || (flow_log_is_crowded(shared) && !was_crowded)) {
        pthread_cond_signal(&shared->work);
    }
    pthread_mutex_unlock(&shared->mutex);
}

int
flow_log_flush(struct flow_log *log, struct lh_error *error)
{
    struct flow_log_shared *shared = log->shared;
    int retval = 0;

    assert(log->is_owner);
    flow_log_hand_over(log);
    pthread_mutex_lock(&shared->mutex);

    uint64_t seq = shared->seq, n_started = shared->n_started;

    for (;;) {
        /* A try that had begun already does not count. */
        bool has_tried = shared->n_ended > n_started;

        if (has_tried && shared->failure) {
            retval = shared->failure;
            if (error) {
                *error = shared->failure_reason;
            }
            break;
        }
        if (has_tried && shared->written_seq >= seq && !shared->has_trim) {
            break;
        }
        shared->is_urgent = true;
        pthread_cond_signal(&shared->work);
        pthread_cond_wait(&shared->done, &shared->mutex);
    }
    pthread_mutex_unlock(&shared->mutex);
    return retval;
}

int
flow_log_wait(struct flow_log *log, unsigned int timeout_ms,
              struct lh_error *error)
{
    struct flow_log_shared *shared = log->shared;
    uint64_t end_ns = monotonic_ns() + timeout_ms * UINT64_C(1000000);
    struct timespec end = {.tv_sec = (time_t) (end_ns / 1000000000),
                           .tv_nsec = (long) (end_ns % 1000000000)};
    int retval = 0;

    if (!shared) {
        return 0;
    }
    pthread_mutex_lock(&shared->mutex);

    uint64_t seq = shared->seq, n_started = shared->n_started;

    while (!retval && shared->written_seq < seq) {
        if (shared->n_ended > n_started && shared->failure) {
            retval = shared->failure;
            if (error) {
                *error = shared->failure_reason;
            }
            break;
        }
        shared->is_urgent = true;
        pthread_cond_signal(&shared->work);
        retval = pthread_cond_timedwait(&shared->done, &shared->mutex, &end);
        if (retval) {
            lh_error_set(error, "the disk does not answer");
        }
    }
    pthread_mutex_unlock(&shared->mutex);
    return retval;
}

void
flow_log_trim(struct flow_log *log, uint64_t time_ns, uint64_t max_bytes)
{
    struct flow_log_shared *shared = log->shared;

    pthread_mutex_lock(&shared->mutex);
    shared->has_trim = time_ns || max_bytes;
    shared->trim_ns = time_ns;
    shared->trim_bytes = max_bytes;
    pthread_cond_signal(&shared->work);
    pthread_mutex_unlock(&shared->mutex);
}

void
flow_log_retain(struct flow_log *log, uint64_t time_ns)
{
    struct flow_log_note note = {.type = NOTE_RETAIN, .time_ns = time_ns};
    struct flow_log_shared *shared = log->shared;

    pthread_mutex_lock(&shared->mutex);
    shared->retain_ns = time_ns;
    pthread_mutex_unlock(&shared->mutex);
    flow_log_queue_add(log, &note);
    flow_log_hand_over(log);
}

uint64_t
flow_log_retained(const struct flow_log *log)
{
    uint64_t retain_ns;

    pthread_mutex_lock(&log->shared->mutex);
    retain_ns = log->shared->retain_ns;
    pthread_mutex_unlock(&log->shared->mutex);
    return retain_ns;
}

void
flow_log_set_max_bytes(struct flow_log *log, uint64_t n_bytes)
{
    pthread_mutex_lock(&log->shared->mutex);
    log->shared->max_bytes = n_bytes;
    pthread_mutex_unlock(&log->shared->mutex);
}

/* Notes that the writer has not written.  Locked. */
static size_t
n_waiting(const struct flow_log_shared *shared)
{
    return shared->queue.n - shared->queue.first + shared->writing.n -
           shared->writing.first;
}

static void
oldest_age(const struct flow_log_notes *notes, uint64_t now_ns,
           uint64_t *age_ns)
{
    if (notes->first < notes->n &&
        notes->notes[notes->first].since_ns < now_ns) {
        uint64_t age = now_ns - notes->notes[notes->first].since_ns;

        *age_ns = age > *age_ns ? age : *age_ns;
    }
}

void
flow_log_lag(const struct flow_log *log, struct flow_log_lag *lag,
             struct lh_error *reason)
{
    struct flow_log_shared *shared = log->shared;
    uint64_t now_ns = monotonic_ns();

    pthread_mutex_lock(&shared->mutex);
    *lag = shared->lag;
    lag->n_notes = n_waiting(shared);
    lag->n_bytes = shared->n_bytes;
    lag->age_ns = 0;
    oldest_age(&shared->writing, now_ns, &lag->age_ns);
    oldest_age(&shared->queue, now_ns, &lag->age_ns);
    lag->failure = shared->failure;
    if (shared->failure && reason) {
        *reason = shared->failure_reason;
    }
    pthread_mutex_unlock(&shared->mutex);
}

size_t
flow_log_n_queued(const struct flow_log *log)
{
    size_t n;

    pthread_mutex_lock(&log->shared->mutex);
    n = n_waiting(log->shared) + log->pending.n;
    pthread_mutex_unlock(&log->shared->mutex);
    return n;
}

struct flow_log_counters
flow_log_counters(const struct flow_log *log)
{
    struct flow_log_counters c;

    pthread_mutex_lock(&log->shared->mutex);
    c = log->shared->counters;
    pthread_mutex_unlock(&log->shared->mutex);
    c.notes = log->counters.notes;
    c.unreserved = log->counters.unreserved;
    c.exhausted = log->counters.exhausted;
    return c;
}
