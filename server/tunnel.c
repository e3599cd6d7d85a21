/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel - which packet travels inside which. */
#include <config.h>
#include "server/tunnel.h"

#include <stdlib.h>

#include "lib/hdr.h"

#define N_PLACES 4096 /* A power of 2. */

struct place {
    uint64_t inner, outer, time_ns;
};

struct tunnel_map {
    struct place places[N_PLACES];
};

uint64_t
tunnel_inner_id(const struct packet_id_config *config, const uint8_t *data,
                size_t len)
{
    struct hdr h, inner;
    size_t ofs;
    uint16_t type;
    uint32_t tunnel_id;
    uint64_t id;

    hdr_parse(data, len, &h);
    if (hdr_inner(data, len, &h, &ofs, &type, &tunnel_id) == HDR_TUNNEL_NONE) {
        return 0;
    }
    if (type) {
        hdr_parse_l3(data + ofs, len - ofs, type, &inner);
    } else {
        hdr_parse(data + ofs, len - ofs, &inner);
    }
    return packet_id(config, data + ofs, len - ofs, &inner, &id) ==
                   PACKET_ID_OK
               ? id
               : 0;
}

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
