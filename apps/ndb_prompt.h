/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_prompt - reads commands at a terminal: editing, history, completion.
 * The door to libedit.
 *
 * Threads: one at a time in a process. */
#ifndef APPS_NDB_PROMPT_H
#define APPS_NDB_PROMPT_H 1

#include "apps/ndb.h"

struct ndb_prompt;

/* Reads the history of earlier runs from ~/.ndb_history.  What Tab offers is
 * that of 'ndb' (borrowed). */
struct ndb_prompt *ndb_prompt_create(struct ndb *);
/* Writes the history. */
void ndb_prompt_destroy(struct ndb_prompt *);

/* The next line, for free(), "" when Ctrl-C ended it; NULL at the end of
 * input. */
char *ndb_prompt_read(struct ndb_prompt *);

#endif /* apps/ndb_prompt.h */
