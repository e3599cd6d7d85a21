/* SPDX-License-Identifier: Apache-2.0 */
/* gen_traffic - packets made up. */
#include <config.h>
#include "gen/gen_traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"

#define ETH_LEN   14
#define IP4_LEN   20
#define IP6_LEN   40
#define N_HOSTS   4096 /* Addresses that flows are between. */
#define MAX_HEAD  (ETH_LEN + IP6_LEN + 20 + 8)
#define ARP_SHARE 2000 /* Of packets, in parts of GEN_RANDOM_ALL. */
#define MSS       1448

#define MIN_FRAGMENTS 2
#define MAX_FRAGMENTS 4
#define IP6_FRAG_LEN  8

struct gen_traffic {
    struct gen_traffic_options options;
    struct gen_random random;
    uint32_t max_len;
    uint64_t n_packets;
    uint32_t *counts; /* Packets of each flow so far.  Owned. */
    uint8_t *buf;     /* Owned. */

    /* The datagram of which fragments are still to come. */
    uint32_t n_fragments, fragment; /* 0: none; the next one's number. */
    uint32_t fragment_len;          /* Payload of each. */
    uint32_t flow, count;
};

/* What a flow's packets share. */
struct flow {
    uint64_t hash;
    bool is_ip6;
    uint8_t proto;
    uint32_t src, dst; /* Hosts. */
    uint16_t src_port, dst_port;
};

static bool
parse_size(const char *text, char **end, uint32_t *size)
{
    unsigned long value;

    if (*text < '0' || *text > '9') {
        return false;
    }
    value = strtoul(text, end, 10);
    *size = (uint32_t) value;
    return value >= GEN_TRAFFIC_MIN_SIZE && value <= GEN_TRAFFIC_MAX_SIZE;
}

static bool
parse_sizes(const char *text, struct gen_traffic_options *o)
{
    char *end;

    if (!strcmp(text, "imix")) {
        o->sizes = GEN_SIZES_IMIX;
        return true;
    }
    o->sizes = GEN_SIZES_UNIFORM;
    if (!strncmp(text, "fixed:", 6)) {
        if (!parse_size(text + 6, &end, &o->size_a) || *end) {
            return false;
        }
        o->size_b = o->size_a;
        return true;
    }
    return !strncmp(text, "uniform:", 8) &&
           parse_size(text + 8, &end, &o->size_a) && *end == '-' &&
           parse_size(end + 1, &end, &o->size_b) && !*end &&
           o->size_a <= o->size_b;
}

int
gen_traffic_parse_sizes(const char *text, struct gen_traffic_options *options,
                        struct lh_error *error)
{
    if (!parse_sizes(text, options)) {
        lh_error_set(error,
                     "\"%s\": give imix, fixed:N or uniform:A-B, in bytes "
                     "from 60 to 9014",
                     text);
        return EINVAL;
    }
    return 0;
}

struct gen_traffic *
gen_traffic_create(const struct gen_traffic_options *options, uint32_t max_len)
{
    struct gen_traffic *traffic = lh_alloc_zero(sizeof *traffic);

    traffic->options = *options;
    traffic->random.state = gen_random_mix(options->seed + 77);
    traffic->max_len = max_len;
    traffic->counts =
        lh_alloc_zero(options->n_flows * sizeof *traffic->counts);
    traffic->buf = lh_alloc_zero(max_len + MAX_HEAD);
    return traffic;
}

void
gen_traffic_destroy(struct gen_traffic *traffic)
{
    if (traffic) {
        free(traffic->counts);
        free(traffic->buf);
        free(traffic);
    }
}

