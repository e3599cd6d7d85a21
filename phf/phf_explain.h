/* SPDX-License-Identifier: Apache-2.0 */
/* phf_explain - what a filter was compiled to, as text for people.
 *
 * Lists the predicates (what a hop is asked) and then either the automaton's
 * positions (which predicate each needs, what may follow, where matches end)
 * or, with back-references, the instructions.
 *
 * Threads: pure functions. */
#ifndef PHF_PHF_EXPLAIN_H
#define PHF_PHF_EXPLAIN_H 1

#include <stdio.h>

#include "phf/phf.h"

void phf_explain(const struct phf *, FILE *);

#endif /* phf/phf_explain.h */
