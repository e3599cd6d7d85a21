/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the commands about a cluster of servers. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <stdio.h>
#include <string.h>

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

static void
print_cluster(const struct ctl *ctl, const json_t *cluster)
{
    const json_t *servers = json_object_get(cluster, "servers");
    const json_t *streams = json_object_get(cluster, "streams");
    json_t *server;
    size_t i;

    printf("cluster, as server %s knows it (it is %s%s%s)\n",
           ctl_text(cluster, "name"), ctl_text(cluster, "state"),
           *ctl_text(cluster, "why") ? ": " : "", ctl_text(cluster, "why"));
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
    puts("servers");
    json_array_foreach(servers, i, server)
    {
        print_server(ctl, server);
    }
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

int
ctl_cluster_drain(struct ctl *ctl, int argc, char *argv[])
{
    int status = change(ctl, "cluster.drain", argv[0]);

    if (!status) {
        printf("%s gives its shards away, and may be stopped at any time; "
               "started again it takes part again\n",
               argv[0]);
    }
    return status;
}

int
ctl_cluster_forget(struct ctl *ctl, int argc, char *argv[])
{
    return change(ctl, "cluster.forget", argv[0]);
}
