/* SPDX-License-Identifier: Apache-2.0 */
/* path_sum - a quick answer to whether a packet's postcards may be all.
 *
 * Every link that an output leads onto adds its number (server/card_kind),
 * every visit that came in by a link takes it away.  While the sum is not
 * zero, or nothing began, something is missing; when it is, it is worth asking
 * assemble().  Where the sum does not hold it says so.
 *
 * Threads: plain data. */
#ifndef SERVER_PATH_SUM_H
#define SERVER_PATH_SUM_H 1

#include <stdbool.h>
#include <stdint.h>

#include "server/card_kind.h"
#include "server/postcard_pool.h"

/* All zero is the sum of no postcards. */
struct path_sum {
    uint64_t sum;
    bool has_start;  /* A postcard from an edge port, or a packet-out. */
    bool is_punted;  /* A hop went to the controller. */
    bool is_soft;    /* The sum does not hold: NORMAL, no in_port, no topology,
                      * a TTL that ends. */
    uint32_t visits; /* A bit for each visit; several may share one. */
};

/* Takes '*p', of 'kind', into the sum; 'others', and 'folds', are the
 * postcards it has already. */
void path_sum_add(struct path_sum *, const struct card_kind *kind,
                  const struct postcard_entry *others,
                  const struct postcard_fold *folds, const struct postcard *p);

#endif /* server/path_sum.h */
