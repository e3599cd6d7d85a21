/* SPDX-License-Identifier: Apache-2.0 */
/* store_refill - gives a disk what it lacks of a shard's histories. */
#include <config.h>
#include "server/store_refill.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "lib/byte_buf.h"
#include "lib/copy_gate.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "phf/phf.h"
#include "server/cluster_leg.h"
#include "server/cluster_merge_leg.h"
#include "server/cluster_rpc.h"
#include "server/queries.h"
#include "server/store_message.h"

#define START_MS   4000
#define PUBLISH_MS 4000
#define SILENCE_MS 8000 /* Of the other server. */
#define BEAT_MS    50
#define TELL_MS    2000
/* Histories that are compared at a time, unless more have the same time. */
#define SLICE     16384
#define MAX_SLICE (16 * SLICE)
#define ADD_SLICE 256 /* Added in one turn of the loop. */

enum state {
    STARTING,   /* The other server is asked. */
    PUBLISHING, /* The marker is sent. */
    WAITING,    /* For the store to be past it. */
    COLLECTING,
    COMPARING,
    ADDING,
    ENDED
};

struct item {
    struct history *h; /* Owned. */
    uint64_t time_ns;
    bool is_missing; /* Here. */
};

struct store_refill {
    struct store_refill_config config;
    char *server, *subject, *inbox; /* Owned. */
    struct bus_sub *sub;            /* Owned. */
    struct event *timer;            /* Owned. */
    enum state state;
    uint64_t seq; /* Of the marker. */

    struct merge_leg *leg; /* Owned. */
    bool is_over;          /* The other server has told all. */
    uint32_t n_told;
    int64_t heard_ms, told_ms;

    uint64_t since_ns, until_ns; /* Of the slice; 'until' is not in it. */
    size_t n, allocated, next;
    struct item *items; /* Owned. */
    struct copy_gate *gate;
    struct queries_running *own; /* NULL: it does not run. */
    const char *why;             /* It ended so. */
};

static void
arm(struct store_refill *r, int ms)
{
    const struct timeval wait = {.tv_sec = ms / 1000,
                                 .tv_usec = ms % 1000 * 1000};

    event_add(r->timer, &wait);
}

/* Ends it in a moment. */
static void
end(struct store_refill *r, const char *why)
{
    if (r->state != ENDED) {
        r->state = ENDED;
        r->why = why;
        arm(r, 0);
    }
}

/* --- The other server ---------------------------------------------------- */

static void
tell(struct store_refill *r, const char *op)
{
    char *subject = lh_asprintf("%s%s", CLUSTER_LEG_SUBJECT, r->server);

    r->n_told = merge_leg_n_taken(r->leg);
    r->told_ms = monotonic_ms();
    cluster_rpc_send(r->config.bus, subject, op,
                     json_pack("{s:s, s:I}", "query", r->inbox, "n",
                               (json_int_t) r->n_told));
    free(subject);
}

static void
on_published(void *r_, int error_number, const char *why, uint64_t seq,
             bool was_there)
{
    struct store_refill *r = r_;

    if (r->state == PUBLISHING && error_number) {
        end(r, "NATS takes nothing");
    } else if (r->state == PUBLISHING) {
        r->seq = seq;
        r->state = WAITING;
        arm(r, 0);
    }
}

/* What the other one has begun to tell was accepted by messages before this
 * one. */
static void
publish(struct store_refill *r)
{
    static const struct store_message marker = {.kind = STORE_MARKER};
    struct byte_buf buf = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = r->subject};

    store_message_put(&marker, &buf);
    letter.data = buf.data;
    letter.size = buf.len;
    r->state = PUBLISHING;
    if (bus_stream_publish(r->config.bus, &letter, NULL, BUS_ANY_SEQ,
                           PUBLISH_MS, on_published, r, NULL)) {
        end(r, "too much waits for NATS");
    }
    byte_buf_uninit(&buf);
}

static void
on_started(void *r_, int error_number, const char *why, const json_t *answer)
{
    struct store_refill *r = r_;

    r->heard_ms = monotonic_ms();
    if (error_number) {
        end(r, "the other server does not answer");
    } else if (r->state == STARTING) {
        publish(r);
    }
}

