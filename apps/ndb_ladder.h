/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_ladder - `ladder`: switches as columns, hops in the order of time.
 *
 * Threads: one. */
#ifndef APPS_NDB_LADDER_H
#define APPS_NDB_LADDER_H 1

#include "apps/ndb.h"

enum ndb_status ndb_ladder(struct ndb *, const char *args);

#endif /* apps/ndb_ladder.h */
