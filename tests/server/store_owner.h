/* SPDX-License-Identifier: Apache-2.0 */
/* store_owner - stage-2 owners on a nats-server of the test's own, and what is
 * waited for there.
 *
 * Threads: one; one fixture in a process. */
#ifndef TESTS_SERVER_STORE_OWNER_H
#define TESTS_SERVER_STORE_OWNER_H 1

#include <stdbool.h>
#include <stdint.h>

#include "server/cluster_store.h"
#include "tests/lib/nats_fixture.h"

extern struct nats nats;

struct owner {
    struct cluster_store *store;
    bool is_open, is_drained, is_fenced;
    uint64_t n_shown;
};

/* What the stream holds. */
extern struct store_state {
    bool is_told; /* has_messages() asks again. */
    uint64_t n_messages;
} state;

void store_set_up(void);
void store_tear_down(void);
void open_bus(void);
void close_bus(void);
void make_streams(void);

/* Begins to own the shard; and ends, with all that it read committed. */
void own(struct owner *, uint64_t epoch, const char *dir);
void drain(struct owner *);

/* For nats_loop_while(): not everything that was sent is accepted, or
 * committed; nothing is wrong; there are more messages than the last one. */
bool is_behind(void *owner);
bool is_uncommitted(void *owner);
bool has_no_trouble(void *owner);
bool has_messages(void *aux);
/* Waits until the last message only is left. */
void check_swept(void);

#endif /* tests/server/store_owner.h */
