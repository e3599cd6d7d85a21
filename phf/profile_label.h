/* SPDX-License-Identifier: Apache-2.0 */
/* profile_label - what a row of a profile is at one level: in which order, and
 * how it is told.
 *
 * Threads: pure functions. */
#ifndef PHF_PROFILE_LABEL_H
#define PHF_PROFILE_LABEL_H 1

#include <jansson.h>

#include "lib/topology.h"
#include "phf/profile_block.h"
#include "phf/profile_table.h"

/* Negative, 0 or positive, as for qsort(); 0 where both are one node. */
int profile_label_compare(const struct profile_table *, enum profile_level,
                          const struct profile_key *,
                          const struct profile_key *);
/* Equal where that is 0. */
uint64_t profile_label_hash(const struct profile_table *, enum profile_level,
                            const struct profile_key *);
/* A new JSON object with "by", "name" and what the name is made of. */
json_t *profile_label_json(const struct profile_table *, enum profile_level,
                           const struct profile_key *,
                           const struct topology *);

#endif /* phf/profile_label.h */
