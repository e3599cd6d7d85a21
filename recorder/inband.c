/* SPDX-License-Identifier: Apache-2.0 */
/* inband - one timer: what is due is to look at the topology again. */
#include <config.h>

#include "recorder/inband.h"

#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/dpid.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/datapath_state.h"
#include "recorder/discovery.h"
#include "recorder/mono_clock.h"
#include "recorder/session_state.h"
#include "recorder/tree.h"

struct inband {
    const struct session_env *env;
    struct event *look;       /* At the topology, again. */
    struct event *late;       /* Who has not answered is left out. */
    struct event *start_over; /* The first moments are. */
    struct tree *tree;        /* NULL before the first.  Owned. */
    uint64_t root;            /* Of the tree; 0: the collector is nowhere. */
    bool is_clearing;         /* What is in both trees is left, no more. */
    bool is_starting;
    uint64_t n_changes, n_late;
};

static bool
is_running(const struct datapath *dp)
{
    return dp->state == DATAPATH_RUN && dp->instr;
}

/* --- The root. --- */

static uint64_t
find_root(const struct inband *ib)
{
    const struct postcard_port *p =
        postcard_ports_inband(&ib->env->config->postcards);
    const struct topology_switch *sw;

    if (p->collector_dpid) {
        return p->collector_dpid;
    }
    sw = topology_find_name(discovery_topology(ib->env->discovery),
                            p->collector);
    return sw ? sw->dpid : 0;
}

static bool
takes(void *ib_, uint64_t dpid)
{
    const struct inband *ib = ib_;
    const struct datapath *dp = datapath_find(ib->env, dpid);

    return dp && is_running(dp) && !dp->is_tree_late;
}

/* --- What a switch is told. --- */

static void
tell_switch(struct datapath *dp, const struct instr_tree *tree)
{
    struct instr_out out = INSTR_OUT_INIT;

    instr_set_tree(dp->instr, tree, time_spec_now(), &out);
    datapath_apply(dp, &out);
}

/* Says where the postcards of a switch go now. */
static void
note(struct inband *ib, struct datapath *dp, const struct tree_switch *at)
{
    char who[96];
    char *text;

    if (!at) {
        text = lh_strdup("there is no way to the collector: no postcards");
    } else if (at->up) {
        text = lh_asprintf("postcards go by port %u, to " DPID_FMT, at->up,
                           at->parent);
    } else if (dp->postcards[INSTR_MAC].no) {
        text = lh_asprintf("the collector is here, at port %u",
                           (unsigned) dp->postcards[INSTR_MAC].no);
    } else {
        text = lh_strdup("the collector's port is not here: no postcards");
    }
    datapath_describe(dp, who, sizeof who);
    if (at) {
        say_info("%s: %s", who, text);
    } else {
        say_warn("%s: %s", who, text);
    }
    datapath_control_why(dp, instr_card_port(dp->instr) ? NULL : text);
    flow_log_event(ib->env->log, FLOW_LOG_NOTE, dp->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), text);
    ib->env->wake(ib->env->aux);
    free(text);
}

/* The part of what it has that it is to keep; false: it is to keep all. */
static bool
keeps_less(const struct instr_tree *has, const struct tree_switch *at,
           struct instr_tree *kept)
{
    bool is_same_way = at && at->up == has->up;

    *kept = (struct instr_tree){.up = has->up};
    kept->down = lh_alloc_zero((has->n_down + 1) * sizeof *kept->down);
    for (size_t i = 0; is_same_way && i < has->n_down; i++) {
        if (tree_switch_has_down(at, has->down[i])) {
            kept->down[kept->n_down++] = has->down[i];
        }
    }
    return kept->n_down < has->n_down;
}

/* Has every switch forget what is not in the new tree. */
static void
clear(struct inband *ib)
{
    for (struct datapath *dp = *ib->env->datapaths; dp; dp = dp->next) {
        struct instr_tree kept;

        if (!is_running(dp)) {
            continue;
        }
        if (keeps_less(instr_get_tree(dp->instr),
                       tree_find(ib->tree, dp->dpid), &kept)) {
            tell_switch(dp, &kept);
        }
        free(kept.down);
    }
}

