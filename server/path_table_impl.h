/* SPDX-License-Identifier: Apache-2.0 */
/* path_table_impl - what the parts of path_table share.
 *
 *   path_table        life, topology, time
 *   path_table_add    postcards come in
 *   path_table_soon   groups that are complete wait for their memory
 *   path_table_close  groups become histories
 *   path_table_open   what is open goes into another table
 *
 * Included by path_table*.c only. */
#ifndef SERVER_PATH_TABLE_IMPL_H
#define SERVER_PATH_TABLE_IMPL_H 1

#include "server/assemble.h"
#include "server/card_kind.h"
#include "server/path_closed.h"
#include "server/path_group.h"
#include "server/path_kit.h"
#include "server/path_table.h"
#include "server/postcard_pool.h"
#include "server/topology_past.h"
#include "server/trajectory_cache.h"
#include "server/tunnel.h"

#define PATH_TABLE_PUSHED 16 /* A power of 2. */
#define PATH_TABLE_SOON   8  /* The same, not less. */

/* A group that is complete, and what was the time then. */
struct path_soon {
    struct path_group *group;
    uint64_t clock_ns;
    struct trajectory_hint hint;
};

struct path_table {
    /* Set at creation. */
    struct path_table_config config;
    struct postcard_pool *pool;
    struct tunnel_map *tunnels;
    struct path_kit *own_kit; /* Owned; NULL: it is another's. */
    struct path_kit *kit;
    /* Of the kit. */
    struct card_kind_cache *kinds;
    struct assembler *assembler;
    struct trajectory_cache *trajectories; /* NULL: nobody takes packets. */

    struct topology_past *past;
    const struct topology *topology; /* Its newest one, or NULL. */
    uint64_t clock_ns;
    uint64_t lead_ns;   /* Driven: postcards move the clock up to here. */
    unsigned int n_odd; /* Times in a row that the clock does not believe, */
    bool is_odd_ahead;  /* and whether they are ahead of it. */
    struct path_index *index; /* Owned, with all groups in it. */
    struct path_list open, settling;
    struct path_list ripe; /* Timed: to be looked at when the clock goes on. */
    struct path_closed *closed; /* Owned. */
    struct path_table_counters n;
    struct postcard_entry
        *pushed[PATH_TABLE_PUSHED]; /* A ring of what was pushed. */
    size_t first_pushed, n_pushed;
    struct path_soon soon[PATH_TABLE_SOON]; /* A ring, by time. */
    size_t first_soon, n_soon;
    const struct postcard *cards[ASSEMBLE_MAX];
};

/* Sets the clock by a postcard's time. */
void path_table_keep_time(struct path_table *, uint64_t time_ns);
void path_table_start_settling(struct path_table *, struct path_group *);
void path_table_stop_settling(struct path_table *, struct path_group *);
/* The group may be complete, when this moment ends. */
void path_table_ripen(struct path_table *, struct path_group *);
/* Looks at what is ripe: no more comes of this moment. */
void path_table_end_moment(struct path_table *);
/* Frees the group with its postcards. */
void path_table_forget(struct path_table *, struct path_group *);

/* Closes the group if it is complete.  False: it is not, and is not waited
 * for. */
bool path_table_try_whole(struct path_table *, struct path_group *,
                          struct trajectory_hint *);
/* The same, after a few others, when the memory for it has come: as if it were
 * done now, if path_table_close_waiting() comes before anything else that
 * would make a difference. */
void path_table_close_soon(struct path_table *, struct path_group *);
void path_table_close_waiting(struct path_table *);

/* Adds the copy to the group of its packet ID. */
void path_table_add_entry(struct path_table *, struct postcard_entry *);

/* Takes the postcards out of the group and remembers its ID. */
void path_table_close(struct path_table *, struct path_group *);
/* Assembles 'n' postcards of pt->cards, those of the group if it is not NULL,
 * and emits, if the state is as wanted.  '*statep' is the state.  Returns the
 * number of postcards that went into hops, 0 when nothing was emitted. */
size_t path_table_assemble(struct path_table *, const struct path_group *,
                           size_t n, enum assemble_state wanted,
                           enum assemble_state *statep);
/* Drops the group if it has nothing but doubles.  False: it has more. */
bool path_table_drop_doubles(struct path_table *, struct path_group *);
/* Closes the group if its state is as wanted, counting in '*counter'; the hint
 * is as trajectory_cache_find() takes it, or NULL. */
enum assemble_state path_table_try_close(struct path_table *,
                                         struct path_group *,
                                         enum assemble_state wanted,
                                         struct trajectory_hint *hint,
                                         uint64_t *counter);

#endif /* server/path_table_impl.h */
