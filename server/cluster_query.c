/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_query - the queries of this server's clients, over all servers. */
#include <config.h>

#include "server/cluster_query.h"

#include <stdlib.h>

#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "phf/phf.h"
#include "server/filter_right.h"
#include "server/queries.h"
#include "server/told_history.h"

/* One query of one client. */
struct asked {
    struct cluster_queries *queries;
    struct api_peer *peer;
    json_t *call_id;         /* Owned reference. */
    struct cluster_fan *fan; /* Owned. */
};

struct cluster_queries {
    struct cluster_fan_cluster cluster;
    struct topology *topology; /* Owned reference, or NULL. */
    struct topology *told;     /* The same. */
    size_t n, allocated;
    struct asked **all; /* Owned. */
};

static void
remove_asked(struct asked *asked)
{
    struct cluster_queries *queries = asked->queries;
    size_t i = 0;

    while (queries->all[i] != asked) {
        i++;
    }
    queries->all[i] = queries->all[--queries->n];
    cluster_fan_destroy(asked->fan);
    json_decref(asked->call_id);
    free(asked);
}

/* --- What is found ------------------------------------------------------- */

static void
give(void *asked_, const struct history *h)
{
    struct asked *asked = asked_;
    struct told_history told;

    const struct cluster_queries *queries = asked->queries;

    told_history_init(&told, h,
                      queries->told ? queries->told : queries->topology);
    told_history_offer(&told, asked->peer, asked->call_id, 0, NULL);
    told_history_uninit(&told);
}

static bool
is_busy(void *asked_)
{
    struct asked *asked = asked_;

    return api_peer_is_busy(asked->peer);
}

static void
progress(void *asked_, json_t *json)
{
    struct asked *asked = asked_;

    if (api_peer_is_busy(asked->peer)) {
        json_decref(json);
    } else {
        api_peer_send(asked->peer, asked->call_id, "progress", json);
    }
}

static void
end(void *asked_, json_t *json)
{
    struct asked *asked = asked_;

    api_peer_send(asked->peer, asked->call_id, "end", json);
    remove_asked(asked);
}

/* --- Requests ------------------------------------------------------------ */

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
    struct asked *asked = lh_alloc_zero(sizeof *asked);
    const struct cluster_fan_config fan = {
        .cluster = queries->cluster,
        .phf = phf,
        .since_ns = config->since_ns,
        .until_ns = config->until_ns,
        .limit = config->limit,
        .is_desc = config->is_desc,
        .give = give,
        .is_busy = is_busy,
        .progress = progress,
        .end = end,
        .aux = asked,
    };

    asked->queries = queries;
    asked->peer = api_call_peer(call);
    asked->call_id = json_incref(api_call_id(call));
    queries->all = lh_alloc_grow(queries->all, queries->n, &queries->allocated,
                                 sizeof *queries->all);
    queries->all[queries->n++] = asked;
    api_call_answer(call, NULL);
    asked->fan = cluster_fan_create(&fan);
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
        struct asked *asked = queries->all[i];

        if (asked->peer == api_call_peer(call) &&
            json_equal(asked->call_id, id)) {
            end(asked, cluster_fan_cancelled(asked->fan));
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
            remove_asked(queries->all[i]);
        }
    }
}

void
cluster_queries_wake_peer(struct cluster_queries *queries,
                          struct api_peer *peer)
{
    for (size_t i = 0; i < queries->n; i++) {
        if (queries->all[i]->peer == peer) {
            cluster_fan_wake(queries->all[i]->fan);
        }
    }
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_queries *
cluster_queries_create(const struct cluster_fan_cluster *cluster)
{
    struct cluster_queries *queries = lh_alloc_zero(sizeof *queries);

    queries->cluster = *cluster;
    return queries;
}

void
cluster_queries_destroy(struct cluster_queries *queries)
{
    if (queries) {
        while (queries->n) {
            remove_asked(queries->all[0]);
        }
        topology_unref(queries->topology);
        topology_unref(queries->told);
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

void
cluster_queries_set_told(struct cluster_queries *queries,
                         const struct topology *told)
{
    topology_unref(queries->told);
    queries->told = told ? topology_ref(told) : NULL;
}
