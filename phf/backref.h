/* SPDX-License-Identifier: Apache-2.0 */
/* backref - matches a program that has back-references.
 *
 * A set of configurations (instruction, what each group matched) moves along
 * the path hop by hop, each configuration once: the answer is exact, and the
 * work is polynomial in the hops, with the number of groups referred to in the
 * exponent.  So it is bounded: after PHF_MAX_STEPS configurations the answer
 * is PHF_LIMIT.
 *
 * A back-reference matches the same switches in the same order that its group
 * matched last; a group that matched nothing yet matches nowhere.
 *
 * Threads: pure functions over their arguments. */
#ifndef PHF_BACKREF_H
#define PHF_BACKREF_H 1

#include "phf/hop_tests.h"
#include "phf/phf.h"
#include "phf/program.h"

enum phf_result backref_match(const struct program *, struct hop_tests *);

#endif /* phf/backref.h */
