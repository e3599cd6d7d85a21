/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire - implementation. */
#include <config.h>
#include "lib/bus_wire_impl.h"

#include <errno.h>
#include <nats/nats.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/bus_threads.h"
#include "lib/bus_wire_options.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define RETRY_MS     250
#define CLOSE_MS     2000
#define IDLE_MS      1000
#define LETTER_EXTRA 256 /* Bytes of memory a letter takes besides. */
#define NS_OF_MS(MS) ((uint64_t) (MS) *1000000u)

enum out_kind { OUT_LETTER, OUT_SUBSCRIBE, OUT_UNSUBSCRIBE };

struct out {
    struct out *next;
    enum out_kind kind;
    uint64_t tag;
    uint64_t deadline_ns;
    natsMsg *letter; /* Owned. */
    char *subject;   /* Owned. */
    bool is_reply;
    size_t size;
};

/* --- What came. ---------------------------------------------------------- */

void
bus_in_destroy(struct bus_in *in)
{
    if (in) {
        natsMsg_Destroy(in->nats_data);
        free(in->why);
        free(in);
    }
}

void
bus_wire_put_in(struct bus_wire *wire, struct bus_in *in)
{
    bool was_empty = !wire->in_first;

    in->next = NULL;
    *wire->in_last = in;
    wire->in_last = &in->next;
    wire->in_bytes += in->message.size;
    if (was_empty) {
        wire->wake(wire->aux);
    }
}

void
bus_wire_tell(struct bus_wire *wire, enum bus_in_kind kind, uint64_t tag,
              const char *why)
{
    struct bus_in *in = lh_alloc_zero(sizeof *in);

    in->kind = kind;
    in->tag = tag;
    in->why = lh_strdup(why);
    bus_wire_put_in(wire, in);
}

/* --- The connection. ----------------------------------------------------- */

static void
set_connected(struct bus_wire *wire, bool is_connected, const char *why)
{
    pthread_mutex_lock(&wire->lock);
    if (wire->is_connected != is_connected) {
        wire->is_connected = is_connected;
        bus_wire_tell(wire, is_connected ? BUS_IN_UP : BUS_IN_DOWN, 0, why);
    }
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
}

/* Of the server that it is connected to now. */
static void
note_payload(struct bus_wire *wire, natsConnection *connection)
{
    int64_t n = natsConnection_GetMaxPayload(connection);

    pthread_mutex_lock(&wire->lock);
    wire->counters.max_payload = n > 0 ? (uint64_t) n : 0;
    pthread_mutex_unlock(&wire->lock);
}

static void
on_disconnected(natsConnection *connection, void *wire)
{
    const char *why = NULL;

    natsConnection_GetLastError(connection, &why);
    set_connected(wire, false, why && *why ? why : "the connection ended");
}

static void
on_reconnected(natsConnection *connection, void *wire)
{
    note_payload(wire, connection);
    set_connected(wire, true, NULL);
}

static void
on_closed(natsConnection *connection, void *wire_)
{
    struct bus_wire *wire = wire_;

    pthread_mutex_lock(&wire->lock);
    wire->is_closed = true;
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
}

/* Without one libnats prints errors, which are counted elsewhere. */
static void
on_error(natsConnection *connection, natsSubscription *sub, natsStatus status,
         void *wire)
{
}

/* The options of libnats, with callbacks of the wire's. */
static int
set_options(struct bus_wire *wire, const struct bus_options *o,
            struct lh_error *error)
{
    void *options;
    int retval = bus_wire_options_create(o, &options, error);

    wire->options = options;
    if (!retval &&
        (natsOptions_SetDisconnectedCB(options, on_disconnected, wire) ||
         natsOptions_SetReconnectedCB(options, on_reconnected, wire) ||
         natsOptions_SetClosedCB(options, on_closed, wire) ||
         natsOptions_SetErrorHandler(options, on_error, wire))) {
        lh_error_set(error, "NATS: no memory");
        retval = ENOMEM;
    }
    return retval;
}

/* --- What goes out. ------------------------------------------------------ */

static void
out_destroy(struct out *out)
{
    natsMsg_Destroy(out->letter);
    free(out->subject);
    free(out);
}

static void
do_out(struct bus_wire *wire, struct out *out)
{
    if (out->kind == OUT_SUBSCRIBE) {
        bus_wire_open_sub(wire, out->tag, out->subject, out->is_reply);
        return;
    }
    if (out->kind == OUT_UNSUBSCRIBE) {
        bus_wire_end_sub(wire, out->tag);
        return;
    }

    natsStatus s = natsConnection_PublishMsg(wire->connection, out->letter);
    pthread_mutex_lock(&wire->lock);
    if (s == NATS_OK) {
        wire->counters.sent++;
        wire->counters.sent_bytes += out->size;
    } else {
        wire->counters.failed++;
        if (out->tag) {
            bus_wire_tell(wire, BUS_IN_FAILED, out->tag,
                          natsStatus_GetText(s));
        }
    }
    pthread_mutex_unlock(&wire->lock);
}

