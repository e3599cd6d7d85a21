/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_pool - copies of postcards, given and taken back without malloc().
 *
 * Memory is taken from the system in blocks and kept until the pool is
 * destroyed, so that it never holds more than what was once in use.  Headers
 * of up to POSTCARD_POOL_HEADER bytes stand in the entry itself.
 *
 * Where very many are held they can be folded: the postcards of one packet
 * differ in a few bytes of their headers, so of all but the first only those
 * bytes are kept, in less than half of the memory.
 *
 * Ownership: an entry belongs to whoever got it, until it is put back; so does
 * what it was folded to.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_POSTCARD_POOL_H
#define SERVER_POSTCARD_POOL_H 1

#include <stdbool.h>
#include <stdint.h>

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

/* A folded postcard: all but the header, and where that differs. */
struct postcard_fold {
    struct postcard_fold *next; /* For the owner's list. */
    uint64_t key;
    uint64_t dpid, time_ns;
    uint32_t version, in_port, out_port;
    uint8_t flags;
    uint8_t version_bits;
    uint8_t n_changed;
    bool is_large;                    /* Which of two sizes it has. */
    const struct hop_template *visit; /* The pool's, or NULL. */
    uint16_t place;                   /* For the owner's list. */
    struct {
        uint8_t ofs, value;
    } changed[]; /* Of the header. */
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

/* Folds '*entry', of the packet that '*like' is of, which must not change
 * until it is unfolded, and takes it back.  NULL, and nothing happened, when
 * the headers differ in too much or memory is short. */
struct postcard_fold *postcard_pool_fold(struct postcard_pool *,
                                         struct postcard_entry *entry,
                                         const struct postcard_entry *like);
/* The postcard as it was, 'next' NULL; '*fold' is taken back.  NULL, and it is
 * gone, when memory is short. */
struct postcard_entry *postcard_pool_unfold(struct postcard_pool *,
                                            struct postcard_fold *fold,
                                            const struct postcard_entry *like);
/* Fills in '*p' as it was, which stays folded; its header is 'header', its
 * visit the pool's. */
void postcard_pool_show(const struct postcard_fold *fold,
                        const struct postcard_entry *like, struct postcard *p,
                        uint8_t header[POSTCARD_POOL_HEADER]);
/* Takes back the list that starts at 'first'; NULL is an empty one. */
void postcard_pool_put_folds(struct postcard_pool *,
                             struct postcard_fold *first);

#endif /* server/postcard_pool.h */
