/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - what `status` prints: recorder, switches, links, server and
 * clients at a glance. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/time_spec.h"

/* Clients that are named. */
#define MAX_CLIENTS 10
#define SECOND_NS   UINT64_C(1000000000)

static uint64_t
unsigned_number(const json_t *object, const char *key)
{
    long long n = ctl_number(object, key);

    return n > 0 ? (uint64_t) n : 0;
}

static char *
format_bytes(uint64_t bytes, char buf[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double) bytes;
    size_t i = 0;

    for (; value >= 999.5 && i < 4; i++) {
        value /= 1000;
    }
    snprintf(buf, 32, "%.*f %s", i && value < 9.95 ? 1 : 0, value,
             bytes == 1 ? "byte" : units[i]);
    return buf;
}

/* "recorder 0.1.0, up 3h, 12 MB of memory". */
static void
print_program(const char *what, const json_t *status)
{
    uint64_t now_ns = time_spec_now();
    uint64_t started_ns = unsigned_number(status, "started_ns");
    char span[TIME_SPEC_BUFSIZE], bytes[32];

    printf("%s %s", what, ctl_text(status, "version"));
    if (started_ns && started_ns + SECOND_NS <= now_ns) {
        printf(", up %s",
               time_spec_format_span(
                   (now_ns - started_ns) / SECOND_NS * SECOND_NS, span));
    } else if (started_ns) {
        printf(", just started");
    }
    if (ctl_number(status, "memory_bytes")) {
        printf(", %s of memory",
               format_bytes(unsigned_number(status, "memory_bytes"), bytes));
    }
}

/* --- The recorder. ------------------------------------------------------- */

/* Since when servers need the tables. */
static void
print_retained(const struct ctl *ctl, const json_t *retained)
{
    long long since_ns = LLONG_MAX;
    char since[TIME_SPEC_BUFSIZE];
    json_t *server;
    size_t i;

    json_array_foreach(retained, i, server)
    {
        if (ctl_number(server, "since_ns") < since_ns) {
            since_ns = ctl_number(server, "since_ns");
        }
    }
    if (json_array_size(retained)) {
        printf("  kept since %s for ",
               app_format_time(ctl->app, (uint64_t) since_ns, since));
        ctl_print_count((long long) json_array_size(retained), "server\n",
                        "servers\n");
    }
}

static void
print_recorder(const struct ctl *ctl, const struct ctl_glance *glance)
{
    const json_t *status = glance->recorder;
    const json_t *log = json_object_get(glance->recorder_stats, "flow_log");
    const json_t *max = json_object_get(status, "max_postcards");
    json_t *route;
    size_t i;

    if (!status) {
        printf("recorder: none answers: %s\n", glance->recorder_why);
        return;
    }
    print_program("recorder", status);
    putchar('\n');
    json_array_foreach(json_object_get(status, "routes"), i, route)
    {
        printf("  switches at %s", ctl_text(route, "listen"));
        if (*ctl_text(route, "controller")) {
            printf(", their controller at %s", ctl_text(route, "controller"));
        }
        putchar('\n');
    }
    printf("  flow log %s: ", ctl_text(log, "path"));
    ctl_print_count(ctl_number(log, "written"), "change", "changes");
    printf(" written, %lld waiting\n", ctl_number(log, "queued"));
    print_retained(ctl, json_object_get(log, "retained"));
    printf("  selections: %lld", ctl_number(status, "selections"));
    if (json_is_integer(max)) {
        printf("; at most ");
        ctl_print_count(ctl_number(status, "max_postcards"), "postcard",
                        "postcards");
        printf(" a second and switch");
    }
    puts(json_is_true(json_object_get(status, "all_paused"))
             ? "; all switches are paused"
             : "");
}

/* --- Switches and links. ------------------------------------------------- */

static void
print_postcards(const json_t *postcards)
{
    if (!json_is_object(postcards)) {
        return;
    }
    printf("    postcards: %lld a second, %lld in all",
           ctl_number(postcards, "pps"), ctl_number(postcards, "tx_packets"));
    if (json_is_integer(json_object_get(postcards, "tx_dropped"))) {
        printf(", %lld dropped", ctl_number(postcards, "tx_dropped"));
    }
    if (json_is_integer(json_object_get(postcards, "tx_errors"))) {
        printf(", ");
        ctl_print_count(ctl_number(postcards, "tx_errors"), "error", "errors");
    }
    putchar('\n');
}

static void
print_switch(const json_t *sw)
{
    json_t *connection;
    size_t i;

    printf("  %s (%s): %s", ctl_name(sw), ctl_text(sw, "dpid"),
           ctl_text(sw, "state"));
    if (*ctl_text(sw, "why")) {
        printf(" (%s)", ctl_text(sw, "why"));
    }
    if (json_object_get(sw, "rules")) {
        printf(", %lld of ", ctl_number(sw, "carded"));
        ctl_print_count(ctl_number(sw, "rules"), "rule", "rules");
        printf(" send postcards");
    }
    putchar('\n');
    print_postcards(json_object_get(sw, "postcards"));
    json_array_foreach(json_object_get(sw, "connections"), i, connection)
    {
        const char *controller = ctl_text(connection, "controller");
        const char *role = ctl_text(connection, "role");

        printf("    %s: OpenFlow 1.%lld%s%s%s%s\n",
               ctl_text(connection, "peer"),
               ctl_number(connection, "of_version") - 1,
               *controller ? ", controller " : "", controller,
               *role ? ", " : "", role);
    }
}

