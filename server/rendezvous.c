/* SPDX-License-Identifier: Apache-2.0 */
/* rendezvous - implementation. */
#include <config.h>
#include "server/rendezvous.h"

#include <string.h>
#include <xxhash.h>

uint64_t
rendezvous_weight(const char *server, uint32_t shard)
{
    return XXH3_64bits_withSeed(server, strlen(server), shard);
}

size_t
rendezvous_owner(const char *const names[], size_t n, uint32_t shard)
{
    size_t owner = SIZE_MAX;
    uint64_t highest = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t weight = rendezvous_weight(names[i], shard);

        /* Of equal weights the name decides, not the order. */
        if (owner == SIZE_MAX || weight > highest ||
            (weight == highest && strcmp(names[i], names[owner]) < 0)) {
            owner = i;
            highest = weight;
        }
    }
    return owner;
}
