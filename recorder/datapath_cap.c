/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_cap - holds a switch's postcards to --max-postcards. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "recorder/api.h"
#include "recorder/control.h"
#include "recorder/datapath_state.h"
#include "recorder/mono_clock.h"
#include "recorder/session_state.h"

/* Flow statistics of a large table cost the switch something: so long between
 * two readings for each rule. */
#define READ_NS_PER_RULE UINT64_C(50000)

static int
next_priority(void *dp_, int above)
{
    const struct datapath *dp = dp_;

    return selection_list_next_priority(control_selections(dp->env->control),
                                        dp->dpid, dp->name, above);
}

static bool
is_inband(const struct datapath *dp)
{
    return postcard_ports_inband(&dp->env->config->postcards);
}

/* Reads how many packets rules take, then does what is wanted. */
static void
read_packets(struct datapath *dp, enum postcard_rate_action wanted)
{
    struct instr_out out = INSTR_OUT_INIT;
    uint64_t now_ns = mono_clock_ns();
    uint64_t n_rules = instr_counters(dp->instr)->rules;

    if (dp->read_ns && now_ns - dp->read_ns < n_rules * READ_NS_PER_RULE) {
        return;
    }
    dp->cap_wants = wanted;
    if (instr_read_packets(dp->instr, time_spec_now(), &out)) {
        dp->read_ns = now_ns;
    }
    datapath_apply(dp, &out);
}

void
datapath_cap_ask(struct datapath *dp)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (dp->state != DATAPATH_RUN || !datapath_ports_has_postcards(dp)) {
        return;
    }
    if (is_inband(dp)) {
        /* The port counts those of other switches, too. */
        if (dp->rate.max_pps && !dp->is_paused) {
            read_packets(dp, POSTCARD_RATE_KEEP);
        }
        return;
    }
    dp->asked_ns = time_spec_now();
    instr_ask_counters(dp->instr, &out);
    for (size_t i = 0; i < out.n_to_switch; i++) {
        if (session_is_full(instr_link_aux(out.to_switch[i].link))) {
            instr_out_uninit(&out);
            return;
        }
    }
    datapath_apply(dp, &out);
}

/* What the switch does not count is UINT64_MAX, and so is the sum with it. */
static uint64_t
add_counters(uint64_t a, uint64_t b)
{
    return a == UINT64_MAX || b == UINT64_MAX ? UINT64_MAX : a + b;
}

/* All postcard ports together.  What a port that is found later had sent by
 * then does not count, so that the sum does not leap. */
static struct postcard_counters
sum_up(struct datapath *dp, const struct instr_port_counters counters[])
{
    struct postcard_counters sum = {.time_ns = mono_clock_ns()};

    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        const struct instr_port_counters *port = &counters[i];

        if (!port->is_there) {
            dp->uncounted[i] = 0;
        } else {
            if (!dp->counted[i].is_there) {
                dp->uncounted[i] = dp->rate.has_last ? port->tx_packets : 0;
            } else if (port->tx_packets < dp->counted[i].tx_packets) {
                dp->uncounted[i] = 0; /* A new one. */
            }
            sum.tx_packets += port->tx_packets - dp->uncounted[i];
            sum.tx_dropped = add_counters(sum.tx_dropped, port->tx_dropped);
            sum.tx_errors = add_counters(sum.tx_errors, port->tx_errors);
        }
        dp->counted[i] = *port;
    }
    return sum;
}

void
datapath_cap_counted(struct datapath *dp,
                     const struct instr_port_counters counters[])
{
    const struct postcard_counters now = sum_up(dp, counters);

    dp->counted_ns = time_spec_now();
    recorder_api_round(dp->env->api, dp->dpid, dp->asked_ns, dp->counted_ns,
                       &now);
    if (dp->is_paused) {
        return;
    }
    switch (postcard_rate_count(&dp->rate, &now)) {
    case POSTCARD_RATE_KEEP:
        break;
    case POSTCARD_RATE_LOOK:
        read_packets(dp, POSTCARD_RATE_LOOK);
        break;
    case POSTCARD_RATE_SHED:
        read_packets(dp, POSTCARD_RATE_SHED);
        break;
    case POSTCARD_RATE_RESTORE:
        read_packets(dp, POSTCARD_RATE_RESTORE);
        break;
    }
}

