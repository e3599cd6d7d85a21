/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_door - the way of postcards to the owners of their packets. */
#include <config.h>

#include "server/cluster_door.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/keyed_hash.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "server/cluster_lane.h"
#include "server/cluster_turn.h"
#include "server/cluster_wire.h"
#include "server/door_message.h"

#define TIMEOUT_MS 2000
#define LATE_MS    3600000
#define WALK_NS    UINT64_C(1000000)
#define N_PAIRS    256  /* Of tunnels and packets inside, remembered. */
#define N_SWITCHES 8192 /* A power of two. */

/* The same packets in the same tunnel are told once in that time. */
#define PAIR_NS UINT64_C(100000000)

struct lost_switch {
    uint64_t dpid;
    uint64_t n; /* 0: this place is empty. */
};

struct cluster_door {
    struct cluster_door_config config;
    struct cluster_lanes lanes;
    struct cluster_lane *lane; /* Each shard's.  Owned. */
    struct bus_sub *sub;       /* What their owners say.  Owned. */
    uint32_t first_lane;       /* To be looked at next. */
    uint32_t limited;          /* That is to forget something next. */
    uint64_t walked_ns;        /* When all were looked at. */
    uint64_t settled;          /* As it was told. */
    uint64_t agent, frame;     /* Of the visits that come; 0: of none. */
    uint32_t *ordinal;         /* Of each shard: of the next of these.
                                * Owned. */
    struct keyed_hash hash;
    struct lost_switch *lost; /* Owned. */
    uint32_t n_lost;          /* Places that are used. */
    uint64_t n_said;          /* Lost for want of room, as it was said. */
    struct card_batch_inner pairs[N_PAIRS];
};

static struct lost_switch *
lost_place(struct cluster_door *door, uint64_t dpid)
{
    uint64_t i = keyed_hash_number(&door->hash, dpid);

    while (door->lost[i & (N_SWITCHES - 1)].n &&
           door->lost[i & (N_SWITCHES - 1)].dpid != dpid) {
        i++;
    }
    return &door->lost[i & (N_SWITCHES - 1)];
}

/* That one postcard of the switch is lost. */
static void
lose(void *door_, uint64_t dpid)
{
    struct cluster_door *door = door_;
    struct lost_switch *sw = lost_place(door, dpid);

    if (!sw->n) {
        if (door->n_lost == N_SWITCHES / 2) {
            return; /* So many lose at once: the sum has to do. */
        }
        door->n_lost++;
    }
    sw->dpid = dpid;
    sw->n++;
}

static void
settle(void *door_)
{
    struct cluster_door *door = door_;
    uint64_t settled = cluster_door_settled(door);

    if (settled > door->settled) {
        door->settled = settled;
        if (door->config.on_settled) {
            door->config.on_settled(door->config.aux, settled);
        }
    }
}

/* --- What owners say. ---------------------------------------------------- */

static void
on_owner(void *door_, const struct bus_message *message)
{
    struct cluster_door *door = door_;
    struct door_message m;

    if (!door_message_read(message->data, message->size, &m) ||
        m.door != door->lanes.door || m.k >= door->config.n_shards) {
        return;
    }
    if (m.kind == DOOR_COVERED) {
        cluster_lane_cover(&door->lane[m.k], m.last);
    } else if (m.kind == DOOR_AGAIN && message->reply) {
        struct cluster_lane *lane = &door->lane[m.k];
        uint64_t first = cluster_lane_send_again(lane, m.first, m.last);

        door_message_send(door->config.bus, message->reply,
                          &(struct door_message){.kind = DOOR_WILL,
                                                 .k = m.k,
                                                 .door = m.door,
                                                 .first = first,
                                                 .last = lane->covered});
    }
}

static void
hear_owners(struct cluster_door *door)
{
    char subject[DOOR_SUBJECT_SIZE];

    door_message_door_subject(subject, door->lanes.door);
    door->sub = bus_subscribe(door->config.bus, subject, on_owner, door);
}

/* Forgets what was acknowledged first, of each shard in turn, where more is
 * kept than may be. */
static void
limit_kept(struct cluster_door *door, uint64_t max_bytes)
{
    while (door->lanes.n.kept_bytes > max_bytes) {
        struct cluster_lane *lane = &door->lane[door->limited];

        if (lane->kept) {
            cluster_lane_drop_kept(lane);
        }
        door->limited = (door->limited + 1) % door->config.n_shards;
    }
}

