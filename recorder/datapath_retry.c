/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_retry - a switch whose set-up took too long is tried again.
 *
 * Its connections stay.  The controllers are kept waiting from the moment at
 * which each connection is asked to answer for all that went by it before;
 * then the set-up goes as the first one did.  If all that takes too long,
 * everything passes again. */
#include <config.h>

#include <stdlib.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/datapath_state.h"
#include "recorder/session_state.h"

#define FIRST_WAIT   2 /* In units of setup_s. */
#define LONGEST_WAIT 40

/* When the next try is due, or 0: the last one was. */
static unsigned int
next_wait_s(const struct datapath *dp)
{
    unsigned int wait = FIRST_WAIT;

    if (dp->n_tries >= DATAPATH_MAX_TRIES) {
        return 0;
    }
    for (unsigned int i = 0; i < dp->n_tries && wait < LONGEST_WAIT; i++) {
        wait *= 2;
    }
    return dp->env->config->setup_s *
           (wait < LONGEST_WAIT ? wait : LONGEST_WAIT);
}

/* What the sessions cannot take over, or NULL. */
static const char *
find_obstacle(const struct datapath *dp)
{
    const char *obstacle = NULL;

    for (size_t i = 0; i < dp->n_sessions && !obstacle; i++) {
        obstacle = instr_kept_obstacle(&dp->sessions[i]->kept);
    }
    return obstacle;
}

static void
settle(struct datapath *dp)
{
    struct timeval timeout = {.tv_sec = datapath_setup_limit_s(dp)};
    const char *obstacle = find_obstacle(dp);
    char who[96];

    if (obstacle) {
        say_warn("%s: cannot be instrumented now: %s",
                 datapath_describe(dp, who, sizeof who), obstacle);
        datapath_retry_plan(dp);
        return;
    }
    say_info("%s: the set-up is tried again",
             datapath_describe(dp, who, sizeof who));
    dp->state = DATAPATH_SETTLE;
    dp->deadline = evtimer_new(dp->env->base, datapath_setup_too_long, dp);
    event_add(dp->deadline, &timeout);
    for (size_t i = 0; i < dp->n_sessions; i++) {
        session_settle(dp->sessions[i]);
    }
    datapath_retry_settled(dp);
}

static void
on_again(evutil_socket_t fd, short what, void *dp_)
{
    struct datapath *dp = dp_;
    const struct recorder_config *config = dp->env->config;

    if (config->postcards.n && config->ovsdb.db &&
        !datapath_ports_has_postcards(dp)) {
        datapath_ports_prepare(dp); /* Then datapath_retry_prepared(). */
    } else {
        settle(dp);
    }
}

void
datapath_retry_plan(struct datapath *dp)
{
    struct timeval timeout = {.tv_sec = next_wait_s(dp)};
    char who[96];

    datapath_describe(dp, who, sizeof who);
    if (!timeout.tv_sec) {
        say_error("%s: NOT INSTRUMENTED after %u tries: it is not tried again "
                  "until all its connections have gone",
                  who, dp->n_tries + 1);
        return;
    }
    say_error("%s: NOT INSTRUMENTED: its control channel goes on without "
              "lasthop; next try in %u s",
              who, (unsigned) timeout.tv_sec);
    dp->n_tries++;
    if (!dp->again) {
        dp->again = evtimer_new(dp->env->base, on_again, dp);
    }
    event_add(dp->again, &timeout);
}

void
datapath_retry_prepared(struct datapath *dp)
{
    if (dp->n_tries && !evtimer_pending(dp->again, NULL)) {
        settle(dp);
    }
}

void
datapath_retry_settled(struct datapath *dp)
{
    for (size_t i = 0; i < dp->n_sessions; i++) {
        if (dp->sessions[i]->state == SESSION_SETTLE) {
            return;
        }
    }
    datapath_setup_begin(dp);
}

void
datapath_retry_master(struct datapath *dp, const struct session *master)
{
    for (size_t i = 0; i < dp->n_sessions; i++) {
        if (dp->sessions[i] != master) {
            instr_kept_demote(&dp->sessions[i]->kept);
        }
    }
}
