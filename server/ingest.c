/* SPDX-License-Identifier: Apache-2.0 */
/* ingest - from received bytes to postcards for the path table. */
#include <config.h>

#include "server/ingest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/dpid.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"
#include "lib/say.h"

/* Senders and switches that are warned of one by one; more are counted. */
#define MAX_WARNED 64
#define N_KNOWN    64 /* A power of 2. */
/* A switch that connects emits postcards before its topology arrives. */
#define MAX_UNKNOWN_NS UINT64_C(3000000000)

/* A switch that the topology does not have. */
struct unknown_switch {
    uint64_t dpid;
    uint64_t since_ns;
    bool is_warned;
};

struct ingest {
    struct ingest_config config;
    struct topology *topology; /* Owned reference, or NULL. */
    struct ingest_counters counters;
    /* Switches that the topology has and a postcard came from, each at the
     * place of its dpid's lowest bits. */
    struct {
        uint64_t dpid;
        bool is_there;
    } known[N_KNOWN];
    /* Noticed since the topology last changed. */
    struct accept_address strangers[MAX_WARNED];
    struct unknown_switch unknown[MAX_WARNED];
    size_t n_strangers, n_unknown;
    uint8_t buf[65536]; /* Of a mac postcard without its tag. */
};

struct ingest *
ingest_create(const struct ingest_config *config)
{
    struct ingest *ingest = lh_alloc_zero(sizeof *ingest);

    ingest->config = *config;
    return ingest;
}

void
ingest_destroy(struct ingest *ingest)
{
    if (ingest) {
        topology_unref(ingest->topology);
        free(ingest);
    }
}

void
ingest_set_topology(struct ingest *ingest, const struct topology *topology)
{
    topology_unref(ingest->topology);
    ingest->topology = topology ? topology_ref(topology) : NULL;
    ingest->n_strangers = ingest->n_unknown = 0;
    memset(ingest->known, 0, sizeof ingest->known);
}

const struct ingest_counters *
ingest_counters(const struct ingest *ingest)
{
    return &ingest->counters;
}

void
ingest_collect(const struct ingest *ingest, struct counters *c)
{
    const struct ingest_counters *from = &ingest->counters;

    c->received += from->received;
    c->foreign += from->foreign;
    c->other += from->bad[POSTCARD_OTHER];
    c->truncated += from->bad[POSTCARD_TRUNCATED];
    c->malformed += from->bad[POSTCARD_MALFORMED];
    c->no_option += from->bad[POSTCARD_NO_OPTION];
    c->unknown_format += from->bad[POSTCARD_UNKNOWN_FORMAT];
    c->unknown_index += from->bad[POSTCARD_UNKNOWN_SWITCH];
    c->postcards += from->postcards;
    c->short_headers += from->short_headers;
    c->no_l3 += from->no_l3;
    c->unknown_switch += from->unknown_switch;
}

/* The entry of 'dpid', made if there is room, or NULL. */
static struct unknown_switch *
find_unknown(struct ingest *ingest, uint64_t dpid, uint64_t time_ns)
{
    for (size_t i = 0; i < ingest->n_unknown; i++) {
        if (ingest->unknown[i].dpid == dpid) {
            return &ingest->unknown[i];
        }
    }
    if (ingest->n_unknown == MAX_WARNED) {
        return NULL;
    }

    struct unknown_switch *sw = &ingest->unknown[ingest->n_unknown++];

    *sw = (struct unknown_switch){.dpid = dpid, .since_ns = time_ns};
    return sw;
}

/* Counts a postcard of a switch that the topology does not have, and says so
 * once. */
static void
note_unknown(struct ingest *ingest, uint64_t dpid, uint64_t time_ns)
{
    static struct say_site site;
    struct unknown_switch *sw;

    ingest->counters.unknown_switch++;
    if (!ingest->topology) {
        return;
    }
    sw = find_unknown(ingest, dpid, time_ns);
    if (sw && !sw->is_warned && time_ns > sw->since_ns &&
        time_ns - sw->since_ns > MAX_UNKNOWN_NS) {
        sw->is_warned =
            say(&site, SAY_WARN,
                "postcards of switch " DPID_FMT ", which the topology does "
                "not have: its name and links are not known (is it connected "
                "to lasthop-recorder, or missing in --topology?)",
                dpid);
    }
}

