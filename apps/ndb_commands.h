/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_commands - the commands of the debugger.
 *
 * Threads: one. */
#ifndef APPS_NDB_COMMANDS_H
#define APPS_NDB_COMMANDS_H 1

#include "apps/ndb.h"

struct ndb_command {
    const char *name;
    const char *alias;   /* Or NULL. */
    const char *args;    /* For help. */
    const char *help;    /* The first line is the summary. */
    const char *example; /* Lines, or NULL. */
    bool is_paged;       /* Its output may be long. */
    /* 'args' is what follows the name, without blanks around it. */
    enum ndb_status (*run)(struct ndb *, const char *args);
};

/* All commands; the last has no name. */
extern const struct ndb_command ndb_commands[];

/* The command that 'name' (its first 'len' bytes) is the name, the alias or
 * an unambiguous beginning of; else NULL with the reason. */
const struct ndb_command *ndb_commands_find(const char *name, size_t len,
                                            struct lh_error *);

/* Whether an empty line does the command in 'line' once more. */
bool ndb_commands_repeats(const char *line);

/* `info TOPIC`, in apps/ndb_info.c. */
enum ndb_status ndb_info(struct ndb *, const char *args);
/* Topics of info; the last is NULL. */
extern const char *const ndb_info_topics[];

/* `why`, `diff`, `info changes`, and `info table` of a switch that is named,
 * in apps/ndb_past.c. */
enum ndb_status ndb_past_why(struct ndb *, const char *args);
enum ndb_status ndb_past_diff(struct ndb *, const char *args);
enum ndb_status ndb_past_changes(struct ndb *, const char *args);
enum ndb_status ndb_past_table(struct ndb *, const char *args);

/* `find`, `since`, `until`, in apps/ndb_search.c. */
enum ndb_status ndb_search_find(struct ndb *, const char *args);
enum ndb_status ndb_search_since(struct ndb *, const char *args);
enum ndb_status ndb_search_until(struct ndb *, const char *args);

#endif /* apps/ndb_commands.h */
