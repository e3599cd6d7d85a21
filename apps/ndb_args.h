/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_args - what follows a command: a filter and options.
 *
 *     struct ndb_args args = {.limit = 20};
 *
 *     if (ndb_args_parse(text, "--since --until", &args, &error)) ..
 *     free(args.phf);
 *     free(args.condition);
 *
 * Threads: one. */
#ifndef APPS_NDB_ARGS_H
#define APPS_NDB_ARGS_H 1

#include <stdbool.h>
#include <stdint.h>

#include "apps/ndb.h"
#include "lib/lh_error.h"

#define NDB_ARGS_MAX_LIMIT 100000

struct ndb_args {
    char *phf;       /* NULL: none.  Owned. */
    char *condition; /* What follows "if"; NULL: none.  Owned. */
    uint64_t since_ns, until_ns;
    uint64_t limit;
    uint64_t timeout_s; /* 0: none. */
    bool is_asc;
    bool is_last; /* The limit is what is wanted, not what is shown of it. */
};

/* Reads 'text', with options among 'allowed' (words between blanks; "if" is
 * one too), into '*args', whose texts are to be freed in any case.  0, or
 * EINVAL with a reason. */
int ndb_args_parse(const char *text, const char *allowed, struct ndb_args *,
                   struct lh_error *);
/* A whole number from 'min' to 'max', or a time; errors name 'what'. */
int ndb_args_number(const char *text, const char *what, uint64_t min,
                    uint64_t max, uint64_t *value, struct lh_error *);
int ndb_args_time(const char *what, const char *text, uint64_t *ns,
                  struct lh_error *);
/* Compiles the filter here, for the place of an error and names that the
 * topology lacks.  False when it is none, which is said. */
bool ndb_args_check_phf(struct ndb *, const char *text);

#endif /* apps/ndb_args.h */
