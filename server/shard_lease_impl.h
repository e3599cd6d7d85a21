/* SPDX-License-Identifier: Apache-2.0 */
/* shard_lease - what its files share; for them only.
 *
 * Threads: the bus's. */
#ifndef SERVER_SHARD_LEASE_IMPL_H
#define SERVER_SHARD_LEASE_IMPL_H 1

#include <jansson.h>

#include "server/shard_lease.h"

struct event;

#define SHARD_LEASE_SESSION_SIZE 17

struct peer {
    struct shard_lease *lease;
    char name[SHARD_LEASE_MAX_NAME + 1];
    char session[SHARD_LEASE_SESSION_SIZE];
    uint64_t revision;
    int64_t changed_ms; /* When that came; a gap counts as a change. */
    bool is_draining, is_dead;
    bool is_forgotten; /* Dead, and its key is gone. */
    bool is_asked;     /* NATS, whether it is dead. */
};

#define SHARD_LEASE_RENEWALS 8

enum shard_state { SHARD_FREE, SHARD_TAKING, SHARD_HELD, SHARD_RELEASING };

struct shard {
    struct shard_lease *lease;
    uint32_t number;
    enum shard_state state;
    uint64_t epoch;    /* Of HELD. */
    uint64_t revision; /* Of the newest entry known; 0: none. */
    char owner[SHARD_LEASE_MAX_NAME + 1]; /* As that says; "": nobody. */
    char session[SHARD_LEASE_SESSION_SIZE];
    char put_session[SHARD_LEASE_SESSION_SIZE]; /* What is being put. */
    uint32_t n_stale; /* Times in a row that NATS said that 'revision' is not
                       * the newest, and the watch told no other. */
    bool is_wanted;   /* Here. */
    bool is_unwanted_told; /* Since it is not. */
};

struct shard_lease {
    struct bus *bus;
    struct shard_lease_options options; /* Its texts are owned. */
    int64_t lease_ms;
    struct event *timer;        /* Owned. */
    struct bus_kv_watch *watch; /* Owned; NULL: no bucket yet. */
    bool is_asking_bucket;
    bool is_current; /* The watch has told all there is. */
    bool is_changed; /* Who is wanted may have. */
    bool is_draining;
    bool is_leaving; /* It has no session any more. */
    int64_t ticked_ms;

    /* The session of this server. */
    bool has_session, is_renewing;
    char session[SHARD_LEASE_SESSION_SIZE]; /* "": it is over. */
    char former[SHARD_LEASE_SESSION_SIZE];  /* The one before. */
    uint64_t revision;                      /* Of its key. */
    int64_t sent_ms;    /* When the renewal under way was sent. */
    int64_t renewed_ms; /* When the last good one was. */

    /* The watch reads any copy of the bucket, and one may number its messages
     * apart from the one that decides what is written. */
    uint64_t renewed[SHARD_LEASE_RENEWALS]; /* Revisions, as NATS answered. */
    uint64_t told_revision;                 /* The last the watch told. */
    uint32_t n_untold; /* Renewals since it told one of these. */
    uint32_t n_twin; /* Renewals of this name by another, one after another. */
    int64_t doubted_ms;

    struct peer **peers; /* Owned; this server is one when it has a key. */
    size_t n_peers, allocated_peers;
    struct shard *shards; /* Owned. */
    uint32_t n_taking;
    struct shard_lease_counters counters;
};

/* The shard is held no longer, if it was: tells so. */
void shard_lease_lose(struct shard *);

/* --- shard_lease_session.c: who lives --- */

/* Whether others must still take this server for alive. */
bool shard_lease_session_is_in_time(const struct shard_lease *);
/* Begins one, unless another process of this name lives. */
void shard_lease_session_begin(struct shard_lease *);
void shard_lease_session_renew(struct shard_lease *);
/* It is over, and all shards are lost. */
void shard_lease_session_lose(struct shard_lease *);
/* The server of that name; NULL: there never was one. */
struct peer *shard_lease_session_find(const struct shard_lease *,
                                      const char *name);
/* Asks after one that has been silent for a lease. */
void shard_lease_session_look_at(struct shard_lease *, struct peer *,
                                 int64_t now_ms);
/* What the watch tells of a server. */
void shard_lease_session_take(struct shard_lease *,
                              const struct bus_kv_entry *, const json_t *);
/* Sets 'is_wanted' of all shards. */
void shard_lease_session_find_wanted(struct shard_lease *);

#endif /* server/shard_lease_impl.h */