static struct flow
flow_of(const struct gen_traffic *traffic, uint32_t i)
{
    static const uint16_t services[] = {80, 443, 443, 443, 22, 53, 3306, 8080};
    uint64_t hash = gen_random_mix(traffic->options.seed * 0x9e3779b9u + i);
    uint64_t more = gen_random_mix(hash + 1);
    uint32_t kind = (uint32_t) (hash & 0xff) * 100 / 256;
    struct flow flow = {.hash = hash};

    flow.is_ip6 = (more >> 32) % GEN_RANDOM_ALL < traffic->options.ip6_share;
    flow.proto = kind < 80   ? HDR_IP_TCP
                 : kind < 97 ? HDR_IP_UDP
                             : (flow.is_ip6 ? HDR_IP_ICMP6 : HDR_IP_ICMP);
    flow.src = (uint32_t) (hash >> 8) % N_HOSTS;
    flow.dst = (uint32_t) (hash >> 24) % N_HOSTS;
    if (flow.dst == flow.src) {
        flow.dst = (flow.dst + 1) % N_HOSTS;
    }
    flow.src_port = (uint16_t) (1024 + (hash >> 40) % 60000);
    flow.dst_port = services[(hash >> 56) % 8];
    return flow;
}

/* Few flows have most packets. */
static uint32_t
pick_flow(struct gen_traffic *traffic)
{
    uint64_t n = traffic->options.n_flows;
    uint64_t x = gen_random_next(&traffic->random) >> 40;
    uint64_t cube = (x * x >> 24) * x >> 24;

    return (uint32_t) (cube * n >> 24);
}

static uint32_t
pick_size(struct gen_traffic *traffic)
{
    const struct gen_traffic_options *o = &traffic->options;
    uint32_t n;

    if (o->sizes == GEN_SIZES_UNIFORM) {
        return o->size_a +
               gen_random_pick(&traffic->random, o->size_b - o->size_a + 1);
    }
    n = gen_random_pick(&traffic->random, 12);
    return n < 7 ? 60 : n < 11 ? 590 : 1514;
}

/* The one's complement sum of 'n' bytes, an even number, as 32 bits. */
static uint32_t
sum(const uint8_t *p, size_t n, uint32_t start)
{
    for (size_t i = 0; i < n; i += 2) {
        start += bytes_be16(p + i);
    }
    return start;
}

static uint16_t
finish(uint32_t total)
{
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    return (uint16_t) ~total;
}

static void
put_macs(uint8_t *p, uint32_t src, uint32_t dst, uint16_t eth_type)
{
    bytes_put_be16(p, 0x0200);
    bytes_put_be32(p + 2, dst);
    bytes_put_be16(p + 6, 0x0200);
    bytes_put_be32(p + 8, src);
    bytes_put_be16(p + 12, eth_type);
}

static void
put_ip6_address(uint8_t *p, uint32_t host)
{
    static const uint8_t prefix[12] = {0x20, 0x01, 0x0d, 0xb8};

    memcpy(p, prefix, sizeof prefix);
    bytes_put_be32(p + 12, host);
}

/* Returns where L4 begins. */
static uint8_t *
put_ip(const struct gen_traffic *traffic, const struct flow *flow,
       uint32_t count, uint32_t ip_len)
{
    uint8_t *p = traffic->buf + ETH_LEN;

    if (flow->is_ip6) {
        bytes_put_be32(p, 0x60000000 | (uint32_t) (flow->hash & 0xfffff));
        bytes_put_be16(p + 4, (uint16_t) (ip_len - IP6_LEN));
        p[6] = flow->proto;
        p[7] = 64;
        put_ip6_address(p + 8, flow->src);
        put_ip6_address(p + 24, flow->dst);
        return p + IP6_LEN;
    }
    bytes_put_be16(p, 0x4500);
    bytes_put_be16(p + 2, (uint16_t) ip_len);
    bytes_put_be16(p + 4, traffic->options.has_zero_ids
                              ? 0
                              : (uint16_t) (flow->hash + count));
    bytes_put_be16(p + 6, 0x4000);
    p[8] = 64;
    p[9] = flow->proto;
    bytes_put_be16(p + 10, 0);
    bytes_put_be32(p + 12, 0x0a000000 + flow->src);
    bytes_put_be32(p + 16, 0x0a000000 + flow->dst);
    bytes_put_be16(p + 10, finish(sum(p, IP4_LEN, 0)));
    return p + IP4_LEN;
}

