/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_split_impl - what the parts of cluster_split share.
 *
 *   cluster_split        life, reading, checkpoints
 *   cluster_split_paths  from postcards to histories
 *   cluster_split_doors  what it and doors tell each other
 *
 * Included by cluster_split*.c and their test only. */
#ifndef SERVER_CLUSTER_SPLIT_IMPL_H
#define SERVER_CLUSTER_SPLIT_IMPL_H 1

#include "lib/bus_pull.h"
#include "server/cluster_checkpoint.h"
#include "server/cluster_codecs.h"
#include "server/cluster_merge.h"
#include "server/cluster_outbox.h"
#include "server/cluster_snapshot.h"
#include "server/cluster_split.h"
#include "server/door_message.h"

struct catch_up;
struct loss_wait;
struct sample_gate;

enum cluster_split_state {
    SPLIT_CLAIMING,
    SPLIT_RESTORING, /* The snapshot is being read. */
    SPLIT_RUNNING,
    SPLIT_DRAINING,
    SPLIT_ENDED
};

struct cluster_split {
    struct cluster_split_config config;
    struct cluster_checkpoint *checkpoint; /* Owned. */
    struct cluster_snapshot_reader *past;  /* While restoring.  Owned. */
    struct bus_pull *pull;                 /* Of that, then of postcards. */
    struct cluster_codecs *codecs;         /* Owned reference. */
    struct path_table *paths;              /* Owned; NULL: not yet. */
    struct cluster_merge *merge;           /* The same. */
    struct loss_wait *wait;                /* Owned, or NULL. */
    struct sample_gate *gate;              /* Of all doors.  Owned. */
    struct catch_up *catch_up;             /* The same. */
    struct topology *topology;             /* Owned reference, or NULL. */
    struct event *tick, *work;             /* Owned. */
    enum cluster_split_state state;
    enum cluster_split_event last_event; /* To be told when it has ended. */
    uint64_t position;                   /* From where it reads. */
    uint64_t secret;
    uint64_t now_ns;        /* Of the postcard at hand. */
    uint64_t past_since_ns; /* Since when parts are missing; 0: they are
                             * not. */
    uint64_t past_read_ns;  /* When it was begun to read them. */
    struct cluster_checkpoint_past from;
    uint64_t begun_ns;     /* When the last checkpoint began, */
    uint64_t floor;        /* and what it says is to be read next. */
    struct bus_sub *doors; /* What doors say.  Owned. */
    /* It has not answered that yet; door 0: none was asked. */
    struct door_message asked;
    uint64_t read_again_ns, read_wait_ns; /* When, and for the next time. */
    uint64_t ticked_ns;
    bool is_idle;  /* All there is has been read. */
    bool slept;    /* This process did not run, so nobody knows. */
    bool is_dirty; /* Postcards came, or histories closed. */
    bool is_stale; /* Anything came. */
    bool is_open_told;
    char *pull_trouble; /* Owned. */
    struct cluster_split_counters n;
};

/* Makes the path table and the merge, with 'secret', which is drawn if it is
 * 0. */
void cluster_split_create_paths(struct cluster_split *);
/* Reads from there on, by another reader. */
void cluster_split_read_from(struct cluster_split *, uint64_t seq);
/* Hears what doors say from now on. */
void cluster_split_hear_doors(struct cluster_split *);
/* Sees to what is missing, and tells doors what is committed. */
void cluster_split_look_at_doors(struct cluster_split *, uint64_t now_ns);
/* So much waits that nothing is read on. */
bool cluster_split_is_full(const struct cluster_split *);
/* Gives on what has come.  True: there is more to do at once. */
bool cluster_split_work(struct cluster_split *);

#endif /* server/cluster_split_impl.h */
