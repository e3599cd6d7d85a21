/* SPDX-License-Identifier: Apache-2.0 */
/* shard_divide - which of several servers that have copies of shards is to
 * tell of each.
 *
 * Threads: pure functions. */
#ifndef SERVER_SHARD_DIVIDE_H
#define SERVER_SHARD_DIVIDE_H 1

#include <stddef.h>
#include <stdint.h>

#include "server/store_vouch.h"

/* Sets who[shard] to one of the 'n' servers, by what each vouches for, for
 * each of 'n_shards'; SIZE_MAX: nobody has anything of it.  Who has come
 * further in the stream comes first, then who has more, and longer, then who
 * has less to do.  Adds to 'sure' what these have; what came to others after
 * it counts as there: it is not waited for. */
void shard_divide(const struct store_vouch *const *offers, size_t n,
                  uint32_t n_shards, size_t *who, struct store_vouch *sure);

#endif /* server/shard_divide.h */