/* The payload: the packet's number, lowest byte first, then zeros (which the
 * buffer has). */
static void
put_payload(const struct gen_traffic *traffic, uint8_t *p, uint32_t len)
{
    for (uint32_t i = 0; i < 8; i++) {
        p[i] = i < len ? (uint8_t) (traffic->n_packets >> 8 * i) : 0;
    }
}

/* L4 at 'p', 'len' bytes with its payload. */
static void
put_l4(const struct gen_traffic *traffic, const struct flow *flow,
       uint32_t count, uint8_t *p, uint32_t len)
{
    uint32_t n = flow->proto == HDR_IP_TCP ? 20 : 8, sum_ofs = 2, total;
    uint8_t pseudo[4];

    bytes_put_be16(p, flow->src_port);
    bytes_put_be16(p + 2, flow->dst_port);
    switch (flow->proto) {
    case HDR_IP_TCP:
        bytes_put_be32(p + 4, (uint32_t) (flow->hash >> 13) + count * MSS);
        bytes_put_be32(p + 8, (uint32_t) (flow->hash >> 29) + count / 4 * 600);
        bytes_put_be16(p + 12, count ? 0x5018 : 0x5002);
        bytes_put_be16(p + 14, (uint16_t) (0x2000 + (count & 0x3f)));
        bytes_put_be32(p + 16, 0);
        sum_ofs = 16;
        break;
    case HDR_IP_UDP:
        bytes_put_be16(p + 4, (uint16_t) len);
        bytes_put_be16(p + 6, 0);
        sum_ofs = 6;
        break;
    default: /* Echo. */
        bytes_put_be16(p, flow->is_ip6 ? 0x8000 : 0x0800);
        bytes_put_be16(p + 2, 0);
        bytes_put_be16(p + 4, (uint16_t) flow->hash);
        bytes_put_be16(p + 6, (uint16_t) count);
        break;
    }
    put_payload(traffic, p + n, len - n);
    total = sum(p, n + 8, 0);
    if (flow->proto != HDR_IP_ICMP) {
        bytes_put_be16(pseudo, flow->proto);
        bytes_put_be16(pseudo + 2, (uint16_t) len);
        total = sum(pseudo, 4, total);
        total = flow->is_ip6 ? sum(traffic->buf + ETH_LEN + 8, 32, total)
                             : sum(traffic->buf + ETH_LEN + 12, 8, total);
    }
    bytes_put_be16(p + sum_ofs, finish(total));
}

static uint32_t
make_arp(struct gen_traffic *traffic, const struct flow *flow)
{
    uint8_t *p = traffic->buf + ETH_LEN;

    put_macs(traffic->buf, flow->src, flow->dst, HDR_ETH_ARP);
    bytes_put_be32(p, 0x00010800);
    bytes_put_be32(p + 4, 0x06040002); /* A reply. */
    bytes_put_be16(p + 8, 0x0200);
    bytes_put_be32(p + 10, (uint32_t) traffic->n_packets);
    bytes_put_be32(p + 14, 0x0a000000 + flow->src);
    memcpy(p + 18, traffic->buf, 6);
    bytes_put_be32(p + 24, 0x0a000000 + flow->dst);
    return GEN_TRAFFIC_MIN_SIZE;
}

static void
begin_datagram(struct gen_traffic *traffic, const struct flow *flow,
               uint32_t i, uint32_t count, uint32_t size)
{
    uint32_t head =
        ETH_LEN + (flow->is_ip6 ? IP6_LEN + IP6_FRAG_LEN : IP4_LEN);

    traffic->n_fragments =
        MIN_FRAGMENTS +
        gen_random_pick(&traffic->random, MAX_FRAGMENTS - MIN_FRAGMENTS + 1);
    traffic->fragment = 0;
    /* All but the last must be multiples of 8. */
    traffic->fragment_len = size > head + 16 ? (size - head) / 8 * 8 : 16;
    traffic->flow = i;
    traffic->count = count;
}