/* --- Steps. --- */

/* "rules 3, 4 and 12 more"; for free(). */
static char *
describe(const struct instr_shed *shed)
{
    char list[INSTR_SHED_TOLD * 16] = "";
    size_t told =
        shed->n_rules < INSTR_SHED_TOLD ? shed->n_rules : INSTR_SHED_TOLD;

    for (size_t i = 0; i < told; i++) {
        size_t len = strlen(list);

        snprintf(list + len, sizeof list - len, "%s%" PRIu32,
                 !i                                       ? ""
                 : i + 1 == told && told == shed->n_rules ? " and "
                                                          : ", ",
                 shed->versions[i]);
    }
    if (told < shed->n_rules) {
        return lh_asprintf("rules of versions %s and %zu more", list,
                           shed->n_rules - told);
    }
    return lh_asprintf(
        "%s %s", told == 1 ? "rule of version" : "rules of versions", list);
}

static char *
describe_cards(const struct datapath *dp)
{
    return lh_asprintf("%zu of %" PRIu64 " rules send postcards",
                       instr_select_count(dp->instr),
                       instr_counters(dp->instr)->rules);
}

/* Says what was done; takes 'what'. */
static void
say(struct datapath *dp, char *what)
{
    char *cards = describe_cards(dp);

    datapath_control_note(dp, lh_asprintf("%" PRIu64 " postcards a second, at "
                                          "most %" PRIu32 ": %s; %s",
                                          dp->rate.pps, dp->rate.max_pps, what,
                                          cards));
    free(cards);
    free(what);
}

static void
shed(struct datapath *dp)
{
    struct instr_out out = INSTR_OUT_INIT;
    struct instr_shed gone =
        instr_shed(dp->instr, dp->rate.pps, postcard_rate_excess(&dp->rate),
                   time_spec_now(), &out);
    char *text;

    datapath_apply(dp, &out);
    if (gone.n_rules) {
        postcard_rate_shed(&dp->rate, dp->rate.n_rules + gone.n_rules);
        text = describe(&gone);
        say(dp,
            lh_asprintf("%s with some %" PRIu64 " a second send%s none now",
                        text, gone.pps, gone.n_rules == 1 ? "s" : ""));
        free(text);
    } else if (postcard_rate_raise(&dp->rate, next_priority, dp)) {
        datapath_control_select(dp);
        say(dp, lh_asprintf("selections of a priority below %" PRIu32
                            " send none now",
                            postcard_rate_shed_below(&dp->rate)));
    }
}

static void
restore(struct datapath *dp)
{
    struct instr_out out = INSTR_OUT_INIT;
    struct instr_shed back;
    char *text;

    if (postcard_rate_lower(&dp->rate)) {
        datapath_control_select(dp);
        say(dp, lh_asprintf("selections of a priority from %" PRIu32
                            " on send them again",
                            postcard_rate_shed_below(&dp->rate)));
        return;
    }
    back = instr_unshed(dp->instr, postcard_rate_room(&dp->rate),
                        time_spec_now(), &out);
    datapath_apply(dp, &out);
    if (!back.n_rules) {
        dp->rate.n_rules = instr_get_shed(dp->instr).n_rules;
        postcard_rate_waits(&dp->rate);
        return;
    }
    postcard_rate_restored(&dp->rate, instr_get_shed(dp->instr).n_rules);
    text = describe(&back);
    say(dp, lh_asprintf("%s send%s them again", text,
                        back.n_rules == 1 ? "s" : ""));
    free(text);
}

void
datapath_cap_read(struct datapath *dp)
{
    enum postcard_rate_action wanted = dp->cap_wants;

    dp->cap_wants = POSTCARD_RATE_KEEP;
    if (is_inband(dp)) {
        const struct postcard_counters now = {.time_ns = mono_clock_ns(),
                                              .tx_packets =
                                                  instr_n_cards(dp->instr),
                                              .tx_dropped = UINT64_MAX,
                                              .tx_errors = UINT64_MAX};

        dp->counted_ns = time_spec_now();
        wanted = postcard_rate_count(&dp->rate, &now);
    }
    if (dp->is_paused) {
        return;
    }
    if (wanted == POSTCARD_RATE_SHED) {
        shed(dp);
    } else if (wanted == POSTCARD_RATE_RESTORE) {
        restore(dp);
    }
}