static void
on_message(void *r_, const struct bus_message *message)
{
    struct store_refill *r = r_;
    struct cluster_leg_head head;
    const uint8_t *body;
    size_t len;

    if (r->state == ENDED ||
        cluster_leg_read(message->data, message->size, &head, &body, &len)) {
        return;
    }
    r->heard_ms = monotonic_ms();
    if (head.kind == CLUSTER_LEG_BATCH_OF) {
        if (merge_leg_add(r->leg, head.number, body, len)) {
            end(r, "a part of the answer was lost on the way");
        }
    } else if (head.kind == CLUSTER_LEG_END) {
        json_t *totals = json_loadb((const char *) body, len, 0, NULL);

        if (merge_leg_finish(r->leg, head.number) ||
            json_is_true(json_object_get(totals, "truncated"))) {
            end(r, "a part of the answer was lost on the way");
        }
        json_decref(totals);
        r->is_over = true;
    }
    if (r->state == COLLECTING) {
        arm(r, 0);
    }
}

/* --- A slice ------------------------------------------------------------- */

static void
forget_items(struct store_refill *r)
{
    for (size_t i = 0; i < r->n; i++) {
        history_destroy(r->items[i].h);
    }
    r->n = r->next = 0;
}

/* Decides about those of the slice before 'time_ns'. */
static void
judge_before(struct store_refill *r, uint64_t time_ns)
{
    while (r->next < r->n && r->items[r->next].time_ns < time_ns) {
        struct item *item = &r->items[r->next++];

        item->is_missing =
            copy_gate_admits(r->gate, item->time_ns, 2, item->h);
    }
}

static void
give(void *r_, const struct history *h)
{
    struct store_refill *r = r_;
    uint64_t time_ns = history_first_ns(h);

    judge_before(r, time_ns);
    copy_gate_admits(r->gate, time_ns, 1, h);
}

static bool
is_busy(void *r)
{
    return false;
}

static void
progress(void *r, const struct query_totals *totals)
{
}

static void
on_own_end(void *r_, const struct query_totals *totals)
{
    struct store_refill *r = r_;

    r->own = NULL;
    if (totals && (totals->is_truncated || totals->damaged)) {
        end(r, "this server's own archive cannot be read in full");
        return;
    }
    judge_before(r, UINT64_MAX);
    r->next = 0;
    r->state = ADDING;
    arm(r, 0);
}

static void
compare(struct store_refill *r)
{
    static const struct queries_sink sink = {give, is_busy, progress,
                                             on_own_end};
    struct query_config config = {.since_ns = r->since_ns,
                                  .until_ns = r->until_ns,
                                  .has_shard = true,
                                  .shard = r->config.shard};
    struct lh_error error;
    int retval;

    r->state = COMPARING;
    r->next = 0;
    copy_gate_destroy(r->gate);
    r->gate = copy_gate_create();
    if (phf_compile(".*", NULL, &config.phf, &error)) {
        abort();
    }
    retval =
        queries_start(r->config.queries, &config, &sink, r, &r->own, &error);
    if (retval) {
        phf_destroy(config.phf);
    }
    if (retval == EAGAIN) {
        r->state = COLLECTING; /* Once more in a moment. */
        arm(r, BEAT_MS);
    } else if (retval == ENOENT) {
        on_own_end(r, NULL); /* It has nothing. */
    } else if (retval) {
        end(r, "this server's own archive cannot be read");
    }
}