/* Any share will do for what has no packet ID. */
static uint64_t
share_of_time(uint64_t time_ns)
{
    return time_ns * UINT64_C(0x9e3779b97f4a7c15);
}

/* Shards take the high bits: their tables take the low ones. */
static inline bool
is_mine(const struct ingest *ingest, uint64_t key)
{
    return !ingest->config.n_shares ||
           (key >> 32) * ingest->config.n_shares >> 32 == ingest->config.share;
}

/* Whether the packet of 'split' is surely another's, and carries nothing.
 * '*keyp' gets what its share goes by, 0 if that is not known yet. */
static inline bool
is_others(const struct ingest *ingest, const struct postcard *p,
          const struct header_split *split, uint64_t *keyp)
{
    *keyp = packet_id_share(
        &ingest->config.id_config, p->header + split->l3_ofs,
        (size_t) p->caplen - split->l3_ofs, header_kind_is_ip4(split->kind));
    return *keyp && !is_mine(ingest, *keyp) &&
           !header_split_may_carry(split, p->header, p->caplen);
}

/* What the share of a packet that was not split goes by. */
static uint64_t
share_of_hdr(const struct ingest *ingest, const struct postcard *p,
             const struct hdr *h)
{
    uint64_t key = 0;

    if ((h->is_ip4 || h->is_ip6) && h->l3_ofs && h->l3_ofs < p->caplen) {
        key = packet_id_share(&ingest->config.id_config, p->header + h->l3_ofs,
                              (size_t) p->caplen - h->l3_ofs, h->is_ip4);
    }
    if (!key) {
        key = p->has_id ? p->packet_id : share_of_time(p->time_ns);
    }
    return key;
}

/* Names the packet, if it is of this share; 'is_surely_mine': it is.
 * '*may_carryp' where it is not: whether another may be inside. */
static bool
set_packet_id(struct ingest *ingest, struct postcard *p, bool is_surely_mine,
              bool *may_carryp)
{
    const struct packet_id_config *config = &ingest->config.id_config;
    enum packet_id_result result;
    struct header_split split;
    uint64_t key = 0;
    struct hdr h;

    p->has_id = true;
    *may_carryp = false;
    if (header_split(p->header, p->caplen, &split)) {
        if (ingest->config.n_shares && !is_surely_mine &&
            is_others(ingest, p, &split, &key)) {
            return false;
        }
        if (packet_id_of_split(config, p->header, p->caplen, &split,
                               &p->packet_id)) {
            if (!ingest->config.n_shares || is_surely_mine) {
                return true;
            }
            *may_carryp = header_split_may_carry(&split, p->header, p->caplen);
            return is_mine(ingest, key ? key : p->packet_id);
        }
    }
    hdr_parse(p->header, p->caplen, &h);
    result = packet_id(config, p->header, p->caplen, &h, &p->packet_id);
    p->has_id = *may_carryp = result != PACKET_ID_SHORT;
    if (ingest->config.n_shares && !is_surely_mine &&
        !is_mine(ingest, share_of_hdr(ingest, p, &h))) {
        return false;
    }
    ingest->counters.no_l3 += result == PACKET_ID_NO_L3;
    ingest->counters.short_headers += result == PACKET_ID_SHORT;
    return true;
}

/* Tells of the packet inside that of 'p', if there is one. */
static void
give_inner(struct ingest *ingest, const struct postcard *p)
{
    uint64_t inner =
        packet_id_inner(&ingest->config.id_config, p->header, p->caplen);

    if (inner) {
        ingest->config.give_inner(ingest->config.aux, inner, p->packet_id,
                                  p->time_ns);
    }
}

static bool
is_known(struct ingest *ingest, uint64_t dpid)
{
    size_t i = dpid & (N_KNOWN - 1);

    if (ingest->known[i].is_there && ingest->known[i].dpid == dpid) {
        return true;
    }
    if (!ingest->topology || !topology_find(ingest->topology, dpid)) {
        return false;
    }
    ingest->known[i].dpid = dpid;
    ingest->known[i].is_there = true;
    return true;
}

