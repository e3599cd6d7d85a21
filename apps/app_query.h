/* SPDX-License-Identifier: Apache-2.0 */
/* app_query - one query of a server, from the question to its end.
 *
 * Threads: one. */
#ifndef APPS_APP_QUERY_H
#define APPS_APP_QUERY_H 1

#include "apps/app_link.h"
#include "apps/app_source.h"
#include "lib/lh_error.h"

/* Asks, and gives what is found to 'find' as it comes.  0, EINTR, or another
 * positive errno with the reason. */
int app_query_run(struct app_link *, const struct app_find *find,
                  struct app_found *, struct lh_error *);

#endif /* apps/app_query.h */
