/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_query - the queries of this server's clients, over all servers. */
#include <config.h>

#include "server/cluster_query.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/copy_gate.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "phf/phf.h"
#include "server/cluster_merge_leg.h"
#include "server/cluster_rpc.h"
#include "server/cluster_totals.h"
#include "server/filter_right.h"
#include "server/queries.h"
#include "server/told_history.h"

#define START_MS 2000
#define SILENCE_MS                                                            \
    5000          /* Of a server, which sends something twice a               \
                   * second. */
#define SLICE 256 /* Histories given in one turn of the loop. */

/* What one server answers. */
struct part {
    struct fanned *fanned;
    char name[SHARD_LEASE_MAX_NAME + 1];
    struct merge_leg *leg; /* Owned. */
    bool is_over;          /* It told its totals, or is missing. */
    const char *missing;   /* Why, or NULL.  Owned copy. */
    uint32_t n_told;       /* Batches that it knows were taken. */
    int64_t heard_ms, told_ms;
    json_t *totals; /* Owned reference, or NULL. */
};

/* One query of one client. */
struct fanned {
    struct cluster_queries *queries;
    struct api_peer *peer;
    json_t *call_id;     /* Owned reference. */
    char *inbox;         /* Owned; it is the query's name too. */
    struct bus_sub *sub; /* Owned. */
    bool is_desc;
    uint64_t limit, since_ns, until_ns;
    uint64_t n; /* Given. */
    size_t n_parts;
    struct part *parts;     /* Owned. */
    struct copy_gate *gate; /* NULL: there is one copy.  Owned. */
    int64_t progress_ms;
};

struct cluster_queries {
    struct cluster_queries_config config;
    struct topology *topology; /* Owned reference, or NULL. */
    struct event *slice;       /* Owned. */
    struct event *beat;        /* Owned. */
    size_t n, allocated;
    struct fanned **all; /* Owned. */
};

static void
arm(struct cluster_queries *queries)
{
    static const struct timeval at_once = {0, 0};

    event_add(queries->slice, &at_once);
}

/* --- Asking -------------------------------------------------------------- */

/* Tells the server of what was taken, or to end. */
static void
tell(struct part *part, const char *op)
{
    char *subject = lh_asprintf("%s%s", CLUSTER_LEG_SUBJECT, part->name);

    part->n_told = merge_leg_n_taken(part->leg);
    part->told_ms = monotonic_ms();
    cluster_rpc_send(part->fanned->queries->config.bus, subject, op,
                     json_pack("{s:s, s:I}", "query", part->fanned->inbox, "n",
                               (json_int_t) part->n_told));
    free(subject);
}

static void
miss(struct part *part, const char *why)
{
    if (!part->is_over) {
        part->is_over = true;
        part->missing = lh_strdup(why);
        merge_leg_end(part->leg);
        arm(part->fanned->queries);
    }
}

static void
on_started(void *part_, int error_number, const char *why,
           const json_t *answer)
{
    struct part *part = part_;

    if (error_number) {
        miss(part, why ? why : "it does not answer");
    }
}

static void
on_message(void *fanned_, const struct bus_message *message)
{
    struct fanned *fanned = fanned_;
    struct cluster_leg_head head;
    struct part *part = NULL;
    const uint8_t *body;
    size_t len;

    if (cluster_leg_read(message->data, message->size, &head, &body, &len)) {
        return;
    }
    for (size_t i = 0; i < fanned->n_parts; i++) {
        if (strlen(fanned->parts[i].name) == head.name_len &&
            !memcmp(fanned->parts[i].name, head.name, head.name_len)) {
            part = &fanned->parts[i];
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
            part->is_over = true;
        }
    }
    arm(fanned->queries);
}

/* --- Ending -------------------------------------------------------------- */

static void
remove_fanned(struct fanned *fanned)
{
    struct cluster_queries *queries = fanned->queries;
    size_t i = 0;

    while (queries->all[i] != fanned) {
        i++;
    }
    queries->all[i] = queries->all[--queries->n];
    bus_unsubscribe(fanned->sub);
    for (size_t j = 0; j < fanned->n_parts; j++) {
        struct part *part = &fanned->parts[j];

        if (!part->is_over) {
            tell(part, "cancel");
        }
        bus_forget(queries->config.bus, part);
        merge_leg_destroy(part->leg);
        json_decref(part->totals);
        free((char *) part->missing);
    }
    json_decref(fanned->call_id);
    copy_gate_destroy(fanned->gate);
    free(fanned->parts);
    free(fanned->inbox);
    free(fanned);
}

