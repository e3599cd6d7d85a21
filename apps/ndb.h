/* SPDX-License-Identifier: Apache-2.0 */
/* ndb - what one run of the debugger knows, and running one command.
 *
 * A run has a source, the histories that the last find or continue brought,
 * of which one is current, and of that one hop, the frame.
 *
 * Commands print what was asked to ndb->out, as text or JSON, and what went
 * wrong to stderr.
 *
 * Threads: one. */
#ifndef APPS_NDB_H
#define APPS_NDB_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "apps/app.h"
#include "apps/app_names.h"
#include "apps/app_source.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/phf.h"

/* How a command went, in rising order of gravity; also exit statuses, but for
 * the last. */
enum ndb_status {
    NDB_OK = 0,
    NDB_NOTHING = 1, /* Nothing was found, or there is nothing to show. */
    NDB_ERROR = 2,
    NDB_INTERRUPTED = 130
};

/* apps/ndb_break.h */
struct ndb_break {
    unsigned int number; /* As the user sees it. */
    bool is_enabled, is_temporary;
    uint64_t id;           /* The source's, while it is enabled, */
    uint64_t since_ns;     /* and since when. */
    char *phf;             /* Owned. */
    struct phf *condition; /* NULL: none.  Owned. */
    uint64_t n_hits;       /* Matches, with the condition. */
    uint64_t n_ignored;    /* How many of the next are passed over. */
    size_t n_commands, allocated_commands;
    char **commands; /* Run when it stops.  Owned. */
};

/* A match of a breakpoint. */
struct ndb_match {
    uint64_t id;             /* Of the source's filter. */
    struct history *history; /* Owned. */
};

/* All of a run; set to zero it is empty. */
struct ndb_breaks {
    size_t n, allocated;
    struct ndb_break *breaks; /* Owned. */
    unsigned int last_number;
    unsigned int last_stop; /* Stopped here last; 0: nowhere. */
    unsigned int defining;  /* Takes lines as its commands; 0: none. */
    bool is_running_commands;
    struct app_gap *gap; /* NULL before the first `continue`.  Owned. */
    /* What a server that was away had stored: stopped at first.  Owned. */
    size_t n_stored, next_stored, allocated_stored;
    struct ndb_match *stored;
};

struct ndb {
    /* Set at start. */
    struct app_source *source; /* Owned. */
    struct app_names *names;   /* Of hosts.  Owned. */
    const struct app *app;
    bool is_interactive; /* Prompt, pager. */
    FILE *out;           /* stdout, or a pager's pipe during a command. */
    bool color;          /* For out. */
    int width;           /* Columns of out; 0: no limit. */

    /* Where the command at hand came from, for messages: "ndb", or
     * "FILE:LINE". */
    char where[300];
    bool wants_quit;

    struct topology *topology; /* For names; NULL: none.  Owned. */
    char *since, *until;       /* Defaults of find; NULL: none.  Owned. */

    size_t n_found, allocated_found;
    struct history **found; /* Owned. */
    size_t current;         /* Index in 'found' when n_found is not 0. */
    size_t frame;           /* Hop of the current history. */

    struct ndb_breaks breaks;
    bool wants_continue; /* Said by a breakpoint's commands. */
    uint64_t continue_timeout_s;
};

/* Makes a run of 'app' (borrowed) that takes 'source' and 'names'. */
void ndb_init(struct ndb *, const struct app *app, struct app_source *source,
              struct app_names *names);
void ndb_uninit(struct ndb *);

/* Runs the command in 'line'; an empty one or a comment ('#') does nothing.
 * An interrupt that came before ends it at once. */
enum ndb_status ndb_run(struct ndb *, const char *line);

/* Says "where: error" on stderr, with the place in 'text' underlined when the
 * error has one ('text' may be NULL).  Returns NDB_ERROR. */
enum ndb_status ndb_fail(const struct ndb *, const struct lh_error *error,
                         const char *text);

/* Forgets what was found, or takes 'history' as one more. */
void ndb_clear_found(struct ndb *);
void ndb_add_found(struct ndb *, struct history *history);
/* The current history and hop, or NULL. */
const struct history *ndb_history(const struct ndb *);
const struct history_hop *ndb_hop(const struct ndb *);
/* Gets the topology of the time of the current history (or now), if the source
 * knows one. */
void ndb_refresh_topology(struct ndb *);

#endif /* apps/ndb.h */
