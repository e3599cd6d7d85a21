/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sieve - which flows of a block of columns a filter has to be asked of.
 *
 * Shown the block's shapes, it finds for each what the filter says whatever
 * headers are, or what it says where none of its BPF expressions holds; and
 * what addresses and ports a flow must have for one of them to hold at some
 * hop.  So of most flows nothing but these is looked at:
 *
 *     column_decoder_need_shapes(d, flow_sieve_visit, sieve, &error);
 *     ..
 *     switch (flow_sieve_shape(sieve, flow->shape)) {
 *     case FLOW_SIEVE_SIFT:
 *         answer = flow_sieve_sift(sieve, flow->shape, &key);
 *
 * Answers are those that phf_match() gives for each packet.
 *
 * Ownership: borrows filter and topology.
 *
 * Threads: one. */
#ifndef PHF_FLOW_SIEVE_H
#define PHF_FLOW_SIEVE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/history_columns.h"
#include "lib/topology.h"
#include "lib/trajectory_skim.h"
#include "phf/phf.h"

enum flow_sieve_answer {
    FLOW_SIEVE_MISS,
    FLOW_SIEVE_MATCH,
    FLOW_SIEVE_LIMIT, /* PHF_LIMIT. */
    FLOW_SIEVE_ASK,   /* The model of the flow has to be asked. */
    FLOW_SIEVE_SIFT   /* Its addresses and ports tell. */
};

struct flow_sieve;

struct flow_sieve *flow_sieve_create(const struct phf *,
                                     const struct topology *);
void flow_sieve_destroy(struct flow_sieve *);

/* A column_visit_function: notes the next shape. */
void flow_sieve_visit(void *sieve, const struct history *,
                      const struct trajectory_skim *);
/* The answer for all flows of a shape. */
enum flow_sieve_answer flow_sieve_shape(const struct flow_sieve *,
                                        size_t shape);
/* Where that is FLOW_SIEVE_SIFT, the one for a flow; never that again. */
enum flow_sieve_answer flow_sieve_sift(const struct flow_sieve *, size_t shape,
                                       const struct flow_key *);

#endif /* phf/flow_sieve.h */
