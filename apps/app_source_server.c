/* SPDX-License-Identifier: Apache-2.0 */
/* source_server - a server's socket as a source (docs/api.md).
 *
 * Two connections: one for questions and their answers, one on which matches
 * of live filters arrive, made with the first of them.  A connection that
 * broke is made again at the next use, and live filters are set again.
 *
 * Callbacks of the library only put what came into a queue, and whoever waits
 * takes it from there (apps/app_link.h says why). */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_arrivals.h"
#include "apps/app_link.h"
#include "apps/app_query.h"
#include "apps/app_source.h"
#include "lib/client_json.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"

struct source_server;

struct watch {
    uint64_t id;                     /* Never changes. */
    uint64_t rate;                   /* 0: no limit. */
    char *phf;                       /* Owned. */
    struct lasthop_request *request; /* While there is a connection. */
    struct source_server *server;
};

struct source_server {
    struct app_source base;
    struct app_server where; /* Its address is owned. */
    struct app_link *link;   /* NULL: to be made.  Owned. */
    struct app_link *live;   /* The same, for watches.  */
    size_t n_watches, allocated_watches;
    struct watch **watches; /* Array and watches owned. */
    uint64_t last_id;
    struct app_arrivals arrivals; /* Of watches. */
};

static struct source_server *
server_of(struct app_source *source)
{
    return (struct source_server *) source;
}

/* 'retval' of what was asked by 'link', which may be NULL: a server that says
 * nothing is the same, whether an answer did not come or nothing did. */
static int
explain_timeout(const struct source_server *server, struct app_link *link,
                int retval, struct lh_error *error)
{
    if (retval == ECONNRESET && link &&
        client_json_was_silent(app_link_client(link))) {
        retval = ETIMEDOUT;
    }
    if (retval == ETIMEDOUT) {
        lh_error_set(error,
                     "%s: no answer in %d s (--timeout SECONDS waits longer, "
                     "--read DIR reads an archive without a server)",
                     server->where.address, server->where.timeout_ms / 1000);
    }
    return retval;
}

static int
open_link(struct source_server *server, struct app_link **linkp,
          struct lh_error *error)
{
    struct lh_error reason;
    int retval = *linkp ? 0 : app_link_open(&server->where, linkp, &reason);

    if (retval == ETIMEDOUT) {
        explain_timeout(server, NULL, retval, error);
    } else if (retval == EACCES) {
        bool is_tcp = !strncmp(server->where.address, "tcp:", 4) ||
                      !strncmp(server->where.address, "ssl:", 4);

        lh_error_set(error, "no server: %s%s", reason.text,
                     is_tcp ? ""
                            : " (only the owner and the group of the socket "
                              "may use it)");
    } else if (retval) {
        lh_error_set(error,
                     "no server: %s (is lasthop-server running? --server "
                     "SOCKET asks another one, --read DIR reads an archive "
                     "without one)",
                     reason.text);
    }
    return retval;
}

/* The same for questions; a link that turns out to be dead is made anew. */
static int
open_for_question(struct source_server *server, struct lh_error *error)
{
    int retval = 0;

    while (server->link && !retval) {
        retval = app_link_wait(server->link, 0, NULL);
    }
    if (server->link && retval != ETIMEDOUT && retval != EINTR) {
        app_link_close(server->link);
        server->link = NULL;
    }
    return open_link(server, &server->link, error);
}

/* Asks a question. */
static int
call(struct source_server *server, const char *op, json_t *members,
     json_t **answer, struct lh_error *error)
{
    int retval = open_for_question(server, error);

    if (retval) {
        json_decref(members);
        return retval;
    }
    retval = app_link_call(server->link, op, members, answer, error);
    return explain_timeout(server, server->link, retval, error);
}

static int
bad_answer(const struct source_server *server, const char *what,
           struct lh_error *error)
{
    lh_error_prefix(error, "%s: the server's %s is none",
                    server->where.address, what);
    return EBADMSG;
}

/* --- questions ----------------------------------------------------------- */

