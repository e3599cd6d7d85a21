/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_break - breakpoints: standing filters that stop `continue`.
 *
 * The filter of a breakpoint that is enabled stands at the source; its
 * condition, a second filter, is asked here, on what the first one found.
 *
 * Threads: one. */
#ifndef APPS_NDB_BREAK_H
#define APPS_NDB_BREAK_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apps/ndb.h"
#include "lib/history.h"
#include "lib/lh_error.h"

/* Frees; filters at the source go with it. */
void ndb_break_uninit(struct ndb_breaks *);

/* By its number, or that of the source's filter; NULL when there is none. */
struct ndb_break *ndb_break_find(struct ndb_breaks *, unsigned int number);
struct ndb_break *ndb_break_find_id(struct ndb_breaks *, uint64_t id);
/* How many are enabled. */
size_t ndb_break_n_enabled(const struct ndb_breaks *);

/* Takes the filter of breakpoint 'b' away from the source and forgets it. */
int ndb_break_delete(struct ndb *, struct ndb_break *b, struct lh_error *);

/* Counts a match; whether it is one to stop at. */
bool ndb_break_hit(const struct ndb *, struct ndb_break *,
                   const struct history *);

/* While ndb->breaks.defining: takes 'line', of which "end" is the last. */
void ndb_break_take_line(struct ndb *, const char *line);

/* The commands `break`, `tbreak`, `delete`, `condition`, `ignore`, `enable`,
 * `disable`, `commands` and `info breakpoints`. */
enum ndb_status ndb_break_set(struct ndb *, const char *args);
enum ndb_status ndb_break_set_temporary(struct ndb *, const char *args);
enum ndb_status ndb_break_remove(struct ndb *, const char *args);
enum ndb_status ndb_break_condition(struct ndb *, const char *args);
enum ndb_status ndb_break_ignore(struct ndb *, const char *args);
enum ndb_status ndb_break_enable(struct ndb *, const char *args);
enum ndb_status ndb_break_disable(struct ndb *, const char *args);
enum ndb_status ndb_break_commands(struct ndb *, const char *args);
enum ndb_status ndb_break_info(struct ndb *, const char *args);

/* `continue`, in apps/ndb_continue.c. */
enum ndb_status ndb_continue(struct ndb *, const char *args);

#endif /* apps/ndb_break.h */
