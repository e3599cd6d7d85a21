/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_fan - one query, asked of every server that lives. */
#include <config.h>

#include "server/cluster_fan.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy_gate.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_merge_leg.h"
#include "server/cluster_missing.h"
#include "server/cluster_rpc.h"
#include "server/cluster_totals.h"

#define START_MS 2000
#define SILENCE_MS                                                            \
    5000          /* Of a server, which sends something twice a               \
                   * second. */
#define SLICE 256 /* Histories given in one turn of the loop. */

/* What one server answers. */
struct part {
    struct cluster_fan *fan;
    char name[SHARD_LEASE_MAX_NAME + 1];
    struct merge_leg *leg; /* Owned. */
    bool is_over;          /* It told its totals, or is missing. */
    bool is_cut;           /* It told them, and had more. */
    const char *missing;   /* Why, or NULL.  Owned copy. */
    uint32_t n_told;       /* Batches that it knows were taken. */
    int64_t heard_ms, told_ms;
    json_t *has;    /* It vouches for.  Owned reference, or NULL. */
    json_t *totals; /* Owned reference, or NULL. */
};

struct cluster_fan {
    struct cluster_fan_config config;
    char *inbox;         /* Owned; it is the query's name too. */
    struct bus_sub *sub; /* Owned. */
    struct event *slice; /* Owned. */
    struct event *beat;  /* Owned. */
    uint64_t n;          /* Given. */
    size_t n_parts;
    struct part *parts;     /* Owned. */
    struct copy_gate *gate; /* NULL: there is one copy.  Owned. */
    bool is_ending, is_truncated;
    struct store_vouch vouch;        /* Of those who answered. */
    struct cluster_missing *missing; /* Owned. */
};

static void
arm(struct cluster_fan *fan)
{
    static const struct timeval at_once = {0, 0};

    event_add(fan->slice, &at_once);
}

/* --- Asking -------------------------------------------------------------- */

/* Tells the server of what was taken, or to end. */
static void
tell(struct part *part, const char *op)
{
    char *subject = lh_asprintf("%s%s", CLUSTER_LEG_SUBJECT, part->name);

    part->n_told = merge_leg_n_taken(part->leg);
    part->told_ms = monotonic_ms();
    cluster_rpc_send(part->fan->config.cluster.bus, subject, op,
                     json_pack("{s:s, s:I}", "query", part->fan->inbox, "n",
                               (json_int_t) part->n_told));
    free(subject);
}

static void
miss(struct part *part, const char *why)
{
    if (!part->is_over) {
        tell(part, "cancel"); /* It may well be there. */
        part->is_over = true;
        part->missing = lh_strdup(why);
        merge_leg_end(part->leg);
        arm(part->fan);
    }
}

static void
on_started(void *part_, int error_number, const char *why,
           const json_t *answer)
{
    struct part *part = part_;

    if (error_number) {
        /* Of nobody who listens NATS tells at once. */
        miss(part,
             why && error_number != ECONNREFUSED ? why : "it does not answer");
    } else {
        part->has = json_incref(json_object_get(answer, "has"));
    }
}

static void
on_message(void *fan_, const struct bus_message *message)
{
    struct cluster_fan *fan = fan_;
    struct cluster_leg_head head;
    struct part *part = NULL;
    const uint8_t *body;
    size_t len;

    if (cluster_leg_read(message->data, message->size, &head, &body, &len)) {
        return;
    }
    for (size_t i = 0; i < fan->n_parts; i++) {
        if (strlen(fan->parts[i].name) == head.name_len &&
            !memcmp(fan->parts[i].name, head.name, head.name_len)) {
            part = &fan->parts[i];
        }
    }
    if (!part || part->is_over) {
        return;
    }
    part->heard_ms = monotonic_ms();
    if (head.kind == CLUSTER_LEG_BATCH_OF) {
        if (merge_leg_add(part->leg, head.number, body, len)) {
            miss(part, "a part of its answer was lost on the way");
        }
    } else {
        json_decref(part->totals);
        part->totals = json_loadb((const char *) body, len, 0, NULL);
        if (head.kind == CLUSTER_LEG_END) {
            if (merge_leg_finish(part->leg, head.number)) {
                miss(part, "a part of its answer was lost on the way");
            }
            part->is_cut =
                !part->missing &&
                json_is_true(json_object_get(part->totals, "truncated"));
            part->is_over = true;
        }
    }
    arm(fan);
}

/* --- Ending -------------------------------------------------------------- */

static json_int_t
sum(const struct cluster_fan *fan, const char *key)
{
    json_int_t n = 0;

    for (size_t i = 0; i < fan->n_parts; i++) {
        n += json_integer_value(json_object_get(fan->parts[i].totals, key));
    }
    return n;
}

