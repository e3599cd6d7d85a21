/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_door - the way of postcards from the server of a cluster that
 * received them to the owners of their packets.
 *
 *     door = cluster_door_create(&config);
 *     cluster_door_add(door, &postcard);      for each that was received
 *     cluster_door_run(door, now_ns);         at least every 10 ms
 *
 * Each postcard waits, with others of its shard, until there are 4,096, or
 * 448 KiB of them, or the oldest has waited 20 ms; where that would be more
 * than 320 messages a second altogether, until the shard's turn comes, each
 * 200 ms (400 ms where there are more than 1,024 by then) and for all doors at
 * the same time by the system's clock (server/cluster_turn.h,
 * docs/decisions/cluster-beats.md).  Then they are packed
 * (lib/card_batch.h) and published on the shard's subject of the stream LH1
 * (docs/formats/cluster.md).  Of a shard one message is on its way at a time,
 * so they come in their order; the next waits until NATS has acknowledged that
 * the first is kept.  What is acknowledged survives the door.
 *
 * Nothing here waits: while NATS is away or the stream is full, postcards are
 * kept up to 'max_bytes', and what finds no room after that is dropped and
 * counted.  A message whose acknowledgement did not come is sent again, with
 * the same ID, so it is kept once; NATS forgets IDs after two minutes, and
 * then readers know it by its number.  An hour after it was first sent it is
 * lost, and counted, although it may be there.  in = acknowledged + waiting +
 * lost, always.
 *
 * NATS may lose what it has acknowledged.  So messages are kept until the
 * owner of the shard says that what came of them is committed, or they take a
 * quarter of 'max_bytes', and are sent again when it lacks them
 * (server/door_message.h).
 *
 * Watermarks: each message says up to when all was sent that belongs to its
 * shard; shards on which the door was active within the last 3 s get one each
 * 250 ms when there is nothing else.
 *
 * Postcards of agents may come twice, by this door and by another, when an
 * agent changes its server: the frame and their place in it go with them
 * (cluster_door_begin()), and who reads leaves out what came before.  What
 * agents may have left out, and whether they are catching up, is told with
 * each message.
 *
 * A live server's time is what it says in cluster_door_run(); when a file is
 * read that of the postcards, and who reads asks cluster_door_has_room()
 * first.
 *
 * Ownership: postcards are copied; the bus is borrowed and closed after the
 * door.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_DOOR_H
#define SERVER_CLUSTER_DOOR_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"

/* Of postcards that wait for NATS, unless told otherwise: bytes. */
#define CLUSTER_DOOR_MEMORY (UINT64_C(256) << 20)

struct cluster_door_config {
    struct bus *bus;
    uint32_t n_shards;
    struct packet_id_config id_config;
    bool is_file;
    /* Version that is spoken on the bus; NULL: the newest. */
    const uint32_t *wire;
    const struct sample_gate *gate;  /* Of this server's agents, or NULL. */
    const struct catch_up *catch_up; /* The same. */
    size_t max_bytes;                /* Of all that waits; 0: 256 MiB. */
    uint32_t timeout_ms;             /* For an acknowledgement; 0: 2,000. */
    uint32_t late_ms; /* Not sent again after that; 0: 3,600,000. */
    /* All that was added up to number 'token' (cluster_door_token()) is
     * acknowledged or lost: may be NULL.  It may add more. */
    void (*on_settled)(void *aux, uint64_t token);
    void *aux;
};

enum cluster_door_loss {
    CLUSTER_DOOR_NO_ROOM,  /* More waited than 'max_bytes'. */
    CLUSTER_DOOR_TOO_LATE, /* No acknowledgement in time. */
    CLUSTER_DOOR_CLOSED,   /* The door was destroyed before. */
    N_CLUSTER_DOOR_LOSSES
};

struct cluster_door_counters {
    uint64_t in;                          /* Postcards added. */
    uint64_t acknowledged;                /* Of these, kept by NATS, */
    uint64_t waiting;                     /* not yet, */
    uint64_t lost[N_CLUSTER_DOOR_LOSSES]; /* or given up. */
    uint64_t waiting_bytes, packed_bytes; /* All, in messages. */

    uint64_t messages;          /* Acknowledged, with postcards, */
    uint64_t bytes;             /* of so many bytes; */
    uint64_t empty;             /* and without: watermarks. */
    uint64_t sent_again;        /* Attempts after the first. */
    uint64_t were_there;        /* Of these, NATS had the message. */
    uint64_t full;              /* Attempts that found the stream full. */
    uint64_t inner, inner_lost; /* Notes of tunnels. */
    uint64_t kept; /* Postcards that are acknowledged, and not known to be
                    * committed, */
    uint64_t kept_bytes;   /* and what is kept of them; */
    uint64_t sent_missing; /* messages that owners lacked. */
};

struct catch_up;
struct cluster_door;
struct sample_gate;

struct cluster_door *cluster_door_create(const struct cluster_door_config *);
/* What waits is lost. */
void cluster_door_destroy(struct cluster_door *);

/* Before anything else: tells all owners of this door, who then wait for what
 * it sends.  For doors that begin at the same time; of others nobody knows
 * before their first postcards come. */
void cluster_door_announce(struct cluster_door *);
void cluster_door_add(struct cluster_door *, const struct postcard *);
/* Postcards that tell whole visits are from now on those of frame 'frame' of
 * 'agent', in their order, from the first on. */
void cluster_door_begin(struct cluster_door *, uint64_t agent, uint64_t frame);
/* Everything that was received before 'now_ns', of the system's clock, was
 * added.  Of a file the time does not matter for watermarks. */
void cluster_door_run(struct cluster_door *, uint64_t now_ns);
/* Packs and sends what there is without waiting for more. */
void cluster_door_flush(struct cluster_door *);
/* Nothing comes any more: sends all there is, and the last watermark to every
 * shard where something was sent. */
void cluster_door_end(struct cluster_door *);

/* Whether the next postcards (a sixteenth of 'max_bytes') find room; otherwise
 * look again when the bus has had its turn. */
bool cluster_door_has_room(const struct cluster_door *);
/* Whether everything, watermarks too, is acknowledged or given up. */
bool cluster_door_is_idle(const struct cluster_door *);
/* Whether, besides, what came of all postcards is committed, as far as owners
 * tell. */
bool cluster_door_is_safe(const struct cluster_door *);

/* The number of the last postcard that was added, from 1 on; 0: none. */
uint64_t cluster_door_token(const struct cluster_door *);
/* Everything up to here is acknowledged or given up. */
uint64_t cluster_door_settled(const struct cluster_door *);

void cluster_door_get_counters(const struct cluster_door *,
                               struct cluster_door_counters *);
/* Tells, for each switch that lost some, how many postcards of it were lost
 * since the last call. */
void cluster_door_take_lost(struct cluster_door *,
                            void (*tell)(void *aux, uint64_t dpid, uint64_t n),
                            void *aux);

#endif /* server/cluster_door.h */
