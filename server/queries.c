/* SPDX-License-Identifier: Apache-2.0 */
/* queries - the queries of all clients, run beside the reception of
 * postcards. */
#include <config.h>

#include "server/queries.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/byte_buf.h"
#include "lib/crew.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "phf/query.h"
#include "server/filter_right.h"
#include "server/later.h"
#include "server/pipeline.h"
#include "server/told_history.h"

#define PROGRESS_NS UINT64_C(500000000)
/* Reception is held up no longer until workers rest, each time it is tried. */
#define MAX_REST_NS UINT64_C(5000000)

/* One query, of a client or of whoever has a sink. */
struct queries_running {
    struct queries *queries;
    struct api_peer *peer; /* NULL: 'sink'. */
    const struct queries_sink *sink;
    void *aux;           /* Of the sink. */
    json_t *call_id;     /* Of the client.  Owned reference. */
    struct query *query; /* Owned. */
    bool is_waiting;     /* For the client to read. */
    bool is_reading;     /* The crew works for it. */
    uint64_t told_ns;    /* When progress was last told. */
};

struct queries {
    struct event_base *base;
    struct event *event;      /* Next slice.  Owned. */
    struct crew *crew;        /* NULL: none could be made.  Owned. */
    struct event *crew_event; /* It has done something.  Owned. */
    char *dir;                /* Owned; NULL: no archive. */
    struct pipeline *pipeline;
    struct archive_reader *reader; /* Opened with the first query.  Owned. */
    struct topology *topology;
    struct topology *told; /* As that of triggers. */
    struct later *later;   /* Until workers rest.  Owned. */
    size_t n, next, allocated;
    struct queries_running **all; /* Owned. */
    uint64_t n_begun;
    uint64_t n_scanned, n_given, n_damaged; /* Of queries that ended. */
};

static bool
can_go_on(const struct queries_running *running)
{
    return !running->is_waiting && !running->is_reading;
}

static void
arm(struct queries *queries)
{
    static const struct timeval at_once = {0, 0};

    for (size_t i = 0; i < queries->n; i++) {
        if (can_go_on(queries->all[i])) {
            event_add(queries->event, &at_once);
            return;
        }
    }
}

static void
remove_running(struct queries *queries, struct queries_running *running)
{
    const struct query_totals *totals = query_totals(running->query);
    size_t i = 0;

    queries->n_scanned += totals->scanned;
    queries->n_given += totals->n;
    if (totals->damaged) {
        queries->n_damaged += totals->damaged;
        say_warn("archive: %" PRIu64 " damaged blocks are left out of "
                 "answers; the first: %s",
                 totals->damaged, totals->damage.text);
    }
    while (queries->all[i] != running) {
        i++;
    }
    queries->n--;
    memmove(queries->all + i, queries->all + i + 1,
            (queries->n - i) * sizeof *queries->all);
    query_destroy(running->query);
    json_decref(running->call_id);
    free(running);
}

/* Tells the client that its query is over. */
static void
end_query(struct queries_running *running, bool is_cancelled)
{
    const struct query_totals *t = query_totals(running->query);

    if (running->sink) {
        running->sink->end(running->aux, t);
        remove_running(running->queries, running);
        return;
    }

    json_t *end = json_pack(
        "{s:I, s:I, s:b, s:b, s:I, s:I}", "n", (json_int_t) t->n, "scanned",
        (json_int_t) t->scanned, "truncated", (int) t->is_truncated,
        "cancelled", (int) is_cancelled, "damaged", (json_int_t) t->damaged,
        "lost", (json_int_t) t->lost);

    if (t->sampled_since_ns) {
        json_object_set_new(end, "sampled",
                            json_pack("{s:I, s:I}", "since_ns",
                                      (json_int_t) t->sampled_since_ns,
                                      "until_ns",
                                      (json_int_t) t->sampled_until_ns));
    }
    if (t->damaged) {
        json_object_set_new(end, "damage", json_string(t->damage.text));
    }
    api_peer_send(running->peer, running->call_id, "end", end);
    remove_running(running->queries, running);
}

