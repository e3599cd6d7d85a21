/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_past_print - answers about the past (docs/api.md) as text on ndb->out.
 *
 * Threads: one. */
#ifndef APPS_NDB_PAST_PRINT_H
#define APPS_NDB_PAST_PRINT_H 1

#include <jansson.h>

#include "apps/ndb.h"

void ndb_past_print_why(struct ndb *, const json_t *answer);
void ndb_past_print_diff(struct ndb *, const json_t *answer);
void ndb_past_print_changes(struct ndb *, const json_t *answer);
/* 'when' is what to write for its time, NULL: the time. */
void ndb_past_print_change(struct ndb *, const json_t *change,
                           const char *when);
void ndb_past_print_table(struct ndb *, const json_t *answer);

#endif /* apps/ndb_past_print.h */
