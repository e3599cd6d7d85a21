/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_posts - messages published until NATS says of each that it is kept.
 *
 * What was not answered, or refused for want of room, is sent again, with the
 * same ID, for as long as it takes.  NATS knows an ID for two minutes
 * (BUS_STREAM_WINDOW_S); after that a message may be there twice, and who
 * reads it must see that.
 *
 * Ownership: data is taken.  Threads: the bus's. */
#ifndef SERVER_CLUSTER_POSTS_H
#define SERVER_CLUSTER_POSTS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"

struct bus;
struct cluster_posts;

struct cluster_posts_config {
    struct bus *bus;
    uint32_t timeout_ms; /* For an answer; 0: 2,000. */
    /* 'tag' is kept as number 'seq' of its stream.  May destroy the posts. */
    void (*on_kept)(void *aux, uint64_t tag, uint64_t seq);
    /* Before that; may take the data, which had this value in its header.
     * NULL: it is let go. */
    void (*take)(void *aux, uint64_t tag, struct byte_buf *data,
                 const char *value);
    void *aux;
};

struct cluster_posts *
cluster_posts_create(const struct cluster_posts_config *);
/* No callback comes any more; what is on its way may be kept.  NULL is
 * fine. */
void cluster_posts_destroy(struct cluster_posts *);

/* 'id' may be NULL.  '*data' is empty after. */
void cluster_posts_add(struct cluster_posts *, const char *subject,
                       const char *id, struct byte_buf *data, uint64_t tag);
/* With a header; 'value' is copied. */
void cluster_posts_add_with(struct cluster_posts *, const char *subject,
                            const char *id, struct byte_buf *data,
                            uint64_t tag, const char *header,
                            const char *value);

/* Those that are not known to be kept. */
size_t cluster_posts_n(const struct cluster_posts *);
uint64_t cluster_posts_sent_again(const struct cluster_posts *);
/* Why the last attempt failed; NULL: it did not. */
const char *cluster_posts_trouble(const struct cluster_posts *);

#endif /* server/cluster_posts.h */
