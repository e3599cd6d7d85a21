/* SPDX-License-Identifier: Apache-2.0 */
/* gen_walk - moves a packet along its route as switches do, and tells the
 * postcards that they send and the history as it was.
 *
 * A walk is used again and again: gen_walk_run() forgets the packet before.
 * Who loses, doubles or delays postcards changes `cards` before the history is
 * asked for, whose times are those of the cards.
 *
 * Ownership: a walk owns its arrays; rules are the net's.
 *
 * Threads: that of the net. */
#ifndef GEN_GEN_WALK_H
#define GEN_GEN_WALK_H 1

#include "gen/gen_delay.h"
#include "gen/gen_links.h"
#include "gen/gen_route.h"
#include "lib/history.h"
#include "lib/packet_id.h"

#define GEN_WALK_MAX_VISITS 400 /* A wire loses the packet then. */
#define GEN_WALK_MAX_SNAP   9216
#define GEN_WALK_ROOM       64 /* Bytes that rules may add to a packet. */

/* A postcard. */
struct gen_card {
    uint64_t time_ns; /* When it is captured. */
    uint64_t copy_ns; /* The same of its double. */
    const struct rule *rule;
    uint32_t n_output; /* Which output of the rule, from 0. */
    uint32_t visit;
    uint32_t in_port, out_port;
    uint32_t ofs; /* Of its header in walk->bytes, */
    uint16_t len; /* and how much of it is there. */
    uint8_t flags;
    uint8_t n_copies; /* 1; 0: lost; 2: doubled. */
};

/* A rule that the packet met, and the packet before it, in walk->bytes. */
struct gen_met {
    const struct rule *rule;
    uint32_t ofs, len;
};

/* The packet as it really left by a port, or went to the controller. */
struct gen_sent {
    const struct rule *rule;
    uint32_t port;
    uint32_t ofs, len;
};

/* What became of a visit's outputs. */
struct gen_fate {
    bool has_gone_on, is_punted, has_lost;
    uint32_t n_left, left_port;
    uint32_t lost_port;
    const char *dead; /* Why an output did not happen, or NULL, */
    uint32_t dead_port;
    const struct rule *dead_rule; /* and whose it was. */
};

/* The packet at one switch. */
struct gen_visit {
    uint64_t time_ns;
    uint32_t sw, in_port;
    int parent;
    uint32_t via_port; /* Of the parent; OF_PORT_UNKNOWN: the controller. */
    uint32_t via;      /* Version of the rule that the parent sent it by. */
    bool is_packet_out;
    uint32_t ofs, len; /* Of the packet as it came, in walk->bytes. */
    uint32_t first_card, n_cards;
    uint32_t first_met, n_met;   /* In walk->met, */
    uint32_t first_sent, n_sent; /* walk->sent. */
    const struct rule *last;     /* The last that it met. */
    struct gen_fate fate;
};

struct gen_walk {
    struct gen_net *net;
    const struct gen_links *links;      /* That change, or NULL. */
    const struct gen_delay *hop_delay;  /* From switch to switch. */
    const struct gen_delay *punt_delay; /* Until the controller's answer. */
    struct gen_random *random;          /* For delays. */
    const struct gen_route *route;      /* Of the packet. */
    const struct gen_walk *carrier; /* The tunnel's packet around it, or NULL;
                                     * set by who runs both. */
    size_t n_cards, allocated_cards;
    struct gen_card *cards; /* Owned, as all that follows. */
    size_t n_visits, allocated_visits;
    struct gen_visit *visits; /* A parent before its children. */
    size_t n_met, allocated_met;
    struct gen_met *met; /* Of one visit together, in order. */
    size_t n_sent, allocated_sent;
    struct gen_sent *sent; /* The same. */
    size_t n_bytes, allocated_bytes;
    uint8_t *bytes;
    uint32_t ttl_ofs; /* Of the TTL or hop limit, 0: none. */
    bool is_ip4;
    size_t hint; /* Where the next entry is looked for. */
};

/* All members up to 'random' are the caller's to set. */
void gen_walk_init(struct gen_walk *);
void gen_walk_uninit(struct gen_walk *);

/* Sends the 'len' bytes (at least 14) at 'data' in at the route's start at
 * 'time_ns'. */
void gen_walk_run(struct gen_walk *, const struct gen_route *,
                  const uint8_t *data, size_t len, uint64_t time_ns);

static inline const uint8_t *
gen_walk_header(const struct gen_walk *walk, const struct gen_card *card)
{
    return walk->bytes + card->ofs;
}

/* The true history, with headers of at most 'snap' bytes: what an assembler
 * can know at best.  A hop's time is that of its first postcard, lost or
 * not. */
struct history *gen_walk_history(const struct gen_walk *,
                                 const struct packet_id_config *,
                                 uint16_t snap);

/* Which hop of that history each of the n_visits visits is. */
void gen_walk_order(const struct gen_walk *, int *hop_of);

#endif /* gen/gen_walk.h */
