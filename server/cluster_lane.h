/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_lane - the postcards of one shard on their way out of a
 * cluster_door: those that wait to be packed, and messages that wait to be
 * acknowledged, of which the first is on its way.
 *
 * Used by cluster_door.c only, whose header has the rules.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_LANE_H
#define SERVER_CLUSTER_LANE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/card_batch.h"
#include "server/cluster_door.h"
#include "server/cluster_wire.h"
#include "server/door_marks.h"

#define CLUSTER_LANE_CARDS 4096         /* Packed when there are so many, */
#define CLUSTER_LANE_BYTES (448u << 10) /* they take so many bytes, */
#define CLUSTER_LANE_AGE_NS                                                   \
    UINT64_C(200000000) /* or so often, by the system's clock; */
#define CLUSTER_LANE_MANY                                                     \
    1024u /* half as often, if there are more of them than that then; */
#define CLUSTER_LANE_SOON_NS                                                  \
    UINT64_C(20000000)          /* if messages are few, so long: */
#define CLUSTER_LANE_RATE  320u /* so many a second of a door, */
#define CLUSTER_LANE_BURST 64u  /* and so many at once, */
#define CLUSTER_LANE_SPARE 32u  /* of which so many are not for that. */
#define CLUSTER_LANE_BEAT_NS                                                  \
    UINT64_C(250000000) /* Between watermarks without postcards, */
#define CLUSTER_LANE_ACTIVE_NS                                                \
    UINT64_C(3000000000) /* so long after the last ones. */
#define CLUSTER_LANE_RETRY_NS UINT64_C(250000000) /* and not before that. */

#define CLUSTER_LANE_PHASES 64 /* Shards that send one after the other. */

/* What the lanes of a door have in common. */
struct cluster_lanes {
    struct bus *bus;
    uint64_t door;
    bool is_file;
    const uint32_t *wire; /* Version that is spoken; NULL: the newest. */
    const struct sample_gate *gate;  /* NULL: no agents. */
    const struct catch_up *catch_up; /* The same. */
    uint32_t timeout_ms;
    uint64_t late_ns; /* Not sent again so long after the first time. */
    struct card_batch_writer *writer; /* Owned, as what follows. */
    struct card_batch_reader *reader;
    struct door_marks *marks;
    struct byte_buf out;   /* What is being packed. */
    uint64_t clock_ns;     /* monotonic_ns() of the last run. */
    uint64_t now_ns;       /* The same by a clock that servers share. */
    uint64_t watermark_ns; /* For the next message. */
    size_t loose_bytes;    /* Of what is not packed yet. */
    uint64_t credit;       /* Messages that may go soon, times 10^9. */
    uint64_t n_again_ids;  /* Given to messages that are sent again. */
    struct cluster_door_counters n;
    void (*lose)(void *aux, uint64_t dpid); /* Told of each that is lost. */
    void (*settle)(void *aux); /* Some are not waiting any more. */
    void *aux;
};

/* A message: packed. */
struct cluster_message {
    struct cluster_message *next;
    uint64_t number;
    uint64_t first_token;
    uint64_t sent_ns;      /* By the last attempt. */
    uint64_t uncertain_ns; /* By the first that may have worked; 0. */
    uint64_t kept_ns;      /* When it was acknowledged. */
    uint32_t n_cards, n_inner, n_attempts;
    size_t size;
    uint8_t data[];
};

struct cluster_lane {
    struct cluster_lanes *all;
    uint32_t shard;

    /* To be packed: of each a struct cluster_card and its header, one behind
     * the other. */
    struct byte_buf cards;
    uint32_t n;
    /* Whose the first 'n_in_runs' of them are; the others are nobody's. */
    struct cluster_run *runs; /* Owned. */
    size_t n_runs, allocated_runs;
    uint32_t n_in_runs;
    struct card_batch_inner *inner; /* Owned. */
    uint32_t n_inner;
    uint64_t since_ns;    /* When the first came; */
    uint64_t since_beat;  /* in which beat of the shard. */
    uint64_t first_token; /* Of the first. */

