/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sieve - which flows of a block of columns a filter has to be asked of.
 *
 * Shown the block's shapes, it finds for each what the filter says whatever
 * headers are, or what it says where none of its BPF expressions holds; and
 * what addresses and ports a flow must have for one of them to hold at some
 * hop.  So of most flows nothing but these is looked at:
 *
 *     flow_sieve_read(sieve, d, &error);
 *     ..
 *     shape = column_decoder_shape_number(d, flow->shape);
 *     switch (flow_sieve_shape(sieve, shape)) {
 *     case FLOW_SIEVE_SIFT:
 *         answer = flow_sieve_sift(sieve, shape, &key);
 *
 * Answers are those that phf_match() gives for each packet.  A shape that a
 * block before had is known again, and the filter not asked of it once more.
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
#include "lib/lh_error.h"
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

/* Bytes. */
#define FLOW_SIEVE_MAX_SIZE ((size_t) 4 << 20)

struct flow_sieve;

struct flow_sieve *flow_sieve_create(const struct phf *,
                                     const struct topology *);
void flow_sieve_destroy(struct flow_sieve *);

/* Reads the shapes of a block, which were not read before, and notes those
 * that are new, in the order of their numbers; 'visit' (which may be NULL) is
 * shown these as well.  When flow_sieve_size() is more than
 * FLOW_SIEVE_MAX_SIZE, all is forgotten first.  Returns as
 * column_decoder_need_shapes(). */
int flow_sieve_read(struct flow_sieve *, struct column_decoder *,
                    column_visit_function *visit, void *aux,
                    struct lh_error *);
/* Bytes of memory that grow with the shapes. */
size_t flow_sieve_size(const struct flow_sieve *);
/* A column_visit_function, instead of that for one block and shown all of its
 * shapes: notes the next one. */
void flow_sieve_visit(void *sieve, const struct history *,
                      const struct trajectory_skim *);
/* The answer for all flows of the shape of that number. */
enum flow_sieve_answer flow_sieve_shape(const struct flow_sieve *,
                                        size_t shape);
/* Where that is FLOW_SIEVE_SIFT, the one for a flow; never that again. */
enum flow_sieve_answer flow_sieve_sift(const struct flow_sieve *, size_t shape,
                                       const struct flow_key *);

#endif /* phf/flow_sieve.h */
