/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel - which packet travels inside which. */
#include <config.h>
#include "server/tunnel.h"

#include <stdlib.h>

#define N_PLACES 4096 /* A power of 2. */
#define N_BITS   8192 /* The same. */

struct place {
    uint64_t inner, outer, time_ns;
};

struct tunnel_map {
    uint64_t latest_ns;         /* Of all that was noted; 0: nothing. */
    uint64_t bits[N_BITS / 64]; /* Of the inner packets ever noted: most
                                 * packets are in no tunnel. */
    struct place places[N_PLACES];
};

struct tunnel_map *
tunnel_map_create(void)
{
    return calloc(1, sizeof(struct tunnel_map));
}

void
tunnel_map_destroy(struct tunnel_map *map)
{
    free(map);
}

void
tunnel_map_add(struct tunnel_map *map, uint64_t inner, uint64_t outer,
               uint64_t time_ns)
{
    map->latest_ns = time_ns > map->latest_ns ? time_ns : map->latest_ns;
    map->bits[inner % N_BITS / 64] |= UINT64_C(1) << inner % 64;
    map->places[inner % N_PLACES] = (struct place){inner, outer, time_ns};
}

uint64_t
tunnel_map_find(const struct tunnel_map *map, uint64_t inner,
                uint64_t not_before_ns)
{
    const struct place *place = &map->places[inner % N_PLACES];

    if (!(map->bits[inner % N_BITS / 64] >> inner % 64 & 1)) {
        return 0;
    }
    return place->outer && place->inner == inner &&
                   place->time_ns >= not_before_ns
               ? place->outer
               : 0;
}

void
tunnel_map_each(const struct tunnel_map *map, uint64_t not_before_ns,
                void (*fn)(void *aux, uint64_t inner, uint64_t outer,
                           uint64_t time_ns),
                void *aux)
{
    if (!map->latest_ns || map->latest_ns < not_before_ns) {
        return;
    }
    for (size_t i = 0; i < N_PLACES; i++) {
        const struct place *place = &map->places[i];

        if (place->outer && place->time_ns >= not_before_ns) {
            fn(aux, place->inner, place->outer, place->time_ns);
        }
    }
}
