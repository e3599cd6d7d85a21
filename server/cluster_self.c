/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_self - what a server tells of itself and of the others: to these,
 * and to its recorder. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_span.h"
#include "lib/collector_address.h"
#include "lib/host_port.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "server/cluster_impl.h"
#include "server/recorder_link.h"

/* In seconds since it became part of the cluster. */
#define TELLS_BEFORE_AGENTS 5

/* Where switches reach this server: as the option says, or where it listens
 * if that is one address.  Not while it gives everything away. */
static void
put_address(const struct cluster *cluster, struct cluster_member *self)
{
    const struct options *o = cluster->parts.options;
    struct collector_address address = {.is_any = true};
    struct lh_error error;

    if (o->cluster.postcards_at) {
        collector_address_parse(o->cluster.postcards_at, &address, &error);
    } else if (o->n_listen &&
               collector_address_parse(o->listen[0], &address, &error)) {
        return;
    }
    if (!address.is_any && !cluster->is_draining) {
        memcpy(self->postcards_at, address.text, sizeof address.text);
    }
}

/* Where agents reach this server: as the option says, or where it takes them
 * if that is one address, or the same port where switches reach it. */
static void
put_agents(const struct cluster *cluster, struct cluster_member *self)
{
    const struct options *o = cluster->parts.options;
    struct collector_address listen, other;
    struct host_port at = {NULL, NULL, 0};
    const char *where = o->agents;
    struct lh_error error;

    if (!where || cluster->is_draining) {
        return;
    }
    where += !strncmp(where, "ssl:", 4) || !strncmp(where, "tcp:", 4) ? 4 : 0;
    if (o->cluster.agents_at) {
        host_port_parse(o->cluster.agents_at, AGENT_DEFAULT_PORT, &at);
        snprintf(self->agents_at, sizeof self->agents_at, "%s", at.text);
        host_port_uninit(&at);
    } else if (collector_address_parse(where, &listen, &error)) {
        return;
    } else if (!listen.is_any) {
        snprintf(self->agents_at, sizeof self->agents_at, "%s", listen.text);
    } else if (*self->postcards_at &&
               !collector_address_parse(self->postcards_at, &other, &error)) {
        snprintf(self->agents_at, sizeof self->agents_at,
                 other.is_v6 ? "[%s]:%u" : "%s:%u", other.host, listen.port);
    }
}

/* Agents move to servers that they are told of. */
static void
warn_untold(struct cluster *cluster, const struct cluster_member *self)
{
    if (cluster->parts.options->agents && !*self->agents_at &&
        !cluster->is_draining && !cluster->has_warned) {
        cluster->has_warned = true;
        say_warn("cluster: agents are not told of this server, for it does "
                 "not know where they reach it: give it --agents-at HOST");
    }
}

/* Two of one name would answer for each other and never share the work.  True:
 * there is one, and it was there before this server. */
static bool
has_twin(struct cluster *cluster)
{
    struct shard_lease_counters n = {.sessions = 0};
    struct lh_error error;
    bool is_there = cluster->lease_1 && shard_lease_has_twin(cluster->lease_1);

    if (!is_there) {
        cluster->has_twin = false;
        return false;
    }
    shard_lease_get_counters(cluster->lease_1, &n);
    lh_error_set(&error,
                 "another server of the name \"%s\" is part of this cluster: "
                 "each needs a --name of its own",
                 cluster->options->name);
    if (!n.sessions) {
        lh_error_prefix(&error, "--name");
        cluster->parts.on_refused(cluster->parts.aux, &error);
    } else if (!cluster->has_twin) {
        say_warn("cluster: %s", error.text);
    }
    cluster->has_twin = true;
    return !n.sessions;
}

static void
tell_self(struct cluster *cluster)
{
    const char *dir = cluster->parts.options->archive;
    struct cluster_member self = {
        .version = PACKAGE_VERSION,
        .wire_min = cluster->own.wire_min,
        .wire_max = cluster->own.wire_max,
        .started_ns = cluster->started_ns,
        .has_archive = dir != NULL,
    };
    struct cluster_copies_sum copies;

    memcpy(self.name, cluster->options->name, strlen(cluster->options->name));
    put_address(cluster, &self);
    put_agents(cluster, &self);
    warn_untold(cluster, &self);
    cluster_copies_sum(cluster, &copies);
    self.disk = cluster->team.disk;
    self.n_short = copies.n_short;
    self.n_lost = copies.n_lost;
    self.n_fetching = copies.n_fetching;
    if (dir && (archive_span_oldest(dir, UINT64_MAX, &self.since_ns, NULL) ||
                archive_span_newest(dir, &self.until_ns, NULL))) {
        self.since_ns = self.until_ns = 0;
    }
    cluster_members_tell(cluster->members, &self);
}