/* Takes what came into the slice; compares when it is full. */
static void
collect(struct store_refill *r)
{
    uint64_t time_ns;

    while (merge_leg_peek(r->leg, &time_ns)) {
        struct item *item;

        if (r->n >= SLICE && time_ns != r->items[r->n - 1].time_ns) {
            r->until_ns = time_ns;
            compare(r);
            return;
        }
        if (r->n == MAX_SLICE) {
            end(r, "too many histories have the same time");
            return;
        }
        r->items =
            lh_alloc_grow(r->items, r->n, &r->allocated, sizeof *r->items);
        item = &r->items[r->n];
        *item = (struct item){.time_ns = time_ns};
        if (merge_leg_take(r->leg, &item->h)) {
            end(r, "the answer cannot be read");
            return;
        }
        r->n++;
    }
    if (merge_leg_n_taken(r->leg) != r->n_told) {
        tell(r, "more");
    }
    if (r->is_over) {
        r->until_ns = r->config.max_ns + 1;
        compare(r);
    }
}

static void
add_some(struct store_refill *r)
{
    for (int i = 0; i < ADD_SLICE && r->next < r->n; i++) {
        struct item *item = &r->items[r->next];

        if (item->is_missing) {
            if (!r->config.has_room(r->config.aux)) {
                arm(r, BEAT_MS);
                return;
            }
            r->config.add(r->config.aux, item->h);
        }
        r->next++;
    }
    if (r->next < r->n) {
        arm(r, 1);
        return;
    }
    forget_items(r);
    r->since_ns = r->until_ns;
    if (r->until_ns > r->config.max_ns) {
        end(r, NULL);
    } else {
        r->state = COLLECTING;
        arm(r, 0);
    }
}

static void
on_timer(evutil_socket_t fd, short what, void *r_)
{
    struct store_refill *r = r_;
    int64_t now_ms = monotonic_ms();

    if (r->state != ENDED && !r->is_over &&
        now_ms - r->heard_ms > SILENCE_MS) {
        end(r, "the other server has fallen silent");
    }
    if (r->state == ENDED) {
        r->config.on_end(r->config.aux, r->why);
        return;
    }
    if (!r->is_over && now_ms - r->told_ms > TELL_MS) {
        tell(r, "more");
    }
    arm(r, BEAT_MS);
    if (r->state == WAITING && r->config.has_stored(r->config.aux, r->seq)) {
        r->state = COLLECTING;
    }
    if (r->state == COLLECTING) {
        collect(r);
    } else if (r->state == ADDING) {
        add_some(r);
    }
}

/* --- Life ---------------------------------------------------------------- */

struct store_refill *
store_refill_create(const struct store_refill_config *config)
{
    struct store_refill *r = lh_alloc_zero(sizeof *r);
    char *subject = lh_asprintf("%s%s", CLUSTER_LEG_SUBJECT, config->server);

    r->config = *config;
    r->server = lh_strdup(config->server);
    r->subject = lh_strdup(config->subject);
    r->inbox = bus_new_inbox(config->bus);
    r->sub = bus_subscribe(config->bus, r->inbox, on_message, r);
    r->leg = merge_leg_create();
    r->since_ns = config->min_ns;
    r->heard_ms = r->told_ms = monotonic_ms();
    r->timer = evtimer_new(bus_get_base(config->bus), on_timer, r);
    if (!r->timer) {
        abort();
    }
    arm(r, BEAT_MS);
    if (cluster_rpc_ask(config->bus, subject, "start",
                        json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I}",
                                  "query", r->inbox, "inbox", r->inbox, "phf",
                                  ".*", "since", (json_int_t) config->min_ns,
                                  "until", (json_int_t) (config->max_ns + 1),
                                  "order", "asc", "shard",
                                  (json_int_t) config->shard),
                        START_MS, on_started, r)) {
        end(r, "too much waits for NATS");
    }
    free(subject);
    return r;
}

void
store_refill_destroy(struct store_refill *r)
{
    if (r) {
        if (!r->is_over) {
            tell(r, "cancel");
        }
        if (r->own) {
            queries_stop(r->own);
        }
        bus_unsubscribe(r->sub);
        bus_forget(r->config.bus, r);
        event_free(r->timer);
        forget_items(r);
        merge_leg_destroy(r->leg);
        copy_gate_destroy(r->gate);
        free(r->items);
        free(r->server);
        free(r->subject);
        free(r->inbox);
        free(r);
    }
}

uint64_t
store_refill_time_ns(const struct store_refill *r)
{
    return r->since_ns;
}