/* Until 'ns' or a change; the lock is held. */
static void
wait_until(struct bus_wire *wire, uint64_t ns)
{
    struct timespec ts = {.tv_sec = (time_t) (ns / 1000000000u),
                          .tv_nsec = (long) (ns % 1000000000u)};

    pthread_cond_timedwait(&wire->changed, &wire->lock, &ts);
}

/* The next that can be done; NULL: the wire stops, or libnats has given the
 * connection up.  The lock is held. */
static struct out *
next_out(struct bus_wire *wire)
{
    while (!wire->is_stopping && !wire->is_closed) {
        struct out *out = wire->out_first;
        uint64_t now = monotonic_ns();
        bool is_expired =
            out && out->kind == OUT_LETTER && now >= out->deadline_ns;

        if (out && (wire->is_connected || is_expired)) {
            wire->out_first = out->next;
            if (!wire->out_first) {
                wire->out_last = &wire->out_first;
            }
            wire->out_bytes -= out->size;
            if (!is_expired) {
                return out;
            }
            wire->counters.expired++;
            out_destroy(out);
            continue;
        }
        wait_until(wire, now + NS_OF_MS(out ? RETRY_MS : IDLE_MS));
    }
    return NULL;
}

static bool
connect_wire(struct bus_wire *wire)
{
    bool is_stopping = false;
    natsConnection *connection = NULL;
    natsStatus last = NATS_OK, s;

    while (!is_stopping) {
        s = natsConnection_Connect(&connection, wire->options);
        if (s == NATS_OK) {
            wire->connection = connection;
            bus_wire_open_subs_again(wire);
            note_payload(wire, connection);
            set_connected(wire, true, NULL);
            return true;
        }
        pthread_mutex_lock(&wire->lock);
        if (s != last) {
            bus_wire_tell(wire, BUS_IN_DOWN, 0, bus_wire_options_why(s));
            last = s;
        }
        if (!wire->is_stopping) {
            wait_until(wire, monotonic_ns() + NS_OF_MS(RETRY_MS));
        }
        is_stopping = wire->is_stopping;
        pthread_mutex_unlock(&wire->lock);
    }
    return false;
}

static void
disconnect(struct bus_wire *wire)
{
    uint64_t deadline = monotonic_ns() + NS_OF_MS(CLOSE_MS);

    /* Before closing ends them, and nobody can destroy them. */
    while (bus_wire_end_sub(wire, 0)) {
    }
    natsConnection_Close(wire->connection);
    pthread_mutex_lock(&wire->lock);
    wire->is_closed = wire->is_closed || !wire->connection;
    while ((!wire->is_closed || wire->n_live) && monotonic_ns() < deadline) {
        wait_until(wire, deadline);
    }
    pthread_mutex_unlock(&wire->lock);
    for (size_t i = 0; i < BUS_RETIRED_MAX; i++) {
        natsSubscription_Destroy(bus_retire(&wire->retired, NULL));
    }
    natsConnection_Destroy(wire->connection);
}

/* Until the wire stops, or libnats has given the connection up. */
static void
serve(struct bus_wire *wire)
{
    struct out *out;

    pthread_mutex_lock(&wire->lock);
    while ((out = next_out(wire))) {
        pthread_mutex_unlock(&wire->lock);
        do_out(wire, out);
        out_destroy(out);
        pthread_mutex_lock(&wire->lock);
    }
    pthread_mutex_unlock(&wire->lock);
}

/* libnats connects again by itself, but for a NATS server that refuses it
 * twice: that is the end of the connection for it, not here.  False: the wire
 * stops. */
static bool
is_given_up(struct bus_wire *wire)
{
    bool is_stopping;

    pthread_mutex_lock(&wire->lock);
    while (!wire->is_stopping && wire->n_live) {
        wait_until(wire, monotonic_ns() + NS_OF_MS(RETRY_MS));
    }
    is_stopping = wire->is_stopping;
    wire->is_closed = wire->is_closed && is_stopping;
    pthread_mutex_unlock(&wire->lock);
    if (!is_stopping) {
        natsConnection_Destroy(wire->connection);
        wire->connection = NULL;
    }
    return !is_stopping;
}

static void *
run(void *wire_)
{
    struct bus_wire *wire = wire_;

    while (connect_wire(wire)) {
        serve(wire);
        if (!is_given_up(wire)) {
            break;
        }
    }
    disconnect(wire);
    nats_ReleaseThreadMemory();
    return NULL;
}

/* --- Outside. ------------------------------------------------------------ */

