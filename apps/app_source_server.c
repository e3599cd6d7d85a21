/* SPDX-License-Identifier: Apache-2.0 */
/* source_server - a server's socket as a source (docs/api.md).
 *
 * Two connections: one for questions and their answers, one on which matches
 * of live filters arrive, made with the first of them.  A connection that
 * broke is made again at the next use, and live filters are set again. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_interrupt.h"
#include "apps/app_source.h"
#include "lib/api_client.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"

struct watch {
    uint64_t id;      /* Ours; never changes. */
    uint64_t trigger; /* The server's, on this connection. */
    uint64_t rate;    /* 0: no limit. */
    char *phf;        /* Owned. */
};

struct source_server {
    struct app_source base;
    char *path;                /* Owned. */
    const char *name;          /* Of the program that asks. */
    int timeout_ms;            /* For answers, and silence in a query. */
    struct api_client *client; /* NULL: to be made.  Owned. */
    struct api_client *live;   /* The same, for watches.  */
    size_t n_watches, allocated_watches;
    struct watch *watches; /* Owned. */
    uint64_t last_id;
};

static struct source_server *
server_of(struct app_source *source)
{
    return (struct source_server *) source;
}

/* True when the connection is of no use any more. */
static bool
is_broken(int retval)
{
    return retval == ECONNRESET || retval == EPROTO || retval == EPIPE;
}

static int
open_client(struct source_server *server, struct api_client **clientp,
            struct lh_error *error)
{
    struct lh_error reason;
    int retval =
        *clientp ? 0 : api_client_open(server->path, clientp, &reason);

    if (retval == EACCES) {
        lh_error_set(error,
                     "no server: %s (only the owner and the group of the "
                     "socket may use it)",
                     reason.text);
    } else if (retval) {
        lh_error_set(error,
                     "no server: %s (is lasthop-server running? --server "
                     "SOCKET asks another one, --read DIR reads an archive "
                     "without one)",
                     reason.text);
    }
    return retval;
}

/* Closes '*clientp' if 'retval' says that it broke; returns 'retval' with the
 * server named in '*error'. */
static int
after_call(struct source_server *server, struct api_client **clientp,
           int retval, struct lh_error *error)
{
    if (is_broken(retval)) {
        api_client_close(*clientp);
        *clientp = NULL;
        lh_error_prefix(error, "%s", server->path);
    } else if (retval == ETIMEDOUT) {
        lh_error_set(error,
                     "%s: no answer in %d s (--timeout SECONDS waits longer, "
                     "--read DIR reads an archive without a server)",
                     server->path, server->timeout_ms / 1000);
    }
    return retval;
}

/* One call on '*clientp', which is opened if need be; a connection that turns
 * out to be dead is made once more. */
static int
call(struct source_server *server, struct api_client **clientp, const char *op,
     json_t *members, json_t **answer, struct lh_error *error)
{
    bool is_old = *clientp != NULL;
    int retval = open_client(server, clientp, error);

    if (!retval) {
        json_incref(members);
        retval = api_client_call(*clientp, op, members, server->timeout_ms,
                                 answer, error);
        retval = after_call(server, clientp, retval, error);
    }
    if (is_old && is_broken(retval) && clientp == &server->client) {
        return call(server, clientp, op, members, answer, error);
    }
    json_decref(members);
    return retval;
}

/* The next event on 'client', waited for up to 'timeout_ms'. */
static int
next_event(struct api_client *client, int timeout_ms, json_t **event,
           struct lh_error *error)
{
    int retval = api_client_next_event(client, 0, event, error);

    while (retval == ETIMEDOUT) {
        retval = app_interrupt_wait(api_client_fd(client), timeout_ms);
        if (retval == ETIMEDOUT) {
            return retval;
        }
        if (!retval) {
            retval = api_client_next_event(client, 0, event, error);
        }
    }
    return retval;
}

static int
bad_answer(const struct source_server *server, const char *what,
           struct lh_error *error)
{
    lh_error_prefix(error, "%s: the server's %s is none", server->path, what);
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

