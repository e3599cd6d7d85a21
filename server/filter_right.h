/* SPDX-License-Identifier: Apache-2.0 */
/* filter_right - who may use which filter: one that asks about bytes of
 * packets tells, by what it matches, what they are.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_FILTER_RIGHT_H
#define SERVER_FILTER_RIGHT_H 1

#include <stdbool.h>

#include "lib/api_peer.h"
#include "phf/phf.h"

/* Whether the client of 'call' may use the filter; if not, it has been
 * answered `denied`, with the term that it may not. */
bool filter_right_check(struct api_call *call, const struct phf *);

#endif /* server/filter_right.h */
