/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_move - has a switch send its postcards to another collector: what
 * its Geneve port leads to changes, its number and all rules stay. */
#include <config.h>

#include <stdlib.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/collectors.h"
#include "recorder/datapath_state.h"
#include "recorder/discovery.h"
#include "recorder/mono_clock.h"
#include "recorder/session.h"

/* That change at a time: each is some child processes. */
#define MAX_MOVES 8

/* Whether its port is to lead elsewhere. */
static bool
is_misled(const struct datapath *dp)
{
    const struct postcard_port *p = postcard_ports_find(
        &dp->env->config->postcards, dp->name, INSTR_GENEVE);
    size_t now = 0;

    if (!p || p->n_targets < 2 || !dp->collector || !dp->is_movable ||
        dp->state != DATAPATH_RUN) {
        return false;
    }
    while (now < p->n_targets && p->targets[now].text != dp->collector) {
        now++;
    }
    return collectors_choose(dp->env->collectors, p, dp->dpid, now) != now;
}

void
datapath_move_note(struct datapath *dp, const struct ovsdb_result *result)
{
    const char *before = dp->collector;
    char who[96];

    dp->is_movable = result->is_movable;
    if (result->collector) {
        dp->collector = result->collector;
    }
    if (before && dp->collector != before && dp->state == DATAPATH_RUN) {
        char *text = lh_asprintf("postcards go to %s, not to %s any more",
                                 dp->collector, before);

        say_info("%s: %s", datapath_describe(dp, who, sizeof who), text);
        flow_log_event(dp->env->log, FLOW_LOG_NOTE, dp->dpid, OF_PORT_UNKNOWN,
                       time_spec_now(), text);
        free(text);
        /* Postcards may come from another address now. */
        flow_log_put_switch(dp->env->log, dp->dpid, dp->name, dp->address);
        discovery_connected(dp->env->discovery, dp->dpid, dp->name, dp->index,
                            dp->address, mono_clock_ns());
        dp->env->wake(dp->env->aux);
    }
}

void
datapath_move_all(const struct session_env *env)
{
    size_t n_busy = 0;

    for (struct datapath *dp = *env->datapaths; dp; dp = dp->next) {
        n_busy += dp->task != NULL;
    }
    for (struct datapath *dp = *env->datapaths; dp && n_busy < MAX_MOVES;
         dp = dp->next) {
        if (!dp->task && is_misled(dp)) {
            datapath_ports_prepare(dp);
            n_busy++;
        }
    }
}