static int
get_rule(struct app_source *source, uint64_t dpid, uint32_t version,
         struct rule **rulep, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    json_t *answer;
    int retval;

    retval = call(server, "flow",
                  json_pack("{s:o, s:I}", "dpid", jmember_dpid_new(dpid),
                            "version", (json_int_t) version),
                  &answer, error);
    if (!retval) {
        if (rule_from_json(json_object_get(answer, "rule"), rulep, error)) {
            retval = bad_answer(server, "rule", error);
        }
        json_decref(answer);
    }
    return retval;
}

static int
read_table(const struct source_server *server, const json_t *answer,
           struct app_table *table, struct lh_error *error)
{
    struct jmember root = jmember_root(answer);
    struct jmember rules = jmember_get(&root, "rules");
    struct jmember at = jmember_get(&root, "at_ns");
    size_t n;

    if (jmember_array(&rules, &n, error) ||
        (jmember_is_there(&at) &&
         jmember_u64(&at, INT64_MAX, &table->at_ns, error))) {
        return bad_answer(server, "table", error);
    }
    table->rules = lh_alloc_array(NULL, n, sizeof *table->rules);
    for (size_t i = 0; i < n; i++) {
        if (rule_from_json(json_array_get(rules.value, i), &table->rules[i],
                           error)) {
            app_table_uninit(table);
            return bad_answer(server, "table", error);
        }
        table->n++;
    }
    return 0;
}

static int
get_table(struct app_source *source, uint64_t dpid, const uint32_t *version,
          uint64_t at_ns, struct app_table *table, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    json_t *members = json_pack("{s:o}", "dpid", jmember_dpid_new(dpid));
    json_t *answer;
    int retval;

    if (version) {
        json_object_set_new(members, "version", json_integer(*version));
    } else {
        json_object_set_new(members, "at", json_integer((json_int_t) at_ns));
    }
    retval = call(server, "table", members, &answer, error);
    if (!retval) {
        retval = read_table(server, answer, table, error);
        json_decref(answer);
    }
    return retval;
}

static int
get_topology(struct app_source *source, uint64_t at_ns,
             struct topology **topologyp, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    json_t *answer, *json;
    int retval;

    retval = call(server, "topology", NULL, &answer, error);
    if (!retval) {
        json = json_object_get(answer, "topology");
        if (!json || json_is_null(json)) {
            lh_error_set(error, "the server knows no topology yet");
            retval = ENOENT;
        } else if (topology_from_json(json, topologyp, error)) {
            retval = bad_answer(server, "topology", error);
        }
        json_decref(answer);
    }
    return retval;
}

static int
get_stats(struct app_source *source, json_t **statsp, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    json_t *answer;
    int retval;

    retval = call(server, "stats", NULL, &answer, error);
    if (!retval) {
        *statsp = json_incref(json_object_get(answer, "stats"));
        json_decref(answer);
    }
    return retval;
}

static int
ask(struct app_source *source, const char *op, json_t *members,
    json_t **answer, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    json_t *whole;
    int retval;

    retval = call(server, op, json_incref(members), &whole, error);
    if (!retval) {
        *answer = json_copy(whole);
        json_decref(whole);
        json_object_del(*answer, "id");
        json_object_del(*answer, "ok");
    }
    return retval;
}

/* --- queries ------------------------------------------------------------- */

static int
find_histories(struct app_source *source, const struct app_find *find,
               struct app_found *found, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    int retval = open_for_question(server, error);

    if (!retval) {
        retval = app_query_run(server->link, find, found, error);
        retval = explain_timeout(server, server->link, retval, error);
        if (retval == EINTR) {
            /* With its connection the query ends at once. */
            app_link_close(server->link);
            server->link = NULL;
        }
    }
    return retval;
}

/* --- watches ------------------------------------------------------------- */

static void
on_match(struct lasthop_request *r, struct lasthop_history *h, void *watch_)
{
    struct watch *watch = watch_;

    app_arrivals_put(&watch->server->arrivals, watch->id, h);
}

static void
on_missed(struct lasthop_request *r, uint64_t n, uint64_t since_ns,
          uint64_t until_ns, void *watch_)
{
    struct watch *watch = watch_;

    app_arrivals_put_missed(&watch->server->arrivals, n, since_ns, until_ns,
                            lasthop_request_missed_why(r));
}

