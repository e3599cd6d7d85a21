/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sieves - the flow sieves of one query, one for each thread that reads
 * blocks for it at the same time.
 *
 * A sieve remembers the shapes of all blocks that it was used for, so that it
 * is kept while the query lasts and lent to one block after the other.
 *
 * Ownership: flow_sieves_create() to flow_sieves_destroy(); borrows filter and
 * topology.
 *
 * Threads: any may take and put. */
#ifndef PHF_FLOW_SIEVES_H
#define PHF_FLOW_SIEVES_H 1

#include "lib/topology.h"
#include "phf/flow_sieve.h"
#include "phf/phf.h"

struct flow_sieves;

struct flow_sieves *flow_sieves_create(const struct phf *,
                                       const struct topology *);
/* None may be taken. */
void flow_sieves_destroy(struct flow_sieves *);
/* The caller's alone until flow_sieves_put(). */
struct flow_sieve *flow_sieves_take(struct flow_sieves *);
void flow_sieves_put(struct flow_sieves *, struct flow_sieve *);

#endif /* phf/flow_sieves.h */
