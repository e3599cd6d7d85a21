/* SPDX-License-Identifier: Apache-2.0 */
/* bench_done - waits for requests to NATS that must not fail.
 *
 * Threads: the bus's. */
#ifndef BENCH_BENCH_DONE_H
#define BENCH_BENCH_DONE_H 1

#include <event2/event.h>
#include <stddef.h>

/* The callback of a request, one of '*n' that are under way. */
void bench_done_take(void *n, int error_number, const char *why);
/* Waits until '*n' is 0. */
void bench_done_wait(struct event_base *, size_t *n);

#endif /* bench/bench_done.h */
