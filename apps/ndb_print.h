/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_print - histories, hops, rules and tables as text for people, or as
 * JSON, on ndb->out.
 *
 * Threads: one. */
#ifndef APPS_NDB_PRINT_H
#define APPS_NDB_PRINT_H 1

#include <jansson.h>

#include "apps/ndb.h"
#include "lib/rule.h"
#include "lib/text_line.h"

/* A line with number, time, verdict, way and packet of found history 'i'. */
void ndb_print_summary(struct ndb *, size_t i);
enum text_style ndb_print_verdict_style(enum verdict_name);
/* The whole current history. */
void ndb_print_backtrace(struct ndb *, bool is_full);
/* The current hop. */
void ndb_print_frame(struct ndb *);
void ndb_print_rule(struct ndb *, const struct rule *);
/* The tables of the switch of the current hop; the rules in hop->versions are
 * marked.  'note' says what moment they are of. */
void ndb_print_table(struct ndb *, const struct app_table *, const char *note);
void ndb_print_topology(struct ndb *);
/* Any JSON as lines "name value". */
void ndb_print_values(struct ndb *, const json_t *);

/* 'json' (taken) on a line of its own. */
void ndb_print_json(struct ndb *, json_t *json);

#endif /* apps/ndb_print.h */
