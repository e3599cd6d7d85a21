/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the command `status`: recorder, switches and server at a
 * glance. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/time_spec.h"

#define LOG_LATE_NS 2000000000 /* As the recorder warns. */

/* Counters that should be 0: something was lost, refused or not understood. */
static const char *const troubles[] = {
    "ambiguous",       "archive_errors",    "archive_lost",
    "archive_refused", "clients_refused",   "clients_slow",
    "dropped_busy",    "dropped_full",      "dropped_memory",
    "exhausted",       "failures",          "foreign",
    "forged",          "given_up",          "index_full",
    "kernel_drops",    "lldp_skipped",      "malformed",
    "own_errors",      "passed_malformed",  "peers_refused",
    "peers_slow",      "pending_dropped",   "recorder_garbage",
    "refused",         "rolled_back",       "source_errors",
    "truncated",       "tx_dropped",        "tx_errors",
    "unknown_format",  "unknown_index",     "unknown_rules",
    "unknown_switch",  "unmatched",         "unreserved",
    "xids_lost",       "recorder_timeouts",
};

/* Counters of that name mean something else there. */
static bool
is_trouble(const char *path, const char *key)
{
    if (!strcmp(key, "lost")) {
        return !strcmp(path, "recorder.flow_log"); /* Else a verdict. */
    }
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        if (!strcmp(key, troubles[i])) {
            return true;
        }
    }
    return false;
}

/* Adds a text for every counter in 'json' that should be 0 and is not. */
static void
find_troubles(const json_t *json, const char *path, json_t *found)
{
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach((json_t *) json, key, value)
    {
        if (json_is_integer(value)) {
            if (is_trouble(path, key) && json_integer_value(value)) {
                json_array_append_new(
                    found, json_sprintf("%s.%s is %" JSON_INTEGER_FORMAT, path,
                                        key, json_integer_value(value)));
            }
        } else if (json_is_array(value)) {
            find_troubles(value, path, found);
        } else if (json_is_object(value)) {
            json_t *deeper = json_sprintf("%s.%s", path, key);

            find_troubles(value, json_string_value(deeper), found);
            json_decref(deeper);
        }
    }
    json_array_foreach(json, i, value)
    {
        const char *name = json_string_value(json_object_get(value, "name"));
        json_t *deeper = name ? json_sprintf("%s.%s", path, name)
                              : json_sprintf("%s.%u", path, (unsigned int) i);

        find_troubles(value, json_string_value(deeper), found);
        json_decref(deeper);
    }
}

static const char *
name_of(const json_t *sw)
{
    return *ctl_text(sw, "name") ? ctl_text(sw, "name") : ctl_text(sw, "dpid");
}

/* --- What is not as it should be. --- */

static void
judge_switch(const json_t *sw, json_t *found)
{
    const char *state = ctl_text(sw, "state"), *why = ctl_text(sw, "why");
    const json_t *postcards = json_object_get(sw, "postcards");

    if (strcmp(state, "instrumented") && strcmp(state, "paused") &&
        !(strcmp(state, "recorded") == 0 && !*why)) {
        json_array_append_new(found,
                              json_sprintf("%s is %s%s%s", name_of(sw), state,
                                           *why ? ": " : "", why));
    } else if (*why) {
        json_array_append_new(
            found, json_sprintf("%s has no postcards: %s", name_of(sw), why));
    }
    if (!strcmp(ctl_text(sw, "switch"), "refused")) {
        json_array_append_new(
            found, json_sprintf("%s refused the last change of its selection",
                                name_of(sw)));
    }
    if (ctl_number(postcards, "shed_rules") > 0) {
        long long n = ctl_number(postcards, "shed_rules");

        json_array_append_new(
            found, json_sprintf("%s: too many postcards, %lld of the busiest "
                                "rules send%s none (%lld a second)",
                                name_of(sw), n, n == 1 ? "s" : "",
                                ctl_number(postcards, "shed_pps")));
    }
    if (json_is_integer(json_object_get(postcards, "shed_below"))) {
        json_array_append_new(
            found,
            json_sprintf("%s: too many postcards, selections below priority "
                         "%lld send none",
                         name_of(sw), ctl_number(postcards, "shed_below")));
    }
}

/* The disk does not answer; what waits is lost if the recorder ends now. */
static void
judge_log(const json_t *log, json_t *found)
{
    char span[TIME_SPEC_BUFSIZE];

    if (ctl_number(log, "age_ns") >= LOG_LATE_NS) {
        json_array_append_new(
            found,
            json_sprintf("the flow log is %s behind, %lld changes wait for "
                         "the disk",
                         time_spec_format_span(
                             (uint64_t) ctl_number(log, "age_ns"), span),
                         ctl_number(log, "queued")));
    }
}

static json_t *
judge(const json_t *status, const json_t *stats, const json_t *server)
{
    json_t *found = json_array();
    json_t *sw;
    size_t i;

    json_array_foreach(json_object_get(status, "switches"), i, sw)
    {
        judge_switch(sw, found);
    }
    if (!server) {
        json_array_append_new(found, json_string("no server answers"));
    }
    judge_log(json_object_get(stats, "flow_log"), found);
    find_troubles(stats, "recorder", found);
    find_troubles(server, "server", found);
    return found;
}

/* --- Text. --- */

/* Since when servers need the tables. */
static void
print_retained(const json_t *retained)
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
        time_spec_format((uint64_t) since_ns, false, 0, since);
        printf("  kept since %s for %zu server%s\n", since,
               json_array_size(retained),
               json_array_size(retained) == 1 ? "" : "s");
    }
}

