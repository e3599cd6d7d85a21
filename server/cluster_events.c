/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_events - matches told from server to server. */
#include <config.h>
#include "server/cluster_events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/random64.h"
#include "lib/time_spec.h"
#include "server/shard_lease.h"

#define EVENT_VERSION 1
#define SEND_MS       2000
#define SESSION_LEN   (CLUSTER_EVENTS_SESSION_SIZE - 1)
#define MAX_SENDERS   4096
/* A match is of packets that were seen so long before, or as long as those
 * that were told took. */
#define LAG_NS UINT64_C(10000000000)

enum kind { MATCH = 1, BEAT = 2 };

/* Another server, or this one, that matches are sent to. */
struct listener {
    char name[SHARD_LEASE_MAX_NAME + 1];
    char session[CLUSTER_EVENTS_SESSION_SIZE];
    uint64_t n;  /* Letters with matches. */
    bool is_due; /* A beat is. */
};

/* One that matches came from. */
struct sender {
    uint64_t nonce;
    uint64_t n; /* Its letters that are known of. */
    uint64_t heard_ns;
};

struct cluster_events {
    struct cluster_events_config config;
    char *name; /* Owned. */
    char session[CLUSTER_EVENTS_SESSION_SIZE];
    uint64_t nonce;
    struct bus_sub *sub;        /* Owned. */
    struct listener *listeners; /* Owned; the first is this server. */
    size_t n_listeners, allocated_listeners;
    struct sender *senders; /* Owned; the first is this server. */
    size_t n_senders, allocated_senders;
    uint64_t lag_ns; /* The longest of what came since something was missed. */
    bool was_connected;
    uint32_t ids[CLUSTER_EVENTS_MAX_IDS];
};

/* --- Sending ------------------------------------------------------------- */

/* The listener; of one name there is one, the last session's. */
static struct listener *
find_listener(struct cluster_events *ev, const char *name, const char *session)
{
    struct listener *l = NULL;

    for (size_t i = 0; i < ev->n_listeners && !l; i++) {
        if (!strcmp(ev->listeners[i].name, name)) {
            l = &ev->listeners[i];
        }
    }
    if (l && !strcmp(l->session, session)) {
        return l;
    }
    if (!l) {
        ev->listeners = lh_alloc_grow(ev->listeners, ev->n_listeners,
                                      &ev->allocated_listeners, sizeof *l);
        l = &ev->listeners[ev->n_listeners++];
    }
    *l = (struct listener){.n = 0};
    snprintf(l->name, sizeof l->name, "%s", name);
    snprintf(l->session, sizeof l->session, "%s", session);
    return l;
}

static void
put_head(const struct cluster_events *ev, const struct listener *l,
         enum kind kind, struct byte_buf *out)
{
    byte_buf_put_u8(out, EVENT_VERSION);
    byte_buf_put_u8(out, (uint8_t) kind);
    byte_buf_put(out, l->session, SESSION_LEN);
    byte_buf_put_u64(out, ev->nonce);
    byte_buf_put_u64(out, l->n);
}

static void
send_letter(struct cluster_events *ev, const struct listener *l,
            const struct byte_buf *bytes)
{
    char subject[SHARD_LEASE_MAX_NAME + 16];
    const struct bus_letter letter = {
        .subject = subject, .data = bytes->data, .size = bytes->len};

    snprintf(subject, sizeof subject, "lh.event.%s", l->name);
    /* What finds no room is missed, and the next number tells so. */
    bus_send(ev->config.bus, &letter, NULL, SEND_MS, NULL);
}

void
cluster_events_send(struct cluster_events *ev, const char *name,
                    const char *session, const uint32_t *ids, size_t n,
                    const struct byte_buf *history)
{
    struct listener *l = find_listener(ev, name, session);
    struct byte_buf bytes = BYTE_BUF_INIT;

    l->n++;
    l->is_due = true;
    put_head(ev, l, MATCH, &bytes);
    byte_buf_put_u32(&bytes, (uint32_t) n);
    for (size_t i = 0; i < n; i++) {
        byte_buf_put_u32(&bytes, ids[i]);
    }
    byte_buf_put(&bytes, history->data, history->len);
    send_letter(ev, l, &bytes);
    byte_buf_uninit(&bytes);
}

void
cluster_events_tick(struct cluster_events *ev)
{
    ev->listeners[0].is_due = true;
    for (size_t i = 0; i < ev->n_listeners; i++) {
        struct listener *l = &ev->listeners[i];

        if (l->is_due) {
            struct byte_buf bytes = BYTE_BUF_INIT;

            l->is_due = false;
            put_head(ev, l, BEAT, &bytes);
            send_letter(ev, l, &bytes);
            byte_buf_uninit(&bytes);
        }
    }
}

/* --- Hearing ------------------------------------------------------------- */

/* Something was missed since 'heard_ns' of the monotonic clock. */
static void
miss(struct cluster_events *ev, uint64_t heard_ns)
{
    uint64_t now_ns = time_spec_now();
    uint64_t since_ns = now_ns - (monotonic_ns() - heard_ns) - ev->lag_ns;

    ev->lag_ns = LAG_NS;
    ev->config.on_missed(ev->config.aux, since_ns, now_ns);
}

