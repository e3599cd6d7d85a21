/* SPDX-License-Identifier: Apache-2.0 */
/* query_storm - asks a server for what every packet has to be looked at for,
 * in a process of its own, one query after the other until it is stopped or
 * the server has gone.
 *
 * What fails before the first answer ends the program with the reason.
 *
 * Threads: one. */
#ifndef BENCH_QUERY_STORM_H
#define BENCH_QUERY_STORM_H 1

#include <stdint.h>

struct query_storm;

struct query_storm_totals {
    uint64_t n_queries; /* That ended, */
    uint64_t n_scanned; /* and the histories they looked at. */
};

/* Asks the server whose socket is in 'dir', which must be there. */
struct query_storm *query_storm_start(const char *dir);
/* Stops asking. */
void query_storm_stop(struct query_storm *, struct query_storm_totals *);

#endif /* bench/query_storm.h */