struct cluster_door *
cluster_door_create(const struct cluster_door_config *config)
{
    struct cluster_door *door = lh_alloc_zero(sizeof *door);
    struct keyed_hash drawn = keyed_hash_create();

    assert(config->n_shards);
    door->config = *config;
    if (!door->config.max_bytes) {
        door->config.max_bytes = CLUSTER_DOOR_MEMORY;
    }
    door->hash = keyed_hash_create();
    door->lost = lh_alloc_zero(N_SWITCHES * sizeof *door->lost);
    door->lanes = (struct cluster_lanes){
        .bus = config->bus,
        .door = drawn.key[0] ^ drawn.key[1],
        .is_file = config->is_file,
        .wire = config->wire,
        .gate = config->gate,
        .catch_up = config->catch_up,
        .timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS,
        .late_ns =
            UINT64_C(1000000) * (config->late_ms ? config->late_ms : LATE_MS),
        .writer = card_batch_writer_create(&config->id_config),
        .reader = card_batch_reader_create(&config->id_config),
        .marks = door_marks_create(),
        .clock_ns = monotonic_ns(),
        .credit = 1000000000u * (uint64_t) CLUSTER_LANE_BURST,
        .lose = lose,
        .settle = settle,
        .aux = door,
    };
    door->lane = lh_alloc_array(NULL, config->n_shards, sizeof *door->lane);
    door->ordinal = lh_alloc_zero(config->n_shards * sizeof *door->ordinal);
    for (uint32_t k = 0; k < config->n_shards; k++) {
        cluster_lane_init(&door->lane[k], &door->lanes, k);
    }
    hear_owners(door);
    return door;
}

void
cluster_door_destroy(struct cluster_door *door)
{
    if (door) {
        bus_unsubscribe(door->sub);
        for (uint32_t k = 0; k < door->config.n_shards; k++) {
            cluster_lane_uninit(&door->lane[k]);
        }
        card_batch_writer_destroy(door->lanes.writer);
        card_batch_reader_destroy(door->lanes.reader);
        door_marks_destroy(door->lanes.marks);
        byte_buf_uninit(&door->lanes.out);
        free(door->lane);
        free(door->ordinal);
        free(door->lost);
        free(door);
    }
}

/* --- Tunnels -------------------------------------------------------------
 */

/* False for a packet that surely has no other inside. */
static bool
may_carry(const struct postcard *p)
{
    const uint8_t *h = p->header;
    uint16_t type;

    if (p->caplen < 58 || !p->has_id) {
        return false;
    }
    type = bytes_be16(h + 12);
    if (type == HDR_ETH_IP4 && h[14] == 0x45) {
        return h[23] == HDR_IP_UDP
                   ? hdr_is_tunnel_port(bytes_be16(h + 36))
                   : h[23] != HDR_IP_TCP && h[23] != HDR_IP_ICMP;
    }
    if (type == HDR_ETH_IP6) {
        return h[20] == HDR_IP_UDP
                   ? hdr_is_tunnel_port(bytes_be16(h + 56))
                   : h[20] != HDR_IP_TCP && h[20] != HDR_IP_ICMP6;
    }
    return type != HDR_ETH_ARP;
}

/* Whether that was not told a moment ago. */
static bool
is_news(struct cluster_door *door, const struct card_batch_inner *pair)
{
    struct card_batch_inner *told =
        &door->pairs[keyed_hash_number(&door->hash, pair->inner) % N_PAIRS];

    if (told->inner == pair->inner && told->outer == pair->outer &&
        pair->time_ns - told->time_ns < PAIR_NS) {
        return false;
    }
    *told = *pair;
    return true;
}

/* Tells the owner of the packet inside that of 'p' of it. */
static void
add_inner(struct cluster_door *door, const struct postcard *p, uint32_t shard)
{
    struct card_batch_inner pair = {
        packet_id_inner(&door->config.id_config, p->header, p->caplen),
        p->packet_id, p->time_ns};
    uint32_t to;

    if (!pair.inner) {
        return;
    }
    to = cluster_wire_shard_of_id(pair.inner, door->config.n_shards);
    /* Who has both finds out by itself. */
    if (to != shard && is_news(door, &pair) &&
        !cluster_lane_add_inner(&door->lane[to], &pair)) {
        door->lanes.n.inner_lost++;
    }
}

/* --- Interface -----------------------------------------------------------
 */

static void
pack_all(struct cluster_door *door)
{
    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        cluster_lane_pack(&door->lane[k]);
    }
}

/* The number of the postcard's mark. */
static uint32_t
find_mark(struct cluster_door *door, const struct postcard *p)
{
    uint32_t mark = door_marks_find(door->lanes.marks, p);

    if (mark == DOOR_MARKS_FULL) {
        pack_all(door);
        door_marks_clear(door->lanes.marks);
        mark = door_marks_find(door->lanes.marks, p);
    }
    return mark;
}

/* Whether the postcard finds room, if need be where others were packed. */
static bool
make_room(struct cluster_door *door, const struct postcard *p)
{
    const struct cluster_lanes *lanes = &door->lanes;
    size_t cost = cluster_lane_cost(p);
    uint64_t all = lanes->n.waiting_bytes + cost;

    if (all + lanes->n.kept_bytes > door->config.max_bytes) {
        limit_kept(door, all < door->config.max_bytes
                             ? door->config.max_bytes - all
                             : 0);
    }
    if (lanes->n.waiting_bytes + cost <= door->config.max_bytes) {
        return true;
    }
    if (lanes->loose_bytes > door->config.max_bytes / 8) {
        pack_all(door);
    }
    return lanes->n.waiting_bytes + cost <= door->config.max_bytes;
}

void
cluster_door_announce(struct cluster_door *door)
{
    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        cluster_lane_announce(&door->lane[k]);
    }
}