    struct cluster_message *first, *last; /* To be acknowledged.  Owned. */
    bool is_under_way;                    /* The first was sent. */
    uint64_t retry_ns;                    /* It is not before then. */

    /* Acknowledged, and not known to be committed, with no gap in their
     * numbers (cluster_lane_kept.c).  Owned. */
    struct cluster_message *kept, *last_kept;
    uint64_t covered;           /* Up to this they are. */
    bool is_told;               /* By an owner, at all. */
    uint64_t asked_ns;          /* When it was asked. */
    uint64_t again, last_again; /* To be sent again; none if it is less. */
    uint64_t again_number;      /* Is under way. */
    uint64_t again_ns;          /* Not before then. */
    bool is_again_under_way;

    uint64_t number;       /* Of the last message, */
    uint64_t watermark_ns; /* and what it said. */
    uint64_t cards_ns;     /* When postcards were last packed; 0: never. */
    uint64_t told_ns;      /* When anything was. */
    bool is_flushing;      /* Nothing waits for more. */
    bool is_ending;        /* Nothing comes any more; */
    bool has_end;          /* the last message is made. */
};

void cluster_lane_init(struct cluster_lane *, struct cluster_lanes *,
                       uint32_t shard);
/* What waits is lost. */
void cluster_lane_uninit(struct cluster_lane *);

/* A postcard that waits. */
struct cluster_card {
    uint64_t packet_id, time_ns;
    uint32_t mark; /* Its number in door_marks. */
    uint16_t caplen;
    bool has_id;
};

/* Bytes that a postcard takes before it is packed. */
static inline size_t
cluster_lane_cost(const struct postcard *p)
{
    return sizeof(struct cluster_card) + p->caplen;
}

/* Adds a copy of postcard 'token', whose mark is 'mark'. */
void cluster_lane_add(struct cluster_lane *, const struct postcard *,
                      uint32_t mark, uint64_t token);
/* Before that: the next one is number 'ordinal' of those of this shard in the
 * frame of that agent. */
void cluster_lane_add_run(struct cluster_lane *, uint64_t agent,
                          uint64_t frame, uint32_t ordinal);
/* False: no room. */
bool cluster_lane_add_inner(struct cluster_lane *,
                            const struct card_batch_inner *);
/* Tells its owner of the door, if nothing did yet. */
void cluster_lane_announce(struct cluster_lane *);
/* Packs all that is not yet: it takes a tenth of the room then. */
void cluster_lane_pack(struct cluster_lane *);
/* Packs and sends what is due. */
void cluster_lane_run(struct cluster_lane *);
/* The first postcard that is neither acknowledged nor lost; UINT64_MAX: none
 * waits. */
uint64_t cluster_lane_first(const struct cluster_lane *);
bool cluster_lane_is_idle(const struct cluster_lane *);

/* --- cluster_lane_kept.c --- */

/* Takes what is in a message out of it, and it does not wait any more: its
 * number stays, so that the owner of the shard does not wait for it. */
void cluster_lane_make_empty(struct cluster_lane *, struct cluster_message *,
                             const struct cluster_cards_head *);
/* Takes a message that was acknowledged. */
void cluster_lane_keep(struct cluster_lane *, struct cluster_message *);
/* Drops the first of those that are kept; there must be one. */
void cluster_lane_drop_kept(struct cluster_lane *);
/* What came of those up to 'number' is committed. */
void cluster_lane_cover(struct cluster_lane *, uint64_t number);
/* The owner lacks those from 'first' to 'last'.  Returns from which number on
 * they are still here. */
uint64_t cluster_lane_send_again(struct cluster_lane *, uint64_t first,
                                 uint64_t last);
/* Sends what is wanted, and asks about what nobody has told of. */
void cluster_lane_run_kept(struct cluster_lane *);

#endif /* server/cluster_lane.h */
