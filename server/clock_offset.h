/* SPDX-License-Identifier: Apache-2.0 */
/* clock_offset - how far the clocks of hosts are apart, told from traffic.
 *
 * A packet that goes from switch a to switch b has a stamp of each.  The least
 * difference seen of late, a to b, is the way's least delay plus what b's
 * clock is ahead of a's; b to a, the same less that.  So half of what the two
 * differ by is the offset, and half of their sum, for delays are not less than
 * nothing, is how wrong that may be at most.  Hosts that no two-way traffic
 * joins directly are compared by way of others.
 *
 * Threads: the delays, one thread; the estimate is a pure function. */
#ifndef SERVER_CLOCK_OFFSET_H
#define SERVER_CLOCK_OFFSET_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"

#define CLOCK_DELAYS_MAX 4096 /* Ways; a power of 2. */
/* Delays count for one to two of these: clocks drift. */
#define CLOCK_DELAYS_SPAN_NS UINT64_C(30000000000)

struct clock_delays;

struct clock_delays *clock_delays_create(void);
void clock_delays_destroy(struct clock_delays *);

/* A packet took 'delay_ns', by two clocks, from one switch to the next. */
void clock_delays_note(struct clock_delays *, uint64_t from_dpid,
                       uint64_t to_dpid, int64_t delay_ns, uint64_t now_ns);
/* All hops of a history; 'times_ns' in place of its own, or NULL. */
void clock_delays_note_history(struct clock_delays *, const struct history *,
                               const uint64_t *times_ns, uint64_t now_ns);
/* Takes what 'more' has into 'to'. */
void clock_delays_merge(struct clock_delays *to,
                        const struct clock_delays *more, uint64_t now_ns);

/* The least delay of each way in the span of 'now_ns', where there is one. */
void clock_delays_each(const struct clock_delays *, uint64_t now_ns,
                       void (*tell)(void *aux, uint64_t from_dpid,
                                    uint64_t to_dpid, int64_t delay_ns),
                       void *aux);

struct clock_offset {
    bool is_known;
    int64_t offset_ns; /* Ahead of the clock of host 0, */
    uint64_t error_ns; /* give or take so much. */
};

/* Writes the offsets of 'n' hosts into 'offsets'; 'host_of' gives the host
 * (below n) whose clock a switch has, SIZE_MAX: none of them. */
void clock_offset_estimate(const struct clock_delays *,
                           size_t (*host_of)(void *aux, uint64_t dpid),
                           void *aux, size_t n, uint64_t now_ns,
                           struct clock_offset *offsets);

#endif /* server/clock_offset.h */
