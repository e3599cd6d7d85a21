/* SPDX-License-Identifier: Apache-2.0 */
/* hop_time - how long after another hop of a history one was, where their
 * stamps may be those of different clocks.
 *
 * A topology may tell of each switch which host's clock it has, and how far
 * that is ahead of the others (docs/formats/topology.md); what came with the
 * history itself (its 'clocks') is taken instead.  What is told was so at one
 * moment: past HOP_TIME_FRESH_NS from it the error grows, for clocks drift.
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
    bool is_there;    /* Both have a time, and are not one hop. */
    bool is_across;   /* By different clocks, */
    bool is_compared; /* and it is known how far they are apart. */
    int64_t after_ns; /* Corrected where it can be. */
    uint64_t error_ns;
};

/* The hop that others are compared with: the earliest, where all that have a
 * time have one clock or nothing is told of clocks, else the first that has a
 * time; SIZE_MAX: none has.  'topology' may be NULL, as below. */
size_t hop_time_first(const struct history *, const struct topology *);
/* Of hop 'i' after hop 'from', either of which may be SIZE_MAX: no hop. */
struct hop_time hop_time_between(const struct history *, size_t from, size_t i,
                                 const struct topology *);
/* Of hop 'i' after the first. */
struct hop_time hop_time_after(const struct history *, size_t i,
                               const struct topology *);
/* Of hop 'i' after its parent: what the way between two switches took, and
 * where both are of one host, the time inside it. */
struct hop_time hop_time_latency(const struct history *, size_t i,
                                 const struct topology *);
/* Of the hop that is the latest after the first. */
struct hop_time hop_time_duration(const struct history *,
                                  const struct topology *);
/* Whether hops of it have different clocks. */
bool hop_time_is_across(const struct history *, const struct topology *);

/* "+12.3 us"; "+12.3 us +-4 us" of another clock that was compared; "+12.3 us
 * by another clock" of one that was not.  Returns 'buf'. */
char *hop_time_format(const struct hop_time *, char buf[HOP_TIME_BUFSIZE]);

/* Whether the error leaves open which was earlier. */
bool hop_time_is_vague(const struct hop_time *);

#endif /* lib/hop_time.h */
