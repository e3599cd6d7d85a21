/* SPDX-License-Identifier: Apache-2.0 */
/* backref - matches a program that has back-references.
 *
 * A set of configurations (instruction, what each group matched) moves along
 * the path hop by hop, each configuration once: the answer is exact, and the
 * work is polynomial in the hops, with the number of groups referred to in the
 * exponent.  So it is bounded: after PHF_MAX_STEPS configurations the answer
 * is PHF_LIMIT.
 *
 * Most histories meet no switch twice, and then no back-reference to a group
 * that consumes a hop can hold: where backref_is_needed() says so, the
 * program's automaton, in which they match nowhere, gives the answer.
 *
 * A back-reference matches the same switches in the same order that its group
 * matched last; a group that matched nothing yet matches nowhere.
 *
 * Threads: pure functions over their arguments. */
#ifndef PHF_BACKREF_H
#define PHF_BACKREF_H 1

#include <stdbool.h>

#include "phf/hop_tests.h"
#include "phf/phf.h"
#include "phf/program.h"

/* Whether every group that 'program' refers to consumes at least one hop. */
bool backref_groups_consume(const struct program *program);

/* False when no switch stands twice in 'history', which is looked for in short
 * ones only. */
bool backref_is_needed(const struct history *history);

enum phf_result backref_match(const struct program *, struct hop_tests *);

#endif /* phf/backref.h */
