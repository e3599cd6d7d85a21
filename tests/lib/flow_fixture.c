/* SPDX-License-Identifier: Apache-2.0 */
/* flow_fixture - packets of flows on their ways, for tests of what stores
 * them. */
#include <config.h>

#include "tests/lib/flow_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "tests/lib/frame.h"
#include "tests/lib/random_history.h"

static uint32_t
below(uint64_t *seed, uint32_t n)
{
    return random_u32(seed) % n;
}

static bool
one_in(uint64_t *seed, uint32_t n)
{
    return below(seed, n) == 0;
}

/* What the switch of hop 'i' does. */
static struct rule *
make_rule(const struct flow *flow, uint64_t *seed, size_t i)
{
    struct rule *rule = rule_create();
    uint8_t value[16] = {10, 99};

    if (!one_in(seed, 3)) {
        rule_add_plain(rule, STEP_DEC_TTL, 0);
    }
    if (one_in(seed, 5)) {
        value[3] = (uint8_t) (1 + below(seed, 3));
        rule_add_set(rule, FIELD_ETH_DST, value, NULL);
    }
    if (one_in(seed, 8)) {
        rule_add_set(rule, flow->is_ip6 ? FIELD_IPV6_SRC : FIELD_IPV4_SRC,
                     value, NULL);
    }
    if (one_in(seed, 8) &&
        (flow->proto == HDR_IP_TCP || flow->proto == HDR_IP_UDP)) {
        rule_add_set(rule, FIELD_TP_SRC, value, NULL);
    }
    if (one_in(seed, 6)) {
        value[0] = (uint8_t) below(seed, 64);
        rule_add_set(rule, FIELD_IP_DSCP, value, NULL);
    }
    if (i < 2 && one_in(seed, 5)) {
        rule_add_plain(rule, STEP_PUSH_VLAN, HDR_ETH_VLAN);
    } else if (i > 1 && one_in(seed, 5)) {
        rule_add_plain(rule, STEP_POP_VLAN, 0);
    }
    rule_add_output(rule, 2);
    return rule;
}

void
flow_init(struct flow *flow, uint64_t *seed, uint64_t time_ns)
{
    static const uint8_t protos[] = {HDR_IP_TCP, HDR_IP_TCP, HDR_IP_TCP,
                                     HDR_IP_UDP, HDR_IP_UDP, HDR_IP_ICMP,
                                     50,         HDR_IP_SCTP};
    static const size_t snaps[] = {64, 96, 96, 128, 400};

    memset(flow, 0, sizeof *flow);
    flow->is_ip6 = one_in(seed, 3);
    flow->proto = protos[below(seed, sizeof protos)];
    if (flow->is_ip6 && flow->proto == HDR_IP_ICMP) {
        flow->proto = HDR_IP_ICMP6;
    }
    snprintf(flow->src, sizeof flow->src,
             flow->is_ip6 ? "2001:db8::%x" : "10.0.0.%u",
             1 + below(seed, 100));
    snprintf(flow->dst, sizeof flow->dst,
             flow->is_ip6 ? "2001:db8:1::%x" : "10.0.1.%u",
             1 + below(seed, 100));
    flow->src_port = (uint16_t) random_u32(seed);
    flow->dst_port = 80;
    flow->snap = snaps[below(seed, 5)];
    flow->has_timestamps = one_in(seed, 2);
    flow->is_padded = one_in(seed, 2);
    flow->wrong_by = one_in(seed, 4) ? (uint16_t) random_u32(seed) : 0;
    flow->l4_kind = one_in(seed, 3) ? (int) below(seed, 4) : 0;
    flow->seq = random_u32(seed);
    flow->ack = random_u32(seed);
    flow->ts = random_u32(seed);
    flow->ip_id = (uint16_t) random_u32(seed);
    flow->n_hops = 1 + below(seed, FLOW_MAX_HOPS);
    flow->time_ns = time_ns;
    for (size_t i = 0; i < flow->n_hops; i++) {
        flow->rules[i] = make_rule(flow, seed, i);
    }
}

