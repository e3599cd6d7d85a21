/* SPDX-License-Identifier: Apache-2.0 */
/* door_map - switches shared out among servers. */
#include <config.h>
#include "bench/door_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_SWITCHES     256
#define N_COUNTED      400000
#define MAX_SERVERS    64
#define LAST_OF_SOURCE 29 /* Ethernet, and an IPv4 header up to there. */

struct load {
    uint32_t n, sw;
};

static int
compare(const void *a_, const void *b_)
{
    const struct load *a = a_, *b = b_;

    return a->n != b->n ? (a->n > b->n ? -1 : 1)
                        : (a->sw > b->sw) - (a->sw < b->sw);
}

static void
count(struct load *loads, struct bench_frames *frames)
{
    size_t n = 0;

    for (uint32_t i = 0; i < N_SWITCHES; i++) {
        loads[i] = (struct load){.sw = i};
    }
    while (n < N_COUNTED && bench_frames_next(frames)) {
        for (size_t i = 0; i < frames->n; i++) {
            loads[frames->frames[i].data[LAST_OF_SOURCE]].n++;
        }
        n += frames->n;
    }
}

static void
swap_first(struct door_map *map, unsigned int first)
{
    for (uint32_t i = 0; i < N_SWITCHES; i++) {
        if (map->servers[i] == first) {
            map->servers[i] = 0;
        } else if (!map->servers[i]) {
            map->servers[i] = (uint8_t) first;
        }
    }
}

void
door_map_init(struct door_map *map, unsigned int n_servers,
              struct bench_frames *frames)
{
    struct load loads[N_SWITCHES];
    double sums[MAX_SERVERS] = {0}, mean = 0;
    unsigned int best = 0;

    count(loads, frames);
    /* The largest first, each to who has the least. */
    qsort(loads, N_SWITCHES, sizeof *loads, compare);
    for (uint32_t i = 0; i < N_SWITCHES; i++) {
        unsigned int least = 0;

        for (unsigned int s = 1; s < n_servers; s++) {
            least = sums[s] < sums[least] ? s : least;
        }
        map->servers[loads[i].sw] = (uint8_t) least;
        sums[least] += loads[i].n;
        mean += loads[i].n / (double) n_servers;
    }
    for (unsigned int s = 1; s < n_servers; s++) {
        best = fabs(sums[s] - mean) < fabs(sums[best] - mean) ? s : best;
    }
    swap_first(map, best);
}

unsigned int
door_map_find(const struct door_map *map, const struct gen_frame *frame)
{
    return map->servers[frame->data[LAST_OF_SOURCE]];
}