/* Of the recorder, or without one as the server knows them. */
static void
print_switches(const struct ctl_glance *glance)
{
    const json_t *list = json_object_get(
        glance->recorder ? glance->recorder : glance->topology, "switches");
    json_t *switches = ctl_sort_switches(list);
    json_t *absent =
        ctl_sort_switches(json_object_get(glance->recorder, "absent"));
    json_t *sw;
    size_t i;

    puts(glance->recorder            ? "switches:"
         : json_array_size(switches) ? "switches, as the server knows them:"
                                     : "switches: none is known");
    json_array_foreach(switches, i, sw)
    {
        if (glance->recorder) {
            print_switch(sw);
        } else {
            printf("  %s (%s)\n", ctl_name(sw), ctl_text(sw, "dpid"));
        }
    }
    json_array_foreach(absent, i, sw)
    {
        printf("  %s (%s): not connected%s\n", ctl_name(sw),
               ctl_text(sw, "dpid"),
               json_is_true(json_object_get(sw, "paused")) ? ", paused" : "");
    }
    json_decref(switches);
    json_decref(absent);
}

static void
print_links(const json_t *topology)
{
    const json_t *links = json_object_get(topology, "links");
    json_t *link;
    size_t i;

    if (json_array_size(links)) {
        puts("links:");
    }
    json_array_foreach(links, i, link)
    {
        const json_t *a = json_object_get(link, "a");
        const json_t *b = json_object_get(link, "b");

        printf("  %s:%lld -- %s:%lld\n", ctl_end_name(topology, a),
               ctl_number(a, "port"), ctl_end_name(topology, b),
               ctl_number(b, "port"));
    }
}

/* --- The server. --------------------------------------------------------- */

/* What is lost, by kind; kinds of which nothing was are left out. */
static void
print_losses(const json_t *stats)
{
    static const struct {
        const char *counter, *one, *many;
    } kinds[] = {
        {"missing_min", "postcard on its way here",
         "postcards on their way "
         "here"},
        {"kernel_drops", "postcard by the kernel", "postcards by the kernel"},
        {"dropped_busy", "postcard by a busy thread",
         "postcards by busy threads"},
        {"dropped_full", "postcard by too many open packets",
         "postcards by too many open packets"},
        {"dropped_memory", "postcard by too little memory",
         "postcards by too little memory"},
        {"cluster_lost", "postcard that did not reach the cluster",
         "postcards that did not reach the cluster"},
        {"archive_lost", "history not stored", "histories not stored"},
        {"archive_refused", "history too big to store",
         "histories too big to store"},
        {"events_missed", "event for slow clients", "events for slow clients"},
    };
    bool is_first = true;

    printf("  lost:");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        long long n = ctl_number(stats, kinds[i].counter);

        if (n) {
            printf("%s %s", is_first ? "" : ",", i ? "" : "at least ");
            ctl_print_count(n, kinds[i].one, kinds[i].many);
            is_first = false;
        }
    }
    puts(is_first ? " nothing" : "");
}

static void
print_archive(const struct ctl *ctl, const json_t *archive)
{
    char from[TIME_SPEC_BUFSIZE], to[TIME_SPEC_BUFSIZE],
        span[TIME_SPEC_BUFSIZE], bytes[32];
    uint64_t since_ns = unsigned_number(archive, "since_ns");
    uint64_t until_ns = unsigned_number(archive, "until_ns");

    if (!json_is_object(archive)) {
        puts("  archive: none");
        return;
    }
    printf("  archive %s: %s", ctl_text(archive, "path"),
           format_bytes(unsigned_number(archive, "bytes"), bytes));
    if (since_ns && until_ns >= since_ns) {
        printf(", %s to %s (%s)", app_format_time(ctl->app, since_ns, from),
               app_format_time(ctl->app, until_ns, to),
               time_spec_format_span(until_ns - since_ns, span));
    } else {
        printf(", empty");
    }
    putchar('\n');
}

static void
print_rates(const json_t *rates)
{
    char span[TIME_SPEC_BUFSIZE];
    uint64_t span_ns = unsigned_number(rates, "span_ns");

    if (json_is_object(rates)) {
        ctl_print_count(ctl_number(rates, "postcards"), "postcard a second, ",
                        "postcards a second, ");
        ctl_print_count(ctl_number(rates, "histories"), "history a second",
                        "histories a second");
        printf(" (in the last %s); ",
               time_spec_format_span(
                   (span_ns + SECOND_NS / 2) / SECOND_NS * SECOND_NS, span));
    }
}