static void
fill_switch(struct inband *ib, struct datapath *dp)
{
    const struct tree_switch *at = tree_find(ib->tree, dp->dpid);
    const struct instr_tree *has = instr_get_tree(dp->instr);
    struct instr_tree tree = {0};
    bool is_new = !dp->has_tree || dp->is_in_tree != (at != NULL) ||
                  (at && at->up != has->up);

    if (!at && ib->is_starting && has->up) {
        return; /* Its way will be found again. */
    }
    if (at) {
        tree = (struct instr_tree){at->up, at->down, at->n_down};
    }
    tell_switch(dp, &tree);
    dp->has_tree = true;
    dp->is_in_tree = at != NULL;
    if (is_new) {
        note(ib, dp, at);
    }
}

static void
fill(struct inband *ib)
{
    ib->is_clearing = false;
    event_del(ib->late);
    for (struct datapath *dp = *ib->env->datapaths; dp; dp = dp->next) {
        if (is_running(dp)) {
            fill_switch(ib, dp);
        }
    }
}

/* --- When. --- */

static void
look_in(struct inband *ib, struct event *event, unsigned int ms)
{
    struct timeval timeout = {.tv_sec = ms / 1000,
                              .tv_usec = ms % 1000 * 1000};

    event_add(event, &timeout);
}

/* At the latest after that time. */
static void
look_within(struct inband *ib, unsigned int ms)
{
    struct timeval now, at, left;

    if (event_pending(ib->look, EV_TIMEOUT, &at)) {
        gettimeofday(&now, NULL);
        timersub(&at, &now, &left);
        if (left.tv_sec < 0 ||
            (uint64_t) left.tv_sec * 1000 + (uint64_t) left.tv_usec / 1000 <=
                ms) {
            return;
        }
    }
    look_in(ib, ib->look, ms);
}

static bool
is_settled(const struct inband *ib)
{
    for (const struct datapath *dp = *ib->env->datapaths; dp; dp = dp->next) {
        if (is_running(dp) && !dp->is_tree_late &&
            !instr_tree_is_settled(dp->instr)) {
            return false;
        }
    }
    return true;
}

/* Those that had not answered in time and have now may take part again. */
static bool
forgive(struct inband *ib)
{
    bool is_any = false;

    for (struct datapath *dp = *ib->env->datapaths; dp; dp = dp->next) {
        if (dp->is_tree_late && is_running(dp) &&
            instr_tree_is_settled(dp->instr)) {
            dp->is_tree_late = false;
            is_any = true;
        }
    }
    return is_any;
}

static void
go_on(struct inband *ib)
{
    if (ib->is_clearing && is_settled(ib)) {
        fill(ib);
    }
}

static bool
is_same(const struct tree *a, const struct tree *b)
{
    if (!a || tree_n_switches(a) != tree_n_switches(b)) {
        return false;
    }
    for (size_t i = 0; i < tree_n_switches(a); i++) {
        const struct tree_switch *at = tree_switch_at(a, i);

        if (at->dpid != tree_switch_at(b, i)->dpid ||
            !tree_switch_equal(at, tree_switch_at(b, i))) {
            return false;
        }
    }
    return true;
}

static void
on_look(evutil_socket_t fd, short what, void *ib_)
{
    struct inband *ib = ib_;
    struct tree *tree;

    forgive(ib);
    ib->root = find_root(ib);
    tree = tree_create(discovery_topology(ib->env->discovery), ib->root, takes,
                       ib);
    ib->n_changes += !is_same(ib->tree, tree);
    tree_destroy(ib->tree);
    ib->tree = tree;
    ib->is_clearing = true;
    look_in(ib, ib->late, INBAND_SETTLE_MS);
    clear(ib);
    go_on(ib);
}

