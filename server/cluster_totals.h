/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_totals - what the servers that answered a query told at its end,
 * together.
 *
 * Threads: pure functions. */
#ifndef SERVER_CLUSTER_TOTALS_H
#define SERVER_CLUSTER_TOTALS_H 1

#include <jansson.h>

/* Adds to the event `end` of a client (docs/api.md) what one server told at
 * the end of its part (NULL: nothing); counts that 'end' has not are 0. */
void cluster_totals_add(json_t *end, const json_t *part);

#endif /* server/cluster_totals.h */
