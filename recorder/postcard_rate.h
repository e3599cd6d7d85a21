/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_rate - how many postcards a switch sends, and which of its
 * selections go when they are too many.
 *
 * Every second the counters of its postcard port are given to
 * postcard_rate_count().  Above the cap the selections of the lowest priority
 * are given up (all rules whose priority is below postcard_rate_shed_below());
 * if that is not enough, those of the next, one step a sample that was all
 * measured after the step before.  When the rate has been at most 70 % of the
 * cap for a while, the last step is taken back.  That while is 10 seconds; if
 * a step taken back is needed again within 30 seconds it doubles, up to 320
 * seconds, so that a steady overload does not swing.
 *
 * Pure: no clock, no switch.
 *
 * Threads: plain data, one at a time. */
#ifndef RECORDER_POSTCARD_RATE_H
#define RECORDER_POSTCARD_RATE_H 1

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#define POSTCARD_RATE_MAX_STEPS   32
#define POSTCARD_RATE_CALM_NS     UINT64_C(10000000000)
#define POSTCARD_RATE_MAX_CALM_NS UINT64_C(320000000000)
#define POSTCARD_RATE_PROBE_NS    UINT64_C(30000000000)

/* Of the postcard port, as the switch counts them.  UINT64_MAX: it does not
 * (Open vSwitch, drops and errors of tunnels). */
struct postcard_counters {
    uint64_t time_ns; /* Monotonic, when they were read. */
    uint64_t tx_packets, tx_dropped, tx_errors;
};

struct postcard_rate {
    uint32_t max_pps; /* 0: no cap. */

    bool has_last;
    struct postcard_counters last;
    uint64_t pps; /* Between the two counters read last. */

    /* Thresholds so far; the last one holds. */
    uint32_t steps[POSTCARD_RATE_MAX_STEPS];
    unsigned int n_steps;
    uint64_t stepped_ns;    /* When the last step was taken or taken back. */
    uint64_t calm_since_ns; /* 0: not calm. */
    uint64_t calm_ns;       /* How long to wait for. */
    uint64_t restored_ns;   /* 0: no step was taken back yet. */
};

enum postcard_rate_action {
    POSTCARD_RATE_KEEP,
    POSTCARD_RATE_SHED,   /* postcard_rate_shed_below() has risen. */
    POSTCARD_RATE_RESTORE /* It has fallen. */
};

/* The members tx_packets, tx_dropped and tx_errors of 'json', null where the
 * switch does not count them. */
void postcard_counters_to_json(const struct postcard_counters *, json_t *json);

void postcard_rate_init(struct postcard_rate *, uint32_t max_pps);

/* Takes counters newer than those before.  'next_priority' tells the lowest
 * priority, 'above' or higher, of which something is there to be given up, or
 * -1.  Counters that fell (the port is a new one) begin anew. */
enum postcard_rate_action
postcard_rate_count(struct postcard_rate *, const struct postcard_counters *,
                    int (*next_priority)(void *aux, int above), void *aux);

/* What has a lower priority emits no postcards; 0: all do. */
uint32_t postcard_rate_shed_below(const struct postcard_rate *);

#endif /* recorder/postcard_rate.h */
