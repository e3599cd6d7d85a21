/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel - which packet travels inside which. */
#include <config.h>
#include "server/tunnel.h"

#include <stdlib.h>

#define N_PLACES 4096 /* A power of 2. */

struct place {
    uint64_t inner, outer, time_ns;
};

struct tunnel_map {
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
    map->places[inner % N_PLACES] = (struct place){inner, outer, time_ns};
}

uint64_t
tunnel_map_find(const struct tunnel_map *map, uint64_t inner,
                uint64_t not_before_ns)
{
    const struct place *place = &map->places[inner % N_PLACES];

    return place->outer && place->inner == inner &&
                   place->time_ns >= not_before_ns
               ? place->outer
               : 0;
}
