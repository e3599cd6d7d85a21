/* SPDX-License-Identifier: Apache-2.0 */
/* gen_fault - what goes wrong with postcards on their way to the capture.
 *
 * Each switch's postcards come later by a constant of its own (its way to the
 * collector, or its clock); some later still; some are lost; some come twice,
 * a moment apart.
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_FAULT_H
#define GEN_GEN_FAULT_H 1

#include "gen/gen_config.h"
#include "gen/gen_walk.h"

#define GEN_FAULT_COPY_NS 200000 /* A double comes so much later at most. */

struct gen_fault;

struct gen_fault *gen_fault_create(const struct gen_config *,
                                   size_t n_switches);
void gen_fault_destroy(struct gen_fault *);
/* Sets times and copies of the walk's cards. */
void gen_fault_apply(struct gen_fault *, struct gen_walk *);

#endif /* gen/gen_fault.h */
