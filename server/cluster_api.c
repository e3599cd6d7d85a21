/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_api - what clients ask of a cluster. */
#include <config.h>

#include "server/cluster_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "server/shard_lease.h"

/* One call that waits for another server. */
struct asked {
    struct cluster_api *api;
    struct asked *next;
    struct api_call *call;               /* Owned. */
    char name[SHARD_LEASE_MAX_NAME + 1]; /* As much of it. */
};

struct cluster_api {
    struct cluster *cluster; /* NULL: none. */
    struct asked *asked;     /* Owned. */
};

/* False after an answer that there is none. */
static bool
is_there(const struct cluster_api *api, struct api_call *call)
{
    if (!api->cluster) {
        api_call_fail(call, API_UNAVAILABLE,
                      "this server is no part of a cluster (start it with "
                      "--cluster)");
    } else if (!cluster_get_queries(api->cluster)) {
        api_call_fail(call, API_UNAVAILABLE,
                      "this server waits for NATS to join its cluster");
    } else {
        return true;
    }
    return false;
}

/* NULL after an error answer. */
static const char *
read_name(struct api_call *call, const json_t *request)
{
    struct jmember root = jmember_root(request);
    struct jmember member = jmember_get(&root, "name");
    struct lh_error error;
    const char *name;

    error.pos = -1;
    if (jmember_string(&member, &name, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return NULL;
    }
    return name;
}

static void
handle_status(struct api_call *call, const json_t *request, void *api_)
{
    struct cluster_api *api = api_;

    if (!api->cluster) {
        is_there(api, call);
    } else {
        api_call_answer(call, json_pack("{s:o}", "cluster",
                                        cluster_to_json(api->cluster)));
    }
}

static void
on_drained(void *asked_, int error_number, const char *why,
           const json_t *answer)
{
    struct asked *asked = asked_;
    struct asked **at = &asked->api->asked;

    while (*at != asked) {
        at = &(*at)->next;
    }
    *at = asked->next;
    if (!error_number) {
        api_call_answer(asked->call, NULL);
    } else if (error_number == ECONNREFUSED) {
        api_call_fail(asked->call, API_NOT_FOUND,
                      "no server \"%s\" answers (cluster.status names them "
                      "all)",
                      asked->name);
    } else {
        api_call_fail(asked->call, API_UNAVAILABLE, "%s", why);
    }
    free(asked);
}

static void
handle_drain(struct api_call *call, const json_t *request, void *api_)
{
    struct cluster_api *api = api_;
    const char *name;
    struct asked *asked;

    if (!is_there(api, call) || !(name = read_name(call, request))) {
        return;
    }
    asked = lh_alloc_zero(sizeof *asked);
    asked->api = api;
    asked->call = call;
    snprintf(asked->name, sizeof asked->name, "%s", name);

    int retval = cluster_drain_server(api->cluster, name, on_drained, asked);

    if (retval) {
        free(asked);
    }
    if (retval == EINVAL) {
        api_call_fail(call, API_BAD_REQUEST,
                      "name: no server has the name \"%s\"", name);
    } else if (retval) {
        api_call_fail(call, API_LIMIT, "too much waits for NATS");
    } else {
        asked->next = api->asked;
        api->asked = asked;
    }
}

static void
handle_forget(struct api_call *call, const json_t *request, void *api_)
{
    struct cluster_api *api = api_;
    const char *name;

    if (!is_there(api, call) || !(name = read_name(call, request))) {
        return;
    }
    switch (cluster_forget(api->cluster, name)) {
    case 0:
        api_call_answer(call, NULL);
        break;
    case EBUSY:
        api_call_fail(call, API_BAD_REQUEST,
                      "server \"%s\" lives: stop it first", name);
        break;
    case ENOENT:
        api_call_fail(call, API_NOT_FOUND,
                      "no server \"%s\" is known (cluster.status names them "
                      "all)",
                      name);
        break;
    default:
        api_call_fail(call, API_UNAVAILABLE, "too much waits for NATS");
    }
}

static void
handle_query(struct api_call *call, const json_t *request, void *api_)
{
    struct cluster_api *api = api_;

    if (is_there(api, call)) {
        cluster_queries_handle_query(call, request,
                                     cluster_get_queries(api->cluster));
    }
}

static void
handle_cancel(struct api_call *call, const json_t *request, void *api_)
{
    struct cluster_api *api = api_;

    if (is_there(api, call)) {
        cluster_queries_handle_cancel(call, request,
                                      cluster_get_queries(api->cluster));
    }
}

struct cluster_api *
cluster_api_create(struct api_server *server, struct cluster *cluster)
{
    struct cluster_api *api = lh_alloc_zero(sizeof *api);

    api->cluster = cluster;
    api_server_add_op(server, "cluster.status", handle_status, api);
    api_server_add_op(server, "cluster.drain", handle_drain, api);
    api_server_add_op(server, "cluster.forget", handle_forget, api);
    api_server_require(server, "cluster.drain", API_RIGHT_CONTROL);
    api_server_require(server, "cluster.forget", API_RIGHT_CONTROL);
    if (cluster) {
        api_server_add_op(server, "query", handle_query, api);
        api_server_add_op(server, "cancel", handle_cancel, api);
    }
    return api;
}

static struct cluster_queries *
queries_of(const struct cluster_api *api)
{
    return api && api->cluster ? cluster_get_queries(api->cluster) : NULL;
}

void
cluster_api_forget_peer(struct cluster_api *api, struct api_peer *peer)
{
    if (queries_of(api)) {
        cluster_queries_forget_peer(queries_of(api), peer);
    }
}

void
cluster_api_wake_peer(struct cluster_api *api, struct api_peer *peer)
{
    if (queries_of(api)) {
        cluster_queries_wake_peer(queries_of(api), peer);
    }
}

void
cluster_api_destroy(struct cluster_api *api)
{
    if (!api) {
        return;
    }
    while (api->asked) {
        struct asked *asked = api->asked;

        api->asked = asked->next;
        cluster_forget_asker(api->cluster, asked);
        api_call_fail(asked->call, API_UNAVAILABLE, "the server ends");
        free(asked);
    }
    free(api);
}