/* Says once that postcards of 'from' are refused. */
static void
warn_stranger(struct ingest *ingest, const struct accept_address *from)
{
    static struct say_site site;
    bool is_said;
    char text[64];

    for (size_t i = 0; i < ingest->n_strangers; i++) {
        if (!memcmp(&ingest->strangers[i], from, sizeof *from)) {
            return;
        }
    }
    if (ingest->n_strangers == MAX_WARNED) {
        return;
    }
    accept_address_format(from, text, sizeof text);
    if (accept_list_is_empty(ingest->config.accept)) {
        is_said = say(&site, SAY_WARN,
                      "postcards from %s refused: no switch is known yet; "
                      "--accept %s takes them",
                      text, text);
    } else {
        is_said =
            say(&site, SAY_WARN,
                "postcards from %s refused: it is no switch of the topology "
                "and not in --accept; --accept %s takes them",
                text, text);
    }
    if (!is_said) {
        return; /* Its next postcard tries again. */
    }
    ingest->strangers[ingest->n_strangers++] = *from;
    if (ingest->n_strangers == MAX_WARNED) {
        say_warn("postcards from more than %d addresses refused: more are "
                 "only counted, as \"foreign\"",
                 MAX_WARNED);
    }
}

/* Whether the sender is accepted; counts when not. */
static bool
accept_sender(struct ingest *ingest, const struct accept_address *from)
{
    if (accept_list_has(ingest->config.accept, from)) {
        return true;
    }
    ingest->counters.foreign++;
    warn_stranger(ingest, from);
    return false;
}

/* Completes a decoded postcard and gives it on, if it is of this share, as
 * 'is_surely_mine' says.  'from' NULL: whoever sent it is accepted. */
static void
give(struct ingest *ingest, struct postcard *p, uint64_t time_ns,
     const struct accept_address *from, bool is_surely_mine)
{
    struct ingest_counters *counters = &ingest->counters;
    bool may_have_inner;

    p->time_ns = time_ns;
    if (!set_packet_id(ingest, p, is_surely_mine, &may_have_inner)) {
        if (may_have_inner && ingest->config.give_inner &&
            (!from || accept_list_has(ingest->config.accept, from))) {
            give_inner(ingest, p);
        }
        return;
    }
    counters->received++;
    if (from && !accept_sender(ingest, from)) {
        return;
    }
    if (p->version_bits < 32) {
        p->version = rule_cache_resolve(ingest->config.rules, p->dpid,
                                        p->version, time_ns);
        p->version_bits = 32;
    }
    if (!is_known(ingest, p->dpid)) {
        note_unknown(ingest, p->dpid, time_ns);
    }
    counters->postcards++;
    ingest->config.give(ingest->config.aux, p);
}

/* What is no postcard. */
static void
count_bad(struct ingest *ingest, enum postcard_result result, uint64_t time_ns)
{
    if (is_mine(ingest, share_of_time(time_ns))) {
        ingest->counters.received++;
        ingest->counters.bad[result]++;
    }
}

static void
take_datagram(struct ingest *ingest, const uint8_t *data, size_t len,
              uint64_t time_ns, const struct accept_address *from,
              bool is_mine)
{
    struct postcard p;
    enum postcard_result result = postcard_geneve_decode_plain(data, len, &p)
                                      ? POSTCARD_OK
                                      : postcard_geneve_decode(data, len, &p);

    if (result == POSTCARD_OK) {
        give(ingest, &p, time_ns, ingest->config.accept ? from : NULL,
             is_mine);
    } else {
        count_bad(ingest, result, time_ns);
    }
}

static bool
find_switch(void *aux, uint16_t index, uint64_t *dpid)
{
    const struct ingest *ingest = aux;
    const struct topology_switch *sw =
        ingest->topology ? topology_find_index(ingest->topology, index) : NULL;

    if (sw) {
        *dpid = sw->dpid;
    }
    return sw != NULL;
}

/* Decodes a frame that is tagged as mac postcards are. */
static enum postcard_result
decode_mac(struct ingest *ingest, const uint8_t *data, size_t len,
           struct postcard *p)
{
    struct postcard_mac_config config = {
        .vlan = ingest->config.mac_vlan,
        .find_switch = find_switch,
        .aux = ingest,
    };

    return postcard_mac_decode(&config, data, len, ingest->buf,
                               sizeof ingest->buf, p);
}

