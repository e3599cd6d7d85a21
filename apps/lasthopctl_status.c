/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - the command `status`: asks recorder and server how they are,
 * and finds what should be looked at. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <stdio.h>
#include <string.h>

#include "lib/time_spec.h"

#define LOG_LATE_NS 2000000000 /* As the recorder warns. */

/* Counters that should be 0: something was lost, refused or not understood. */
static const char *const troubles[] = {
    "agent_bad_batches",
    "agent_garbage",
    "agent_gaps",
    "agent_lost_capture",
    "agent_lost_memory",
    "agent_lost_ring",
    "agent_lost_spool",
    "ambiguous",
    "archive_errors",
    "archive_lost",
    "archive_refused",
    "clients_refused",
    "clients_slow",
    "cluster_broken",
    "cluster_lost",
    "cluster_missing",
    "dropped_busy",
    "dropped_full",
    "dropped_memory",
    "exhausted",
    "failures",
    "foreign",
    "forged",
    "given_up",
    "index_full",
    "kernel_drops",
    "lldp_skipped",
    "malformed",
    "own_errors",
    "passed_malformed",
    "peers_refused",
    "peers_slow",
    "pending_dropped",
    "recorder_garbage",
    "refused",
    "rolled_back",
    "source_errors",
    "truncated",
    "tx_dropped",
    "tx_errors",
    "unknown_format",
    "unknown_index",
    "unknown_rules",
    "unknown_switch",
    "unmatched",
    "unreserved",
    "xids_lost",
    "recorder_timeouts",
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

/* --- What is not as it should be. --- */

static void
judge_switch(const json_t *sw, json_t *found)
{
    const char *state = ctl_text(sw, "state"), *why = ctl_text(sw, "why");
    const json_t *postcards = json_object_get(sw, "postcards");

    if (strcmp(state, "instrumented") && strcmp(state, "paused") &&
        !(strcmp(state, "recorded") == 0 && !*why)) {
        json_array_append_new(found,
                              json_sprintf("%s is %s%s%s", ctl_name(sw), state,
                                           *why ? ": " : "", why));
    } else if (*why) {
        json_array_append_new(
            found, json_sprintf("%s has no postcards: %s", ctl_name(sw), why));
    }
    if (!strcmp(ctl_text(sw, "switch"), "refused")) {
        json_array_append_new(
            found, json_sprintf("%s refused the last change of its selection",
                                ctl_name(sw)));
    }
    if (ctl_number(postcards, "shed_rules") > 0) {
        long long n = ctl_number(postcards, "shed_rules");

        json_array_append_new(
            found, json_sprintf("%s: too many postcards, %lld of the busiest "
                                "rules %s none (%lld a second)",
                                ctl_name(sw), n,
                                app_noun((uint64_t) n, "sends", "send"),
                                ctl_number(postcards, "shed_pps")));
    }
    if (json_is_integer(json_object_get(postcards, "shed_below"))) {
        json_array_append_new(
            found,
            json_sprintf("%s: too many postcards, selections below priority "
                         "%lld send none",
                         ctl_name(sw), ctl_number(postcards, "shed_below")));
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
            json_sprintf("the flow log is %s behind, %lld %s for the disk",
                         time_spec_format_span(
                             (uint64_t) ctl_number(log, "age_ns"), span),
                         ctl_number(log, "queued"),
                         app_noun((uint64_t) ctl_number(log, "queued"),
                                  "change waits", "changes wait")));
    }
}

/* What the server itself says of the last minute. */
static void
judge_health(const json_t *health, json_t *found)
{
    json_t *problem;
    size_t i;

    json_array_foreach(json_object_get(health, "problems"), i, problem)
    {
        json_array_append_new(found, json_sprintf("server: %s (%lld)",
                                                  ctl_text(problem, "message"),
                                                  ctl_number(problem, "n")));
    }
}

static json_t *
judge(const struct ctl_glance *glance)
{
    json_t *found = json_array();
    json_t *sw;
    size_t i;

    json_array_foreach(json_object_get(glance->recorder, "switches"), i, sw)
    {
        judge_switch(sw, found);
    }
    /* A server may run without one on purpose. */
    if (!glance->recorder &&
        !json_is_null(json_object_get(glance->server, "recorder"))) {
        json_array_append_new(found, json_string("no recorder answers"));
    }
    if (!glance->server) {
        json_array_append_new(found, json_string("no server answers"));
    }
    judge_log(json_object_get(glance->recorder_stats, "flow_log"), found);
    judge_health(glance->health, found);
    find_troubles(glance->recorder_stats, "recorder", found);
    find_troubles(glance->server_stats, "server", found);
    return found;
}

