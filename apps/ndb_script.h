/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_script - commands from a file.
 *
 * Threads: one. */
#ifndef APPS_NDB_SCRIPT_H
#define APPS_NDB_SCRIPT_H 1

#include <stdbool.h>

#include "apps/ndb.h"

/* Runs the commands in 'path' ("-": standard input), one a line, up to the
 * first error.  Returns the gravest status. */
enum ndb_status ndb_script_run(struct ndb *, const char *path);
/* `source FILE`. */
enum ndb_status ndb_script_source(struct ndb *, const char *args);

/* The graver of two. */
enum ndb_status ndb_script_graver(enum ndb_status, enum ndb_status);
/* A script ends at an error, not because nothing was found. */
bool ndb_script_goes_on(const struct ndb *, enum ndb_status);
/* Whether a breakpoint still waits for the end of its commands, which is said
 * and then given up. */
bool ndb_script_lacks_end(struct ndb *);

#endif /* apps/ndb_script.h */
