/* SPDX-License-Identifier: Apache-2.0 */
/* hop_time - how long after another hop of a history one was. */
#include <config.h>
#include "lib/hop_time.h"

#include <stdio.h>

/* The clock of hop 'i', or NULL: nothing is told of it. */
static const struct topology_clock *
clock_of(const struct history *h, size_t i, const struct topology *topology)
{
    const struct topology *told = h->clocks ? h->clocks : topology;
    const struct topology_switch *sw =
        told && topology_has_clocks(told)
            ? topology_find(told, h->hops[i].dpid)
            : NULL;

    return sw && sw->clock.is_told ? &sw->clock : NULL;
}

static bool
is_same(const struct topology_clock *a, const struct topology_clock *b)
{
    return !a || !b ? a == b : a->host == b->host;
}

size_t
hop_time_first(const struct history *h, const struct topology *topology)
{
    size_t first = SIZE_MAX, earliest = SIZE_MAX;

    for (size_t i = 0; i < h->n_hops; i++) {
        if (!h->hops[i].time_ns) {
            continue;
        }
        if (first == SIZE_MAX) {
            first = earliest = i;
        } else if (!is_same(clock_of(h, first, topology),
                            clock_of(h, i, topology))) {
            return first;
        } else if (h->hops[i].time_ns < h->hops[earliest].time_ns) {
            earliest = i;
        }
    }
    return earliest;
}

/* What the error of a clock's offset has grown to when that clock showed
 * 'time_ns'. */
static uint64_t
grown(const struct topology_clock *clock, uint64_t time_ns)
{
    time_ns -= (uint64_t) clock->offset_ns;

    uint64_t age_ns = time_ns > clock->at_ns ? time_ns - clock->at_ns
                                             : clock->at_ns - time_ns;

    return clock->error_ns +
           (age_ns > HOP_TIME_FRESH_NS
                ? (age_ns - HOP_TIME_FRESH_NS) / 1000000 * HOP_TIME_DRIFT_PPM
                : 0);
}

struct hop_time
hop_time_between(const struct history *h, size_t from, size_t i,
                 const struct topology *topology)
{
    const struct topology_clock *mine, *its;
    struct hop_time t = {.is_there = false};
    uint64_t time_ns;

    if (from == i || from >= h->n_hops || i >= h->n_hops ||
        !h->hops[i].time_ns || !h->hops[from].time_ns) {
        return t;
    }
    time_ns = h->hops[i].time_ns;
    mine = clock_of(h, i, topology);
    its = clock_of(h, from, topology);
    t.is_there = true;
    t.after_ns = (int64_t) (time_ns - h->hops[from].time_ns);
    t.is_across = !is_same(mine, its);
    t.is_compared =
        t.is_across && mine && its && mine->is_known && its->is_known;
    if (t.is_compared) {
        t.after_ns =
            (int64_t) ((uint64_t) t.after_ns - (uint64_t) mine->offset_ns +
                       (uint64_t) its->offset_ns);
        t.error_ns = grown(mine, time_ns) + grown(its, h->hops[from].time_ns);
    }
    return t;
}

struct hop_time
hop_time_after(const struct history *h, size_t i,
               const struct topology *topology)
{
    return hop_time_between(h, hop_time_first(h, topology), i, topology);
}

struct hop_time
hop_time_latency(const struct history *h, size_t i,
                 const struct topology *topology)
{
    int parent = h->hops[i].parent;

    return hop_time_between(h, parent < 0 ? SIZE_MAX : (size_t) parent, i,
                            topology);
}

struct hop_time
hop_time_duration(const struct history *h, const struct topology *topology)
{
    struct hop_time longest = {.is_there = false};
    size_t first = hop_time_first(h, topology);

    for (size_t i = 0; i < h->n_hops; i++) {
        struct hop_time t = hop_time_between(h, first, i, topology);

        if (t.is_there &&
            (!longest.is_there || t.after_ns > longest.after_ns)) {
            longest = t;
        }
    }
    return longest;
}

bool
hop_time_is_across(const struct history *h, const struct topology *topology)
{
    size_t first = hop_time_first(h, topology);

    for (size_t i = 0; first != SIZE_MAX && i < h->n_hops; i++) {
        if (h->hops[i].time_ns &&
            !is_same(clock_of(h, first, topology), clock_of(h, i, topology))) {
            return true;
        }
    }
    return false;
}

bool
hop_time_is_vague(const struct hop_time *t)
{
    uint64_t size_ns =
        t->after_ns < 0 ? -(uint64_t) t->after_ns : (uint64_t) t->after_ns;

    return t->is_across && (!t->is_compared || t->error_ns > size_ns);
}

char *
hop_time_format(const struct hop_time *t, char buf[HOP_TIME_BUFSIZE])
{
    char span[TIME_SPEC_BUFSIZE], error[TIME_SPEC_BUFSIZE];

    time_spec_format_span(t->after_ns < 0 ? -(uint64_t) t->after_ns
                                          : (uint64_t) t->after_ns,
                          span);
    time_spec_format_span(t->error_ns, error);
    snprintf(buf, HOP_TIME_BUFSIZE, "%c%s%s%s%s", t->after_ns < 0 ? '-' : '+',
             span, t->is_compared ? " +-" : "", t->is_compared ? error : "",
             t->is_across && !t->is_compared ? " by another clock"
             : hop_time_is_vague(t)          ? " (not sure)"
                                             : "");
    return buf;
}
