/* SPDX-License-Identifier: Apache-2.0 */
/* bench_alone - from received frame to durable archive in one process: what a
 * cluster is held against.
 *
 * Threads: one. */
#ifndef BENCH_BENCH_ALONE_H
#define BENCH_BENCH_ALONE_H 1

#include <stdint.h>

#include "bench/bench_frames.h"
#include "lib/packet_id.h"
#include "server/counters.h"

/* Gives all frames to ingest and the pipeline of a server, which archives into
 * that directory, and counts.  The server is a process of its own on the first
 * core; the caller should be on another, where it makes frames.  Returns the
 * CPU of each postcard but the first 'n_warm', give or take a portion, in
 * nanoseconds. */
double bench_alone(struct bench_frames *, const struct packet_id_config *,
                   uint64_t n_warm, const char *archive, struct counters *);

#endif /* bench/bench_alone.h */
