/* SPDX-License-Identifier: Apache-2.0 */
/* way - packets of random flows that cross four switches, and their histories.
 */
#include <config.h>

#include "tests/lib/way.h"

#include <check.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "tests/lib/random_history.h"

const struct way_shape way_shapes[WAY_N_SHAPES] = {
    {false, HDR_IP_TCP, false, WAY_NO_PART},
    {true, HDR_IP_TCP, true, WAY_NO_PART},
    {false, HDR_IP_UDP, true, WAY_NO_PART},
    {true, HDR_IP_UDP, false, WAY_NO_PART},
    {false, HDR_IP_ICMP, false, WAY_NO_PART},
    {true, HDR_IP_ICMP6, true, WAY_NO_PART},
    {false, 50, true, WAY_NO_PART},
    {true, 50, false, WAY_NO_PART},
    {false, HDR_IP_TCP, false, WAY_PART_OF_MAC},
    {false, HDR_IP_UDP, false, WAY_PART_OF_ADDRESS},
    {true, HDR_IP_TCP, false, WAY_PART_OF_ADDRESS},
    {true, HDR_IP_UDP, false, WAY_LABEL},
};

/* A packet of the flow, all that varies random. */
struct frame
way_frame(const struct way_shape *shape, uint64_t *seed)
{
    struct frame f = frame_eth(shape->is_ip6 ? HDR_ETH_IP6 : HDR_ETH_IP4);
    uint8_t payload[300];

    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t) random_u32(seed);
    }
    if (shape->is_ip6) {
        frame_ip6(&f, shape->proto, 64, "2001:db8::1", "2001:db8::2");
    } else {
        frame_ip4(&f, shape->proto, 64, "10.0.0.1", "10.0.0.2");
        bytes_put_be16(f.data + f.l3_ofs + 4, (uint16_t) random_u32(seed));
    }
    switch (shape->proto) {
    case HDR_IP_TCP:
        frame_tcp(&f, 4321, 80, random_u32(seed), random_u32(seed),
                  (uint8_t) (0x10 | (random_u32(seed) & 0xf)));
        if (random_u32(seed) & 1) {
            frame_tcp_options(&f, payload + 8, 12);
        }
        break;
    case HDR_IP_UDP:
        frame_udp(&f, 4321, 53);
        break;
    case HDR_IP_ICMP:
        frame_icmp(&f, 8, 0, random_u32(seed));
        break;
    case HDR_IP_ICMP6:
        frame_icmp(&f, 128, 0, random_u32(seed));
        break;
    default:
        break;
    }
    frame_bytes(&f, payload, random_u32(seed) % sizeof payload);
    frame_finish(&f);
    return f;
}

static void
set_address(struct rule *rule, const struct way_shape *shape)
{
    struct frame f = frame_eth(HDR_ETH_IP4);

    if (shape->is_ip6) {
        frame_ip6(&f, 0, 1, "2001:db8:ffff::7", "2001:db8::2");
        rule_add_set(rule, FIELD_IPV6_SRC, f.data + f.l3_ofs + 8, NULL);
    } else {
        frame_ip4(&f, 0, 1, "203.0.113.7", "10.0.0.2");
        rule_add_set(rule, FIELD_IPV4_SRC, f.data + f.l3_ofs + 12, NULL);
    }
}

/* Makes it a packet of any other flow that takes the same way. */
void
way_change_flow(struct frame *f, const struct way_shape *shape, uint64_t *seed)
{
    uint8_t *ip = f->data + f->l3_ofs;
    size_t begin = shape->is_ip6 ? 8 : 12, end = shape->is_ip6 ? 40 : 20;

    for (size_t i = 0; i < 12; i++) {
        f->data[i] = (uint8_t) random_u32(seed);
    }
    for (size_t i = begin; i < end; i++) {
        ip[i] = (uint8_t) random_u32(seed);
    }
    ip[shape->is_ip6 ? 7 : 8] = (uint8_t) (random_u32(seed) % 255 + 1);
    if (shape->proto == HDR_IP_TCP || shape->proto == HDR_IP_UDP) {
        bytes_put_be16(ip + end, (uint16_t) random_u32(seed));
        bytes_put_be16(ip + end + 2, (uint16_t) random_u32(seed));
    }
    if (shape->is_ip6) {
        ip[2] = (uint8_t) random_u32(seed);
    } else {
        ip[1] = (uint8_t) random_u32(seed);
        ip[6] = random_u32(seed) & 0x40;
    }
    frame_finish(f);
}