static void
print_recorder(const json_t *status, const json_t *stats)
{
    char span[TIME_SPEC_BUFSIZE];
    uint64_t started_ns = (uint64_t) ctl_number(status, "started_ns");
    const json_t *log = json_object_get(stats, "flow_log");
    const json_t *max = json_object_get(status, "max_postcards");
    json_t *route;
    size_t i;

    printf("recorder %s, up %s\n", ctl_text(status, "version"),
           time_spec_format_span(time_spec_now() - started_ns, span));
    json_array_foreach(json_object_get(status, "routes"), i, route)
    {
        printf("  switches at %s, their controller at %s\n",
               ctl_text(route, "listen"), ctl_text(route, "controller"));
    }
    printf("  flow log %s: %lld changes written, %lld waiting\n",
           ctl_text(log, "path"), ctl_number(log, "written"),
           ctl_number(log, "queued"));
    print_retained(json_object_get(log, "retained"));
    printf("  selections: %lld", ctl_number(status, "selections"));
    if (json_is_integer(max)) {
        printf("; at most %lld postcards a second and switch",
               ctl_number(status, "max_postcards"));
    }
    puts(json_is_true(json_object_get(status, "all_paused"))
             ? "; all switches are paused"
             : "");
}

static void
print_postcards(const json_t *postcards)
{
    static const char *const bad[] = {"tx_dropped", "tx_errors"};

    if (!json_is_object(postcards)) {
        return;
    }
    printf("    postcards: %lld a second, %lld in all",
           ctl_number(postcards, "pps"), ctl_number(postcards, "tx_packets"));
    for (size_t i = 0; i < 2; i++) {
        if (json_is_integer(json_object_get(postcards, bad[i]))) {
            printf(", %lld %s", ctl_number(postcards, bad[i]),
                   i ? "errors" : "dropped");
        }
    }
    puts("");
}

static void
print_switch(const json_t *sw)
{
    json_t *connection;
    size_t i;

    printf("  %s (%s): %s", name_of(sw), ctl_text(sw, "dpid"),
           ctl_text(sw, "state"));
    if (*ctl_text(sw, "why")) {
        printf(" (%s)", ctl_text(sw, "why"));
    }
    if (json_object_get(sw, "rules")) {
        printf(", %lld of %lld rules send postcards", ctl_number(sw, "carded"),
               ctl_number(sw, "rules"));
    }
    puts("");
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

static void
print_server(const json_t *server)
{
    if (!server) {
        puts("server: none answers");
        return;
    }
    printf("server: %lld postcards, %lld histories, %lld archived, %lld "
           "packets open\n",
           ctl_number(server, "postcards"), ctl_number(server, "histories"),
           ctl_number(server, "archived"), ctl_number(server, "open_groups"));
    printf("  lost: %lld postcards by the kernel, %lld by too many open "
           "packets, %lld by too little memory; %lld histories not stored\n",
           ctl_number(server, "kernel_drops"),
           ctl_number(server, "dropped_full"),
           ctl_number(server, "dropped_memory"),
           ctl_number(server, "archive_lost"));
    printf("  archive: %lld bytes; clients: %lld, %lld triggers, %lld queries "
           "running, %lld events missed by slow ones\n",
           ctl_number(server, "archive_size"),
           ctl_number(server, "clients_now"), ctl_number(server, "triggers"),
           ctl_number(server, "queries_running"),
           ctl_number(server, "events_missed"));
}

static void
print_all(const json_t *status, const json_t *stats, const json_t *server,
          const json_t *found)
{
    json_t *item;
    size_t i;

    print_recorder(status, stats);
    puts("switches:");
    json_array_foreach(json_object_get(status, "switches"), i, item)
    {
        print_switch(item);
    }
    json_array_foreach(json_object_get(status, "absent"), i, item)
    {
        printf("  %s (%s): not connected%s\n", name_of(item),
               ctl_text(item, "dpid"),
               json_is_true(json_object_get(item, "paused")) ? ", paused"
                                                             : "");
    }
    print_server(server);
    if (json_array_size(found)) {
        puts("to be looked at:");
    }
    json_array_foreach(found, i, item)
    {
        printf("  %s\n", json_string_value(item));
    }
}

int
ctl_status(const struct ctl *ctl)
{
    json_t *status_answer, *stats_answer = NULL, *server_answer = NULL;
    json_t *found = NULL;
    int result = ctl_ask(ctl, "status", NULL, &status_answer);

    if (!result) {
        result = ctl_ask(ctl, "stats", NULL, &stats_answer);
    }
    if (!result) {
        json_t *status = json_object_get(status_answer, "status");
        json_t *stats = json_object_get(stats_answer, "stats");
        json_t *server;

        ctl_ask_server(ctl, "stats", &server_answer);
        server = json_object_get(server_answer, "stats");
        found = judge(status, stats, server);
        if (ctl->is_json) {
            json_t *all =
                json_pack("{s:O, s:O, s:O?, s:O}", "status", status, "stats",
                          stats, "server", server, "attention", found);

            result = ctl_print_json(all);
            json_decref(all);
        } else {
            print_all(status, stats, server, found);
        }
    }
    if (!result && ctl->is_check && json_array_size(found)) {
        result = CTL_ATTENTION;
    }
    json_decref(found);
    json_decref(server_answer);
    json_decref(stats_answer);
    json_decref(status_answer);
    return result;
}
