/* SPDX-License-Identifier: Apache-2.0 */
/* door_fixture - a cluster_door on a NATS of the test's own, postcards that go
 * in, and owners that read them.
 *
 * Threads: one. */
#ifndef TESTS_SERVER_DOOR_FIXTURE_H
#define TESTS_SERVER_DOOR_FIXTURE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus_pull.h"
#include "lib/card_batch.h"
#include "server/cluster_door.h"
#include "server/cluster_wire.h"
#include "tests/lib/nats_fixture.h"

#define N_SHARDS 8
#define N_HOPS   5

extern const struct packet_id_config id_config;
extern struct nats nats;
extern struct event_base *base;
extern struct bus *bus;
extern struct cluster_door *door;
extern uint64_t now_ns;  /* Of postcards; goes on with the loop. */
extern uint64_t settled; /* As the door has told. */

/* Those that were added, by shard. */
struct added {
    struct postcard **cards;
    size_t n, allocated, n_read;
};
extern struct added added[N_SHARDS];

/* Who reads a shard. */
struct owner {
    uint32_t shard;
    struct bus_pull *pull;
    struct card_batch_reader *reader;
    uint64_t number, watermark_ns;
    uint8_t version;         /* That all messages must have; 0: the newest. */
    struct cluster_run last; /* Of an agent. */
    size_t n_of_agents;      /* Postcards. */
    struct card_batch_inner inner; /* The last. */
    size_t n_inner, n_numbers_missing;
    bool is_idle, may_miss;
};

/* For each test: NATS with a stream of 64 MiB, and a bus; the end of all. */
void door_fixture_setup(void);
void door_fixture_teardown(void);
void door_fixture_open(struct cluster_door_config);
/* The stream goes, and comes back with that bound. */
void door_fixture_resize(uint64_t max_bytes);
void door_fixture_purge(void);

/* Which add up. */
struct cluster_door_counters door_fixture_counters(void);
/* Runs the door: whether it has something to do.  For nats_loop_while(). */
bool door_fixture_is_busy(void *aux);
void door_fixture_run_until_idle(void);

/* Names a postcard as who receives it does; remembers it; does so with those
 * of the packets 'from' to below 'to', of N_HOPS switches, and adds them. */
void door_fixture_name(struct postcard *);
void door_fixture_keep(const struct postcard *);
void door_fixture_add(uint32_t from, uint32_t to);
void door_fixture_forget(void);

/* Reads all there is of a shard: those that were added, each once, in order;
 * none is missing unless owner->may_miss. */
void door_fixture_read(struct owner *, uint32_t shard);
/* The same of every shard, where none is missing. */
void door_fixture_check_all(void);

#endif /* tests/server/door_fixture.h */
