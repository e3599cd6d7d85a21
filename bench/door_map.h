/* SPDX-License-Identifier: Apache-2.0 */
/* door_map - which server a switch sends its postcards to, so that each server
 * gets about as many.
 *
 * Threads: any, once it is made. */
#ifndef BENCH_DOOR_MAP_H
#define BENCH_DOOR_MAP_H 1

#include "bench/bench_frames.h"

struct door_map {
    uint8_t servers[256]; /* By the last byte of the switch's address. */
};

/* Counts some of the frames, of which none may have been taken before, to
 * share them out.  The first server is that whose share is nearest to the
 * mean. */
void door_map_init(struct door_map *, unsigned int n_servers,
                   struct bench_frames *);
/* The server of a frame. */
unsigned int door_map_find(const struct door_map *, const struct gen_frame *);

#endif /* bench/door_map.h */
