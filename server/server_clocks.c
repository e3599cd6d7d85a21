/* SPDX-License-Identifier: Apache-2.0 */
/* server_clocks - how far the clocks of agents' hosts are apart, as it is told
 * in status and topology, and beside each history. */
#include <config.h>

#include <event2/event.h>

#include "lib/dpid.h"
#include "lib/time_spec.h"
#include "server/cluster_book.h"
#include "server/cluster_query.h"
#include "server/server_impl.h"

/* How often clocks are compared for what is told beside histories. */
static const struct timeval refresh_period = {2, 0};

/* From now on told beside histories. */
static void
tell(struct server *server, const struct topology *told)
{
    struct cluster_queries *queries =
        server->cluster ? cluster_get_queries(server->cluster) : NULL;

    triggers_set_told(server->triggers, told);
    queries_set_told(server->queries, told);
    if (queries) {
        cluster_queries_set_told(queries, told);
    }
}

/* Compares clocks by what agents of all servers of a cluster say; NULL: none
 * is known. */
static struct topology *
compare_all(struct server *server, struct clock_delays *delays,
            uint64_t now_ns)
{
    const struct cluster_book *book = cluster_get_book(server->cluster);
    struct topology *told = NULL;

    if (book && cluster_book_has_agents(book)) {
        clock_delays_merge(delays, cluster_book_all_delays(book), now_ns);
        told = cluster_book_tell_clocks(book, now_ns,
                                        pipeline_topology(server->pipeline));
    }
    tell(server, told);
    return told;
}

/* Compares clocks.  What was told holds until all workers rest for a
 * moment. */
static struct topology *
compare(struct server *server, struct clock_delays *delays, uint64_t now_ns)
{
    if (server->cluster) {
        return compare_all(server, delays, now_ns);
    }

    bool is_whole = pipeline_collect_delays(server->pipeline, delays, now_ns);
    struct topology *told = agent_book_tell_clocks(
        server->book, delays, now_ns, pipeline_topology(server->pipeline));

    if (is_whole) {
        tell(server, told);
    }
    return told;
}

/* Adds to each switch of 'topology' (docs/formats/topology.md) what is told of
 * its clock. */
static void
put_clocks(json_t *topology, const struct topology *told)
{
    json_t *sw;
    size_t i;

    json_array_foreach(json_object_get(topology, "switches"), i, sw)
    {
        const char *text = json_string_value(json_object_get(sw, "dpid"));
        const struct topology_switch *with_clock = NULL;
        uint64_t dpid;

        if (text && dpid_from_string(text, &dpid)) {
            with_clock = topology_find(told, dpid);
        }
        if (with_clock && with_clock->clock.is_told) {
            json_object_set_new(sw, "clock",
                                topology_clock_to_json(&with_clock->clock));
        }
    }
}

json_t *
server_tell_agents(void *server_, json_t *topology)
{
    struct server *server = server_;
    uint64_t now_ns = time_spec_now();
    struct clock_delays *delays;
    struct topology *told;
    json_t *agents = NULL;

    if (!server->book && !server->cluster) {
        return NULL;
    }
    delays = clock_delays_create();
    told = compare(server, delays, now_ns);
    if (topology && told) {
        put_clocks(topology, told);
    } else if (!topology && server->book) {
        agents = agent_book_to_json(server->book, delays, now_ns);
    }
    topology_unref(told);
    clock_delays_destroy(delays);
    return agents;
}

static void
on_refresh(evutil_socket_t fd, short events, void *server)
{
    struct clock_delays *delays = clock_delays_create();

    (void) fd, (void) events;
    topology_unref(compare(server, delays, time_spec_now()));
    clock_delays_destroy(delays);
}

void
server_refresh_clocks(struct server *server)
{
    if (server->clocks) {
        event_active(server->clocks, EV_TIMEOUT, 0);
    }
}

void
server_open_clocks(struct server *server)
{
    if (server->book || server->cluster) {
        server->clocks =
            event_new(server->base, -1, EV_PERSIST, on_refresh, server);
        event_add(server->clocks, &refresh_period);
    }
}

void
server_close_clocks(struct server *server)
{
    if (server->clocks) {
        event_free(server->clocks);
    }
}
