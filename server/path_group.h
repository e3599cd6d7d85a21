/* SPDX-License-Identifier: Apache-2.0 */
/* path_group - the postcards of one packet ID, while it is open.
 *
 * What the path table keeps of each packet ID, with the index that finds it by
 * ID and the lists that keep it in order of time.  When groups close is the
 * table's to decide; what is remembered of them then is path_closed's.
 *
 * Ownership: groups are the index's from path_index_add() to
 * path_index_remove(), which frees; their postcards are the table's.
 *
 * Threads: used only by the thread of the table. */
#ifndef SERVER_PATH_GROUP_H
#define SERVER_PATH_GROUP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/path_sum.h"
#include "server/postcard_pool.h"

struct path_group;

/* Hashes of the postcards that a group held when it closed. */
#define PATH_SEEN_INLINE 8
struct path_seen {
    uint32_t hashes[PATH_SEEN_INLINE];
    uint32_t *more; /* Of the rest.  Owned. */
    uint32_t n;
};

/* Where memory is short the rest is not remembered. */
void path_seen_init(struct path_seen *, const struct path_group *);
void path_seen_uninit(struct path_seen *);

/* A group may be on one list for each; PATH_LIST_SETTLE is also for what is
 * ripe. */
enum path_list_kind { PATH_LIST_ORDER, PATH_LIST_SETTLE, N_PATH_LISTS };

struct path_link {
    struct path_group *prev, *next;
};

struct path_list {
    struct path_group *first, *last;
};

struct path_group {
    uint64_t id;
    struct path_group *hash_next;
    struct path_link links[N_PATH_LISTS];
    struct postcard_entry *first, *last; /* In order of arrival. */
    /* More, by how they differ from the first, newest first; 'place' of each
     * says how many came before it. */
    struct postcard_fold *folds;
    uint32_t n_cards;
    uint32_t try_at;    /* Large group: look again at so many postcards. */
    uint64_t due_ns;    /* When it closes. */
    uint64_t settle_ns; /* When it has been quiet for long enough. */
    uint64_t twin_ns;   /* What comes from then on is no double, if all that
                         * is there is one. */
    struct path_sum sum;
    uint64_t secret;  /* Of hashes of what it held. */
    uint64_t key_sum; /* Of the keys of its postcards. */
    bool is_strange;  /* One has no key, or it is a tunnel's packet. */
    bool is_settling; /* On the list of groups to look at again. */
    bool is_ripe;     /* On that of groups that may be complete. */
    bool is_closing;  /* Complete, or so it seems: looked at soon. */
    bool was_closed;  /* Opened anew. */
    bool is_portable; /* Hashes of what it held are those of other tables with
                       * that secret. */
    uint8_t n_tries;
    struct path_seen seen; /* What it had when it closed, if that was but a
                            * moment before. */
};

/* Appends to, or takes from, the list; the group must not (must) be on one of
 * that kind. */
void path_list_push(struct path_list *, struct path_group *,
                    enum path_list_kind);
void path_list_remove(struct path_list *, struct path_group *,
                      enum path_list_kind);

/* The folded postcards in the other order. */
void path_group_turn_folds(struct path_group *);

/* True when the group has nothing but what it had a moment ago. */
bool path_group_is_double(const struct path_group *);

struct path_index;

/* 'secret' is that of the groups; 0: drawn.  NULL when memory is short. */
struct path_index *path_index_create(uint64_t secret);
/* Frees the groups that are in it too. */
void path_index_destroy(struct path_index *);
/* NULL when there is none. */
struct path_group *path_index_find(const struct path_index *, uint64_t id);
/* Ask for the memory that a search for 'id' will look at: first its place,
 * and, once that has come, the group.  False: there is none. */
void path_index_prefetch_place(const struct path_index *, uint64_t id);
bool path_index_prefetch(const struct path_index *, uint64_t id);
/* How many groups share a place at most: what a search may cost. */
size_t path_index_longest(const struct path_index *);
/* A new group, all zero but 'id', which must not be there yet; NULL when
 * memory is short. */
struct path_group *path_index_add(struct path_index *, uint64_t id);
void path_index_remove(struct path_index *, struct path_group *);

#endif /* server/path_group.h */
