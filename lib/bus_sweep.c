/* SPDX-License-Identifier: Apache-2.0 */
/* bus_sweep - implementation.
 *
 * One by one, the leader of the stream, which removes them, is asked for each
 * message.  Copies of a stream may number their messages apart, so that what a
 * reader tells, which reads any copy, may be the number of another message
 * there. */
#include <config.h>
#include "lib/bus_sweep.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"

#define TIMEOUT_MS  5000
#define AGAIN_MS    250
#define N_AT_A_TIME 32

enum how {
    NOT_KNOWN, /* The next call asks. */
    ASKING,
    PURGES,
    ONE_BY_ONE
};

/* The removal of one message. */
struct removal {
    struct bus_sweep *sweep;
    bool is_under_way;
};

struct bus_sweep {
    struct bus *bus;
    char *stream, *subject; /* Owned. */
    enum how how;
    uint64_t n_connects; /* Of the bus, when that was asked. */
    uint64_t below;      /* Not needed any more. */
    uint64_t purged;     /* Purged, or asked to be. */

    bool looks; /* Never purges. */

    /* One by one. */
    bool (*may_go)(void *aux, const uint8_t *data, size_t size);
    void *aux;
    struct event *again; /* Owned. */
    uint64_t looked;     /* All below has been looked at. */
    uint64_t next;       /* To be looked at next. */
    bool is_looking;
    struct removal removals[N_AT_A_TIME];
};

static void go_on(struct bus_sweep *);

/* --- One by one. --------------------------------------------------------- */

static void
set_timer(struct bus_sweep *sweep)
{
    const struct timeval in_a_moment = {.tv_usec = AGAIN_MS * 1000};

    if (!event_pending(sweep->again, EV_TIMEOUT, NULL)) {
        event_add(sweep->again, &in_a_moment);
    }
}

static void
on_removed(void *removal_, int error_number, const char *why)
{
    struct removal *removal = removal_;
    struct bus_sweep *sweep = removal->sweep;

    /* What failed is found again with the next call. */
    removal->is_under_way = false;
    go_on(sweep);
}

static struct removal *
find_free(struct bus_sweep *sweep)
{
    for (size_t i = 0; i < N_AT_A_TIME; i++) {
        if (!sweep->removals[i].is_under_way) {
            return &sweep->removals[i];
        }
    }
    return NULL;
}

static void
remove_one(struct bus_sweep *sweep, uint64_t seq)
{
    struct removal *removal = find_free(sweep);

    removal->is_under_way = !bus_stream_remove(
        sweep->bus, sweep->stream, seq, TIMEOUT_MS, on_removed, removal, NULL);
}

static void
on_message(void *sweep_, int error_number, const char *why, uint64_t seq,
           const uint8_t *data, size_t size)
{
    struct bus_sweep *sweep = sweep_;

    sweep->is_looking = false;
    if (error_number == ENOENT || (!error_number && seq >= sweep->below)) {
        sweep->looked = sweep->below;
    } else if (error_number) {
        set_timer(sweep);
        return;
    } else {
        if (!sweep->may_go || sweep->may_go(sweep->aux, data, size)) {
            remove_one(sweep, seq);
        }
        sweep->next = seq + 1;
    }
    go_on(sweep);
}

static void
look(struct bus_sweep *sweep)
{
    if (sweep->looked < sweep->below && !sweep->is_looking &&
        find_free(sweep)) {
        sweep->is_looking = !bus_stream_get_next(
            sweep->bus, sweep->stream, sweep->subject, sweep->next, TIMEOUT_MS,
            on_message, sweep, NULL);
        if (!sweep->is_looking) {
            set_timer(sweep);
        }
    }
}

static void
on_again(evutil_socket_t fd, short what, void *sweep)
{
    go_on(sweep);
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
    sweep->how = state->is_purge_safe && !sweep->looks ? PURGES : ONE_BY_ONE;
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
    } else if (sweep->how == ONE_BY_ONE) {
        look(sweep);
    }
}

/* --- Outside. ------------------------------------------------------------ */

void
bus_sweep_below(struct bus_sweep *sweep, uint64_t seq)
{
    if (seq > sweep->below) {
        sweep->below = seq;
        sweep->next = 1; /* Some may have been left. */
        find_out(sweep);
        go_on(sweep);
    }
}

void
bus_sweep_begin_anew(struct bus_sweep *sweep)
{
    sweep->looks = true;
    sweep->below = sweep->looked = sweep->purged = 0;
    if (sweep->how == PURGES) {
        sweep->how = ONE_BY_ONE;
    }
}

struct bus_sweep *
bus_sweep_open(struct bus *bus, const char *stream, const char *subject,
               bool (*may_go)(void *aux, const uint8_t *data, size_t size),
               void *aux)
{
    struct bus_sweep *sweep = lh_alloc_zero(sizeof *sweep);

    sweep->bus = bus;
    sweep->stream = lh_strdup(stream);
    sweep->subject = lh_strdup(subject);
    sweep->may_go = may_go;
    sweep->aux = aux;
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
        if (sweep->removals[i].is_under_way) {
            bus_forget(sweep->bus, &sweep->removals[i]);
        }
    }
    event_free(sweep->again);
    free(sweep->stream);
    free(sweep->subject);
    free(sweep);
}