static void
set_part(struct rule *rule, const struct way_shape *shape)
{
    static const uint8_t mac[6] = {0, 0, 0, 0, 0xab, 0xcd};
    static const uint8_t mac_mask[6] = {0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t address[16] = {0x20, 0x01, 0x0d, 0xb8};
    static const uint8_t net[16] = {0xff, 0xff};
    static const uint8_t label[4] = {0, 0x0a, 0xbc, 0xde};

    switch (shape->part) {
    case WAY_PLAIN:
    case WAY_NO_PART:
        break;
    case WAY_PART_OF_MAC:
        rule_add_set(rule, FIELD_ETH_DST, mac, mac_mask);
        break;
    case WAY_PART_OF_ADDRESS:
        rule_add_set(rule, shape->is_ip6 ? FIELD_IPV6_DST : FIELD_IPV4_DST,
                     address, net);
        break;
    case WAY_LABEL:
        rule_add_set(rule, FIELD_IPV6_LABEL, label, NULL);
        break;
    }
}

/* What switch 'i' does: all but the first route, one translates. */
struct rule *
way_rule(const struct way_shape *shape, size_t i)
{
    struct rule *rule = rule_create();
    uint8_t port[2] = {0xf0, 0x01};
    uint8_t mac[6] = {2, 0, 0, 0, 0xff, (uint8_t) i};
    uint8_t tos = 0x2e;

    if (i) {
        rule_add_plain(rule, STEP_DEC_TTL, 0);
    }
    if (shape->part == WAY_PLAIN) {
        rule_add_output(rule, 2);
        return rule;
    }
    if (i == 2) {
        rule_add_set(rule, FIELD_ETH_SRC, mac, NULL);
        rule_add_set(rule, FIELD_IP_DSCP, &tos, NULL);
    }
    if (i == 2) {
        set_part(rule, shape);
    }
    if (i == 1) {
        set_address(rule, shape);
        if (shape->proto == HDR_IP_TCP || shape->proto == HDR_IP_UDP) {
            rule_add_set(rule, FIELD_TP_SRC, port, NULL);
        }
        if (shape->has_tag) {
            rule_add_plain(rule, STEP_PUSH_VLAN, HDR_ETH_VLAN);
        }
    }
    if (i == WAY_HOPS - 1 && shape->has_tag) {
        rule_add_plain(rule, STEP_POP_VLAN, 0);
    }
    rule_add_output(rule, 2);
    return rule;
}

/* The history of 'f' through WAY_HOPS switches of which each captures at most
 * 'snap' bytes, NULL when its TTL does not last. */
struct history *
way_history(const struct way_shape *shape, const struct frame *f, size_t snap,
            uint64_t *seed)
{
    struct history *h = history_create((uint64_t) random_u32(seed) << 32 | 1);
    uint64_t time_ns = WAY_NOW_NS + random_u32(seed);
    uint8_t now[4096];
    size_t len = f->len;

    memcpy(now, f->data, len);
    for (size_t i = 0; i < WAY_HOPS; i++) {
        struct history_hop *hop = history_add_hop(h);
        struct rule *rule = way_rule(shape, i);
        uint8_t out[4096];
        size_t captured = len < snap ? len : snap, out_len;

        hop->parent = (int) i - 1;
        hop->dpid = i + 1;
        hop->in_port = 1;
        hop->time_ns = time_ns += 5000 + random_u32(seed) % 45000;
        history_hop_add_out(hop, 2);
        history_hop_add_version(hop, 7);
        history_hop_set_header(hop, now, captured);
        if (rule_apply(rule, 0, now, captured, out, sizeof out, &out_len) !=
            RULE_APPLY_OK) {
            rule_unref(rule);
            history_destroy(h);
            return NULL;
        }
        history_hop_set_header_out(hop, out, out_len);
        hop->has_header_out = true;
        ck_assert_int_eq(
            rule_apply(rule, 0, now, len, out, sizeof out, &out_len),
            RULE_APPLY_OK);
        memcpy(now, out, out_len);
        len = out_len;
        rule_unref(rule);
    }
    verdict_set(&h->hops[WAY_HOPS - 1].verdict, VERDICT_DELIVERED, WAY_HOPS, 2,
                NULL);
    history_settle(h);
    return h;
}

bool
way_is_predicted(const struct trajectory *t, const struct history *h)
{
    const struct history_hop *ref = &h->hops[trajectory_reference(t)];

    for (size_t i = 0; i < h->n_hops; i++) {
        if (!trajectory_predicts(t, i, ref->header, ref->caplen,
                                 h->hops[i].header, h->hops[i].caplen)) {
            return false;
        }
    }
    return true;
}

struct trajectory_packet
way_packet(const struct trajectory *t, const struct history *h,
           uint64_t *times_ns)
{
    const struct history_hop *ref = &h->hops[trajectory_reference(t)];

    for (size_t i = 0; i < h->n_hops; i++) {
        times_ns[i] = h->hops[i].time_ns;
    }
    return (struct trajectory_packet){
        .packet_id = h->packet_id,
        .header = ref->header,
        .caplen = ref->caplen,
        .times_ns = times_ns,
    };
}
