/* SPDX-License-Identifier: Apache-2.0 */
/* strip_switch - one switch that is rid of all that is ours in its tables.
 *
 * Connects, reads, takes everything out in one bundle where there are bundles,
 * and reads again: done is what is not there any more.  Open vSwitch keeps an
 * option of the map while rules that had it are not quite gone, so that is
 * tried for STRIP_SWITCH_OPTION_S.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_STRIP_SWITCH_H
#define RECORDER_STRIP_SWITCH_H 1

#include <stdint.h>

#include "recorder/strip_plan.h"

#define STRIP_SWITCH_SILENCE_S 10 /* Then it is given up. */
#define STRIP_SWITCH_OPTION_S  10
#define STRIP_SWITCH_PASSES    4

struct endpoint;
struct event_base;
struct strip_switch;

struct strip_switch_result {
    const char *error; /* NULL: nothing of ours is left. */
    uint64_t dpid;     /* 0 when it has not told. */
    struct strip_plan_counts removed;
    struct strip_plan_counts left;
};

/* Called once; the strip_switch is freed after it. */
typedef void strip_switch_done(void *aux, const struct strip_switch_result *);

/* NULL, with errno, when connecting fails at once.  'known' may be NULL. */
struct strip_switch *strip_switch_start(struct event_base *,
                                        const struct endpoint *,
                                        strip_plan_known *known,
                                        void *known_aux, strip_switch_done *,
                                        void *aux);

#endif /* recorder/strip_switch.h */
