/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_pool - copies of postcards, given and taken back without malloc().
 *
 * Memory is taken from the system in blocks and kept until the pool is
 * destroyed, so that it never holds more than what was once in use.  Headers
 * of up to POSTCARD_POOL_HEADER bytes stand in the entry itself.
 *
 * Ownership: an entry belongs to whoever got it, until it is put back.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_POSTCARD_POOL_H
#define SERVER_POSTCARD_POOL_H 1

#include "lib/packet_id.h"
#include "lib/postcard.h"

#define POSTCARD_POOL_HEADER PACKET_ID_SNAP

struct postcard_entry {
    struct postcard_entry *next; /* For the owner's list. */
    uint64_t key;                /* See trajectory_cache; 0 at first. */
    struct postcard p; /* p.header is in 'header' or malloc()ed, p.visit is
                        * the pool's (server/visit_table.h). */
    uint8_t header[POSTCARD_POOL_HEADER];
};

struct postcard_pool;

/* NULL when memory is short. */
struct postcard_pool *postcard_pool_create(void);
/* All entries become invalid; those with long headers must be back. */
void postcard_pool_destroy(struct postcard_pool *);

/* A copy of '*p', 'next' NULL; NULL when memory is short. */
struct postcard_entry *postcard_pool_get(struct postcard_pool *,
                                         const struct postcard *p);
/* Takes back the list that starts at 'first'; NULL is an empty one. */
void postcard_pool_put(struct postcard_pool *, struct postcard_entry *first);

#endif /* server/postcard_pool.h */