static void
tell_progress(struct queries_running *running, uint64_t now_ns)
{
    const struct query_totals *t = query_totals(running->query);

    if (running->sink) {
        running->sink->progress(running->aux, t);
        return;
    }
    if (now_ns - running->told_ns < PROGRESS_NS ||
        api_peer_is_busy(running->peer)) {
        return;
    }
    running->told_ns = now_ns;
    api_peer_send(running->peer, running->call_id, "progress",
                  json_pack("{s:I, s:I, s:I, s:I}", "n", (json_int_t) t->n,
                            "scanned", (json_int_t) t->scanned, "blocks_read",
                            (json_int_t) t->n_read, "blocks",
                            (json_int_t) t->n_blocks));
}

/* Gives the next query that can go on its slice. */
static void
on_slice(evutil_socket_t fd, short what, void *queries_)
{
    struct queries *queries = queries_;
    struct queries_running *running = NULL;

    for (size_t i = 0; i < queries->n && !running; i++) {
        queries->next = (queries->next + 1) % queries->n;
        if (can_go_on(queries->all[queries->next])) {
            running = queries->all[queries->next];
        }
    }
    if (running) {
        uint64_t start_ns = monotonic_ns(), now_ns = start_ns;
        enum query_state state = QUERY_MORE;

        while (state == QUERY_MORE && now_ns - start_ns < QUERIES_SLICE_NS) {
            state = query_step(running->query);
            now_ns = monotonic_ns();
        }
        if (state == QUERY_DONE) {
            end_query(running, false);
        } else {
            running->is_waiting = state == QUERY_BUSY;
            running->is_reading = state == QUERY_WAIT;
            tell_progress(running, now_ns);
        }
    }
    arm(queries);
}

/* The crew has done a job. */
static void
on_crew(evutil_socket_t fd, short what, void *queries_)
{
    struct queries *queries = queries_;
    struct crew_job *job;

    while ((job = crew_take(queries->crew)) != NULL) {
        query_take(job);
    }
    for (size_t i = 0; i < queries->n; i++) {
        queries->all[i]->is_reading = false;
    }
    arm(queries);
}

struct queries *
queries_create(struct event_base *base)
{
    struct queries *queries = lh_alloc_zero(sizeof *queries);

    queries->base = base;
    queries->event = evtimer_new(base, on_slice, queries);
    queries->later = later_create(base);
    return queries;
}

void
queries_destroy(struct queries *queries)
{
    if (queries) {
        while (queries->n) {
            remove_running(queries, queries->all[0]);
        }
        if (queries->crew) {
            query_drain(queries->crew);
            event_free(queries->crew_event);
            crew_destroy(queries->crew);
        }
        later_destroy(queries->later);
        event_free(queries->event);
        archive_reader_close(queries->reader);
        topology_unref(queries->topology);
        topology_unref(queries->told);
        free(queries->all);
        free(queries->dir);
        free(queries);
    }
}

void
queries_set_archive(struct queries *queries, const char *dir,
                    struct pipeline *pipeline, unsigned int n_threads)
{
    queries->dir = lh_strdup(dir);
    queries->pipeline = pipeline;
    queries->crew = crew_create(n_threads, CREW_BACKGROUND);
    if (!queries->crew) {
        say_warn("no thread could be made for queries: each block they read "
                 "holds the server up");
        return;
    }
    queries->crew_event = event_new(queries->base, crew_fd(queries->crew),
                                    EV_READ | EV_PERSIST, on_crew, queries);
    event_add(queries->crew_event, NULL);
}

void
queries_set_topology(struct queries *queries, const struct topology *topology)
{
    topology_unref(queries->topology);
    queries->topology = topology ? topology_ref(topology) : NULL;
}

void
queries_set_told(struct queries *queries, const struct topology *told)
{
    topology_unref(queries->told);
    queries->told = told ? topology_ref(told) : NULL;
}

/* --- Requests ----------------------------------------------------------- */

static void
give(void *running_, const struct history *h)
{
    struct queries_running *running = running_;
    struct told_history told;

    if (running->sink) {
        running->sink->give(running->aux, h);
        return;
    }
    told_history_init(&told, h,
                      running->queries->told ? running->queries->told
                                             : running->queries->topology);
    told_history_offer(&told, running->peer, running->call_id, 0, NULL);
    told_history_uninit(&told);
}

static bool
is_busy(void *running_)
{
    struct queries_running *running = running_;

    return running->sink ? running->sink->is_busy(running->aux)
                         : api_peer_is_busy(running->peer);
}