static json_int_t
sum(const struct fanned *fanned, const char *key)
{
    json_int_t n = 0;

    for (size_t i = 0; i < fanned->n_parts; i++) {
        n += json_integer_value(json_object_get(fanned->parts[i].totals, key));
    }
    return n;
}

static void
add_missing(json_t *list, const char *name, const struct cluster_member *m,
            const char *why)
{
    json_array_append_new(
        list,
        json_pack("{s:s, s:o, s:o, s:s}", "server", name, "since_ns",
                  m && m->since_ns ? json_integer((json_int_t) m->since_ns)
                                   : json_null(),
                  "until_ns",
                  m && m->until_ns ? json_integer((json_int_t) m->until_ns)
                                   : json_null(),
                  "why", why));
}

static bool
is_asked(const struct fanned *fanned, const char *name)
{
    for (size_t i = 0; i < fanned->n_parts; i++) {
        if (!strcmp(fanned->parts[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Those that did not answer, and those that are dead and have something of
 * these times. */
static json_t *
missing_of(const struct fanned *fanned)
{
    const struct cluster_members *members = fanned->queries->config.members;
    json_t *list = json_array();

    for (size_t i = 0; i < fanned->n_parts; i++) {
        const struct part *part = &fanned->parts[i];

        if (part->missing) {
            add_missing(list, part->name,
                        cluster_members_find(members, part->name),
                        part->missing);
        }
    }
    for (size_t i = 0; i < cluster_members_n(members); i++) {
        const struct cluster_member *m = cluster_members_get(members, i);

        if (m->since_ns && m->since_ns < fanned->until_ns &&
            m->until_ns >= fanned->since_ns && !is_asked(fanned, m->name)) {
            add_missing(list, m->name, m, "it is not running");
        }
    }
    return list;
}

static void
end_fanned(struct fanned *fanned, bool is_cancelled, bool is_truncated)
{
    json_t *missing = missing_of(fanned);
    json_t *end;

    end =
        json_pack("{s:I, s:b, s:b}", "n", (json_int_t) fanned->n, "truncated",
                  (int) is_truncated, "cancelled", (int) is_cancelled);
    cluster_totals_add(end, NULL); /* There may be no part at all. */
    for (size_t i = 0; i < fanned->n_parts; i++) {
        cluster_totals_add(end, fanned->parts[i].totals);
    }
    json_object_set_new(end, "missing", missing);
    api_peer_send(fanned->peer, fanned->call_id, "end", end);
    remove_fanned(fanned);
}

/* --- Merging ------------------------------------------------------------- */

/* The part whose next history comes first; NULL: none has one.  False: one
 * must be waited for. */
static bool
find_next(const struct fanned *fanned, struct part **next)
{
    uint64_t best_ns = 0, time_ns;

    *next = NULL;
    for (size_t i = 0; i < fanned->n_parts; i++) {
        struct part *part = &fanned->parts[i];

        if (merge_leg_peek(part->leg, &time_ns)) {
            if (!*next ||
                (fanned->is_desc ? time_ns > best_ns : time_ns < best_ns)) {
                *next = part;
                best_ns = time_ns;
            }
        } else if (!part->is_over) {
            return false;
        }
    }
    return true;
}

/* Gives what can be given.  True: there may be more at once. */
static bool
go_on(struct fanned *fanned)
{
    struct cluster_queries *queries = fanned->queries;
    struct part *part;

    for (int i = 0; i < SLICE; i++) {
        struct told_history told;
        struct history *h;
        uint64_t time_ns = 0;
        bool is_new;

        if (api_peer_is_busy(fanned->peer) || !find_next(fanned, &part)) {
            return false;
        }
        if (!part) {
            end_fanned(fanned, false, false);
            return false;
        }
        merge_leg_peek(part->leg, &time_ns);
        if (merge_leg_take(part->leg, &h)) {
            miss(part, "its answer cannot be read");
            continue;
        }
        is_new = !fanned->gate ||
                 copy_gate_admits(fanned->gate, time_ns,
                                  (uint32_t) (part - fanned->parts), h);
        if (is_new) {
            told_history_init(&told, h, queries->topology);
            told_history_offer(&told, fanned->peer, fanned->call_id, 0, NULL);
            told_history_uninit(&told);
        }
        history_destroy(h);
        if (!part->is_over && merge_leg_n_taken(part->leg) != part->n_told) {
            tell(part, "more");
        }
        fanned->n += is_new;
        if (is_new && fanned->n == fanned->limit) {
            end_fanned(fanned, false, true);
            return false;
        }
    }
    return true;
}

static void
on_slice(evutil_socket_t fd, short what, void *queries_)
{
    struct cluster_queries *queries = queries_;
    bool has_more = false;

    for (size_t i = queries->n; i-- > 0;) {
        has_more |= go_on(queries->all[i]);
    }
    if (has_more) {
        arm(queries);
    }
}

static void
on_beat(evutil_socket_t fd, short what, void *queries_)
{
    struct cluster_queries *queries = queries_;
    int64_t now = monotonic_ms();

    for (size_t i = 0; i < queries->n; i++) {
        struct fanned *fanned = queries->all[i];

        for (size_t j = 0; j < fanned->n_parts; j++) {
            struct part *part = &fanned->parts[j];

            if (!part->is_over && now - part->heard_ms > SILENCE_MS) {
                miss(part, "it has fallen silent");
            } else if (!part->is_over &&
                       now - part->told_ms > SILENCE_MS / 2) {
                tell(part, "more");
            }
        }
        if (!api_peer_is_busy(fanned->peer)) {
            api_peer_send(fanned->peer, fanned->call_id, "progress",
                          json_pack("{s:I, s:I, s:I, s:I}", "n",
                                    (json_int_t) fanned->n, "scanned",
                                    sum(fanned, "scanned"), "blocks_read",
                                    sum(fanned, "blocks_read"), "blocks",
                                    sum(fanned, "blocks")));
        }
    }
}

/* --- Requests ------------------------------------------------------------ */

static void
ask_parts(struct fanned *fanned, const char *phf)
{
    const struct shard_lease *lease = fanned->queries->config.lease;
    size_t n = shard_lease_n_known(lease);

    fanned->parts = lh_alloc_zero((n ? n : 1) * sizeof *fanned->parts);
    for (size_t i = 0; i < n; i++) {
        struct part *part = &fanned->parts[fanned->n_parts];
        struct shard_lease_server server;
        char *subject;
        json_t *request;

        shard_lease_get_server(lease, i, &server);
        if (!server.is_alive) {
            continue;
        }
        fanned->n_parts++;
        part->fanned = fanned;
        memcpy(part->name, server.name, strlen(server.name));
        part->leg = merge_leg_create();
        part->heard_ms = part->told_ms = monotonic_ms();
        request = json_pack("{s:s, s:s, s:s, s:I, s:s}", "query",
                            fanned->inbox, "inbox", fanned->inbox, "phf", phf,
                            "since", (json_int_t) fanned->since_ns, "order",
                            fanned->is_desc ? "desc" : "asc");
        if (fanned->until_ns <= INT64_MAX) {
            json_object_set_new(request, "until",
                                json_integer((json_int_t) fanned->until_ns));
        }
        if (fanned->limit) {
            json_object_set_new(request, "limit",
                                json_integer((json_int_t) fanned->limit));
        }
        subject = lh_asprintf("%s%s", CLUSTER_LEG_SUBJECT, part->name);
        if (cluster_rpc_ask(fanned->queries->config.bus, subject, "start",
                            request, START_MS, on_started, part)) {
            miss(part, "too much waits for NATS");
        }
        free(subject);
    }
    arm(fanned->queries);
}

static size_t
count_of(const struct cluster_queries *queries, const struct api_peer *peer)
{
    size_t n = 0;

    for (size_t i = 0; i < queries->n; i++) {
        n += queries->all[i]->peer == peer;
    }
    return n;
}

static void
start(struct cluster_queries *queries, struct api_call *call,
      const struct query_config *config, const char *phf)
{
    struct fanned *fanned = lh_alloc_zero(sizeof *fanned);

    fanned->queries = queries;
    fanned->peer = api_call_peer(call);
    fanned->call_id = json_incref(api_call_id(call));
    fanned->is_desc = config->is_desc;
    fanned->limit = config->limit;
    fanned->since_ns = config->since_ns;
    fanned->until_ns = config->until_ns;
    fanned->gate = queries->config.n_copies > 1 ? copy_gate_create() : NULL;
    fanned->inbox = bus_new_inbox(queries->config.bus);
    fanned->sub =
        bus_subscribe(queries->config.bus, fanned->inbox, on_message, fanned);
    queries->all = lh_alloc_grow(queries->all, queries->n, &queries->allocated,
                                 sizeof *queries->all);
    queries->all[queries->n++] = fanned;
    api_call_answer(call, NULL);
    ask_parts(fanned, phf);
}

void
cluster_queries_handle_query(struct api_call *call, const json_t *request,
                             void *queries_)
{
    struct cluster_queries *queries = queries_;
    struct jmember root = jmember_root(request);
    struct jmember member = jmember_get(&root, "phf");
    struct query_config config = {.limit = 0};
    struct lh_error error;
    const char *text;
    struct phf *phf;

    error.pos = -1;
    if (jmember_string(&member, &text, &error) ||
        queries_read_members(request, &config, &error)) {
        error.pos = -1;
        api_call_fail_error(call, API_BAD_REQUEST, &error);
    } else if (queries->n >= QUERIES_MAX ||
               count_of(queries, api_call_peer(call)) >=
                   QUERIES_MAX_PER_PEER) {
        api_call_fail(call, API_LIMIT,
                      "no more than %d queries at a time, %d of one client",
                      QUERIES_MAX, QUERIES_MAX_PER_PEER);
    } else if (phf_compile(text, NULL, &phf, &error)) {
        api_call_fail_error(call, API_BAD_FILTER, &error);
    } else {
        if (filter_right_check(call, phf)) {
            start(queries, call, &config, text);
        }
        phf_destroy(phf);
    }
}

void
cluster_queries_handle_cancel(struct api_call *call, const json_t *request,
                              void *queries_)
{
    struct cluster_queries *queries = queries_;
    const json_t *id = queries_read_id(call, request);

    if (!id) {
        return;
    }
    for (size_t i = 0; i < queries->n; i++) {
        struct fanned *fanned = queries->all[i];

        if (fanned->peer == api_call_peer(call) &&
            json_equal(fanned->call_id, id)) {
            end_fanned(fanned, true, false);
            api_call_answer(call, NULL);
            return;
        }
    }
    api_call_fail(call, API_NOT_FOUND, "no query of this client has that id");
}

void
cluster_queries_forget_peer(struct cluster_queries *queries,
                            struct api_peer *peer)
{
    for (size_t i = queries->n; i-- > 0;) {
        if (queries->all[i]->peer == peer) {
            remove_fanned(queries->all[i]);
        }
    }
}

void
cluster_queries_wake_peer(struct cluster_queries *queries,
                          struct api_peer *peer)
{
    arm(queries);
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_queries *
cluster_queries_create(const struct cluster_queries_config *config)
{
    static const struct timeval beat = {.tv_usec = 500000};
    struct cluster_queries *queries = lh_alloc_zero(sizeof *queries);

    queries->config = *config;
    queries->slice = evtimer_new(bus_get_base(config->bus), on_slice, queries);
    queries->beat =
        event_new(bus_get_base(config->bus), -1, EV_PERSIST, on_beat, queries);
    event_add(queries->beat, &beat);
    return queries;
}

void
cluster_queries_destroy(struct cluster_queries *queries)
{
    if (queries) {
        while (queries->n) {
            remove_fanned(queries->all[0]);
        }
        event_free(queries->slice);
        event_free(queries->beat);
        topology_unref(queries->topology);
        free(queries->all);
        free(queries);
    }
}

void
cluster_queries_set_topology(struct cluster_queries *queries,
                             const struct topology *topology)
{
    topology_unref(queries->topology);
    queries->topology = topology ? topology_ref(topology) : NULL;
}
