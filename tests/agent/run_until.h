/* SPDX-License-Identifier: Apache-2.0 */
/* run_until - lets an event loop run until something holds. */
#ifndef TESTS_AGENT_RUN_UNTIL_H
#define TESTS_AGENT_RUN_UNTIL_H 1

#include <check.h>
#include <event2/event.h>
#include <stdint.h>

#include "lib/monotonic.h"

/* For the busiest of machines. */
#define RUN_UNTIL_NS UINT64_C(60000000000)

/* Lets everything on event base 'base' run until 'CONDITION' holds. */
#define RUN_UNTIL(CONDITION)                                                  \
    do {                                                                      \
        uint64_t end_ns_ = monotonic_ns() + RUN_UNTIL_NS;                     \
                                                                              \
        while (!(CONDITION)) {                                                \
            ck_assert_msg(monotonic_ns() < end_ns_, "never: %s", #CONDITION); \
            event_base_loop(base, EVLOOP_ONCE);                               \
        }                                                                     \
    } while (0)

#endif /* tests/agent/run_until.h */