static void
on_late(evutil_socket_t fd, short what, void *ib_)
{
    struct inband *ib = ib_;

    for (struct datapath *dp = *ib->env->datapaths; dp; dp = dp->next) {
        if (is_running(dp) && !instr_tree_is_settled(dp->instr) &&
            !dp->is_tree_late) {
            char who[96];

            say_warn("%s: does not answer, or lets nobody change it: it "
                     "carries no postcards of others for now",
                     datapath_describe(dp, who, sizeof who));
            dp->is_tree_late = true;
            ib->n_late++;
        }
    }
    look_within(ib, 0);
}

static void
on_start_over(evutil_socket_t fd, short what, void *ib_)
{
    struct inband *ib = ib_;

    ib->is_starting = false;
    look_within(ib, 0);
}

struct inband *
inband_create(const struct session_env *env)
{
    struct inband *ib;

    if (!postcard_ports_inband(&env->config->postcards)) {
        return NULL;
    }
    ib = lh_alloc_zero(sizeof *ib);
    ib->env = env;
    ib->is_starting = true;
    ib->look = evtimer_new(env->base, on_look, ib);
    ib->late = evtimer_new(env->base, on_late, ib);
    ib->start_over = evtimer_new(env->base, on_start_over, ib);
    look_in(ib, ib->start_over, INBAND_START_MS);
    return ib;
}

void
inband_destroy(struct inband *ib)
{
    if (ib) {
        event_free(ib->look);
        event_free(ib->late);
        event_free(ib->start_over);
        tree_destroy(ib->tree);
        free(ib);
    }
}

void
inband_prepare(struct inband *ib, struct datapath *dp)
{
    struct tree *guess = NULL;
    const struct tree_switch *at;
    struct instr_out out = INSTR_OUT_INIT;
    struct instr_tree tree = {0};

    if (!ib) {
        return;
    }
    if (!ib->tree || !tree_find(ib->tree, dp->dpid)) {
        guess = tree_create(discovery_topology(ib->env->discovery),
                            find_root(ib), NULL, NULL);
    }
    at = tree_find(guess ? guess : ib->tree, dp->dpid);
    tree.up = at ? at->up : 0;
    /* What all others have, or are about to: one tree. */
    if (at && !guess && !ib->is_clearing) {
        tree.down = at->down;
        tree.n_down = at->n_down;
    }
    instr_set_tree(dp->instr, &tree, time_spec_now(), &out);
    instr_out_uninit(&out); /* Nothing: it does not run yet. */
    tree_destroy(guess);
}

void
inband_came(struct inband *ib)
{
    if (ib) {
        look_within(ib, INBAND_GATHER_MS);
    }
}

void
inband_went(struct inband *ib)
{
    if (ib) {
        /* What it may still have must not be part of a new tree. */
        look_within(ib, ib->is_clearing ? 0 : INBAND_AWAY_MS);
    }
}

void
inband_links(struct inband *ib)
{
    inband_came(ib);
}

void
inband_link_gone(struct inband *ib)
{
    if (ib) {
        look_within(ib, 0);
    }
}

void
inband_settled(struct inband *ib)
{
    if (ib) {
        look_within(ib, 0);
    }
}

json_t *
inband_stats(const struct inband *ib)
{
    json_t *without = json_array();
    size_t n = ib && ib->tree ? tree_n_switches(ib->tree) : 0;

    if (!ib) {
        json_decref(without);
        return json_null();
    }
    for (const struct datapath *dp = *ib->env->datapaths; dp; dp = dp->next) {
        if (is_running(dp) && !(n && tree_find(ib->tree, dp->dpid))) {
            json_array_append_new(without, jmember_dpid_new(dp->dpid));
        }
    }
    return json_pack("{s:o, s:I, s:o, s:I, s:I}", "collector",
                     ib->root ? jmember_dpid_new(ib->root) : json_null(),
                     "switches", (json_int_t) n, "without_way", without,
                     "changes", (json_int_t) ib->n_changes, "late",
                     (json_int_t) ib->n_late);
}