/* Sees to it that what is known of the others is what they told: of those that
 * live and of those that were, one after the other. */
static void
check_members(struct cluster *cluster)
{
    size_t n = cluster->lease_1 ? shard_lease_n_known(cluster->lease_1) : 0;
    size_t n_members = cluster_members_n(cluster->members);
    struct shard_lease_server server = {.name = NULL};
    size_t i;

    if (!(n + n_members)) {
        return;
    }
    i = cluster->n_checks++ % (n + n_members);
    if (i >= n) {
        server.name = cluster_members_get(cluster->members, i - n)->name;
    } else {
        shard_lease_get_server(cluster->lease_1, i, &server);
    }
    if (i >= n || server.is_alive) {
        cluster_members_check(cluster->members, server.name);
    }
}

static void
on_collectors(void *aux, int error_number, const json_t *answer,
              const struct lh_error *error)
{
    /* A recorder that does not know the request does not move switches. */
}

/* Tells the recorder which servers may be sent postcards. */
static void
tell_recorder(struct cluster *cluster)
{
    struct recorder_link *link = cluster->parts.recorder(cluster->parts.aux);
    size_t n = cluster->lease_1 ? shard_lease_n_known(cluster->lease_1) : 0;
    json_t *list;

    if (!link || !recorder_link_is_up(link)) {
        return;
    }
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct cluster_member *member;
        struct shard_lease_server server;

        shard_lease_get_server(cluster->lease_1, i, &server);
        member = cluster_members_find(cluster->members, server.name);
        if (member && *member->postcards_at) {
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:b}", "name", server.name,
                                "address", member->postcards_at, "alive",
                                (int) server.is_alive));
        }
    }
    recorder_link_call(link, "collectors",
                       json_pack("{s:s, s:o}", "name", cluster->options->name,
                                 "servers", list),
                       on_collectors, NULL);
}

/* Which servers take agents.  One that has just come does not know of all. */
static void
tell_agents(struct cluster *cluster)
{
    size_t n = cluster->lease_1 ? shard_lease_n_known(cluster->lease_1) : 0;
    size_t n_told = 0;
    struct agent_server *all;

    if (cluster->n_tells < TELLS_BEFORE_AGENTS) {
        cluster->n_tells++;
        return;
    }
    if (!cluster->is_connected || cluster->is_leaving) {
        return;
    }
    all = lh_alloc_array(NULL, n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        const struct cluster_member *member;
        struct shard_lease_server server;

        shard_lease_get_server(cluster->lease_1, i, &server);
        member = cluster_members_find(cluster->members, server.name);
        if (server.is_alive && member && *member->agents_at) {
            all[n_told++] = (struct agent_server){
                .is_self = !strcmp(server.name, cluster->options->name),
                .text = (const uint8_t *) member->agents_at,
                .len = (uint8_t) strlen(member->agents_at)};
        }
    }
    cluster->parts.on_servers(cluster->parts.aux, all, n_told);
    free(all);
}

/* The highest version that all know who live or may come back; 0: not known
 * of all. */
static uint32_t
readable(const struct cluster *cluster)
{
    uint32_t highest = cluster->own.wire_max;
    size_t n = cluster->lease_1 ? shard_lease_n_known(cluster->lease_1) : 0;

    for (size_t i = 0; i < n; i++) {
        const struct cluster_member *member;
        struct shard_lease_server server;

        shard_lease_get_server(cluster->lease_1, i, &server);
        if (server.is_forgotten) {
            continue;
        }
        member = cluster_members_find(cluster->members, server.name);
        if (!member) {
            return 0;
        }
        if (member->wire_max < highest) {
            highest = member->wire_max;
        }
    }
    return n ? highest : 0;
}

void
cluster_self_tell(struct cluster *cluster)
{
    if (has_twin(cluster)) {
        return;
    }
    cluster_version_look(cluster->version, readable(cluster), monotonic_ms());
    check_members(cluster);
    tell_self(cluster);
    tell_recorder(cluster);
    tell_agents(cluster);
}