static json_t *
make_end(const struct cluster_fan *fan, bool is_cancelled, json_t *missing)
{
    json_t *end =
        json_pack("{s:I, s:b, s:b}", "n", (json_int_t) fan->n, "truncated",
                  (int) fan->is_truncated, "cancelled", (int) is_cancelled);

    cluster_totals_add(end, NULL); /* There may be no part at all. */
    for (size_t i = 0; i < fan->n_parts; i++) {
        cluster_totals_add(end, fan->parts[i].totals);
    }
    json_object_set_new(end, "missing", missing);
    return end;
}

static void
on_missing(void *fan_, json_t *missing)
{
    struct cluster_fan *fan = fan_;

    fan->config.end(fan->config.aux, make_end(fan, false, missing));
}

/* Finds who is missing; 'done' may be called at once. */
static struct cluster_missing *
find_missing(const struct cluster_fan *fan, uint32_t n_copies,
             void (*done)(void *aux, json_t *missing), void *aux)
{
    const struct cluster_missing_config config = {
        .bus = fan->config.cluster.bus,
        .members = fan->config.cluster.members,
        .holes = fan->config.cluster.holes,
        .n_stores = fan->config.cluster.n_stores,
        .n_copies = n_copies,
        .since_ns = fan->config.since_ns,
        .until_ns = fan->config.until_ns,
        .vouch = &fan->vouch,
        .done = done,
        .aux = aux,
    };
    struct cluster_missing_part *parts =
        lh_alloc_array(NULL, fan->n_parts + 1, sizeof *parts);
    struct cluster_missing *missing;

    for (size_t i = 0; i < fan->n_parts; i++) {
        parts[i] = (struct cluster_missing_part){fan->parts[i].name,
                                                 fan->parts[i].missing};
    }
    /* The fan may be gone after this. */
    missing = cluster_missing_find(&config, parts, fan->n_parts);
    free(parts);
    return missing;
}

/* All that is to be given was. */
static void
finish(struct cluster_fan *fan, bool is_truncated)
{
    struct cluster_missing *missing;

    fan->is_ending = true;
    fan->is_truncated = is_truncated;
    for (size_t i = 0; i < fan->n_parts; i++) {
        const struct part *part = &fan->parts[i];

        if (!part->missing && part->has &&
            !json_integer_value(json_object_get(part->totals, "damaged"))) {
            /* Whoever cannot say what it has vouches for nothing. */
            store_vouch_read(&fan->vouch, part->has);
        }
    }
    missing = find_missing(fan, fan->config.cluster.n_copies, on_missing, fan);
    if (missing) {
        fan->missing = missing;
    }
}

static void
take_list(void *list, json_t *missing)
{
    *(json_t **) list = missing;
}

json_t *
cluster_fan_cancelled(const struct cluster_fan *fan)
{
    json_t *list = NULL;

    /* It is no whole answer anyway. */
    find_missing(fan, 1, take_list, &list);
    return make_end(fan, true, list);
}

/* --- Merging ------------------------------------------------------------- */

/* The part whose next history comes first; NULL: none has one.  False: one
 * must be waited for. */
static bool
find_next(const struct cluster_fan *fan, struct part **next)
{
    uint64_t best_ns = 0, time_ns;

    *next = NULL;
    for (size_t i = 0; i < fan->n_parts; i++) {
        struct part *part = &fan->parts[i];

        if (merge_leg_peek(part->leg, &time_ns)) {
            if (!*next || (fan->config.is_desc ? time_ns > best_ns
                                               : time_ns < best_ns)) {
                *next = part;
                best_ns = time_ns;
            }
        } else if (!part->is_over) {
            return false;
        }
    }
    return true;
}

/* Whether all of a part was given that had more, but no room to put it in
 * order: what is later on others would hide that. */
static bool
is_cut_short(const struct cluster_fan *fan)
{
    for (size_t i = 0; i < fan->n_parts; i++) {
        const struct part *part = &fan->parts[i];
        uint64_t time_ns;

        if (part->is_cut && !merge_leg_peek(part->leg, &time_ns)) {
            return true;
        }
    }
    return false;
}

/* Gives what can be given.  True: there may be more at once. */
static bool
go_on(struct cluster_fan *fan)
{
    const struct cluster_fan_config *config = &fan->config;
    struct part *part;

    for (int i = 0; i < SLICE; i++) {
        struct history *h;
        uint64_t time_ns = 0;
        bool is_new;

        if (fan->is_ending || config->is_busy(config->aux) ||
            !find_next(fan, &part)) {
            return false;
        }
        if (!part || is_cut_short(fan)) {
            finish(fan, part != NULL);
            return false;
        }
        merge_leg_peek(part->leg, &time_ns);
        if (merge_leg_take(part->leg, &h)) {
            /* Also if it came to its end. */
            part->is_over = part->is_cut = false;
            miss(part, "its answer cannot be read");
            continue;
        }
        is_new =
            !fan->gate || copy_gate_admits(fan->gate, time_ns,
                                           (uint32_t) (part - fan->parts), h);
        if (is_new) {
            config->give(config->aux, h);
        }
        history_destroy(h);
        if (!part->is_over && merge_leg_n_taken(part->leg) != part->n_told) {
            tell(part, "more");
        }
        fan->n += is_new;
        if (is_new && fan->n == config->limit) {
            finish(fan, true);
            return false;
        }
    }
    return true;
}

