/* SPDX-License-Identifier: Apache-2.0 */
/* clock_offset - how far the clocks of hosts are apart, told from traffic. */
#include <config.h>

#include "server/clock_offset.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

#define NONE  INT64_MAX
#define N_TRY 8 /* Places looked at. */

/* The least delay of one way, in this span and the one before. */
struct way {
    uint64_t from, to;
    uint64_t span; /* Which one 'now' is of. */
    int64_t now, before;
};

struct clock_delays {
    struct way ways[CLOCK_DELAYS_MAX];
};

struct clock_delays *
clock_delays_create(void)
{
    return lh_alloc_zero(sizeof(struct clock_delays));
}

void
clock_delays_destroy(struct clock_delays *delays)
{
    free(delays);
}

/* The way's least delay of late, NONE: none. */
static int64_t
least(const struct way *way, uint64_t span)
{
    if (way->span == span) {
        return way->now < way->before ? way->now : way->before;
    }
    return way->span + 1 == span ? way->now : NONE;
}

/* The place of a way, which may be another's that is not used of late; NULL:
 * there is none. */
static struct way *
place_of(struct clock_delays *delays, uint64_t from, uint64_t to,
         uint64_t span)
{
    uint64_t hash = (from * 31 + to) * UINT64_C(0x9e3779b97f4a7c15) >> 40;
    struct way *old = NULL;

    for (size_t i = 0; i < N_TRY; i++) {
        struct way *way = &delays->ways[(hash + i) & (CLOCK_DELAYS_MAX - 1)];

        if (way->span && way->from == from && way->to == to) {
            return way;
        }
        if (!old && (!way->span || least(way, span) == NONE)) {
            old = way;
        }
    }
    if (old) {
        *old = (struct way){from, to, span, NONE, NONE};
    }
    return old;
}

void
clock_delays_note(struct clock_delays *delays, uint64_t from, uint64_t to,
                  int64_t delay_ns, uint64_t now_ns)
{
    uint64_t span = now_ns / CLOCK_DELAYS_SPAN_NS + 1;
    struct way *way = place_of(delays, from, to, span);

    if (!way) {
        return;
    }
    if (way->span != span) {
        way->before = way->span + 1 == span ? way->now : NONE;
        way->now = NONE;
        way->span = span;
    }
    way->now = delay_ns < way->now ? delay_ns : way->now;
}

void
clock_delays_note_history(struct clock_delays *delays, const struct history *h,
                          const uint64_t *times_ns, uint64_t now_ns)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];
        const struct history_hop *parent;
        uint64_t from_ns, to_ns;

        if (hop->parent < 0 || hop->has_gap_before || hop->is_deduced ||
            hop->is_packet_out) {
            continue;
        }
        parent = &h->hops[hop->parent];
        from_ns = times_ns ? times_ns[hop->parent] : parent->time_ns;
        to_ns = times_ns ? times_ns[i] : hop->time_ns;
        if (!parent->is_deduced && parent->dpid != hop->dpid) {
            clock_delays_note(delays, parent->dpid, hop->dpid,
                              (int64_t) (to_ns - from_ns), now_ns);
        }
    }
}

void
clock_delays_merge(struct clock_delays *to, const struct clock_delays *more,
                   uint64_t now_ns)
{
    uint64_t span = now_ns / CLOCK_DELAYS_SPAN_NS + 1;

    for (size_t i = 0; i < CLOCK_DELAYS_MAX; i++) {
        const struct way *way = &more->ways[i];

        if (way->span && least(way, span) != NONE) {
            clock_delays_note(to, way->from, way->to, least(way, span),
                              now_ns);
        }
    }
}

void
clock_delays_each(const struct clock_delays *delays, uint64_t now_ns,
                  void (*tell)(void *aux, uint64_t from_dpid, uint64_t to_dpid,
                               int64_t delay_ns),
                  void *aux)
{
    uint64_t span = now_ns / CLOCK_DELAYS_SPAN_NS + 1;

    for (size_t i = 0; i < CLOCK_DELAYS_MAX; i++) {
        const struct way *way = &delays->ways[i];

        if (way->span == span && way->now != NONE) {
            tell(aux, way->from, way->to, way->now);
        }
    }
}

/* --- The estimate. --------------------------------------------------------
 */

/* Sets the offset of 'b' by way of 'a', whose is known, if that is better. */
static bool
improve(struct clock_offset *offsets, const int64_t *delays, size_t n,
        size_t a, size_t b)
{
    int64_t there = delays[a * n + b], back = delays[b * n + a];
    int64_t sum, error_ns;

    if (!offsets[a].is_known || there == NONE || back == NONE ||
        __builtin_add_overflow(there, back, &sum)) {
        return false;
    }
    /* Less than nothing is what drift in between leaves. */
    error_ns = (sum < 0 ? -sum : sum) / 2 + (int64_t) offsets[a].error_ns;
    if (offsets[b].is_known && (int64_t) offsets[b].error_ns <= error_ns) {
        return false;
    }
    offsets[b] = (struct clock_offset){
        true, offsets[a].offset_ns + (there / 2 - back / 2),
        (uint64_t) error_ns};
    return true;
}

void
clock_offset_estimate(const struct clock_delays *delays,
                      size_t (*host_of)(void *aux, uint64_t dpid), void *aux,
                      size_t n, uint64_t now_ns, struct clock_offset *offsets)
{
    uint64_t span = now_ns / CLOCK_DELAYS_SPAN_NS + 1;
    int64_t *between = lh_alloc_array(NULL, n * n + 1, sizeof *between);
    bool has_changed = true;

    for (size_t i = 0; i < n * n; i++) {
        between[i] = NONE;
    }
    for (size_t i = 0; i < CLOCK_DELAYS_MAX; i++) {
        const struct way *way = &delays->ways[i];
        size_t a, b;

        if (!way->span || least(way, span) == NONE) {
            continue;
        }
        a = host_of(aux, way->from);
        b = host_of(aux, way->to);
        if (a < n && b < n && a != b &&
            least(way, span) < between[a * n + b]) {
            between[a * n + b] = least(way, span);
        }
    }
    for (size_t i = 0; i < n; i++) {
        offsets[i] = (struct clock_offset){.is_known = !i};
    }
    /* As often as a way may be long. */
    for (size_t round = 0; round < n && has_changed; round++) {
        has_changed = false;
        for (size_t i = 0; i < n * n; i++) {
            has_changed |=
                i / n != i % n && improve(offsets, between, n, i / n, i % n);
        }
    }
    free(between);
}
