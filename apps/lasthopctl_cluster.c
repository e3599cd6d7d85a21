/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the commands about a cluster of servers. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

static bool
is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* What a stream in NATS holds. */
static void
print_stream(const json_t *streams, const char *key)
{
    const json_t *stream = json_object_get(streams, key);

    if (json_is_object(stream)) {
        printf("  %s in NATS: ", key);
        ctl_print_count(ctl_number(stream, "messages"), "message", "messages");
        printf(", %lld bytes\n", ctl_number(stream, "bytes"));
    } else {
        printf("  %s in NATS: not known\n", key);
    }
}

static void
print_server(const struct ctl *ctl, const json_t *server)
{
    long long since_ns = ctl_number(server, "since_ns");
    char since[TIME_SPEC_BUFSIZE], until[TIME_SPEC_BUFSIZE];

    printf("  %s: %s%s, ", ctl_text(server, "name"),
           is_true(server, "alive") ? "lives" : "DEAD",
           is_true(server, "draining") ? ", drains" : "");
    ctl_print_count(ctl_number(server, "shards"), "shard, ", "shards, ");
    ctl_print_count(ctl_number(server, "stores"), "store", "stores");
    if (*ctl_text(server, "version")) {
        printf(", version %s", ctl_text(server, "version"));
    }
    if (since_ns) {
        app_format_time(ctl->app, (uint64_t) since_ns, since);
        app_format_time(ctl->app, (uint64_t) ctl_number(server, "until_ns"),
                        until);
        printf(", archive from %s to %s", since, until);
    }
    if (*ctl_text(server, "postcards_at")) {
        printf(", switches send to %s", ctl_text(server, "postcards_at"));
    }
    if (*ctl_text(server, "agents_at")) {
        printf(", agents to %s", ctl_text(server, "agents_at"));
    }
    putchar('\n');
}

/* Shards that do not get on. */
static void
print_troubles(const json_t *shards, const char *what)
{
    json_t *shard;
    size_t i;

    json_array_foreach(shards, i, shard)
    {
        if (*ctl_text(shard, "trouble")) {
            printf("  %s %lld: %s\n", what, ctl_number(shard, "shard"),
                   ctl_text(shard, "trouble"));
        }
    }
}

static long long
n_owned(const json_t *servers, const char *key)
{
    long long n = 0;
    json_t *server;
    size_t i;

    json_array_foreach(servers, i, server)
    {
        n += is_true(server, "alive") ? ctl_number(server, key) : 0;
    }
    return n;
}

/* A server before copies were told has one. */
static long long
n_copies(const json_t *cluster)
{
    long long n = ctl_number(cluster, "n_copies");

    return n ? n : 1;
}

/* How many shards are on as many disks as they should be. */
static void
print_copies(const json_t *copies, long long n_stores)
{
    long long n_short = ctl_number(copies, "short");
    long long n_unknown = ctl_number(copies, "unknown");

    if (ctl_number(copies, "wanted") < 2) {
        return;
    }
    printf("  copies: %lld of %lld stores have two of everything",
           n_stores - n_short - n_unknown, n_stores);
    if (n_short) {
        printf(", %lld have one only of something", n_short);
    }
    if (n_unknown) {
        printf(", nobody knows of %lld", n_unknown);
    }
    if (ctl_number(copies, "lost")) {
        printf("; %lld lack what was on disks that are not there",
               ctl_number(copies, "lost"));
    }
    printf("; %lld being fetched\n", ctl_number(copies, "fetching"));
}

static int
compare_servers(const void *a, const void *b)
{
    return strverscmp(ctl_text(*(json_t *const *) a, "name"),
                      ctl_text(*(json_t *const *) b, "name"));
}

/* In order of their names. */
static void
print_servers(const struct ctl *ctl, const json_t *servers)
{
    size_t n = json_array_size(servers);
    json_t **sorted = lh_alloc_array(NULL, n, sizeof *sorted);

    for (size_t i = 0; i < n; i++) {
        sorted[i] = json_array_get(servers, i);
    }
    if (n) {
        qsort(sorted, n, sizeof *sorted, compare_servers);
    }
    puts("servers");
    for (size_t i = 0; i < n; i++) {
        print_server(ctl, sorted[i]);
    }
    free(sorted);
}