void
cluster_events_connected(struct cluster_events *ev)
{
    if (ev->was_connected) {
        miss(ev, ev->senders[0].heard_ns);
    }
    ev->was_connected = true;
    for (size_t i = 0; i < ev->n_listeners; i++) {
        ev->listeners[i].is_due = true;
    }
    cluster_events_tick(ev);
}

static struct sender *
find_sender(struct cluster_events *ev, uint64_t nonce)
{
    size_t oldest = 1;

    for (size_t i = 0; i < ev->n_senders; i++) {
        if (ev->senders[i].nonce == nonce) {
            return &ev->senders[i];
        }
        if (i && ev->senders[i].heard_ns < ev->senders[oldest].heard_ns) {
            oldest = i;
        }
    }
    if (ev->n_senders < MAX_SENDERS) {
        ev->senders =
            lh_alloc_grow(ev->senders, ev->n_senders, &ev->allocated_senders,
                          sizeof *ev->senders);
        oldest = ev->n_senders++;
    }
    /* All of its letters were to come while this process was there. */
    ev->senders[oldest] =
        (struct sender){.nonce = nonce, .heard_ns = ev->senders[0].heard_ns};
    return &ev->senders[oldest];
}

/* False: it cannot be read. */
static bool
take_match(struct cluster_events *ev, const struct bus_message *message,
           struct bytes_reader *in)
{
    struct history_decoder *decoder = NULL;
    struct history_record record;
    struct history *h;
    uint32_t n = bytes_get_u32(in);
    uint64_t now_ns = time_spec_now(), first_ns;
    bool is_good;

    if (in->failed || n > CLUSTER_EVENTS_MAX_IDS ||
        bytes_left(in) < (size_t) n * 4) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        ev->ids[i] = bytes_get_u32(in);
    }
    is_good =
        !history_decoder_create(message->data + in->ofs,
                                message->size - in->ofs, &decoder, NULL) &&
        !history_decoder_next(decoder, &record, NULL) &&
        !history_decoder_read(decoder, record.offset, &h, NULL);
    if (is_good) {
        first_ns = history_first_ns(h);
        if (first_ns < now_ns && now_ns - first_ns > ev->lag_ns) {
            ev->lag_ns = now_ns - first_ns;
        }
        ev->config.on_match(ev->config.aux, ev->ids, n, h);
    }
    history_decoder_destroy(decoder);
    return is_good;
}

static void
on_letter(void *ev_, const struct bus_message *message)
{
    struct cluster_events *ev = ev_;
    struct bytes_reader in = bytes_reader(message->data, message->size);
    uint8_t version = bytes_get_u8(&in);
    uint8_t kind = bytes_get_u8(&in);
    const uint8_t *session = bytes_get(&in, SESSION_LEN);
    uint64_t nonce = bytes_get_u64(&in);
    uint64_t n = bytes_get_u64(&in), heard_ns;
    struct sender *sender;
    bool has_missed;

    if (in.failed || version != EVENT_VERSION ||
        memcmp(session, ev->session, SESSION_LEN) != 0) {
        return; /* For a former process of this name. */
    }
    sender = find_sender(ev, nonce);
    has_missed = n > sender->n + (kind == MATCH);
    heard_ns = sender->heard_ns;
    sender->n = n > sender->n ? n : sender->n;
    sender->heard_ns = monotonic_ns();
    if (kind == MATCH && !take_match(ev, message, &in)) {
        has_missed = true; /* Too large for a letter, for one. */
    }
    if (has_missed) {
        miss(ev, heard_ns);
    }
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_events *
cluster_events_create(const struct cluster_events_config *config)
{
    struct cluster_events *ev = lh_alloc_zero(sizeof *ev);
    char *subject = lh_asprintf("lh.event.%s", config->name);

    ev->config = *config;
    ev->name = lh_strdup(config->name);
    ev->nonce = random64_draw();
    ev->lag_ns = LAG_NS;
    snprintf(ev->session, sizeof ev->session, "%016" PRIx64, random64_draw());
    find_listener(ev, ev->name, ev->session);
    ev->senders =
        lh_alloc_grow(NULL, 0, &ev->allocated_senders, sizeof *ev->senders);
    ev->senders[0] =
        (struct sender){.nonce = ev->nonce, .heard_ns = monotonic_ns()};
    ev->n_senders = 1;
    ev->was_connected = bus_is_connected(config->bus);
    ev->sub = bus_subscribe(config->bus, subject, on_letter, ev);
    free(subject);
    return ev;
}

void
cluster_events_destroy(struct cluster_events *ev)
{
    if (ev) {
        bus_unsubscribe(ev->sub);
        free(ev->listeners);
        free(ev->senders);
        free(ev->name);
        free(ev);
    }
}

const char *
cluster_events_session(const struct cluster_events *ev)
{
    return ev->session;
}
