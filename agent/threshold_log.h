/* SPDX-License-Identifier: Apache-2.0 */
/* threshold_log - which threshold was in force when.
 *
 * A batch tells one threshold for all its postcards: the smallest that was in
 * force while they were made.  A lower one counts from when it was set, a
 * higher one a little later, when the switches have seen it.
 *
 * Threads: plain data. */
#ifndef AGENT_THRESHOLD_LOG_H
#define AGENT_THRESHOLD_LOG_H 1

#include <stddef.h>
#include <stdint.h>

#define THRESHOLD_LOG_MAX     64
#define THRESHOLD_LOG_RISE_NS UINT64_C(50000000)

struct threshold_change {
    uint64_t from_ns;
    uint32_t threshold;
};

struct threshold_log {
    size_t n; /* At least one after init. */
    struct threshold_change changes[THRESHOLD_LOG_MAX];
};

/* 'threshold' always held. */
void threshold_log_init(struct threshold_log *, uint32_t threshold);
/* From now on. */
void threshold_log_set(struct threshold_log *, uint64_t now_ns,
                       uint32_t threshold);
/* As last set. */
uint32_t threshold_log_now(const struct threshold_log *);
/* The smallest between the two times. */
uint32_t threshold_log_least(const struct threshold_log *, uint64_t first_ns,
                             uint64_t last_ns);

#endif /* agent/threshold_log.h */
