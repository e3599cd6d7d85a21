/* SPDX-License-Identifier: Apache-2.0 */
/* rendezvous - implementation. */
#include <config.h>
#include "lib/rendezvous.h"

#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

uint64_t
rendezvous_weight(const char *server, uint64_t shard)
{
    return XXH3_64bits_withSeed(server, strlen(server), shard);
}

/* Whether server 'a' comes before 'b'.  Of equal weights the name decides, not
 * the order. */
static bool
is_before(const char *a, const char *b, uint32_t shard)
{
    uint64_t weight_a = rendezvous_weight(a, shard);
    uint64_t weight_b = rendezvous_weight(b, shard);

    return weight_a != weight_b ? weight_a > weight_b : strcmp(a, b) < 0;
}

size_t
rendezvous_owners(const char *const names[], size_t n, uint64_t shard,
                  size_t owners[], size_t k)
{
    size_t n_owners = 0;

    for (size_t i = 0; i < n; i++) {
        size_t at = n_owners;

        while (at && is_before(names[i], names[owners[at - 1]], shard)) {
            at--;
        }
        if (at < k) {
            n_owners += n_owners < k;
            memmove(owners + at + 1, owners + at,
                    (n_owners - at - 1) * sizeof *owners);
            owners[at] = i;
        }
    }
    return n_owners;
}

size_t
rendezvous_owner(const char *const names[], size_t n, uint64_t shard)
{
    size_t owner;

    return rendezvous_owners(names, n, shard, &owner, 1) ? owner : SIZE_MAX;
}