void
flow_uninit(struct flow *flow)
{
    for (size_t i = 0; i < flow->n_hops; i++) {
        rule_unref(flow->rules[i]);
    }
    for (size_t i = 0; i < flow->n_trajectories; i++) {
        trajectory_unref(flow->trajectories[i]);
    }
}

static void
add_tcp(struct flow *flow, struct frame *f, uint64_t *seed, uint32_t len)
{
    uint8_t options[12] = {1, 1, 8, 10};

    if (one_in(seed, 10)) {
        flow->seq += below(seed, 3000); /* A gap. */
    }
    flow->ack += one_in(seed, 3) ? 1448 : 0;
    flow->ts += below(seed, 20);
    frame_tcp(f, flow->src_port, flow->dst_port, flow->seq, flow->ack,
              one_in(seed, 12) ? 0x02 : 0x18);
    if (flow->has_timestamps) {
        bytes_put_be32(options + 4, flow->ts);
        bytes_put_be32(options + 8, flow->ts / 2);
        if (one_in(seed, 20)) {
            options[1] = (uint8_t) random_u32(seed);
        }
        frame_tcp_options(f, options, sizeof options);
    }
    if (!one_in(seed, 15)) {
        flow->seq += len;
    }
}

/* Makes checksums as wrong as the flow has them. */
static void
spoil(const struct flow *flow, struct frame *f, uint64_t *seed)
{
    uint8_t *ip = f->data + f->l3_ofs;
    size_t at = flow->proto == HDR_IP_TCP   ? 16
                : flow->proto == HDR_IP_UDP ? 6
                                            : 2;

    if (!flow->is_ip6) {
        bytes_put_be16(ip + 10,
                       (uint16_t) (bytes_be16(ip + 10) + flow->wrong_by));
    }
    if (flow->proto != 50 && flow->proto != HDR_IP_SCTP) {
        uint8_t *sum = f->data + f->l4_ofs + at;

        if (flow->l4_kind == 1) {
            size_t l4_len = f->len - f->l4_ofs;
            uint32_t acc = flow->proto + (uint32_t) l4_len;
            const uint8_t *p = ip + (flow->is_ip6 ? 8 : 12);

            for (size_t i = 0; i < (flow->is_ip6 ? 32 : 8); i += 2) {
                acc += bytes_be16(p + i);
            }
            acc = (acc & 0xffff) + (acc >> 16);
            bytes_put_be16(sum, (uint16_t) ((acc & 0xffff) + (acc >> 16)));
        } else if (flow->l4_kind == 2) {
            bytes_put_be16(sum, 0);
        } else if (flow->l4_kind == 3) {
            bytes_put_be16(sum, (uint16_t) random_u32(seed));
        }
    }
}

static struct frame
make_frame(struct flow *flow, uint64_t *seed)
{
    struct frame f = frame_eth(flow->is_ip6 ? HDR_ETH_IP6 : HDR_ETH_IP4);
    uint32_t len = one_in(seed, 3) ? 0 : below(seed, 700);
    uint8_t payload[700];

    memset(payload, 'x', sizeof payload);
    if (one_in(seed, 2)) {
        for (uint32_t i = 0; i < len; i++) {
            payload[i] = (uint8_t) random_u32(seed);
        }
    }
    if (flow->is_ip6) {
        frame_ip6(&f, flow->proto, 64, flow->src, flow->dst);
    } else {
        frame_ip4(&f, flow->proto, 64, flow->src, flow->dst);
        flow->ip_id = (uint16_t) (flow->ip_id + (one_in(seed, 5) ? 7 : 1));
        bytes_put_be16(f.data + f.l3_ofs + 4, flow->ip_id);
    }
    switch (flow->proto) {
    case HDR_IP_TCP:
        add_tcp(flow, &f, seed, len);
        break;
    case HDR_IP_UDP:
        frame_udp(&f, flow->src_port, flow->dst_port);
        break;
    case HDR_IP_SCTP:
        frame_sctp(&f, flow->src_port, flow->dst_port, flow->seq);
        break;
    case HDR_IP_ICMP:
        frame_icmp(&f, 8, 0, flow->seq++);
        break;
    case HDR_IP_ICMP6:
        frame_icmp(&f, 128, 0, flow->seq++);
        break;
    default:
        break;
    }
    frame_bytes(&f, payload, len);
    frame_finish(&f);
    spoil(flow, &f, seed);
    if (flow->is_padded && f.len < 60) {
        uint8_t pad[60] = {0};

        pad[0] = one_in(seed, 5) ? 0xab : 0;
        frame_bytes(&f, pad, 60 - f.len);
    }
    return f;
}