    retval = call(server, &server->client, "flow",
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
    retval = call(server, &server->client, "table", members, &answer, error);
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

    retval = call(server, &server->client, "topology", NULL, &answer, error);
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

    retval = call(server, &server->client, "stats", NULL, &answer, error);
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
    int retval;

    retval =
        call(server, &server->client, op, json_incref(members), answer, error);
    if (!retval) {
        json_object_del(*answer, "id");
        json_object_del(*answer, "ok");
    }
    return retval;
}

/* --- queries ------------------------------------------------------------- */

static uint64_t
get_count(const json_t *event, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(event, name));

    return n > 0 ? (uint64_t) n : 0;
}

/* Takes one event of a query.  '*is_over' when it was the last. */
static int
take_event(const struct source_server *server, const struct app_find *find,
           const json_t *event, struct app_found *found, bool *is_over,
           struct lh_error *error)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    struct history *history;

    *is_over = false;
    if (!name) {
        return 0;
    }
    if (!strcmp(name, "history")) {
        if (history_from_json(json_object_get(event, "history"), &history,
                              error)) {
            return bad_answer(server, "history", error);
        }
        find->give(find->aux, history);
    } else if (!strcmp(name, "progress") && find->progress) {
        find->progress(find->aux, get_count(event, "blocks_read"),
                       get_count(event, "blocks"));
    } else if (!strcmp(name, "end")) {
        found->scanned = get_count(event, "scanned");
        found->damaged = get_count(event, "damaged");

        const char *damage =
            json_string_value(json_object_get(event, "damage"));

        snprintf(found->damage, sizeof found->damage, "%s",
                 damage ? damage : "the server does not say which");
        found->lost = get_count(event, "lost");
        found->is_truncated =
            json_is_true(json_object_get(event, "truncated"));
        *is_over = true;
    }
    return 0;
}

/* Takes the events of query 'id' up to its end. */
static int
take_events(struct source_server *server, const struct app_find *find,
            json_int_t id, int timeout_ms, struct app_found *found,
            struct lh_error *error)
{
    bool is_over = false;
    int retval = 0;

    while (!retval && !is_over) {
        json_t *event;

        retval = next_event(server->client, timeout_ms, &event, error);
        if (!retval) {
            if (json_integer_value(json_object_get(event, "id")) == id) {
                retval =
                    take_event(server, find, event, found, &is_over, error);
            }
            json_decref(event);
        }
    }
    return retval;
}

static int
find_histories(struct app_source *source, const struct app_find *find,
               struct app_found *found, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    json_t *members = json_pack("{s:s, s:s}", "phf", find->phf, "order",
                                find->is_asc ? "asc" : "desc");
    json_int_t id;
    int retval;

    if (!members) {
        lh_error_set_at(error, 0, "the filter is not UTF-8");
        return EINVAL;
    }
    if (find->limit) {
        json_object_set_new(members, "limit",
                            json_integer((json_int_t) find->limit));
    }
    if (find->since_ns) {
        json_object_set_new(members, "since",
                            json_integer((json_int_t) find->since_ns));
    }
    if (find->until_ns) {
        json_object_set_new(members, "until",
                            json_integer((json_int_t) find->until_ns));
    }
    retval = call(server, &server->client, "query", members, NULL, error);
    if (retval) {
        return retval;
    }
    id = api_client_last_id(server->client);
    retval = take_events(server, find, id, server->timeout_ms, found, error);
    if (retval == EINTR) {
        /* With its connection the query ends. */
        api_client_close(server->client);
        server->client = NULL;
        return EINTR;
    }
    return after_call(server, &server->client, retval, error);
}

/* --- watches ------------------------------------------------------------- */

static int
set_trigger(struct source_server *server, struct watch *b,
            struct lh_error *error)
{
    json_t *members =
        json_pack("{s:s, s:s}", "phf", b->phf, "name", server->name);
    json_t *answer;
    int retval;

    if (!members) {
        lh_error_set_at(error, 0, "the filter is not UTF-8");
        return EINVAL;
    }
    if (b->rate) {
        json_object_set_new(members, "rate",
                            json_integer((json_int_t) b->rate));
    }
    retval =
        call(server, &server->live, "trigger.add", members, &answer, error);
    if (!retval) {
        b->trigger = get_count(answer, "trigger");
        json_decref(answer);
    }
    return retval;
}