/* Of an agent's host: how far its clock is from the first one's. */
static void
print_clock(const json_t *clock)
{
    long long offset_ns = ctl_number(clock, "offset_ns");
    char span[TIME_SPEC_BUFSIZE], error[TIME_SPEC_BUFSIZE];

    if (json_is_object(clock)) {
        printf(
            ", clock %s %s, give or take %s",
            time_spec_format_span(
                (uint64_t) (offset_ns < 0 ? -offset_ns : offset_ns), span),
            offset_ns < 0 ? "behind" : "ahead",
            time_spec_format_span(unsigned_number(clock, "error_ns"), error));
    }
}

static void
print_agents(const json_t *agents)
{
    json_t *agent, *n;
    const char *place;
    size_t i;

    json_array_foreach(agents, i, agent)
    {
        double ratio = json_number_value(json_object_get(agent, "ratio"));

        if (i == MAX_CLIENTS) {
            printf("  and %zu agents more: the operation status\n",
                   json_array_size(agents) - i);
            return;
        }
        printf("  agent %s%s: ", ctl_text(agent, "name"),
               json_is_true(json_object_get(agent, "connected")) ? ""
                                                                 : " (away)");
        ctl_print_count(ctl_number(agent, "postcards"), "postcard",
                        "postcards");
        if (ratio < 1) {
            printf(" of 1 packet in %.4g", ratio > 0 ? 1 / ratio : 0);
        }
        if (i) {
            print_clock(json_object_get(agent, "clock"));
        }
        json_object_foreach(json_object_get(agent, "lost"), place, n)
        {
            if (json_integer_value(n)) {
                printf(", %lld lost (%s)", (long long) json_integer_value(n),
                       place);
            }
        }
        putchar('\n');
    }
}

static void
print_cluster(const json_t *cluster)
{
    const json_t *servers = json_object_get(cluster, "servers");
    long long n_alive = 0;
    json_t *server;
    size_t i;

    if (!json_is_object(cluster)) {
        return;
    }
    json_array_foreach(servers, i, server)
    {
        n_alive += json_is_true(json_object_get(server, "alive"));
    }
    printf("  cluster: %s is %s, %lld of ", ctl_text(cluster, "name"),
           ctl_text(cluster, "state"), n_alive);
    ctl_print_count((long long) json_array_size(servers), "server lives, ",
                    "servers live, ");
    printf("%zu of %lld shards and %zu of %lld stores here, ",
           json_array_size(json_object_get(cluster, "shards")),
           ctl_number(cluster, "n_shards"),
           json_array_size(json_object_get(cluster, "stores")),
           ctl_number(cluster, "n_stores") *
               (ctl_number(cluster, "n_copies") > 1 ? 2 : 1));
    ctl_print_count(ctl_number(cluster, "waiting"), "postcard waits\n",
                    "postcards wait\n");
}

static void
print_server(const struct ctl *ctl, const struct ctl_glance *glance)
{
    const json_t *stats = glance->server_stats;

    if (!stats) {
        printf("server: none answers: %s\n", glance->server_why);
        return;
    }
    print_program("server", glance->server);
    printf(": %s\n", ctl_text(glance->health, "health"));
    printf("  ");
    print_rates(json_object_get(glance->server, "rates"));
    ctl_print_count(ctl_number(stats, "postcards"), "postcard, ",
                    "postcards, ");
    ctl_print_count(ctl_number(stats, "histories"), "history in all, ",
                    "histories in all, ");
    ctl_print_count(ctl_number(stats, "open_groups"), "packet open\n",
                    "packets open\n");
    print_losses(stats);
    print_archive(ctl, json_object_get(glance->server, "archive"));
    print_cluster(json_object_get(glance->server, "cluster"));
    print_agents(json_object_get(glance->server, "agents"));
    printf("  ");
    ctl_print_count(ctl_number(stats, "triggers"), "trigger, ", "triggers, ");
    ctl_print_count(ctl_number(stats, "queries_running"), "query running, ",
                    "queries running, ");
    ctl_print_count(ctl_number(stats, "clients_now"), "client\n", "clients\n");
}

static void
print_clients(const json_t *clients)
{
    json_t *client;
    size_t i;

    json_array_foreach(clients, i, client)
    {
        if (i == MAX_CLIENTS) {
            printf("    and %zu more: lasthopctl clients\n",
                   json_array_size(clients) - i);
            return;
        }
        printf("    %lld %s %s: ", ctl_number(client, "client"),
               ctl_text(client, "address"),
               *ctl_text(client, "program") ? ctl_text(client, "program")
                                            : "-");
        ctl_print_count(ctl_number(client, "events"), "event, ", "events, ");
        printf("%lld missed\n", ctl_number(client, "missed"));
    }
}

void
ctl_glance_print(const struct ctl *ctl, const struct ctl_glance *glance)
{
    json_t *item;
    size_t i;

    print_recorder(ctl, glance);
    print_switches(glance);
    print_links(glance->topology);
    print_server(ctl, glance);
    print_clients(glance->clients);
    if (json_array_size(glance->found)) {
        puts("to be looked at:");
    }
    json_array_foreach(glance->found, i, item)
    {
        printf("  %s\n", json_string_value(item));
    }
}
