/* SPDX-License-Identifier: Apache-2.0 */
/* store_vouch - what those who answer surely have of shards that are kept in
 * copies, so that it can be said whether a disk that did not answer had more.
 *
 * A server vouches for a shard's histories that were accepted by messages of
 * LH2 from number 'from' on, below 'to', and whose time is since_ns or later:
 * what is earlier may have been removed by retention.
 *
 * Ownership: store_vouch_uninit() frees what it holds; all zero is empty.
 *
 * Threads: plain data. */
#ifndef SERVER_STORE_VOUCH_H
#define SERVER_STORE_VOUCH_H 1

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "server/store_span.h"

/* What one answer may vouch for at most. */
#define STORE_VOUCH_MAX 65536

struct store_vouch {
    size_t n, allocated;
    struct store_vouch_item {
        uint32_t shard;
        uint64_t from, to;
        uint64_t since_ns;
    } * all; /* Owned. */
};

void store_vouch_uninit(struct store_vouch *);

/* Adds the spans of 'disk' in the list, of which nothing that is earlier than
 * since_ns is sure to be there. */
void store_vouch_add(struct store_vouch *, uint32_t shard,
                     const struct store_spans *, uint64_t disk,
                     uint64_t since_ns);

/* Adds a single thing. */
void store_vouch_add_item(struct store_vouch *,
                          const struct store_vouch_item *);

/* As a list of lists of numbers, new; and adds what is in such a list: 0 or
 * EBADMSG, and nothing is added. */
json_t *store_vouch_to_json(const struct store_vouch *);
int store_vouch_read(struct store_vouch *, const json_t *);

/* Of what the list says that 'disk' (0: any) has of the shard in the times
 * from since_ns on, before until_ns: from when on all of it is vouched for.
 * since_ns: all; until_ns: not even the latest. */
uint64_t store_vouch_from(const struct store_vouch *, uint32_t shard,
                          const struct store_spans *, uint64_t disk,
                          uint64_t since_ns, uint64_t until_ns);

#endif /* server/store_vouch.h */
