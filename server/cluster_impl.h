/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_impl - what the parts of cluster share.
 *
 *   cluster          life, the door, leaving
 *   cluster_receive  postcards, and counters of switches
 *   cluster_self     what is told to the others and to the recorder
 *   cluster_shards   leases, and the owners of what is held
 *   cluster_status   what is told of it
 *   cluster_vouch    what its disk surely has
 *
 * Included by cluster*.c of these only. */
#ifndef SERVER_CLUSTER_IMPL_H
#define SERVER_CLUSTER_IMPL_H 1

#include "lib/bus_kv.h"
#include "server/cluster.h"
#include "server/cluster_book.h"
#include "server/cluster_cover.h"
#include "server/cluster_door.h"
#include "server/cluster_leg.h"
#include "server/cluster_holes.h"
#include "server/cluster_members.h"
#include "server/cluster_profile_leg.h"
#include "server/cluster_setup.h"
#include "server/cluster_split.h"
#include "server/cluster_store.h"
#include "server/cluster_tally.h"
#include "server/cluster_triggers.h"
#include "server/cluster_version.h"
#include "server/cluster_sent.h"
#include "server/cluster_wants.h"
#include "server/shard_lease.h"
#include "server/store_settle.h"
#include "server/store_vouch.h"

/* The streams of which is told what they hold. */
enum { CLUSTER_N_STREAMS = 3 };

struct cluster_stream {
    struct cluster *cluster;
    const char *name;
    bool is_asking;
    bool is_known;
    bool is_one_by_one; /* Messages are removed so, as it was said. */
    struct bus_stream_state state;
};

struct cluster_away {
    uint64_t disk;
    int64_t since_ms;
};

struct cluster {
    struct cluster_parts parts;
    const struct cluster_options *options;
    bool is_door_only; /* It reads files. */
    uint64_t started_ns;
    struct event *tick;   /* Owned. */
    struct event *second; /* Owned. */

    struct bus *bus; /* All owned. */
    bool is_connected;
    char away_why[480];          /* Why not, the last time. */
    struct cluster_setup *setup; /* NULL: it has done its work. */
    struct cluster_config config;
    struct cluster_config own;       /* What this server wants and knows. */
    struct cluster_version *version; /* NULL before ready. */
    bool is_ready;
    struct cluster_members *members; /* From here on NULL before ready. */
    struct cluster_door *door;
    struct cluster_tally *tally;
    struct cluster_wants *wants;
    struct cluster_sent *sent; /* Of all splits. */
    struct cluster_book *book;
    struct cluster_legs *legs;                 /* Its part of all queries, */
    struct cluster_profile_legs *profile_legs; /* and profiles. */
    struct cluster_fan_cluster servers;        /* Who is asked. */
    struct cluster_queries *queries;           /* Those of its clients. */
    struct cluster_triggers *triggers;
    struct cluster_holes *holes;
    struct cluster_share *share;
    struct cluster_rpc *rpc; /* Others ask this server. */
    struct shard_lease *lease_1, *lease_2;
    struct path_kit *kit;          /* Of all splits. */
    struct cluster_codecs *codecs; /* Of all shards.  Owned reference. */
    struct cluster_split **splits; /* n_shards, each NULL or owned. */
    struct cluster_store **stores; /* Of all copies. */
    struct store_settle *settle;   /* Of stores it had once. */
    struct store_vouch former;     /* What this disk has of these. */
    bool is_former_known;          /* Also of those before it started. */
    struct cluster_cover *cover;   /* To find that out.  Owned. */
    struct store_team team;        /* Of stores with copies. */
    int64_t ready_ms;              /* Since when there are such. */
    int64_t *ownerless_ms;         /* Of each slot, since when; 0: it is
                                    * not.  Owned. */
    size_t n_away, allocated_away;
    struct cluster_away *away; /* Disks that are not there.  Owned. */
    struct cluster_stream streams[CLUSTER_N_STREAMS];
    struct topology *topology; /* Owned reference, or NULL. */
    uint64_t topology_ns;

    uint64_t tallied_ns;  /* When what came here was told. */
    unsigned int n_tells; /* Of itself, up to when agents are told, too. */
    size_t n_checks;      /* Of what others told. */
    bool has_warned;      /* That agents cannot be. */
    bool has_twin;        /* A server of the same name; it was said. */
    int lock_fd;          /* Of the archive's directory; -1: none. */

    bool is_draining, is_leaving, has_left;
    int64_t leaving_ms; /* Since when. */
    void (*on_left)(void *aux);
    void *left_aux;

    uint64_t n_early;     /* Postcards that came before the door was open. */
    uint64_t n_fenced;    /* Owners that another had replaced. */
    struct counters gone; /* Of owners that are no more. */
};

/* --- cluster_shards.c --- */

int cluster_shards_open(struct cluster *, struct lh_error *);
void cluster_shards_close(struct cluster *);
void cluster_shards_drain(struct cluster *);
void cluster_shards_set_topology(struct cluster *);
/* Copies of stage-2 shards. */
uint32_t cluster_shards_n_slots(const struct cluster *);
/* How many of both stages have an owner here. */
uint32_t cluster_shards_n_splits(const struct cluster *);
uint32_t cluster_shards_n_stores(const struct cluster *);
/* Adds to '*counters' what all owners here count, and counted. */
void cluster_shards_collect(const struct cluster *, struct counters *);

/* --- cluster_receive.c --- */

/* Each time that the door had its turn: tells all what came of switches and is
 * safe, if that is due. */
void cluster_receive_tell(struct cluster *);
/* Says, and lets be known, what the door lost since the last time. */
void cluster_receive_tell_lost(struct cluster *);

/* --- cluster_self.c --- */

/* About once a second: tells the others of this server, and the recorder who
 * may be sent postcards. */
void cluster_self_tell(struct cluster *);

/* --- cluster_copies.c --- */

struct cluster_copies_sum {
    uint32_t n_short;    /* Shards, of those whose first copy is here, of which
                          * something is on fewer disks than it should be, */
    uint32_t n_lost;     /* or was on disks that are not there. */
    uint32_t n_fetching; /* Copies here that fetch what they lack. */
    uint64_t n_fetched;  /* Histories, so far. */
};

/* Sets 'team'. */
int cluster_copies_open(struct cluster *, struct lh_error *);
void cluster_copies_close(struct cluster *);
void cluster_copies_sum(const struct cluster *, struct cluster_copies_sum *);
json_t *cluster_copies_to_json(const struct cluster *);

/* --- cluster_vouch.c --- */

/* About once a second: finds out what this disk has of shards that were this
 * server's before it was started, until that is known. */
void cluster_vouch_look(struct cluster *);
/* What the answer of a query surely has that sees what 'reader' (may be NULL)
 * does now, as store_vouch_to_json(), new; NULL: there are no copies. */
json_t *cluster_vouch(void *cluster, const struct archive_reader *reader);

#endif /* server/cluster_impl.h */
