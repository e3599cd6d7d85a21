/* SPDX-License-Identifier: Apache-2.0 */
/* hop_time - how long after the first hop of a history another one was, where
 * their stamps may be those of different clocks.
 *
 * A topology may tell of each switch which host's clock it has, and how far
 * that is ahead of the others (docs/formats/topology.md).  What is told was
 * so at one moment: past HOP_TIME_FRESH_NS from it the error grows, for clocks
 * drift.
 *
 * Threads: pure functions. */
#ifndef LIB_HOP_TIME_H
#define LIB_HOP_TIME_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/time_spec.h"
#include "lib/topology.h"

#define HOP_TIME_FRESH_NS  UINT64_C(60000000000)
#define HOP_TIME_DRIFT_PPM 100 /* Of two clocks against each other. */

#define HOP_TIME_BUFSIZE (2 * TIME_SPEC_BUFSIZE + 24)

struct hop_time {
    bool is_there;    /* The hop has a time, and is not the first. */
    bool is_across;   /* By another clock than the first hop's, */
    bool is_compared; /* and it is known how far they are apart. */
    int64_t after_ns; /* Corrected where it can be. */
    uint64_t error_ns;
};

/* Of hop 'i'.  The first hop is the earliest, where all that have a time have
 * one clock or nothing is told of clocks, else the first that has a time.
 * 'topology' may be NULL. */
struct hop_time hop_time_after(const struct history *, size_t i,
                               const struct topology *);

/* "+12.3 us"; "+12.3 us +-4 us" of another clock that was compared; "+12.3 us
 * by another clock" of one that was not.  Returns 'buf'. */
char *hop_time_format(const struct hop_time *, char buf[HOP_TIME_BUFSIZE]);

/* Whether the error leaves open which was earlier. */
bool hop_time_is_vague(const struct hop_time *);

#endif /* lib/hop_time.h */
