/* SPDX-License-Identifier: Apache-2.0 */
/* block_sieve - whether a filter can match anything in a block, by the index
 * of the block (lib/block_index.h) alone.
 *
 * A filter needs hops at which its predicates hold, in their order.  Those of
 * which the index denies a switch, a port, a rule or what their BPF demands of
 * addresses and ports hold nowhere; when no way through the filter is left
 * without them, nothing of the block has to be read.  A name of a switch or
 * port, a negated term and a class that the index does not have are taken as
 * possible.
 *
 * Ownership: borrows the filter.
 *
 * Threads: any may ask at once. */
#ifndef PHF_BLOCK_SIEVE_H
#define PHF_BLOCK_SIEVE_H 1

#include "lib/block_index.h"
#include "phf/phf.h"

enum block_sieve_answer {
    BLOCK_SIEVE_NONE,  /* Nothing matches. */
    BLOCK_SIEVE_PLAIN, /* Nothing but histories that are no trajectory's. */
    BLOCK_SIEVE_ALL    /* Anything may. */
};

struct block_sieve;

struct block_sieve *block_sieve_create(const struct phf *);
void block_sieve_destroy(struct block_sieve *);
enum block_sieve_answer block_sieve_ask(struct block_sieve *,
                                        const struct block_index *);

#endif /* phf/block_sieve.h */
