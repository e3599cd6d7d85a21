/* SPDX-License-Identifier: Apache-2.0 */
/* pf_parse - reads one postcard filter, "{{--dpid 1 --outport not 2}}".
 *
 * Threads: pure functions over their arguments. */
#ifndef PHF_PF_PARSE_H
#define PHF_PF_PARSE_H 1

#include <stdint.h>

#include "lib/topology.h"
#include "phf/predicates.h"
#include "phf/scan.h"

/* Reads from the opening to past the closing braces and puts the number of the
 * postcard filter in 'predicates' into '*idp'.  'topology' checks names and
 * may be NULL.  0, or EINVAL with scan->error set. */
int pf_parse(struct scan *, const struct topology *topology,
             struct predicates *predicates, uint32_t *idp);

#endif /* phf/pf_parse.h */