struct history *
flow_next(struct flow *flow, uint64_t *seed, uint64_t unit_ns,
          const struct packet_id_config *config)
{
    struct frame f = make_frame(flow, seed);
    struct history *h = history_create(0);
    uint64_t time_ns = flow->time_ns + below(seed, 1000000) * 1000;
    uint8_t now[4096];
    size_t len = f.len < flow->snap ? f.len : flow->snap;
    struct hdr parsed;

    flow->time_ns = time_ns;
    memcpy(now, f.data, len);
    hdr_parse(now, len, &parsed);
    h->has_packet_id =
        packet_id(config, now, len, &parsed, &h->packet_id) != PACKET_ID_SHORT;
    if (one_in(seed, 40)) {
        h->packet_id = random_u32(seed); /* As if made otherwise. */
    }
    for (size_t i = 0; i < flow->n_hops; i++) {
        struct history_hop *hop = history_add_hop(h);
        uint8_t out[4096];
        size_t out_len;

        hop->parent = (int) i - 1;
        hop->dpid = i + 1;
        hop->in_port = 1;
        hop->time_ns = time_ns / unit_ns * unit_ns;
        time_ns +=
            one_in(seed, 50) ? random_u32(seed) : 5000 + below(seed, 45000);
        history_hop_add_out(hop, 2);
        history_hop_add_version(hop, (uint32_t) (7 + i));
        history_hop_set_header(hop, now, len);
        if (rule_apply(flow->rules[i], 0, now, len, out, sizeof out,
                       &out_len) == RULE_APPLY_OK) {
            history_hop_set_header_out(hop, out, out_len);
            hop->has_header_out = true;
            len = out_len < flow->snap ? out_len : flow->snap;
            memcpy(now, out, len);
        }
    }
    verdict_set(&h->hops[flow->n_hops - 1].verdict, VERDICT_DELIVERED,
                flow->n_hops, 2, NULL);
    history_settle(h);
    return h;
}

static bool
is_predicted(const struct trajectory *t, const struct history *h)
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

struct trajectory *
flow_trajectory(struct flow *flow, const struct history *h,
                struct trajectory_packet *packet, uint64_t *times_ns)
{
    struct trajectory *t = NULL;

    for (size_t i = 0; i < flow->n_trajectories && !t; i++) {
        if (is_predicted(flow->trajectories[i], h)) {
            t = flow->trajectories[i];
        }
    }
    if (!t && flow->n_trajectories < 32) {
        t = trajectory_create(h);
        if (t && !is_predicted(t, h)) {
            trajectory_unref(t);
            t = NULL;
        }
        if (t) {
            flow->trajectories[flow->n_trajectories++] = t;
        }
    }
    if (t) {
        const struct history_hop *ref = &h->hops[trajectory_reference(t)];

        for (size_t i = 0; i < h->n_hops; i++) {
            times_ns[i] = h->hops[i].time_ns;
        }
        *packet = (struct trajectory_packet){
            .packet_id = h->packet_id,
            .header = ref->header,
            .caplen = ref->caplen,
            .times_ns = times_ns,
        };
    }
    return t;
}
