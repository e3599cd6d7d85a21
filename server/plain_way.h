/* SPDX-License-Identifier: Apache-2.0 */
/* plain_way - ways on which links alone tell every hop from every other.
 *
 * Where two visits could be taken for each other, assembly asked the time, and
 * another packet with the same postcards may have gone another way.
 *
 * Threads: any. */
#ifndef SERVER_PLAIN_WAY_H
#define SERVER_PLAIN_WAY_H 1

#include <stdbool.h>

#include "lib/history.h"
#include "lib/topology.h"

/* True when no two hops of 'h' can be taken for each other, nor for each
 * other's parent but where one is, and every end of it is known.  Without
 * in_ports that takes 'topology', which may be NULL. */
bool plain_way_is(const struct history *h, const struct topology *topology,
                  bool has_in_ports);

#endif /* server/plain_way.h */
