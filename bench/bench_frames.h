/* SPDX-License-Identifier: Apache-2.0 */
/* bench_frames - the geneve postcards of the preset mix on a fat tree of 20
 * switches, made while they are used, at a steady rate.
 *
 * The time of the processor that making them takes is told apart.
 *
 * Ownership: frames are good until the next bench_frames_next().
 *
 * Threads: one. */
#ifndef BENCH_BENCH_FRAMES_H
#define BENCH_BENCH_FRAMES_H 1

#include <sys/types.h>

#include "gen/gen.h"
#include "lib/topology.h"
#include "server/rule_cache.h"

struct bench_frames {
    const char *traffic; /* "mix", or "synthetic" without its trace. */
    struct gen_frame frames[GEN_BATCH];
    size_t n;
    struct topology *topology; /* Owned reference. */
    struct rule_cache *rules;  /* Owned. */
    double made_s;             /* CPU of making all so far. */
    size_t n_rules;
    /* Told of each rule that comes to 'rules'; set after opening, or NULL. */
    void (*on_rule)(void *aux, const struct rule *);
    void *aux;
    struct gen *gen; /* Owned. */
    char *trace;     /* Owned. */
};

/* 'n_packets' over five switches each, 'rate' of them a second. */
void bench_frames_open(struct bench_frames *, size_t n_packets, uint64_t rate,
                       uint16_t snap);
void bench_frames_close(struct bench_frames *);
/* False: there is none left.  The rules that the frames need are there. */
bool bench_frames_next(struct bench_frames *);

/* Seconds of CPU of this thread. */
double bench_thread_s(void);
/* The same of all threads. */
double bench_process_s(void);
/* The same of another process, in clock ticks; 0: it is not there. */
double bench_child_s(pid_t);

#endif /* bench/bench_frames.h */