static void
print_cluster(const struct ctl *ctl, const json_t *cluster)
{
    const json_t *servers = json_object_get(cluster, "servers");
    const json_t *streams = json_object_get(cluster, "streams");
    const char *state = ctl_text(cluster, "state");

    printf("cluster, as server %s knows it (it is %s%s%s)\n",
           ctl_text(cluster, "name"), state,
           *ctl_text(cluster, "why") ? ": " : "", ctl_text(cluster, "why"));
    if (!strcmp(state, "away")) {
        puts("  it has no shards while it is; the rest is as it was before");
    }
    printf("  shards: %lld of %lld have an owner, stores: %lld of %lld; "
           "version %lld on the bus\n",
           n_owned(servers, "shards"), ctl_number(cluster, "n_shards"),
           n_owned(servers, "stores"),
           ctl_number(cluster, "n_stores") * n_copies(cluster),
           ctl_number(cluster, "wire"));
    print_copies(json_object_get(cluster, "copies"),
                 ctl_number(cluster, "n_stores"));
    printf("  received here: %lld acknowledged, %lld waiting, %lld lost\n",
           ctl_number(cluster, "acknowledged"), ctl_number(cluster, "waiting"),
           ctl_number(cluster, "lost"));
    print_stream(streams, "postcards");
    print_stream(streams, "snapshots");
    print_stream(streams, "histories");
    print_troubles(json_object_get(cluster, "shards"), "shard");
    print_troubles(json_object_get(cluster, "stores"), "store");
    print_servers(ctl, servers);
}

int
ctl_cluster_status(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer;
    int status = ctl_ask(ctl, CTL_SERVER, "cluster.status", NULL, &answer);

    if (!status && ctl->app->is_json) {
        ctl_print_json(json_object_get(answer, "cluster"));
    } else if (!status) {
        print_cluster(ctl, json_object_get(answer, "cluster"));
    }
    json_decref(answer);
    return status;
}

static int
change(struct ctl *ctl, const char *op, const char *name)
{
    json_t *answer;
    int status = ctl_ask(ctl, CTL_SERVER, op, json_pack("{s:s}", "name", name),
                         &answer);

    json_decref(answer);
    return status;
}

/* How many live besides 'name' and take shards. */
static long long
n_others(const json_t *cluster, const char *name)
{
    long long n = 0;
    json_t *server;
    size_t i;

    json_array_foreach(json_object_get(cluster, "servers"), i, server)
    {
        n += is_true(server, "alive") && !is_true(server, "draining") &&
             strcmp(ctl_text(server, "name"), name) != 0;
    }
    return n;
}

int
ctl_cluster_drain(struct ctl *ctl, int argc, char *argv[])
{
    json_t *answer = NULL;
    int status = change(ctl, "cluster.drain", argv[0]);
    long long n;

    if (!status) {
        status = ctl_ask(ctl, CTL_SERVER, "cluster.status", NULL, &answer);
    }
    if (status) {
        json_decref(answer);
        return status;
    }
    n = n_others(json_object_get(answer, "cluster"), argv[0]);
    json_decref(answer);
    if (ctl->app->is_json) {
        json_t *json = json_pack("{s:s, s:I}", "draining", argv[0], "others",
                                 (json_int_t) n);

        ctl_print_json(json);
        json_decref(json);
        return CTL_OK;
    }
    printf("%s gives its shards away, and switches and agents are sent to "
           "others; stop it when \"cluster status\" shows that it has none; "
           "started again it takes part again\n",
           argv[0]);
    if (!n) {
        app_say(ctl->app, "no other server takes shards: what comes waits in "
                          "NATS until one does");
    }
    return CTL_OK;
}

int
ctl_cluster_forget(struct ctl *ctl, int argc, char *argv[])
{
    return change(ctl, "cluster.forget", argv[0]);
}