/* --- Asking. --- */

/* The member 'name' of the answer (NULL: all of it), a reference, or NULL with
 * the reason. */
static json_t *
get(struct ctl *ctl, enum ctl_daemon daemon, const char *op, const char *name,
    struct lh_error *why)
{
    json_t *answer, *member;

    if (ctl_try(ctl, daemon, op, NULL, &answer, why)) {
        return NULL;
    }
    member = json_incref(name ? json_object_get(answer, name) : answer);
    json_decref(answer);
    return member;
}

static void
ask_server(struct ctl *ctl, struct ctl_glance *glance, struct lh_error *why)
{
    glance->server_stats = get(ctl, CTL_SERVER, "stats", "stats", why);
    if (!glance->server_stats) {
        return;
    }
    /* A server that is older than this program does not know all of it. */
    glance->server = get(ctl, CTL_SERVER, "status", "status", why);
    if (!glance->server) {
        glance->server = json_object();
    }
    glance->health = get(ctl, CTL_SERVER, "health", NULL, why);
    glance->clients = get(ctl, CTL_SERVER, "clients", "clients", why);
    glance->topology = get(ctl, CTL_SERVER, "topology", "topology", why);
}

/* Asks the recorder by its own socket, or by the server, which may be on
 * another machine, together with the recorder that belongs to it. */
static void
ask_recorder(struct ctl *ctl, struct ctl_glance *glance, struct lh_error *why)
{
    const char *server = ctl->ends[CTL_SERVER].address;
    bool is_remote =
        (!strncmp(server, "tcp:", 4) || !strncmp(server, "ssl:", 4)) &&
        !ctl->has_recorder;
    struct lh_error by_server;

    if (!is_remote) {
        glance->recorder = get(ctl, CTL_RECORDER, "status", "status", why);
        glance->recorder_stats = get(ctl, CTL_RECORDER, "stats", "stats", why);
    }
    if (!glance->recorder && glance->server) {
        glance->recorder = get(ctl, CTL_SERVER, "recorder.status", "status",
                               is_remote ? why : &by_server);
        glance->recorder_stats =
            get(ctl, CTL_SERVER, "recorder.stats", "stats", &by_server);
    }
    if (glance->recorder && !glance->topology) {
        glance->topology =
            get(ctl, CTL_RECORDER, "topology", "topology", &by_server);
    }
}

static void
print_json(const struct ctl_glance *glance)
{
    const json_t *problems = json_object_get(glance->health, "problems");
    json_t *all = json_pack(
        "{s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O?, s:O}", "status",
        glance->recorder, "stats", glance->recorder_stats, "server_status",
        glance->server, "server", glance->server_stats, "problems", problems,
        "clients", glance->clients, "topology", glance->topology, "attention",
        glance->found);

    ctl_print_json(all);
    json_decref(all);
}

int
ctl_status(struct ctl *ctl, int argc, char *argv[])
{
    struct lh_error recorder_why = {.text = ""}, server_why = {.text = ""};
    struct ctl_glance glance = {.recorder_why = recorder_why.text,
                                .server_why = server_why.text};
    int result = CTL_OK;

    ask_server(ctl, &glance, &server_why);
    ask_recorder(ctl, &glance, &recorder_why);
    glance.found = judge(&glance);
    if (!glance.recorder && !glance.server) {
        app_say(ctl->app,
                "neither recorder nor server answers\n  %s\n  %s\nIs "
                "lasthop-recorder running?  If its --rundir is another one, "
                "give it to lasthopctl too.",
                glance.recorder_why, glance.server_why);
        result = CTL_FAILED;
    } else if (ctl->app->is_json) {
        print_json(&glance);
    } else {
        ctl_glance_print(ctl, &glance);
    }
    if (!result && ctl->is_check && json_array_size(glance.found)) {
        result = CTL_ATTENTION;
    }
    json_decref(glance.recorder);
    json_decref(glance.recorder_stats);
    json_decref(glance.server);
    json_decref(glance.server_stats);
    json_decref(glance.health);
    json_decref(glance.clients);
    json_decref(glance.topology);
    json_decref(glance.found);
    return result;
}