static void
on_missed_by_all(struct lasthop_client *client, uint64_t n, void *server_)
{
    struct source_server *server = server_;

    app_arrivals_put_count(&server->arrivals, 0, n);
}

/* Matches above the rate of a watch. */
static void
on_event(struct lasthop_request *r, const char *json, void *watch_)
{
    struct watch *watch = watch_;
    const json_t *event = client_json_event(r);
    const char *name = json_string_value(json_object_get(event, "event"));
    json_int_t n = json_integer_value(json_object_get(event, "n"));

    if (name && !strcmp(name, "limited") && n > 0) {
        app_arrivals_put_count(&watch->server->arrivals, watch->id,
                               (uint64_t) n);
    }
}

/* How long the live connection may be silent. */
static void
set_patience(struct source_server *server, unsigned int ms)
{
    lasthop_client_set_timeout(app_link_client(server->live), ms);
}

static int
set_trigger(struct source_server *server, struct watch *watch,
            struct lh_error *error)
{
    struct lasthop_request *r;
    int retval;

    r = lasthop_request_create(app_link_client(server->live), "trigger.add");
    lasthop_request_set_text(r, "phf", watch->phf);
    lasthop_request_set_text(r, "name", server->where.name);
    if (watch->rate) {
        lasthop_request_set_number(r, "rate", (int64_t) watch->rate);
    }
    lasthop_request_on_history(r, on_match, watch);
    lasthop_request_on_missed(r, on_missed, watch);
    lasthop_request_on_event(r, on_event, watch);
    set_patience(server, (unsigned int) server->where.timeout_ms);
    retval = app_link_ask(server->live, r, error);
    if (strncmp(lasthop_client_address(app_link_client(server->live)),
                "ssl:", 4) != 0) {
        /* The kernel tells when a server of this machine is gone, and one that
         * only hangs sends later what there is. */
        set_patience(server, UINT_MAX);
    }
    if (retval) {
        lasthop_request_destroy(r);
        r = NULL;
    }
    watch->request = r;
    return retval;
}

static void
close_live(struct source_server *server)
{
    for (size_t i = 0; i < server->n_watches; i++) {
        server->watches[i]->request = NULL;
    }
    app_link_close(server->live);
    server->live = NULL;
}

/* Makes the live connection if there is none, with all watches. */
static int
revive(struct source_server *server, struct lh_error *error)
{
    int retval = 0;

    if (server->live) {
        return 0;
    }
    retval = open_link(server, &server->live, error);
    if (!retval) {
        lasthop_client_on_missed(app_link_client(server->live),
                                 on_missed_by_all, server);
    }
    for (size_t i = 0; !retval && i < server->n_watches; i++) {
        retval = set_trigger(server, server->watches[i], error);
    }
    if (retval) {
        close_live(server);
    }
    return retval;
}

static void
free_watch(struct watch *watch)
{
    free(watch->phf);
    free(watch);
}

static int
add_watch(struct app_source *source, const char *phf, uint64_t rate,
          uint64_t *id, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    struct watch *watch;
    int retval = revive(server, error);

    if (retval) {
        return retval;
    }
    watch = lh_alloc_zero(sizeof *watch);
    watch->id = *id = ++server->last_id;
    watch->phf = lh_strdup(phf);
    watch->rate = rate;
    watch->server = server;
    retval = set_trigger(server, watch, error);
    if (retval) {
        free_watch(watch);
        return retval;
    }
    server->watches =
        lh_alloc_grow(server->watches, server->n_watches,
                      &server->allocated_watches, sizeof *server->watches);
    server->watches[server->n_watches++] = watch;
    return 0;
}

