/* SPDX-License-Identifier: Apache-2.0 */
/* phf_parse - reads a whole filter: the expression around the braces.
 *
 * One pass without recursion: groups that are open stand in an array of
 * PHF_MAX_NESTING, and every atom becomes code as soon as it is read.
 *
 * Threads: pure functions over their arguments. */
#ifndef PHF_PHF_PARSE_H
#define PHF_PHF_PARSE_H 1

#include <stddef.h>

#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/predicates.h"
#include "phf/program.h"

/* Reads 'text' into 'program' (ends with PROGRAM_MATCH) and 'predicates', both
 * initialised by the caller.  'topology' checks names and may be NULL.  0,
 * or EINVAL with '*error' set. */
int phf_parse(const char *text, const struct topology *topology,
              struct program *program, struct predicates *predicates,
              struct lh_error *error);

#endif /* phf/phf_parse.h */
