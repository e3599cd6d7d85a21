/* SPDX-License-Identifier: Apache-2.0 */
/* shard_lease - which shards of a cluster this server owns, by leases in a
 * bucket of NATS (lib/bus_kv.h).
 *
 * Each server renews one key, "server.NAME", every third of the lease; it
 * lives as long as others see that key change.  Each shard has a key
 * "shard.N" that names its owner and the owner's session; the revision of that
 * key is the shard's epoch, which grows with every owner.  The wanted owner of
 * a shard is found by rendezvous hashing over the servers that live and do not
 * drain; who owns a shard that another should have is asked to release it,
 * and who should have one that nobody owns takes it, by compare-and-set.
 *
 * Copies of a shard are wanted on different servers: on those of the highest
 * weights.  Which of them has which is left as it is; where there are less
 * servers than copies, the last copies are wanted nowhere.
 *
 *     shard_lease_create(bus, &options, &lease);
 *     on_event: SHARD_TAKEN    read the shard from its last commit on
 *               SHARD_UNWANTED finish, commit, shard_lease_release()
 *               SHARD_LOST     stop at once, forget what is not committed
 *
 * A server is dead for the others when its key has not changed for a whole
 * lease by their own clock, in which they heard NATS all the time, and NATS
 * says on being asked that it still has not.  A server that could not renew
 * for two thirds of a lease says SHARD_LOST of everything itself, so that no
 * two servers own a shard while clocks run at about the same speed.  Clocks'
 * times enter nowhere, so that they may jump.
 *
 * Where NATS has lost what it acknowledged, what it has is taken as it is;
 * epochs then begin from lower, and who has one that is too low is fenced.
 *
 * A lease alone protects nothing from a process that was stopped: between
 * shard_lease_holds() and the write after it hours may pass.  What a shard
 * commits is fenced by server/shard_commit.h.
 *
 * Threads: the bus's. */
#ifndef SERVER_SHARD_LEASE_H
#define SERVER_SHARD_LEASE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_kv.h"

#define SHARD_LEASE_MS          1800
#define SHARD_LEASE_MAX_SHARDS  4096
#define SHARD_LEASE_MAX_COPIES  8
#define SHARD_LEASE_MAX_SERVERS 1024
#define SHARD_LEASE_MAX_NAME    64

enum shard_event { SHARD_TAKEN, SHARD_UNWANTED, SHARD_LOST };

struct shard_lease_options {
    const char *bucket;
    const char *name;  /* Of this server; letters, digits, '-' and '_'. */
    uint32_t n_shards; /* The same on all servers. */
    uint32_t n_copies; /* 0: 1.  The shards are these of so many times
                        * n_shards / n_copies: s and s + n_shards / n_copies
                        * are the same one twice. */
    uint32_t lease_ms; /* 600 and more; 0: SHARD_LEASE_MS. */
    uint32_t replicas; /* Of the bucket; 0: 1. */
    /* 'epoch' is that of the ownership which begins or ends. */
    void (*on_event)(void *aux, enum shard_event, uint32_t shard,
                     uint64_t epoch);
    void *aux;
};

struct shard_lease_counters {
    uint64_t taken, lost, released;
    uint64_t sessions; /* Begun: more than one, and leases had run out. */
    uint64_t deaths;   /* Of others, as seen here. */
    uint64_t stale;    /* Changes that another was quicker with. */
    uint64_t gaps;     /* Of the watch, after which all is told anew. */
    uint64_t doubts;   /* It was begun anew: it told what is not so. */
    uint64_t foreign;  /* Entries that are none of ours. */
};

struct shard_lease;

/* EINVAL with a reason: a name or a number that cannot be.  It works as soon
 * as NATS can be reached. */
int shard_lease_create(struct bus *, const struct shard_lease_options *,
                       struct shard_lease **, struct lh_error *);
/* Says nothing to others: shards held are taken over when the lease has run
 * out.  For an orderly end drain first.  No event comes any more. */
void shard_lease_destroy(struct shard_lease *);

/* From now on all shards are unwanted here and none is taken. */
void shard_lease_drain(struct shard_lease *);
/* Gives a shard that is held to whoever should have it; no event follows. */
void shard_lease_release(struct shard_lease *, uint32_t shard);

/* Whether the shard is held now, by the clock too, and its epoch. */
bool shard_lease_holds(struct shard_lease *, uint32_t shard, uint64_t *epoch);
uint32_t shard_lease_n_held(struct shard_lease *);
/* Who owns a shard as far as is known here; NULL: nobody. */
const char *shard_lease_owner(const struct shard_lease *, uint32_t shard);

/* A server that is, or was and is not forgotten. */
struct shard_lease_server {
    const char *name; /* Good until the event loop goes on. */
    bool is_alive, is_draining;
    bool is_forgotten; /* And is not back. */
};

/* How many there are, and number 'i' of them, in no order. */
size_t shard_lease_n_known(const struct shard_lease *);
void shard_lease_get_server(const struct shard_lease *, size_t i,
                            struct shard_lease_server *);
/* Removes what the bucket knows of a server that is dead, or of this one
 * itself, which takes no shard any more: EBUSY when it lives, ENOENT when it
 * is not known.  It comes back when it renews its lease. */
int shard_lease_forget(struct shard_lease *, const char *name);

/* Whether another process renews the lease of this name, so that this one has
 * none. */
bool shard_lease_has_twin(const struct shard_lease *);

/* How many servers live, as far as is known here. */
uint32_t shard_lease_n_servers(const struct shard_lease *);
void shard_lease_get_counters(const struct shard_lease *,
                              struct shard_lease_counters *);

#endif /* server/shard_lease.h */
