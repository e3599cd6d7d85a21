/* SPDX-License-Identifier: Apache-2.0 */
/* bus - implementation. */
#include <config.h>
#include "lib/bus.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define MAX_REQUESTS         4096
#define MAX_BYTES            ((size_t) 64 << 20)
#define TICK_MS              20
#define TAG_REPLIES          1 /* Others are addresses of subscriptions. */
#define NO_SLOT              UINT32_MAX
#define RANDOM_BYTES         12
#define STATUS_NO_RESPONDERS 503

struct request {
    bus_then_fn *reply; /* NULL: not open. */
    bus_any_fn *then;
    void *aux;
    uint64_t deadline_ns;
    uint32_t generation; /* So that a late answer finds nobody. */
    uint32_t next_free;
};

struct bus_sub {
    struct bus_sub *next, *previous;
    struct bus *bus;
    bus_message_fn *take; /* NULL: nobody wants them any more. */
    void *aux;
};

struct bus {
    struct bus_wire *wire; /* Owned. */
    struct event_base *base;
    struct event *wake, *tick; /* Owned. */
    int fd;
    bool is_connected;
    void (*on_state)(void *aux, bool is_connected, const char *why);
    void *aux;
    char inbox[16 + 2 * RANDOM_BYTES + 1];
    uint64_t n_inboxes;
    struct request *requests; /* Owned, 'n_slots' of them. */
    uint32_t n_slots, max_requests, n_open, first_free;
    struct bus_sub *subs; /* Owned. */
    struct bus_counters counters;
};

/* --- Requests. ----------------------------------------------------------- */

static void
start_tick(struct bus *bus)
{
    const struct timeval period = {.tv_usec = TICK_MS * 1000};

    if (!evtimer_pending(bus->tick, NULL)) {
        evtimer_add(bus->tick, &period);
    }
}

/* Ends the request of a slot, by its callback if 'is_told'. */
static void
end_request(struct bus *bus, uint32_t slot, bool is_told, int error_number,
            const char *why, const struct bus_message *message)
{
    struct request *request = &bus->requests[slot];
    bus_then_fn *reply = request->reply;
    bus_any_fn *then = request->then;
    void *aux = request->aux;

    request->reply = NULL;
    request->generation++;
    request->next_free = bus->first_free;
    bus->first_free = slot;
    bus->n_open--;
    if (is_told) {
        reply(aux, then, error_number, why, message);
    }
}

static void
on_tick(int fd, short events, void *bus_)
{
    struct bus *bus = bus_;
    uint64_t now = monotonic_ns();

    for (uint32_t i = 0; i < bus->n_slots; i++) {
        if (bus->requests[i].reply && now >= bus->requests[i].deadline_ns) {
            bus->counters.timeouts++;
            end_request(bus, i, true, ETIMEDOUT,
                        bus->is_connected ? "no answer came in time"
                                          : "there is no connection to NATS",
                        NULL);
        }
    }
    if (bus->n_open) {
        start_tick(bus);
    }
}

static uint32_t
get_slot(struct bus *bus)
{
    uint32_t slot = bus->first_free;

    if (slot != NO_SLOT) {
        bus->first_free = bus->requests[slot].next_free;
        return slot;
    }
    if (bus->n_slots == bus->max_requests) {
        return NO_SLOT;
    }
    uint32_t n = bus->n_slots ? 2 * bus->n_slots : 64;

    if (n > bus->max_requests) {
        n = bus->max_requests;
    }
    bus->requests = lh_alloc_array(bus->requests, n, sizeof *bus->requests);
    memset(bus->requests + bus->n_slots, 0,
           (n - bus->n_slots) * sizeof *bus->requests);
    for (uint32_t i = n; i-- > bus->n_slots + 1;) {
        bus->requests[i].next_free = bus->first_free;
        bus->first_free = i;
    }
    slot = bus->n_slots;
    bus->n_slots = n;
    return slot;
}

int
bus_request_then(struct bus *bus, const struct bus_letter *letter,
                 uint32_t timeout_ms, bus_then_fn *reply, bus_any_fn *then,
                 void *aux, struct lh_error *error)
{
    uint32_t slot = get_slot(bus);
    char inbox[sizeof bus->inbox + 24];

    if (slot == NO_SLOT) {
        bus->counters.refused++;
        lh_error_set(error, "NATS: %" PRIu32 " requests are open already",
                     bus->n_open);
        return ENOBUFS;
    }
    struct request *request = &bus->requests[slot];
    uint64_t tag = ((uint64_t) request->generation << 32) | (slot + 1);

    request->reply = reply;
    request->then = then;
    request->aux = aux;
    request->deadline_ns = monotonic_ns() + (uint64_t) timeout_ms * 1000000u;
    bus->n_open++;
    snprintf(inbox, sizeof inbox, "%s.%" PRIu32 ".%" PRIu32, bus->inbox, slot,
             request->generation);
    if (!bus_wire_send(bus->wire, letter, inbox, tag, request->deadline_ns)) {
        bus->counters.refused++;
        end_request(bus, slot, false, 0, NULL, NULL);
        lh_error_set(error, "NATS: too much waits to be sent");
        return ENOBUFS;
    }
    bus->counters.requests++;
    start_tick(bus);
    return 0;
}

