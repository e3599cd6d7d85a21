/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_completion - what may stand at the cursor of a command line.
 *
 *     struct ndb_completion c;
 *
 *     ndb_completion_find(&ndb, line, &c);
 *     .. c.words[0] .. c.words[c.n - 1], of which c.common bytes are the same
 *     ndb_completion_uninit(&c);
 *
 * Ownership: the words are the completion's.
 *
 * Threads: one. */
#ifndef APPS_NDB_COMPLETION_H
#define APPS_NDB_COMPLETION_H 1

#include <stddef.h>

#include "apps/ndb.h"

struct ndb_completion {
    size_t word_len; /* Bytes of the word that stands before the cursor. */
    size_t n, allocated;
    char **words;  /* Those that begin like it, once each.  Owned. */
    size_t common; /* Bytes that all share. */
};

/* Finds what may complete 'line', which ends at the cursor: commands, topics,
 * options, terms of filters, and names of switches, ports, verdicts and
 * fields where they belong. */
void ndb_completion_find(struct ndb *, const char *line,
                         struct ndb_completion *);
void ndb_completion_uninit(struct ndb_completion *);

#endif /* apps/ndb_completion.h */