int
bus_wire_create(const struct bus_options *options, void (*wake)(void *aux),
                void *aux, struct bus_wire **wirep, struct lh_error *error)
{
    struct bus_wire *wire = lh_alloc_zero(sizeof *wire);
    pthread_condattr_t attr;
    struct bus_threads before;
    int retval;

    *wirep = NULL;
    wire->wake = wake;
    wire->aux = aux;
    wire->max_out_bytes = options->max_out_bytes;
    wire->max_in_bytes = options->max_in_bytes;
    wire->out_last = &wire->out_first;
    wire->in_last = &wire->in_first;
    pthread_mutex_init(&wire->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wire->changed, &attr);
    pthread_condattr_destroy(&attr);

    bus_threads_begin(&before);
    nats_Open(-1);
    retval = set_options(wire, options, error);
    if (!retval) {
        retval = pthread_create(&wire->thread, NULL, run, wire);
        if (retval) {
            lh_error_set(error, "cannot start a thread: %s", strerror(retval));
        }
    }
    bus_threads_end(&before);
    if (retval) {
        natsOptions_Destroy(wire->options);
        free(wire);
        return retval;
    }
    *wirep = wire;
    return 0;
}

static void
wake_nobody(void *aux)
{
}

void
bus_wire_destroy(struct bus_wire *wire)
{
    struct bus_in *in, *next_in;
    struct out *out;

    if (!wire) {
        return;
    }
    pthread_mutex_lock(&wire->lock);
    wire->is_stopping = true;
    pthread_cond_broadcast(&wire->changed);
    pthread_mutex_unlock(&wire->lock);
    pthread_join(wire->thread, NULL);
    natsOptions_Destroy(wire->options);
    while ((out = wire->out_first)) {
        wire->out_first = out->next;
        out_destroy(out);
    }
    pthread_mutex_lock(&wire->lock);
    in = wire->in_first;
    wire->in_first = NULL;
    wire->in_last = &wire->in_first;
    if (!wire->is_closed || wire->n_live) {
        /* A callback may still come: its memory must stay. */
        wire->wake = wake_nobody;
        pthread_mutex_unlock(&wire->lock);
        wire = NULL;
    } else {
        pthread_mutex_unlock(&wire->lock);
    }
    for (; in; in = next_in) {
        next_in = in->next;
        bus_in_destroy(in);
    }
    free(wire);
}

/* Takes 'out'. */
static bool
put_out(struct bus_wire *wire, struct out *out)
{
    bool has_room;

    pthread_mutex_lock(&wire->lock);
    has_room = out->kind != OUT_LETTER ||
               wire->out_bytes + out->size <= wire->max_out_bytes;
    if (has_room) {
        wire->out_bytes += out->size;
        *wire->out_last = out;
        wire->out_last = &out->next;
        pthread_cond_broadcast(&wire->changed);
    }
    pthread_mutex_unlock(&wire->lock);
    if (!has_room) {
        out_destroy(out);
    }
    return has_room;
}

bool
bus_wire_send(struct bus_wire *wire, const struct bus_letter *letter,
              const char *reply, uint64_t tag, uint64_t deadline_ns)
{
    struct out *out = lh_alloc_zero(sizeof *out);
    natsStatus s = natsMsg_Create(&out->letter, letter->subject, reply,
                                  letter->data, (int) letter->size);

    for (size_t i = 0; s == NATS_OK && i < letter->n_headers; i++) {
        s = natsMsgHeader_Set(out->letter, letter->headers[i].name,
                              letter->headers[i].value);
    }
    out->kind = OUT_LETTER;
    out->tag = tag;
    out->deadline_ns = deadline_ns;
    out->size = letter->size + LETTER_EXTRA;
    if (s != NATS_OK) {
        out_destroy(out);
        return false;
    }
    return put_out(wire, out);
}

static void
put_op(struct bus_wire *wire, enum out_kind kind, uint64_t tag,
       const char *subject, bool is_reply)
{
    struct out *out = lh_alloc_zero(sizeof *out);

    out->kind = kind;
    out->tag = tag;
    out->subject = lh_strdup(subject);
    out->is_reply = is_reply;
    put_out(wire, out);
}

void
bus_wire_subscribe(struct bus_wire *wire, const char *subject, uint64_t tag,
                   bool is_reply)
{
    put_op(wire, OUT_SUBSCRIBE, tag, subject, is_reply);
}

void
bus_wire_unsubscribe(struct bus_wire *wire, uint64_t tag)
{
    put_op(wire, OUT_UNSUBSCRIBE, tag, NULL, false);
}

struct bus_in *
bus_wire_take(struct bus_wire *wire)
{
    struct bus_in *in;

    pthread_mutex_lock(&wire->lock);
    in = wire->in_first;
    wire->in_first = NULL;
    wire->in_last = &wire->in_first;
    wire->in_bytes = 0;
    pthread_mutex_unlock(&wire->lock);
    return in;
}

void
bus_wire_get_counters(struct bus_wire *wire, struct bus_wire_counters *out)
{
    pthread_mutex_lock(&wire->lock);
    *out = wire->counters;
    pthread_mutex_unlock(&wire->lock);
}
