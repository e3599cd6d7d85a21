/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_phf - the packet history filters of an invariant.
 *
 * Each filter matches the histories that break the invariant, or for the
 * kinds of reach those that tell whether it holds (struct invariant_filter).
 *
 * Threads: any. */
#ifndef APPS_INVARIANT_PHF_H
#define APPS_INVARIANT_PHF_H 1

#include "apps/invariant.h"
#include "lib/lh_error.h"

/* Makes the filters of 'inv'.  0, or EINVAL with the reason when they would be
 * too large, or ask what cannot be asked. */
int invariant_phf_make(struct invariant *inv, struct lh_error *);

#endif /* apps/invariant_phf.h */
