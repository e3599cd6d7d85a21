/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store - owns one stage-2 shard m of a cluster: reads histories from
 * lh.2.<m>, shows them to live filters and archives them in DIR/shard-<mm>/,
 * each exactly once; or one copy of it, which has a record of its own and
 * DIR/shard-<mm>.<copy>/.
 *
 * SHARD_TAKEN creates one.  It claims its record in the commit bucket, brings
 * its directory to what the record says, reads the subject, and
 * once a second makes what was accepted (server/cluster_accept.h) durable and
 * commits it; what is committed is purged from the stream.
 *
 * With each connection to NATS it reads the subject from its beginning, and
 * what is new is told by contents: a stream that lost its end numbers what
 * comes then as what was read before.  Nothing is purged before that is read.
 *
 *     SHARD_TAKEN:    cluster_store_create()
 *     SHARD_UNWANTED: cluster_store_drain(); at STORE_DRAINED
 *                     shard_lease_release(), cluster_store_destroy()
 *     SHARD_LOST:     cluster_store_destroy()
 *     STORE_FENCED:   cluster_store_destroy(): another has the record
 *
 * What was archived and not committed is cut off again: after a restart of
 * the same shard here, or by server/store_settle.h.
 *
 * Disk full or failing: nothing is committed and nothing is purged; what is
 * not on disk is read again from NATS, until it is, and
 * cluster_store_trouble() says so meanwhile.
 *
 * A message of a newer version: what came before it is archived and committed,
 * nothing behind it is read, and cluster_store_trouble() says so, until it is
 * gone; who knows the version goes on there.
 *
 * Live filters see each history once in this process; after a change of owner
 * they may see those of the last second again.
 *
 * Threads: the bus's.  The disk is waited for by a thread of its own. */
#ifndef SERVER_CLUSTER_STORE_H
#define SERVER_CLUSTER_STORE_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/archive_writer.h"
#include "lib/history_columns.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "lib/topology.h"
#include "server/cluster_accept.h"
#include "server/store_copies.h"

struct bus;
struct cluster_codecs;
struct cluster_hole;
struct cluster_store;
struct history;
struct trajectory;
struct trajectory_packet;

enum cluster_store_event {
    STORE_OPEN,    /* It has the record and reads. */
    STORE_DRAINED, /* All that was accepted is committed; it does nothing
                    * more. */
    STORE_FENCED   /* Another epoch has the record; it does nothing more. */
};

struct cluster_store_config {
    struct bus *bus;
    const char *stream;  /* "LH2". */
    const char *subject; /* Before the shard's number: "lh.2". */
    const char *bucket;  /* "lh-commit-2". */
    uint32_t shard;
    uint32_t copy;   /* Of the shard: 0, the first one, .. */
    uint32_t slot;   /* The number of shard and copy in leases and records. */
    uint64_t epoch;  /* As SHARD_TAKEN said. */
    const char *dir; /* DIR; it is made if need be, and the shard's in it. */
    struct packet_id_config packet_id;
    enum column_unit unit;
    struct cluster_codecs *codecs; /* Takes a reference; NULL: its own. */
    struct store_team *team;       /* Where there are copies; NULL: none. */
    const char *flow_log;          /* May be NULL. */
    uint64_t retain_bytes; /* Of all shards in DIR together; 0: no limit. */
    uint64_t retain_ns;
    uint32_t round_ms; /* 0: 1,000. */
    size_t max_bytes;  /* Under way from NATS; 0: bus_pull's default. */

    /* Live filters; each may be NULL.  One of both is called for each
     * accepted history, before it is durable, while 'is_watched' (NULL:
     * always) says that somebody waits for it. */
    bool (*is_watched)(void *aux);
    void (*on_history)(void *aux, const struct history *);
    void (*on_packet)(void *aux, struct trajectory *,
                      const struct trajectory_packet *);
    /* May destroy the store, but for STORE_OPEN. */
    void (*on_event)(void *aux, struct cluster_store *,
                     enum cluster_store_event);
    /* Messages are given up.  May be NULL. */
    void (*on_hole)(void *aux, const struct cluster_hole *);
    void *aux;
};

struct cluster_store_counters {
    struct cluster_accept_counters accept;
    uint64_t messages;  /* Read, of which */
    uint64_t broken;    /* could not be read. */
    uint64_t histories; /* Accepted. */
    uint64_t repeated;  /* Of these, read again after a failure here. */
    uint64_t archived;  /* Durable and committed. */
    uint64_t commits;   /* Rounds that were. */
    uint64_t restarts;  /* After the disk failed. */
    uint64_t fallen;    /* Times that the stream had lost its end. */
    uint64_t cut_bytes; /* Cut off, as they were not committed. */
    uint64_t position;  /* Committed: below it nothing is needed any more.  It
                         * goes back where the stream does. */
    uint64_t next_seq;  /* To be read next. */
    uint64_t n_pending; /* That wait in NATS, as it last said. */
    uint64_t latest_ns; /* Latest last postcard of a history accepted. */
    struct archive_writer_counters archive;
};

/* Always there; what cannot be done now is tried again, and
 * cluster_store_trouble() says what. */
struct cluster_store *
cluster_store_create(const struct cluster_store_config *);
/* At once, without another round. */
void cluster_store_destroy(struct cluster_store *);

/* Takes a reference of its own.  It holds from 'now_ns' on. */
void cluster_store_set_topology(struct cluster_store *,
                                const struct topology *, uint64_t now_ns);
/* Reads no more, and says STORE_DRAINED (or STORE_FENCED) at its end. */
void cluster_store_drain(struct cluster_store *);

uint32_t cluster_store_slot(const struct cluster_store *);
uint32_t cluster_store_copy(const struct cluster_store *);
uint64_t cluster_store_epoch(const struct cluster_store *);
void cluster_store_get_counters(const struct cluster_store *,
                                struct cluster_store_counters *);
/* Of the other copies, and what is fetched from them; false: none. */
bool cluster_store_get_copies(const struct cluster_store *,
                              struct store_copies_status *);
/* Adds what this server's disk surely has of the shard, of times from since_ns
 * on; nothing where there is one copy. */
void cluster_store_vouch(const struct cluster_store *, uint64_t since_ns,
                         struct store_vouch *);
/* What goes wrong at the moment; false while all is well. */
bool cluster_store_trouble(const struct cluster_store *, struct lh_error *);

#endif /* server/cluster_store.h */
