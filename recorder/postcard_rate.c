/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_rate - how many postcards a switch sends, and when something has to
 * go because they are too many. */
#include <config.h>
#include "recorder/postcard_rate.h"

#include <string.h>

#define NS_PER_S 1000000000.0

static void
put_counter(json_t *json, const char *name, uint64_t value)
{
    json_object_set_new(json, name,
                        value <= INT64_MAX ? json_integer((json_int_t) value)
                                           : json_null());
}

void
postcard_counters_to_json(const struct postcard_counters *counters,
                          json_t *json)
{
    put_counter(json, "tx_packets", counters->tx_packets);
    put_counter(json, "tx_dropped", counters->tx_dropped);
    put_counter(json, "tx_errors", counters->tx_errors);
}

void
postcard_rate_init(struct postcard_rate *rate, uint32_t max_pps)
{
    memset(rate, 0, sizeof *rate);
    rate->max_pps = max_pps;
    rate->calm_ns = POSTCARD_RATE_CALM_NS;
}

/* --- Whether. --- */

static enum postcard_rate_action
look_up(struct postcard_rate *rate, uint64_t now_ns)
{
    rate->calm_since_ns = 0;
    if (!rate->over_since_ns) {
        rate->over_since_ns = now_ns;
        return POSTCARD_RATE_LOOK;
    }
    return POSTCARD_RATE_SHED;
}

static enum postcard_rate_action
look_down(struct postcard_rate *rate, uint64_t now_ns)
{
    rate->over_since_ns = 0;
    if ((!rate->n_steps && !rate->n_rules) ||
        rate->pps > postcard_rate_calm_pps(rate)) {
        rate->calm_since_ns = 0;
        return POSTCARD_RATE_KEEP;
    }
    if (!rate->calm_since_ns) {
        rate->calm_since_ns = now_ns;
        return POSTCARD_RATE_LOOK;
    }
    return now_ns - rate->calm_since_ns < rate->calm_ns
               ? POSTCARD_RATE_KEEP
               : POSTCARD_RATE_RESTORE;
}

enum postcard_rate_action
postcard_rate_count(struct postcard_rate *rate,
                    const struct postcard_counters *now)
{
    struct postcard_counters last = rate->last;
    bool had_last = rate->has_last;

    rate->last = *now;
    rate->has_last = true;
    if (!had_last || now->time_ns <= last.time_ns ||
        now->tx_packets < last.tx_packets) {
        rate->pps = 0;
        return POSTCARD_RATE_KEEP;
    }
    rate->pps = (uint64_t) ((double) (now->tx_packets - last.tx_packets) *
                            NS_PER_S / (double) (now->time_ns - last.time_ns));
    if (!rate->max_pps ||
        (rate->stepped_ns && last.time_ns < rate->stepped_ns)) {
        return POSTCARD_RATE_KEEP; /* Partly from before the step. */
    }
    return rate->pps > rate->max_pps ? look_up(rate, now->time_ns)
                                     : look_down(rate, now->time_ns);
}

uint64_t
postcard_rate_calm_pps(const struct postcard_rate *rate)
{
    return (uint64_t) rate->max_pps * 8 / 10;
}

uint64_t
postcard_rate_excess(const struct postcard_rate *rate)
{
    uint64_t wanted = (uint64_t) rate->max_pps * 7 / 10;

    return rate->pps > wanted ? rate->pps - wanted : 0;
}

uint64_t
postcard_rate_room(const struct postcard_rate *rate)
{
    uint64_t calm = postcard_rate_calm_pps(rate);

    return rate->pps < calm ? calm - rate->pps : 0;
}

/* --- What was done. --- */

void
postcard_rate_shed(struct postcard_rate *rate, size_t n_rules)
{
    uint64_t now_ns = rate->last.time_ns;

    rate->n_rules = n_rules;
    rate->calm_since_ns = 0;
    rate->stepped_ns = now_ns;
    if (rate->restored_ns &&
        now_ns - rate->restored_ns < POSTCARD_RATE_PROBE_NS) {
        rate->calm_ns *= 2;
        if (rate->calm_ns > POSTCARD_RATE_MAX_CALM_NS) {
            rate->calm_ns = POSTCARD_RATE_MAX_CALM_NS;
        }
    } else {
        rate->calm_ns = POSTCARD_RATE_CALM_NS;
    }
    rate->restored_ns = 0;
}

void
postcard_rate_restored(struct postcard_rate *rate, size_t n_rules)
{
    rate->n_rules = n_rules;
    rate->calm_since_ns = 0;
    rate->stepped_ns = rate->restored_ns = rate->last.time_ns;
}

void
postcard_rate_waits(struct postcard_rate *rate)
{
    rate->calm_since_ns = rate->last.time_ns;
}

uint32_t
postcard_rate_shed_below(const struct postcard_rate *rate)
{
    return rate->n_steps ? rate->steps[rate->n_steps - 1] : 0;
}

bool
postcard_rate_raise(struct postcard_rate *rate,
                    int (*next_priority)(void *aux, int above), void *aux)
{
    int next = next_priority(aux, (int) postcard_rate_shed_below(rate));

    if (next < 0 || rate->n_steps == POSTCARD_RATE_MAX_STEPS) {
        return false;
    }
    /* The last step that there is room for gives up all. */
    rate->steps[rate->n_steps] = rate->n_steps + 1 == POSTCARD_RATE_MAX_STEPS
                                     ? UINT16_MAX + 1u
                                     : (uint32_t) next + 1;
    rate->n_steps++;
    postcard_rate_shed(rate, rate->n_rules);
    return true;
}

bool
postcard_rate_lower(struct postcard_rate *rate)
{
    if (!rate->n_steps) {
        return false;
    }
    rate->n_steps--;
    postcard_rate_restored(rate, rate->n_rules);
    return true;
}