/* Makes the live connection if there is none, with all watches. */
static int
revive(struct source_server *server, struct lh_error *error)
{
    int retval = 0;

    if (server->live) {
        return 0;
    }
    retval = open_client(server, &server->live, error);
    for (size_t i = 0; !retval && i < server->n_watches; i++) {
        retval = set_trigger(server, &server->watches[i], error);
    }
    if (retval) {
        api_client_close(server->live);
        server->live = NULL;
    }
    return retval;
}

static int
add_watch(struct app_source *source, const char *phf, uint64_t rate,
          uint64_t *id, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    struct watch b = {.rate = rate, .phf = lh_strdup(phf)};
    int retval = revive(server, error);

    if (!retval) {
        retval = set_trigger(server, &b, error);
    }
    if (retval) {
        free(b.phf);
        return retval;
    }
    *id = b.id = ++server->last_id;
    server->watches =
        lh_alloc_grow(server->watches, server->n_watches,
                      &server->allocated_watches, sizeof *server->watches);
    server->watches[server->n_watches++] = b;
    return 0;
}

static int
remove_watch(struct app_source *source, uint64_t id, struct lh_error *error)
{
    struct source_server *server = server_of(source);
    size_t i = 0;
    int retval = 0;

    while (i < server->n_watches && server->watches[i].id != id) {
        i++;
    }
    if (i == server->n_watches) {
        lh_error_set(error, "no such live filter");
        return ENOENT;
    }
    if (server->live) {
        json_t *members = json_pack("{s:I}", "trigger",
                                    (json_int_t) server->watches[i].trigger);

        retval = call(server, &server->live, "trigger.delete", members, NULL,
                      error);
    }
    /* Without a connection the server has forgotten it by itself. */
    if (!retval || !server->live) {
        free(server->watches[i].phf);
        memmove(&server->watches[i], &server->watches[i + 1],
                (--server->n_watches - i) * sizeof *server->watches);
        retval = 0;
    }
    return retval;
}

/* What the live connection brought; '*is_stop' when it is for the user. */
static int
take_live(const struct source_server *server, const json_t *event,
          struct app_stop *stop, bool *is_stop, struct lh_error *error)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    uint64_t trigger = get_count(event, "trigger");

    if (name && !strcmp(name, "missed")) {
        stop->n_missed += get_count(event, "n");
        return 0;
    }
    for (size_t i = 0; i < server->n_watches; i++) {
        if (server->watches[i].trigger != trigger || !name) {
            continue;
        }
        if (!strcmp(name, "limited")) {
            stop->id = server->watches[i].id;
            stop->n_limited = get_count(event, "n");
            *is_stop = true;
        } else if (!strcmp(name, "history")) {
            stop->id = server->watches[i].id;
            if (history_from_json(json_object_get(event, "history"),
                                  &stop->history, error)) {
                return bad_answer(server, "history", error);
            }
            *is_stop = true;
        }
    }
    return 0;
}

static int
wait_live(struct app_source *source, int timeout_ms, struct app_stop *stop,
          struct lh_error *error)
{
    struct source_server *server = server_of(source);
    bool is_stop = false;
    int retval = revive(server, error);

    while (!retval && !is_stop) {
        json_t *event;

        retval = next_event(server->live, timeout_ms, &event, error);
        if (!retval) {
            retval = take_live(server, event, stop, &is_stop, error);
            json_decref(event);
        }
    }
    return after_call(server, &server->live, retval, error);
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

    for (size_t i = 0; i < server->n_watches; i++) {
        free(server->watches[i].phf);
    }
    free(server->watches);
    api_client_close(server->client);
    api_client_close(server->live);
    free(server->path);
    free(server);
}

int
app_source_open_server(const char *path, const char *name, int timeout_ms,
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
        .wait = wait_live,
        .connect = connect_live,
        .is_connected = is_live,
    };
    struct source_server *server = lh_alloc_zero(sizeof *server);
    int retval;

    *sourcep = NULL;
    server->base.class = &class;
    server->path = lh_strdup(path);
    server->name = name;
    server->timeout_ms = timeout_ms;
    retval = open_client(server, &server->client, error);
    if (retval) {
        close_server(&server->base);
        return retval;
    }
    *sourcep = &server->base;
    return 0;
}
