/* SPDX-License-Identifier: Apache-2.0 */
/* status - the recorder at a glance. */
#include <config.h>
#include "recorder/status.h"

#include <stdbool.h>

#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/process_memory.h"
#include "recorder/collectors.h"
#include "recorder/control.h"
#include "recorder/datapath.h"
#include "recorder/recorder_config.h"
#include "recorder/session.h"

static json_t *
get_switches(const struct session_env *env)
{
    json_t *switches = json_array();

    for (const struct datapath *dp = *env->datapaths; dp;
         dp = datapath_next(dp)) {
        json_array_append_new(switches, datapath_status(dp));
    }
    return switches;
}

/* Switches that are known and not connected. */
static json_t *
get_absent(const struct session_env *env)
{
    json_t *absent = json_array();
    struct flow_log_switch *switches;
    size_t n;

    if (flow_log_switches(env->log, &switches, &n, NULL)) {
        return absent;
    }
    for (size_t i = 0; i < n; i++) {
        if (!datapath_find(env, switches[i].dpid)) {
            json_array_append_new(
                absent,
                json_pack("{s:o, s:o, s:b}", "dpid",
                          jmember_dpid_new(switches[i].dpid), "name",
                          switches[i].name ? jmember_text_new(switches[i].name)
                                           : json_null(),
                          "paused",
                          control_is_paused(env->control, switches[i].dpid)));
        }
    }
    flow_log_switches_free(switches, n);
    return absent;
}

static json_t *
get_routes(const struct recorder_config *config)
{
    json_t *routes = json_array();

    for (size_t i = 0; i < config->n_routes; i++) {
        const struct recorder_route *route = &config->routes[i];

        json_array_append_new(
            routes,
            json_pack("{s:s, s:s?}", "listen", route->listen.text,
                      "controller",
                      route->controller ? route->controller->text : NULL));
    }
    return routes;
}

json_t *
status_get(const struct session_env *env, uint64_t started_ns)
{
    const struct recorder_config *config = env->config;

    return json_pack(
        "{s:s, s:I, s:I, s:o, s:b, s:i, s:o, s:I, s:o, s:o, s:o}", "version",
        PACKAGE_VERSION, "started_ns", (json_int_t) started_ns, "memory_bytes",
        (json_int_t) process_memory(), "routes", get_routes(config),
        "all_paused", control_is_all_paused(env->control), "selections",
        (int) selection_list_count(control_selections(env->control)),
        "max_postcards",
        config->max_postcards
            ? json_integer((json_int_t) config->max_postcards)
            : json_null(),
        "log_queued", (json_int_t) flow_log_n_queued(env->log), "switches",
        get_switches(env), "absent", get_absent(env), "collectors",
        collectors_to_json(env->collectors));
}

json_t *
status_apply(const struct session_env *env)
{
    json_t *switches = json_array();
    struct datapath *next;

    for (struct datapath *dp = *env->datapaths; dp; dp = next) {
        size_t n;
        json_t *json;

        next = datapath_next(dp);
        n = datapath_control_apply(dp);
        json = datapath_status(dp);
        json_object_set_new(json, "rewritten", json_integer((json_int_t) n));
        json_array_append_new(switches, json);
    }
    return switches;
}
