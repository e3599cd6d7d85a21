/* SPDX-License-Identifier: Apache-2.0 */
/* bus_sweep - implementation.
 *
 * One by one, a reader of the subject of its own tells the numbers of the
 * messages; those below the limit are removed, so many at a time. */
#include <config.h>
#include "lib/bus_sweep.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/bus_pull.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"

#define TIMEOUT_MS  5000
#define AGAIN_MS    250
#define N_AT_A_TIME 32
#define N_KNOWN     1024 /* Numbers, a power of two; then it reads no more. */

enum how {
    NOT_KNOWN, /* The next call asks. */
    ASKING,
    PURGES,
    ONE_BY_ONE
};

/* The removal of one message. */
struct removal {
    struct bus_sweep *sweep;
    uint64_t seq;
    enum { FREE, UNDER_WAY, AGAIN } state;
};

struct bus_sweep {
    struct bus *bus;
    char *stream, *subject; /* Owned. */
    enum how how;
    uint64_t n_connects; /* Of the bus, when that was asked. */
    uint64_t below;      /* Not needed any more. */
    uint64_t purged;     /* Purged, or asked to be. */

    /* One by one. */
    struct bus_pull *pull; /* Owned; NULL before the first. */
    struct event *again;   /* Owned. */
    uint64_t *seqs;        /* N_KNOWN.  Owned; NULL before the first. */
    uint64_t first, end;   /* Of these, counted on. */
    struct removal removals[N_AT_A_TIME];
};

static void go_on(struct bus_sweep *);

/* --- One by one. --------------------------------------------------------- */

static void
on_removed(void *removal_, int error_number, const char *why)
{
    struct removal *removal = removal_;
    struct bus_sweep *sweep = removal->sweep;

    if (!error_number || error_number == ENOENT) {
        removal->state = FREE;
        go_on(sweep);
    } else {
        const struct timeval in_a_moment = {.tv_usec = AGAIN_MS * 1000};

        removal->state = AGAIN;
        event_add(sweep->again, &in_a_moment);
    }
}

static void
remove_one(struct removal *removal)
{
    struct bus_sweep *sweep = removal->sweep;

    removal->state = UNDER_WAY;
    if (bus_stream_remove(sweep->bus, sweep->stream, removal->seq, TIMEOUT_MS,
                          on_removed, removal, NULL)) {
        on_removed(removal, ENOBUFS, NULL);
    }
}

static void
on_again(evutil_socket_t fd, short what, void *sweep_)
{
    struct bus_sweep *sweep = sweep_;

    for (size_t i = 0; i < N_AT_A_TIME; i++) {
        if (sweep->removals[i].state == AGAIN) {
            remove_one(&sweep->removals[i]);
        }
    }
}

static void
on_message(void *sweep_, const struct bus_pull_message *message)
{
    struct bus_sweep *sweep = sweep_;

    /* What comes when there is no room is only not removed. */
    if (sweep->end - sweep->first < N_KNOWN) {
        sweep->seqs[sweep->end++ % N_KNOWN] = message->seq;
    }
    bus_pull_hold(sweep->pull, sweep->end - sweep->first >= N_KNOWN / 2);
    go_on(sweep);
}

static void
remove_known(struct bus_sweep *sweep)
{
    for (size_t i = 0; i < N_AT_A_TIME && sweep->first < sweep->end &&
                       sweep->seqs[sweep->first % N_KNOWN] < sweep->below;
         i++) {
        if (sweep->removals[i].state == FREE) {
            sweep->removals[i].seq = sweep->seqs[sweep->first++ % N_KNOWN];
            remove_one(&sweep->removals[i]);
        }
    }
    if (sweep->end - sweep->first < N_KNOWN / 4) {
        bus_pull_hold(sweep->pull, false);
    }
}