static void
call_plain(void *aux, bus_any_fn *then, int error_number, const char *why,
           const struct bus_message *message)
{
    ((bus_reply_fn *) then)(aux, error_number, why, message);
}

int
bus_request(struct bus *bus, const struct bus_letter *letter,
            uint32_t timeout_ms, bus_reply_fn *reply, void *aux,
            struct lh_error *error)
{
    return bus_request_then(bus, letter, timeout_ms, call_plain,
                            (bus_any_fn *) reply, aux, error);
}

void
bus_forget(struct bus *bus, const void *aux)
{
    for (uint32_t i = 0; i < bus->n_slots; i++) {
        if (bus->requests[i].reply && bus->requests[i].aux == aux) {
            end_request(bus, i, false, 0, NULL, NULL);
        }
    }
}

int
bus_send(struct bus *bus, const struct bus_letter *letter, const char *reply,
         uint32_t timeout_ms, struct lh_error *error)
{
    uint64_t deadline_ns = monotonic_ns() + (uint64_t) timeout_ms * 1000000u;

    if (!bus_wire_send(bus->wire, letter, reply, 0, deadline_ns)) {
        bus->counters.refused++;
        lh_error_set(error, "NATS: too much waits to be sent");
        return ENOBUFS;
    }
    return 0;
}

/* --- What comes. --------------------------------------------------------- */

/* The open request of a slot; false: it is over. */
static bool
is_open(const struct bus *bus, uint32_t slot, uint32_t generation)
{
    return slot < bus->n_slots && bus->requests[slot].reply &&
           bus->requests[slot].generation == generation;
}

static void
take_reply(struct bus *bus, const struct bus_message *message)
{
    size_t inbox_len = strlen(bus->inbox);
    uint32_t slot, generation;

    if (strncmp(message->subject, bus->inbox, inbox_len) != 0 ||
        sscanf(message->subject + inbox_len, ".%" SCNu32 ".%" SCNu32, &slot,
               &generation) != 2 ||
        !is_open(bus, slot, generation)) {
        bus->counters.late++;
    } else if (message->status == STATUS_NO_RESPONDERS) {
        end_request(bus, slot, true, ECONNREFUSED,
                    "nobody answers that subject (is JetStream enabled?)",
                    NULL);
    } else {
        end_request(bus, slot, true, 0, NULL, message);
    }
}

static void
destroy_sub(struct bus_sub *sub)
{
    *(sub->previous ? &sub->previous->next : &sub->bus->subs) = sub->next;
    if (sub->next) {
        sub->next->previous = sub->previous;
    }
    free(sub);
}

static void
set_state(struct bus *bus, bool is_connected, const char *why)
{
    bus->counters.connects += is_connected;
    bus->counters.disconnects += bus->is_connected && !is_connected;
    bus->is_connected = is_connected;
    if (bus->on_state) {
        bus->on_state(bus->aux, is_connected, why);
    }
}

static void
take_failed(struct bus *bus, const struct bus_in *in)
{
    uint32_t slot = (uint32_t) in->tag - 1;

    if (is_open(bus, slot, (uint32_t) (in->tag >> 32))) {
        end_request(bus, slot, true, EIO, in->why, NULL);
    }
}

static void
take(struct bus *bus, struct bus_in *in)
{
    struct bus_sub *sub = (struct bus_sub *) (uintptr_t) in->tag;

    switch (in->kind) {
    case BUS_IN_MESSAGE:
        if (in->tag == TAG_REPLIES) {
            take_reply(bus, &in->message);
        } else if (sub->take) {
            sub->take(sub->aux, &in->message);
        }
        break;
    case BUS_IN_FAILED:
        take_failed(bus, in);
        break;
    case BUS_IN_DONE:
        if (in->tag != TAG_REPLIES) {
            destroy_sub(sub);
        }
        break;
    case BUS_IN_UP:
    case BUS_IN_DOWN:
        set_state(bus, in->kind == BUS_IN_UP, in->why);
        break;
    }
    bus_in_destroy(in);
}

static void
on_wake(int fd, short events, void *bus_)
{
    struct bus *bus = bus_;
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0) {
        return;
    }
    for (struct bus_in *in = bus_wire_take(bus->wire), *next; in; in = next) {
        next = in->next;
        take(bus, in);
    }
}