static int
remove_watch(struct app_source *source, uint64_t id, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    size_t i = 0;

    while (i < server->n_watches && server->watches[i]->id != id) {
        i++;
    }
    if (i == server->n_watches) {
        lh_error_set(error, "no such live filter");
        return ENOENT;
    }
    /* Tells the server; without a connection it has forgotten it by itself. */
    lasthop_request_destroy(server->watches[i]->request);
    if (server->live) {
        app_link_wait(server->live, 0, NULL);
    }
    app_arrivals_drop(&server->arrivals, id);
    free_watch(server->watches[i]);
    memmove(&server->watches[i], &server->watches[i + 1],
            (--server->n_watches - i) * sizeof *server->watches);
    return 0;
}

static const char *
watched(struct app_source *source, size_t i, uint64_t *id)
{
    struct source_server *server = server_of(source);

    if (i >= server->n_watches) {
        return NULL;
    }
    *id = server->watches[i]->id;
    return server->watches[i]->phf;
}

/* Whether the server ended a watch by itself: another client may delete it. */
static int
check_watches(struct source_server *server, struct lh_error *error)
{
    for (size_t i = 0; i < server->n_watches; i++) {
        struct watch *watch = server->watches[i];
        int retval = watch->request ? lasthop_request_result(watch->request)
                                    : EINPROGRESS;

        if (retval != EINPROGRESS) {
            lh_error_set(error, "%s: %s", server->where.address,
                         lasthop_request_error(watch->request));
            lasthop_request_destroy(watch->request);
            watch->request = NULL;
            return retval;
        }
    }
    return 0;
}

/* Takes what came first.  False when it is nothing to stop for: what was
 * missed is told with the next that is. */
static bool
take_arrival(struct source_server *server, struct app_stop *stop)
{
    struct app_arrival a;

    while (app_arrivals_take(&server->arrivals, &a)) {
        if (a.history || a.id) {
            stop->id = a.id;
            stop->history = a.history;
            stop->n_limited = a.n;
            return true;
        }
        stop->n_missed += a.n;
        app_source_note_missed(stop, a.since_ns, a.until_ns, a.why);
    }
    return false;
}

static int
wait_live(struct app_source *source, int timeout_ms, struct app_stop *stop,
          struct lh_error *error)
{
    struct source_server *server = server_of(source);
    bool is_stop = take_arrival(server, stop);
    int retval = is_stop ? 0 : revive(server, error);

    while (!retval && !is_stop) {
        retval = app_link_wait(server->live, timeout_ms, error);
        is_stop = take_arrival(server, stop);
        if (is_stop) {
            return 0; /* What else happened is told by the next call. */
        }
        if (!retval) {
            retval = check_watches(server, error);
        }
    }
    if (retval && server->live && !app_link_is_up(server->live)) {
        close_live(server);
    }
    return retval;
}

static int
connect_live(struct app_source *source, struct lh_error *error)
{
    return revive(server_of(source), error);
}

static bool
is_live(const struct app_source *source)
{
    return ((const struct source_server *) source)->live != NULL;
}

/* --- the source ---------------------------------------------------------- */

static void
close_server(struct app_source *source)
{
    struct source_server *server = server_of(source);

    close_live(server);
    app_link_close(server->link);
    app_arrivals_drop(&server->arrivals, 0);
    for (size_t i = 0; i < server->n_watches; i++) {
        free_watch(server->watches[i]);
    }
    free(server->watches);
    free((char *) server->where.address);
    free(server);
}

int
app_source_open_server(const struct app_server *where,
                       struct app_source **sourcep, struct lh_error *error)
{
    static const struct app_source_class class = {
        .close = close_server,
        .find = find_histories,
        .rule = get_rule,
        .table = get_table,
        .topology = get_topology,
        .stats = get_stats,
        .ask = ask,
        .add_watch = add_watch,
        .remove_watch = remove_watch,
        .watched = watched,
        .wait = wait_live,
        .connect = connect_live,
        .is_connected = is_live,
    };
    struct source_server *server = lh_alloc_zero(sizeof *server);
    int retval;

    *sourcep = NULL;
    server->base.class = &class;
    server->where = *where;
    server->where.address = lh_strdup(where->address);
    app_arrivals_init(&server->arrivals);
    retval = open_link(server, &server->link, error);
    if (retval) {
        close_server(&server->base);
        return retval;
    }
    *sourcep = &server->base;
    return 0;
}