/* The sender's address; false where there is none. */
static bool
get_sender(const uint8_t *data, size_t len, const struct hdr *outer,
           struct accept_address *from)
{
    if (outer->is_ip4 && outer->l3_ofs && outer->l3_ofs + 20u <= len) {
        *from = accept_address_ip4(data + outer->l3_ofs + 12);
        return true;
    }
    if (outer->is_ip6 && outer->l3_ofs && outer->l3_ofs + 40u <= len) {
        memcpy(from->bytes, data + outer->l3_ofs + 8, 16);
        return true;
    }
    return false;
}

/* A frame that is no plain postcard. */
static void
take_other_frame(struct ingest *ingest, enum ingest_encap encap,
                 const uint8_t *data, size_t len, uint64_t time_ns)
{
    enum postcard_result result = POSTCARD_OTHER;
    struct accept_address from;
    bool has_from = false;
    struct postcard p;

    if (encap != INGEST_MAC) {
        struct hdr outer;

        result = postcard_geneve_decode_frame(data, len, &outer, &p);
        has_from = result == POSTCARD_OK &&
                   get_sender(data, len, &outer, &from) &&
                   ingest->config.accept;
    }
    if (result == POSTCARD_OTHER && encap != INGEST_GENEVE) {
        result = decode_mac(ingest, data, len, &p);
    }
    if (result == POSTCARD_OK) {
        give(ingest, &p, time_ns, has_from ? &from : NULL, false);
    } else {
        count_bad(ingest, result, time_ns);
    }
}

static inline void
take_frame(struct ingest *ingest, enum ingest_encap encap, const uint8_t *data,
           size_t len, uint64_t time_ns, bool is_mine)
{
    const uint8_t *ip_src;
    struct postcard p;

    if (encap == INGEST_MAC ||
        !postcard_geneve_decode_plain_frame(data, len, &ip_src, &p)) {
        take_other_frame(ingest, encap, data, len, time_ns);
    } else if (ingest->config.accept) {
        struct accept_address from = accept_address_ip4(ip_src);

        give(ingest, &p, time_ns, &from, is_mine);
    } else {
        give(ingest, &p, time_ns, NULL, is_mine);
    }
}

static void
take_visit(struct ingest *ingest, const struct ingest_packet *packet)
{
    struct postcard p = {.header = packet->data,
                         .caplen = (uint16_t) packet->len};

    postcard_set_visit(&p, packet->visit, packet->is_dropped);
    give(ingest, &p, packet->time_ns, NULL, false);
}

/* --- What sources call --------------------------------------------------- */

void
ingest_take(struct ingest *ingest, const struct ingest_packet *packet)
{
    if (packet->visit) {
        take_visit(ingest, packet);
    } else if (packet->from) {
        take_datagram(ingest, packet->data, packet->len, packet->time_ns,
                      packet->from, packet->is_mine);
    } else {
        take_frame(ingest, packet->encap, packet->data, packet->len,
                   packet->time_ns, packet->is_mine);
    }
}

void
ingest_datagram(struct ingest *ingest, const uint8_t *data, size_t len,
                uint64_t time_ns, const struct accept_address *from)
{
    if (ingest->config.pass) {
        struct ingest_packet packet = {.data = data,
                                       .from = from,
                                       .time_ns = time_ns,
                                       .len = (uint32_t) len};

        ingest->config.pass(ingest->config.aux, &packet);
    } else {
        take_datagram(ingest, data, len, time_ns, from, false);
    }
}

void
ingest_frame(struct ingest *ingest, enum ingest_encap encap,
             const uint8_t *data, size_t len, uint64_t time_ns)
{
    if (ingest->config.pass) {
        struct ingest_packet packet = {.data = data,
                                       .time_ns = time_ns,
                                       .len = (uint32_t) len,
                                       .encap = encap};

        ingest->config.pass(ingest->config.aux, &packet);
    } else {
        take_frame(ingest, encap, data, len, time_ns, false);
    }
}

void
ingest_set_share(struct ingest *ingest, uint32_t share)
{
    ingest->config.share = share;
}

void
ingest_visit(struct ingest *ingest, const struct hop_template *visit,
             const uint8_t *header, uint16_t caplen, uint64_t time_ns,
             bool is_dropped)
{
    struct ingest_packet packet = {.data = header,
                                   .time_ns = time_ns,
                                   .len = caplen,
                                   .is_dropped = is_dropped,
                                   .visit = visit};

    if (ingest->config.pass) {
        ingest->config.pass(ingest->config.aux, &packet);
    } else {
        take_visit(ingest, &packet);
    }
}