/* Returns where the fragment's payload begins. */
static uint8_t *
put_fragment(const struct gen_traffic *traffic, bool is_ip6, uint8_t *p)
{
    bool is_last = traffic->fragment + 1 == traffic->n_fragments;
    uint32_t ofs = traffic->fragment * traffic->fragment_len;

    if (!is_ip6) {
        bytes_put_be16(p + 6, (uint16_t) (ofs / 8 | (is_last ? 0 : 0x2000)));
        bytes_put_be16(p + 10, 0);
        bytes_put_be16(p + 10, finish(sum(p, IP4_LEN, 0)));
        return p + IP4_LEN;
    }
    p[IP6_LEN] = p[6];
    p[6] = HDR_IP6_FRAGMENT;
    bytes_put_be16(p + IP6_LEN + 2, (uint16_t) (ofs | !is_last));
    bytes_put_be32(p + IP6_LEN + 4, traffic->count);
    return p + IP6_LEN + IP6_FRAG_LEN;
}

/* The next fragment; returns the frame's size. */
static uint32_t
make_fragment(struct gen_traffic *traffic)
{
    struct flow flow = flow_of(traffic, traffic->flow);
    uint32_t n = traffic->fragment_len;
    uint32_t head = flow.is_ip6 ? IP6_LEN + IP6_FRAG_LEN : IP4_LEN;
    uint8_t *payload;

    put_macs(traffic->buf, flow.src, flow.dst,
             flow.is_ip6 ? HDR_ETH_IP6 : HDR_ETH_IP4);
    put_ip(traffic, &flow, traffic->count, head + n);
    payload = put_fragment(traffic, flow.is_ip6, traffic->buf + ETH_LEN);
    if (traffic->fragment) {
        put_payload(traffic, payload, n);
    } else {
        put_l4(traffic, &flow, traffic->count, payload, n);
        if (flow.proto == HDR_IP_UDP) {
            bytes_put_be16(payload + 4, (uint16_t) (traffic->n_fragments * n));
        }
    }
    if (++traffic->fragment == traffic->n_fragments) {
        traffic->n_fragments = 0;
    }
    return ETH_LEN + head + n;
}

static bool
is_fragmented(struct gen_traffic *traffic, const struct flow *flow)
{
    return traffic->options.fragments && flow->proto != HDR_IP_TCP &&
           gen_random_chance(&traffic->random, traffic->options.fragments);
}

void
gen_traffic_next(struct gen_traffic *traffic, struct gen_packet *packet)
{
    uint32_t i = pick_flow(traffic), size = pick_size(traffic), ip_len;
    struct flow flow = flow_of(traffic, i);
    uint32_t count = traffic->n_fragments ? 0 : traffic->counts[i]++;

    memset(traffic->buf, 0, MAX_HEAD);
    if (traffic->n_fragments) {
        size = make_fragment(traffic);
    } else if (is_fragmented(traffic, &flow)) {
        begin_datagram(traffic, &flow, i, count, size);
        size = make_fragment(traffic);
    } else if (gen_random_chance(&traffic->random, ARP_SHARE) &&
               !flow.is_ip6) {
        size = make_arp(traffic, &flow);
    } else {
        uint32_t ip_head = flow.is_ip6 ? IP6_LEN : IP4_LEN;
        /* Those without a sequence number have a payload. */
        uint32_t least = ip_head + (flow.proto == HDR_IP_TCP ? 20 : 16);
        uint8_t *l4;

        ip_len = size - ETH_LEN > least ? size - ETH_LEN : least;
        size = ip_len + ETH_LEN;
        put_macs(traffic->buf, flow.src, flow.dst,
                 flow.is_ip6 ? HDR_ETH_IP6 : HDR_ETH_IP4);
        l4 = put_ip(traffic, &flow, count, ip_len);
        put_l4(traffic, &flow, count, l4, ip_len - ip_head);
    }
    traffic->n_packets++;
    packet->data = traffic->buf;
    packet->len = size < traffic->max_len ? size : traffic->max_len;
}