void
cluster_door_begin(struct cluster_door *door, uint64_t agent, uint64_t frame)
{
    door->agent = agent;
    door->frame = frame;
    memset(door->ordinal, 0, door->config.n_shards * sizeof *door->ordinal);
}

void
cluster_door_add(struct cluster_door *door, const struct postcard *p)
{
    uint32_t shard = cluster_wire_shard(p, door->config.n_shards);
    struct cluster_door_counters *n = &door->lanes.n;
    uint64_t agent = p->visit ? door->agent : 0;
    uint32_t ordinal = agent ? door->ordinal[shard]++ : 0, mark;

    n->in++;
    if (!make_room(door, p)) {
        n->lost[CLUSTER_DOOR_NO_ROOM]++;
        lose(door, p->dpid);
        return;
    }
    if (door->config.is_file && p->time_ns > door->lanes.watermark_ns) {
        door->lanes.watermark_ns = p->time_ns;
    }
    if (may_carry(p)) {
        add_inner(door, p, shard);
    }
    mark = find_mark(door, p);
    if (agent) {
        cluster_lane_add_run(&door->lane[shard], agent, door->frame, ordinal);
    }
    cluster_lane_add(&door->lane[shard], p, mark, n->in);
}

static void
say_lost(struct cluster_door *door)
{
    uint64_t n = door->lanes.n.lost[CLUSTER_DOOR_NO_ROOM];

    if (n != door->n_said) {
        door->n_said = n;
        say_warn("postcards for the cluster are lost, %" PRIu64 " so far: "
                 "NATS does not take them, and no more may wait "
                 "(--cluster-memory)",
                 n);
    }
}

void
cluster_door_run(struct cluster_door *door, uint64_t now_ns)
{
    cluster_turn_set_clock(&door->lanes, monotonic_ns(), now_ns);
    if (!door->config.is_file &&
        (now_ns > door->lanes.watermark_ns ||
         now_ns + CLUSTER_WATERMARK_STEP_NS < door->lanes.watermark_ns)) {
        door->lanes.watermark_ns = now_ns;
    }
    if (door->lanes.clock_ns - door->walked_ns < WALK_NS) {
        return;
    }
    /* Each is the first in its turn, to go soon if not all may. */
    door->walked_ns = door->lanes.clock_ns;
    door->first_lane = (door->first_lane + 1) % door->config.n_shards;
    for (uint32_t i = 0; i < door->config.n_shards; i++) {
        uint32_t k = door->first_lane + i;

        cluster_lane_run(&door->lane[k % door->config.n_shards]);
    }
    limit_kept(door, door->config.max_bytes / 4);
    say_lost(door);
    settle(door);
}

void
cluster_door_flush(struct cluster_door *door)
{
    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        door->lane[k].is_flushing = true;
        cluster_lane_run(&door->lane[k]);
    }
}

void
cluster_door_end(struct cluster_door *door)
{
    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        door->lane[k].is_ending = true;
        cluster_lane_run(&door->lane[k]);
    }
}

bool
cluster_door_has_room(const struct cluster_door *door)
{
    /* For those that its caller adds before it asks again. */
    size_t margin =
        sizeof(struct cluster_card) + UINT16_MAX + door->config.max_bytes / 16;

    return door->lanes.n.waiting_bytes + margin <= door->config.max_bytes;
}

bool
cluster_door_is_idle(const struct cluster_door *door)
{
    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        if (!cluster_lane_is_idle(&door->lane[k])) {
            return false;
        }
    }
    return true;
}

bool
cluster_door_is_safe(const struct cluster_door *door)
{
    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        const struct cluster_lane *lane = &door->lane[k];

        for (const struct cluster_message *m = lane->kept; m && lane->is_told;
             m = m->next) {
            if (m->n_cards) {
                return false;
            }
        }
    }
    return true;
}

uint64_t
cluster_door_token(const struct cluster_door *door)
{
    return door->lanes.n.in;
}

uint64_t
cluster_door_settled(const struct cluster_door *door)
{
    uint64_t first = door->lanes.n.in + 1;

    for (uint32_t k = 0; k < door->config.n_shards; k++) {
        uint64_t token = cluster_lane_first(&door->lane[k]);

        first = token < first ? token : first;
    }
    return first - 1;
}

void
cluster_door_get_counters(const struct cluster_door *door,
                          struct cluster_door_counters *counters)
{
    *counters = door->lanes.n;
    counters->packed_bytes =
        door->lanes.n.waiting_bytes - door->lanes.loose_bytes;
}

void
cluster_door_take_lost(struct cluster_door *door,
                       void (*tell)(void *aux, uint64_t dpid, uint64_t n),
                       void *aux)
{
    for (size_t i = 0; i < N_SWITCHES && door->n_lost; i++) {
        if (door->lost[i].n) {
            tell(aux, door->lost[i].dpid, door->lost[i].n);
        }
    }
    if (door->n_lost) {
        memset(door->lost, 0, N_SWITCHES * sizeof *door->lost);
        door->n_lost = 0;
    }
}