/* Reads the request's members but the filter into '*config'. */
static int
read_members(const struct jmember *root, struct query_config *config,
             struct lh_error *error)
{
    struct jmember since = jmember_get(root, "since");
    struct jmember until = jmember_get(root, "until");
    struct jmember limit = jmember_get(root, "limit");
    struct jmember order = jmember_get(root, "order");
    uint64_t now_ns = time_spec_now();
    const char *text;

    config->until_ns = UINT64_MAX;
    if ((jmember_is_there(&since) &&
         time_spec_member(&since, now_ns, &config->since_ns, error)) ||
        (jmember_is_there(&until) &&
         time_spec_member(&until, now_ns, &config->until_ns, error)) ||
        (jmember_is_there(&limit) &&
         jmember_u64(&limit, INT64_MAX, &config->limit, error))) {
        return EINVAL;
    }
    if (jmember_is_there(&limit) && !config->limit) {
        return jmember_error(&limit, error, "must be at least 1");
    }
    if (jmember_is_there(&order)) {
        if (jmember_string(&order, &text, error)) {
            return EINVAL;
        }
        config->is_desc = !strcmp(text, "desc");
        if (!config->is_desc && strcmp(text, "asc") != 0) {
            return jmember_error(&order, error, "must be \"asc\" or \"desc\"");
        }
    }
    return 0;
}

int
queries_read_members(const json_t *request, struct query_config *config,
                     struct lh_error *error)
{
    struct jmember root = jmember_root(request);

    return read_members(&root, config, error);
}

static size_t
count_of(const struct queries *queries, const struct api_peer *peer)
{
    size_t n = 0;

    for (size_t i = 0; i < queries->n; i++) {
        n += queries->all[i]->peer == peer;
    }
    return n;
}

int
queries_look(struct queries *queries, struct archive_reader **reader,
             struct archive_pending **pending, size_t *n_pending,
             struct lh_error *error)
{
    int retval;

    if (!queries->dir) {
        lh_error_set(error, "this server keeps no archive (start it with "
                            "--archive DIR)");
        return ENOENT;
    }
    /* First what takes long, then what nobody may add to meanwhile. */
    retval = queries->reader
                 ? archive_reader_refresh(queries->reader, error)
                 : archive_reader_open(queries->dir, &queries->reader, error);
    if (!retval && !pipeline_try_pause(queries->pipeline, MAX_REST_NS)) {
        lh_error_set(error, "the server is busy with the disk");
        retval = EAGAIN;
    } else if (!retval) {
        if (pipeline_n_workers(queries->pipeline)) {
            retval = archive_reader_refresh(queries->reader, error);
        }
        if (!retval) {
            *pending = pipeline_pending(queries->pipeline, n_pending);
        }
        pipeline_resume(queries->pipeline);
    }
    *reader = queries->reader;
    return retval;
}

void
queries_again(struct queries *queries, struct api_call *call,
              const json_t *request, api_handler *handler, void *aux)
{
    if (!later_add(queries->later, call, request, handler, aux)) {
        api_call_fail(call, API_LIMIT,
                      "no more than %d requests wait for the disk", LATER_MAX);
    }
}

const struct topology *
queries_topology(const struct queries *queries)
{
    return queries->topology;
}

static struct queries_running *
add(struct queries *queries, struct query_config *config)
{
    struct queries_running *running = lh_alloc_zero(sizeof *running);

    running->queries = queries;
    running->told_ns = monotonic_ns();
    config->crew = queries->crew;
    config->topology = queries->topology;
    config->give = give;
    config->is_busy = is_busy;
    config->aux = running;
    running->query = query_create(config);
    queries->all = lh_alloc_grow(queries->all, queries->n, &queries->allocated,
                                 sizeof *queries->all);
    queries->all[queries->n++] = running;
    queries->n_begun++;
    return running;
}

static void
start(struct queries *queries, struct api_call *call,
      struct query_config *config)
{
    struct queries_running *running = add(queries, config);

    running->peer = api_call_peer(call);
    running->call_id = json_incref(api_call_id(call));
    api_call_answer(call, NULL);
    arm(queries);
}