/* Called by any thread. */
static void
wake(void *bus_)
{
    struct bus *bus = bus_;
    const uint64_t one = 1;

    if (write(bus->fd, &one, sizeof one) < 0) {
        /* It is full, so the loop is awake. */
        return;
    }
}

/* --- Subscriptions. ------------------------------------------------------ */

struct bus_sub *
bus_subscribe(struct bus *bus, const char *subject, bus_message_fn *take_fn,
              void *aux)
{
    struct bus_sub *sub = lh_alloc_zero(sizeof *sub);

    sub->bus = bus;
    sub->take = take_fn;
    sub->aux = aux;
    sub->next = bus->subs;
    if (sub->next) {
        sub->next->previous = sub;
    }
    bus->subs = sub;
    bus_wire_subscribe(bus->wire, subject, (uintptr_t) sub, false);
    return sub;
}

void
bus_unsubscribe(struct bus_sub *sub)
{
    if (sub) {
        sub->take = NULL;
        bus_wire_unsubscribe(sub->bus->wire, (uintptr_t) sub);
    }
}

char *
bus_new_inbox(struct bus *bus)
{
    return lh_asprintf("%s.i%" PRIu64, bus->inbox, bus->n_inboxes++);
}

/* --- Open and close. ----------------------------------------------------- */

static void
name_inbox(struct bus *bus)
{
    uint8_t random[RANDOM_BYTES];
    size_t len = (size_t) sprintf(bus->inbox, "_INBOX.");

    if (getrandom(random, sizeof random, 0) != sizeof random) {
        abort();
    }
    for (size_t i = 0; i < sizeof random; i++) {
        len += (size_t) sprintf(bus->inbox + len, "%02x", random[i]);
    }
}

static int
check_options(const struct bus_options *options, struct lh_error *error)
{
    if (!options->urls || !*options->urls) {
        lh_error_set(error, "NATS: no address");
        return EINVAL;
    }
    if (!options->private_key != !options->certificate) {
        lh_error_set(error, "NATS: a private key goes with its certificate");
        return EINVAL;
    }
    if (options->private_key && !options->ca_cert) {
        lh_error_set(error, "NATS: TLS needs the certificate of the CA too");
        return EINVAL;
    }
    return 0;
}

int
bus_open(struct event_base *base, const struct bus_options *options,
         struct bus **busp, struct lh_error *error)
{
    struct bus_options full = *options;
    struct bus *bus;
    char replies[sizeof bus->inbox + 8];
    int retval = check_options(options, error);

    *busp = NULL;
    if (retval) {
        return retval;
    }
    bus = lh_alloc_zero(sizeof *bus);
    bus->base = base;
    bus->on_state = options->on_state;
    bus->aux = options->aux;
    bus->max_requests =
        options->max_requests ? options->max_requests : MAX_REQUESTS;
    bus->first_free = NO_SLOT;
    bus->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bus->fd < 0) {
        retval = errno;
        lh_error_set(error, "eventfd: %s", strerror(retval));
        goto failed;
    }
    bus->wake = event_new(base, bus->fd, EV_READ | EV_PERSIST, on_wake, bus);
    bus->tick = evtimer_new(base, on_tick, bus);
    if (!bus->wake || !bus->tick || event_add(bus->wake, NULL)) {
        retval = ENOMEM;
        lh_error_set(error, "no memory for the bus");
        goto failed;
    }
    name_inbox(bus);
    if (!full.max_out_bytes) {
        full.max_out_bytes = MAX_BYTES;
    }
    if (!full.max_in_bytes) {
        full.max_in_bytes = MAX_BYTES;
    }
    retval = bus_wire_create(&full, wake, bus, &bus->wire, error);
    if (retval) {
        goto failed;
    }
    snprintf(replies, sizeof replies, "%s.*.*", bus->inbox);
    bus_wire_subscribe(bus->wire, replies, TAG_REPLIES, true);
    *busp = bus;
    return 0;

failed:
    bus_close(bus);
    return retval;
}

void
bus_close(struct bus *bus)
{
    if (!bus) {
        return;
    }
    bus_wire_destroy(bus->wire);
    for (struct bus_sub *sub = bus->subs, *next; sub; sub = next) {
        next = sub->next;
        free(sub);
    }
    if (bus->wake) {
        event_free(bus->wake);
    }
    if (bus->tick) {
        event_free(bus->tick);
    }
    if (bus->fd >= 0) {
        close(bus->fd);
    }
    free(bus->requests);
    free(bus);
}

bool
bus_is_connected(const struct bus *bus)
{
    return bus->is_connected;
}

struct event_base *
bus_get_base(const struct bus *bus)
{
    return bus->base;
}

void
bus_get_counters(const struct bus *bus, struct bus_counters *out)
{
    *out = bus->counters;
    bus_wire_get_counters(bus->wire, &out->wire);
}
