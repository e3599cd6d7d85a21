/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_rate - how many postcards a switch sends, and when something has to
 * go because they are too many.
 *
 * Every second the counters of its postcard port are given to
 * postcard_rate_count(), which says what to do:
 *
 * - Above the cap the busiest rules are to go, so many that what remains is
 *   70 % of it.  Two readings of what rules take come before that, so the
 *   first sample above the cap asks for a look only.  Where no rule is left
 *   that could go, all that is of the lowest selections is given up
 *   (postcard_rate_raise(): what has a priority below
 *   postcard_rate_shed_below()), then that of the next.
 * - At or below 80 % for a while, what was given up last comes back: such
 *   selections at once, rules as far as they fit into the 80 %.  That while is
 *   10 seconds; if something is to go again within 30 seconds it doubles, up
 *   to 320 seconds, so that a steady overload does not swing.
 *
 * No sample that began before the last step counts.
 *
 * Pure: no clock, no switch.
 *
 * Threads: plain data, one at a time. */
#ifndef RECORDER_POSTCARD_RATE_H
#define RECORDER_POSTCARD_RATE_H 1

#include <stdbool.h>
#include <stddef.h>
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

    size_t n_rules; /* That were given up, one by one. */
    /* Thresholds so far; the last one holds. */
    uint32_t steps[POSTCARD_RATE_MAX_STEPS];
    unsigned int n_steps;
    uint64_t stepped_ns;    /* When the last step was taken or taken back. */
    uint64_t over_since_ns; /* 0: not above the cap. */
    uint64_t calm_since_ns; /* 0: not calm. */
    uint64_t calm_ns;       /* How long to wait for. */
    uint64_t restored_ns;   /* 0: no step was taken back yet. */
};

enum postcard_rate_action {
    POSTCARD_RATE_KEEP,
    POSTCARD_RATE_LOOK,   /* Read what rules take: a later reading will be
                           * compared with it. */
    POSTCARD_RATE_SHED,   /* Something has to go; said until it does. */
    POSTCARD_RATE_RESTORE /* Something may come back; likewise. */
};

/* The members tx_packets, tx_dropped and tx_errors of 'json', null where the
 * switch does not count them. */
void postcard_counters_to_json(const struct postcard_counters *, json_t *json);

void postcard_rate_init(struct postcard_rate *, uint32_t max_pps);

/* Takes counters newer than those before.  Counters that fell (the port is a
 * new one) begin anew. */
enum postcard_rate_action
postcard_rate_count(struct postcard_rate *, const struct postcard_counters *);

/* How many postcards a second have to go, and how many may come back. */
uint64_t postcard_rate_excess(const struct postcard_rate *);
uint64_t postcard_rate_room(const struct postcard_rate *);
/* What counts as calm. */
uint64_t postcard_rate_calm_pps(const struct postcard_rate *);

/* Rules have gone, or come back: 'n_rules' are without now. */
void postcard_rate_shed(struct postcard_rate *, size_t n_rules);
void postcard_rate_restored(struct postcard_rate *, size_t n_rules);
/* Nothing could come back: it is tried again after the same while. */
void postcard_rate_waits(struct postcard_rate *);

/* What has a lower priority emits no postcards; 0: all do. */
uint32_t postcard_rate_shed_below(const struct postcard_rate *);
/* Gives up what is left of the lowest selections.  'next_priority' tells the
 * lowest priority, 'above' or higher, of which something is there to be given
 * up, or -1; false: nothing is. */
bool postcard_rate_raise(struct postcard_rate *,
                         int (*next_priority)(void *aux, int above),
                         void *aux);
/* Takes the last such step back; false: there is none. */
bool postcard_rate_lower(struct postcard_rate *);

#endif /* recorder/postcard_rate.h */