static void
on_slice(evutil_socket_t fd, short what, void *fan_)
{
    struct cluster_fan *fan = fan_;

    if (go_on(fan)) {
        arm(fan);
    }
}

static void
on_beat(evutil_socket_t fd, short what, void *fan_)
{
    struct cluster_fan *fan = fan_;
    int64_t now = monotonic_ms();

    for (size_t i = 0; i < fan->n_parts; i++) {
        struct part *part = &fan->parts[i];

        if (!part->is_over && now - part->heard_ms > SILENCE_MS) {
            miss(part, "it has fallen silent");
        } else if (!part->is_over && now - part->told_ms > SILENCE_MS / 2) {
            tell(part, "more");
        }
    }
    if (!fan->is_ending) {
        fan->config.progress(
            fan->config.aux,
            json_pack("{s:I, s:I, s:I, s:I}", "n", (json_int_t) fan->n,
                      "scanned", sum(fan, "scanned"), "blocks_read",
                      sum(fan, "blocks_read"), "blocks", sum(fan, "blocks")));
    }
}

/* --- Life ---------------------------------------------------------------- */

static void
ask_parts(struct cluster_fan *fan)
{
    const struct cluster_fan_config *config = &fan->config;
    const struct shard_lease *lease = config->cluster.lease;
    size_t n = shard_lease_n_known(lease);

    fan->parts = lh_alloc_zero((n ? n : 1) * sizeof *fan->parts);
    for (size_t i = 0; i < n; i++) {
        struct part *part = &fan->parts[fan->n_parts];
        struct shard_lease_server server;
        char *subject;
        json_t *request;

        shard_lease_get_server(lease, i, &server);
        if (!server.is_alive) {
            continue;
        }
        fan->n_parts++;
        part->fan = fan;
        memcpy(part->name, server.name, strlen(server.name));
        part->leg = merge_leg_create();
        part->heard_ms = part->told_ms = monotonic_ms();
        request = json_pack("{s:s, s:s, s:s, s:I, s:s}", "query", fan->inbox,
                            "inbox", fan->inbox, "phf", config->phf, "since",
                            (json_int_t) config->since_ns, "order",
                            config->is_desc ? "desc" : "asc");
        if (config->until_ns <= INT64_MAX) {
            json_object_set_new(request, "until",
                                json_integer((json_int_t) config->until_ns));
        }
        if (config->limit) {
            json_object_set_new(request, "limit",
                                json_integer((json_int_t) config->limit));
        }
        subject = lh_asprintf("%s%s", CLUSTER_LEG_SUBJECT, part->name);
        if (cluster_rpc_ask(fan->config.cluster.bus, subject, "start", request,
                            START_MS, on_started, part)) {
            miss(part, "too much waits for NATS");
        }
        free(subject);
    }
    arm(fan);
}

struct cluster_fan *
cluster_fan_create(const struct cluster_fan_config *config)
{
    static const struct timeval beat = {.tv_usec = 500000};
    struct cluster_fan *fan = lh_alloc_zero(sizeof *fan);
    struct bus *bus = config->cluster.bus;

    fan->config = *config;
    fan->gate = config->cluster.n_copies > 1 ? copy_gate_create() : NULL;
    fan->slice = evtimer_new(bus_get_base(bus), on_slice, fan);
    fan->beat = event_new(bus_get_base(bus), -1, EV_PERSIST, on_beat, fan);
    event_add(fan->beat, &beat);
    fan->inbox = bus_new_inbox(bus);
    fan->sub = bus_subscribe(bus, fan->inbox, on_message, fan);
    ask_parts(fan);
    fan->config.phf = NULL;
    return fan;
}

void
cluster_fan_destroy(struct cluster_fan *fan)
{
    if (!fan) {
        return;
    }
    bus_unsubscribe(fan->sub);
    cluster_missing_destroy(fan->missing);
    for (size_t i = 0; i < fan->n_parts; i++) {
        struct part *part = &fan->parts[i];

        if (!part->is_over) {
            tell(part, "cancel");
        }
        bus_forget(fan->config.cluster.bus, part);
        merge_leg_destroy(part->leg);
        json_decref(part->has);
        json_decref(part->totals);
        free((char *) part->missing);
    }
    event_free(fan->slice);
    event_free(fan->beat);
    store_vouch_uninit(&fan->vouch);
    copy_gate_destroy(fan->gate);
    free(fan->parts);
    free(fan->inbox);
    free(fan);
}

void
cluster_fan_wake(struct cluster_fan *fan)
{
    arm(fan);
}
