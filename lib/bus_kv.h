/* SPDX-License-Identifier: Apache-2.0 */
/* bus_kv - keys and values in a bucket of NATS, each change with a revision.
 *
 * A revision is a number that grows with every change of any key of the
 * bucket.  A key is changed only if its last revision is the one that the
 * writer says, so that of two writers who read the same one fails (ESTALE):
 * what ownership and commits are made of.
 *
 *     bus_kv_put(bus, "leases", "shard.1.7", "me", 2, BUS_KV_ABSENT, 1000,
 *                on_put, aux, &error);
 *
 * The bucket is the stream KV_<bucket> as NATS's own tools have it (`nats
 * kv`).  Keys are letters, digits, '-', '_', '/', '=' and '.'.
 *
 * bus_kv_watch() tells the last value of each key, then that it has told all,
 * then each change, in the order of revisions.  After a gap (the connection
 * ended, a message was dropped) it begins anew by itself: values are told
 * again, and BUS_KV_COMPLETE again.
 *
 * Threads: the bus's. */
#ifndef LIB_BUS_KV_H
#define LIB_BUS_KV_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_stream.h"

#define BUS_KV_MAX_KEY 128
/* In place of a revision. */
#define BUS_KV_ABSENT UINT64_C(0) /* There is no such key. */
#define BUS_KV_ANY    BUS_ANY_SEQ /* Whatever it is. */

struct bus_kv_config {
    const char *bucket;
    uint64_t max_bytes; /* Not 0. */
    uint64_t ttl_s;     /* Keys go when not written for so long; 0: never. */
    uint32_t replicas;  /* 0: 1. */
    bool in_memory;     /* Revisions begin anew when NATS does. */
};

struct bus_kv_entry {
    const char *key;
    const uint8_t *data;
    size_t size;
    uint64_t revision;
    bool is_deleted; /* The revision is that of the deletion. */
};

/* As bus_stream_create(): EEXIST: it is there with other limits. */
int bus_kv_create(struct bus *, const struct bus_kv_config *,
                  uint32_t timeout_ms, bus_stream_fn *, void *aux,
                  struct lh_error *);

/* 0 with the revision as the number; ESTALE: the key's last revision is
 * another; others as in bus_stream.h: the key may have been written. */
typedef bus_publish_fn bus_kv_put_fn;
/* 0 with the entry; ENOENT: there is no such key. */
typedef void bus_kv_get_fn(void *aux, int error_number, const char *why,
                           const struct bus_kv_entry *);

int bus_kv_put(struct bus *, const char *bucket, const char *key,
               const void *data, size_t size, uint64_t last_revision,
               uint32_t timeout_ms, bus_kv_put_fn *, void *aux,
               struct lh_error *);
/* A deleted key has a last revision too, that of its deletion. */
int bus_kv_delete(struct bus *, const char *bucket, const char *key,
                  uint64_t last_revision, uint32_t timeout_ms, bus_kv_put_fn *,
                  void *aux, struct lh_error *);
/* Of the server that leads the bucket: no older than what any put before it
 * has been told. */
int bus_kv_get(struct bus *, const char *bucket, const char *key,
               uint32_t timeout_ms, bus_kv_get_fn *, void *aux,
               struct lh_error *);

enum bus_kv_event {
    BUS_KV_BEGIN,    /* All is told anew; nothing is known of what went. */
    BUS_KV_ENTRY,    /* The entry. */
    BUS_KV_COMPLETE, /* All entries there were have been told. */
    BUS_KV_BROKEN    /* The watch does not work at the moment: 'why'. */
};
typedef void bus_kv_watch_fn(void *aux, enum bus_kv_event, const char *why,
                             const struct bus_kv_entry *);

struct bus_kv_watch;

/* Of the keys that 'keys' matches ("shard.>", ">" for all).  NATS is silent
 * for at most 'silence_ms' (500 and more) while the watch works. */
struct bus_kv_watch *bus_kv_watch(struct bus *, const char *bucket,
                                  const char *keys, uint32_t silence_ms,
                                  bus_kv_watch_fn *, void *aux);
/* Begins anew, at another copy of the bucket perhaps: what it told is not
 * what NATS answers. */
void bus_kv_watch_again(struct bus_kv_watch *);
/* No callback comes any more.  NULL is fine. */
void bus_kv_unwatch(struct bus_kv_watch *);

#endif /* lib/bus_kv.h */