static void
open_pull(struct bus_sweep *sweep)
{
    const struct bus_pull_options options = {
        .stream = sweep->stream,
        .subject = sweep->subject,
        .name = "sweep",
        .max_messages = N_KNOWN / 8,
        .has_no_data = true,
        .on_message = on_message,
        .aux = sweep,
    };

    if (!sweep->seqs) {
        sweep->seqs = lh_alloc_array(NULL, N_KNOWN, sizeof *sweep->seqs);
    }
    sweep->first = sweep->end = 0;
    sweep->pull = bus_pull_open(sweep->bus, &options);
}

/* --- By purging. --------------------------------------------------------- */

static void
on_purged(void *sweep_, int error_number, const char *why)
{
    /* What is left is purged with what comes next. */
}

static void
purge(struct bus_sweep *sweep)
{
    if (sweep->below > sweep->purged &&
        !bus_stream_purge(sweep->bus, sweep->stream, sweep->subject,
                          sweep->below, TIMEOUT_MS, on_purged, sweep, NULL)) {
        sweep->purged = sweep->below;
    }
}

/* --- Which. -------------------------------------------------------------- */

static uint64_t
count_connects(const struct bus_sweep *sweep)
{
    struct bus_counters counters;

    bus_get_counters(sweep->bus, &counters);
    return counters.connects;
}

static void
on_state(void *sweep_, int error_number, const char *why,
         const struct bus_stream_state *state)
{
    struct bus_sweep *sweep = sweep_;

    if (error_number) {
        sweep->how = NOT_KNOWN;
        return;
    }
    sweep->how = state->is_purge_safe ? PURGES : ONE_BY_ONE;
    if (sweep->how == PURGES) {
        bus_pull_close(sweep->pull);
        sweep->pull = NULL;
    }
    go_on(sweep);
}

/* NATS may be another after a connection ended. */
static void
find_out(struct bus_sweep *sweep)
{
    uint64_t n_connects = count_connects(sweep);

    if (sweep->how == NOT_KNOWN ||
        (sweep->how != ASKING && n_connects != sweep->n_connects)) {
        sweep->n_connects = n_connects;
        sweep->how = bus_stream_ask(sweep->bus, sweep->stream, TIMEOUT_MS,
                                    on_state, sweep, NULL)
                         ? NOT_KNOWN
                         : ASKING;
    }
}

static void
go_on(struct bus_sweep *sweep)
{
    if (sweep->how == PURGES) {
        purge(sweep);
    } else if (sweep->how == ONE_BY_ONE && !sweep->pull) {
        open_pull(sweep);
    } else if (sweep->how == ONE_BY_ONE) {
        remove_known(sweep);
    }
}

/* --- Outside. ------------------------------------------------------------ */

void
bus_sweep_below(struct bus_sweep *sweep, uint64_t seq)
{
    if (seq > sweep->below) {
        sweep->below = seq;
        find_out(sweep);
        go_on(sweep);
    }
}

struct bus_sweep *
bus_sweep_open(struct bus *bus, const char *stream, const char *subject)
{
    struct bus_sweep *sweep = lh_alloc_zero(sizeof *sweep);

    sweep->bus = bus;
    sweep->stream = lh_strdup(stream);
    sweep->subject = lh_strdup(subject);
    for (size_t i = 0; i < N_AT_A_TIME; i++) {
        sweep->removals[i].sweep = sweep;
    }
    sweep->again = evtimer_new(bus_get_base(bus), on_again, sweep);
    if (!sweep->again) {
        abort();
    }
    find_out(sweep); /* So that it is known when the last call comes. */
    return sweep;
}

void
bus_sweep_close(struct bus_sweep *sweep)
{
    if (!sweep) {
        return;
    }
    bus_forget(sweep->bus, sweep);
    for (size_t i = 0; i < N_AT_A_TIME; i++) {
        if (sweep->removals[i].state == UNDER_WAY) {
            bus_forget(sweep->bus, &sweep->removals[i]);
        }
    }
    bus_pull_close(sweep->pull);
    event_free(sweep->again);
    free(sweep->stream);
    free(sweep->subject);
    free(sweep->seqs);
    free(sweep);
}
