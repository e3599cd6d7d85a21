/* SPDX-License-Identifier: Apache-2.0 */
/* threshold_log - which threshold was in force when. */
#include <config.h>

#include "agent/threshold_log.h"

#include <string.h>

void
threshold_log_init(struct threshold_log *log, uint32_t threshold)
{
    *log = (struct threshold_log){
        .n = 1, .changes = {{.from_ns = 0, .threshold = threshold}}};
}

void
threshold_log_set(struct threshold_log *log, uint64_t now_ns,
                  uint32_t threshold)
{
    uint32_t before = threshold_log_now(log);

    if (threshold == before) {
        return;
    }
    if (log->n == THRESHOLD_LOG_MAX) {
        /* The two oldest become one, with what is safe for both. */
        if (log->changes[0].threshold < log->changes[1].threshold) {
            log->changes[1].threshold = log->changes[0].threshold;
        }
        log->changes[1].from_ns = log->changes[0].from_ns;
        memmove(log->changes, log->changes + 1,
                --log->n * sizeof *log->changes);
    }
    log->changes[log->n++] = (struct threshold_change){
        threshold > before ? now_ns + THRESHOLD_LOG_RISE_NS : now_ns,
        threshold};
}

uint32_t
threshold_log_now(const struct threshold_log *log)
{
    return log->changes[log->n - 1].threshold;
}

uint32_t
threshold_log_least(const struct threshold_log *log, uint64_t first_ns,
                    uint64_t last_ns)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < log->n; i++) {
        const struct threshold_change *c = &log->changes[i];
        uint64_t to_ns =
            i + 1 < log->n ? log->changes[i + 1].from_ns : UINT64_MAX;

        if (c->threshold < least && c->from_ns <= last_ns &&
            to_ns >= first_ns) {
            least = c->threshold;
        }
    }
    return least;
}
