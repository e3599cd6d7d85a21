/* SPDX-License-Identifier: Apache-2.0 */
/* bus_sweep - removes the messages of one subject that are not needed any
 * more from a stream.
 *
 *     sweep = bus_sweep_open(bus, "LH1", "lh.1.7");
 *     bus_sweep_below(sweep, position);       now and then
 *
 * It purges, which is one request, where that does what it says.  A
 * nats-server before 2.10 that keeps copies of the stream with others does
 * not: when it starts again it may carry purges of one subject out on its
 * copy as of all, whatever nobody has read yet.  There each message is
 * looked at and removed by itself, which costs NATS two requests, and where
 * 'may_go' says that it is needed it stays, whatever its number: copies of a
 * stream may number their messages apart.
 *
 * What could not be removed, because NATS was away, is with what comes next.
 *
 * Threads: the bus's. */
#ifndef LIB_BUS_SWEEP_H
#define LIB_BUS_SWEEP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus;
struct bus_sweep;

/* 'may_go' may be NULL. */
struct bus_sweep *
bus_sweep_open(struct bus *, const char *stream, const char *subject,
               bool (*may_go)(void *aux, const uint8_t *data, size_t size),
               void *aux);
/* What was not removed stays.  NULL is fine. */
void bus_sweep_close(struct bus_sweep *);

/* Messages whose number is below 'seq' are not needed any more. */
void bus_sweep_below(struct bus_sweep *, uint64_t seq);
/* The stream numbers its messages from lower than before: what was said of
 * numbers is forgotten, and from now on each message is looked at, whatever
 * NATS it is. */
void bus_sweep_begin_anew(struct bus_sweep *);

#endif /* lib/bus_sweep.h */
