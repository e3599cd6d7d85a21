/* SPDX-License-Identifier: Apache-2.0 */
/* api_control - the operations by which an operator steers the recorder. */
#include <config.h>
#include "recorder/api_control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_server.h"
#include "lib/dpid.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/name_miss.h"
#include "recorder/control.h"
#include "recorder/instr.h"

/* Ends the call: the change was made. */
static void
answer_applied(struct api_call *call, const struct api_control_env *env)
{
    api_call_answer(call,
                    json_pack("{s:o}", "switches", env->apply(env->aux)));
}

/* --- Pausing. --- */

/* The switch that 'name' names: its own name or its datapath ID. */
static int
find_switch(const struct flow_log_switch *switches, size_t n, const char *name,
            uint64_t *dpid)
{
    for (size_t i = 0; i < n; i++) {
        if (switches[i].name && !strcmp(switches[i].name, name)) {
            *dpid = switches[i].dpid;
            return 0;
        }
    }
    return dpid_from_string(name, dpid) ? 0 : ENOENT;
}

/* Says that no switch that ever connected is called 'name'. */
static void
no_switch(const struct flow_log_switch *switches, size_t n, const char *name,
          struct lh_error *error)
{
    struct name_miss miss = name_miss_init(name);

    for (size_t i = 0; i < n; i++) {
        name_miss_try(&miss, switches[i].name);
    }
    name_miss_set(&miss, "switch that ever connected", error);
}

/* Reads the member "switches" into '*dpids', for free(). */
static int
read_switches(const struct jmember *array, struct flow_log *log,
              uint64_t **dpids, size_t *n, struct lh_error *error)
{
    struct flow_log_switch *switches;
    size_t n_switches;
    int retval = jmember_array(array, n, error);

    *dpids = NULL;
    if (retval) {
        return retval;
    }
    retval = flow_log_switches(log, &switches, &n_switches, error);
    if (retval) {
        return retval;
    }
    *dpids = lh_alloc_array(NULL, *n, sizeof **dpids);
    for (size_t i = 0; i < *n && !retval; i++) {
        struct jmember item = jmember_at(array, i);
        const char *name;

        retval = jmember_string(&item, &name, error);
        if (!retval) {
            retval = find_switch(switches, n_switches, name, &(*dpids)[i]);
            if (retval) {
                no_switch(switches, n_switches, name, error);
            }
        }
    }
    flow_log_switches_free(switches, n_switches);
    if (retval) {
        free(*dpids);
        *dpids = NULL;
    }
    return retval;
}

static void
set_paused(struct api_call *call, const json_t *request,
           const struct api_control_env *env, bool is_paused)
{
    struct jmember root = jmember_root(request);
    struct jmember array = jmember_get(&root, "switches");
    struct lh_error error;
    uint64_t *dpids;
    size_t n;

    if (!jmember_is_there(&array)) {
        control_pause_all(env->control, is_paused);
        answer_applied(call, env);
        return;
    }

    int retval = read_switches(&array, env->log, &dpids, &n, &error);

    if (retval) {
        api_call_fail_error(call,
                            retval == ENOENT   ? API_NOT_FOUND
                            : retval == EINVAL ? API_BAD_REQUEST
                                               : API_INTERNAL,
                            &error);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        control_pause(env->control, dpids[i], is_paused);
    }
    free(dpids);
    answer_applied(call, env);
}

static void
handle_pause(struct api_call *call, const json_t *request, void *env)
{
    set_paused(call, request, env, true);
}

static void
handle_resume(struct api_call *call, const json_t *request, void *env)
{
    set_paused(call, request, env, false);
}

/* --- Selections. --- */

static void
handle_list(struct api_call *call, const json_t *request, void *env_)
{
    const struct api_control_env *env = env_;
    const struct selection_list *list = control_selections(env->control);
    json_t *array = json_array();

    for (size_t i = 0; i < selection_list_count(list); i++) {
        const struct selection *s = selection_list_get(list, i);

        json_array_append_new(
            array,
            json_pack(
                "{s:o, s:o, s:b, s:i, s:o, s:o}", "name",
                jmember_text_new(s->name), "text", jmember_text_new(s->text),
                "exclude", s->is_exclude, "priority", (int) s->priority,
                "snap_len",
                s->snap_len ? json_integer(s->snap_len) : json_null(), "encap",
                s->encapsulation < 0            ? json_null()
                : s->encapsulation == INSTR_MAC ? json_string("mac")
                                                : json_string("geneve")));
    }
    api_call_answer(call, json_pack("{s:o}", "selections", array));
}

/* Ends a call that changed the list, or could not. */
static void
answer_selection(struct api_call *call, const struct api_control_env *env,
                 int retval, const struct lh_error *error)
{
    switch (retval) {
    case 0:
        answer_applied(call, env);
        break;
    case ENOENT:
        api_call_fail_error(call, API_NOT_FOUND, error);
        break;
    case E2BIG:
        api_call_fail_error(call, API_LIMIT, error);
        break;
    default:
        api_call_fail_error(call, API_BAD_REQUEST, error);
        break;
    }
}

static void
handle_add(struct api_call *call, const json_t *request, void *env_)
{
    const struct api_control_env *env = env_;
    struct jmember root = jmember_root(request);
    struct jmember line = jmember_get(&root, "selection");
    struct jmember before_member = jmember_get(&root, "before");
    const char *text, *before = NULL;
    struct lh_error error;
    int retval = jmember_string(&line, &text, &error);

    if (!retval && jmember_is_there(&before_member)) {
        retval = jmember_string(&before_member, &before, &error);
    }
    if (!retval) {
        retval = control_add(env->control, text, before, &error);
    }
    answer_selection(call, env, retval, &error);
}

static void
handle_delete(struct api_call *call, const json_t *request, void *env_)
{
    const struct api_control_env *env = env_;
    struct jmember root = jmember_root(request);
    struct jmember member = jmember_get(&root, "name");
    struct lh_error error;
    const char *name;
    int retval = jmember_string(&member, &name, &error);

    if (!retval) {
        retval = control_delete(env->control, name, &error);
    }
    answer_selection(call, env, retval, &error);
}

static void
handle_load(struct api_call *call, const json_t *request, void *env_)
{
    const struct api_control_env *env = env_;
    struct jmember root = jmember_root(request);
    struct jmember member = jmember_get(&root, "text");
    struct lh_error error;
    const char *text;
    int retval = jmember_string(&member, &text, &error);

    if (!retval) {
        retval = control_load(env->control, text, &error);
    }
    answer_selection(call, env, retval, &error);
}

static void
handle_status(struct api_call *call, const json_t *request, void *env_)
{
    const struct api_control_env *env = env_;

    api_call_answer(call, json_pack("{s:o}", "status", env->status(env->aux)));
}

void
api_control_add(struct api_server *server, struct api_control_env *env)
{
    api_server_add_op(server, "status", handle_status, env);
    api_server_add_op(server, "pause", handle_pause, env);
    api_server_add_op(server, "resume", handle_resume, env);
    api_server_add_op(server, "select.list", handle_list, env);
    api_server_add_op(server, "select.add", handle_add, env);
    api_server_add_op(server, "select.delete", handle_delete, env);
    api_server_add_op(server, "select.load", handle_load, env);
}