int
queries_start(struct queries *queries, struct query_config *config,
              const struct queries_sink *sink, void *aux,
              struct queries_running **runningp, struct lh_error *error)
{
    int retval = queries_look(queries, &config->reader, &config->pending,
                              &config->n_pending, error);

    *runningp = NULL;
    if (retval) {
        return retval;
    }
    *runningp = add(queries, config);
    (*runningp)->sink = sink;
    (*runningp)->aux = aux;
    arm(queries);
    return 0;
}

void
queries_stop(struct queries_running *running)
{
    remove_running(running->queries, running);
}

void
queries_wake(struct queries_running *running)
{
    running->is_waiting = false;
    arm(running->queries);
}

void
queries_handle_query(struct api_call *call, const json_t *request,
                     void *queries_)
{
    struct queries *queries = queries_;
    struct jmember root = jmember_root(request);
    struct jmember phf_member = jmember_get(&root, "phf");
    struct query_config config = {0};
    struct lh_error error;
    const char *text;
    int retval;

    error.pos = -1;
    if (jmember_string(&phf_member, &text, &error) ||
        read_members(&root, &config, &error)) {
        error.pos = -1;
        api_call_fail_error(call, API_BAD_REQUEST, &error);
    } else if (!queries->dir) {
        api_call_fail(call, API_UNAVAILABLE,
                      "this server keeps no archive (start it with "
                      "--archive DIR)");
    } else if (queries->n >= QUERIES_MAX ||
               count_of(queries, api_call_peer(call)) >=
                   QUERIES_MAX_PER_PEER) {
        api_call_fail(call, API_LIMIT,
                      "no more than %d queries at a time, %d of one client",
                      QUERIES_MAX, QUERIES_MAX_PER_PEER);
    } else if (phf_compile(text, NULL, &config.phf, &error)) {
        api_call_fail_error(call, API_BAD_FILTER, &error);
    } else if (!filter_right_check(call, config.phf)) {
        phf_destroy(config.phf);
    } else if ((retval = queries_look(queries, &config.reader, &config.pending,
                                      &config.n_pending, &error)) == EAGAIN) {
        phf_destroy(config.phf);
        queries_again(queries, call, request, queries_handle_query, queries);
    } else if (retval) {
        phf_destroy(config.phf);
        error.pos = -1;
        api_call_fail_error(call, API_INTERNAL, &error);
    } else {
        start(queries, call, &config);
    }
}

const json_t *
queries_read_id(struct api_call *call, const json_t *request)
{
    const json_t *id = json_object_get(request, "query");

    if (!json_is_string(id) && !json_is_number(id)) {
        api_call_fail(call, API_BAD_REQUEST,
                      "query: must be the id of the query");
        return NULL;
    }
    return id;
}

void
queries_handle_cancel(struct api_call *call, const json_t *request,
                      void *queries_)
{
    struct queries *queries = queries_;
    const json_t *id = queries_read_id(call, request);

    if (!id) {
        return;
    }
    for (size_t i = 0; i < queries->n; i++) {
        struct queries_running *running = queries->all[i];

        if (running->peer && running->peer == api_call_peer(call) &&
            json_equal(running->call_id, id)) {
            end_query(running, true);
            api_call_answer(call, NULL);
            return;
        }
    }
    if (later_cancel(queries->later, api_call_peer(call), id,
                     queries_handle_query)) {
        api_call_answer(call, NULL);
        return;
    }
    api_call_fail(call, API_NOT_FOUND, "no query of this client has that id");
}

void
queries_forget_peer(struct queries *queries, struct api_peer *peer)
{
    for (size_t i = queries->n; i-- > 0;) {
        if (peer && queries->all[i]->peer == peer) {
            remove_running(queries, queries->all[i]);
        }
    }
}

void
queries_wake_peer(struct queries *queries, struct api_peer *peer)
{
    for (size_t i = 0; i < queries->n; i++) {
        if (queries->all[i]->peer == peer) {
            queries->all[i]->is_waiting = false;
        }
    }
    arm(queries);
}

void
queries_collect(const struct queries *queries, struct counters *c)
{
    c->queries = queries->n_begun;
    c->queries_running = queries->n;
    c->query_scanned = queries->n_scanned;
    c->query_given = queries->n_given;
    c->query_damaged = queries->n_damaged;
}
