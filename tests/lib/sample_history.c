/* SPDX-License-Identifier: Apache-2.0 */
/* sample_history - histories for tests, of packets in one small network. */
#include <config.h>
#include "tests/lib/sample_history.h"

#include "tests/lib/frame.h"

#define ETH_IP4 0x0800
#define ETH_ARP 0x0806
#define TCP     6
#define UDP     17
#define START   UINT64_C(1700000000000000000)

struct topology *
sample_topology(void)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, "s1", 1, NULL);
    topology_builder_add_switch(b, 2, "s2", 2, NULL);
    topology_builder_add_switch(b, 3, "s3", 3, NULL);
    topology_builder_add_port(b, 1, 1, "client", true);
    topology_builder_add_port(b, 1, 2, "s1-s2", false);
    topology_builder_add_port(b, 1, 3, "s1-s3", false);
    topology_builder_add_port(b, 2, 1, "s2-s1", false);
    topology_builder_add_port(b, 2, 2, "server", true);
    topology_builder_add_port(b, 2, 3, "s2-s3", false);
    topology_builder_add_port(b, 3, 1, "s3-s1", false);
    topology_builder_add_port(b, 3, 2, "s3-s2", false);
    topology_builder_add_port(b, 3, 3, "other", true);
    topology_builder_add_link(b, 1, 2, 2, 1);
    topology_builder_add_link(b, 1, 3, 3, 1);
    topology_builder_add_link(b, 2, 3, 3, 2);
    return topology_build(b, 1);
}

/* A TCP SYN. */
static struct frame
syn(const char *src, uint16_t src_port, uint8_t ttl)
{
    struct frame f = frame_eth(ETH_IP4);

    frame_ip4(&f, TCP, ttl, src, "203.0.113.9");
    frame_tcp(&f, src_port, 80, 1000, 0, 2);
    frame_finish(&f);
    return f;
}

/* Adds a hop that 'version' sent from 'in_port' to 'out_port' (none if
 * OF_PORT_NONE). */
static struct history_hop *
add_hop(struct history *h, int parent, uint64_t dpid, uint32_t in_port,
        uint32_t out_port, uint32_t version)
{
    struct history_hop *hop = history_add_hop(h);

    hop->parent = parent;
    hop->dpid = dpid;
    hop->in_port = in_port;
    hop->time_ns = START + 12300 * (h->n_hops - 1);
    if (out_port != OF_PORT_NONE) {
        history_hop_add_out(hop, out_port);
    }
    history_hop_add_version(hop, version);
    return hop;
}

static void
set_headers(struct history_hop *hop, const struct frame *in,
            const struct frame *out)
{
    history_hop_set_header(hop, in->data, in->len);
    if (out) {
        history_hop_set_header_out(hop, out->data, out->len);
    }
}

struct history *
sample_history_nat(void)
{
    struct history *h = history_create(0x0123456789abcdef);
    struct frame before = syn("10.0.0.5", 4321, 64);
    struct frame after = syn("192.0.2.1", 61000, 63);
    struct frame last = syn("192.0.2.1", 61000, 62);
    struct history_hop *hop;

    hop = add_hop(h, -1, 1, 1, 2, 7);
    set_headers(hop, &before, &after);
    hop = add_hop(h, 0, 2, 1, 2, 11);
    set_headers(hop, &after, &last);
    verdict_set(&hop->verdict, VERDICT_DELIVERED, 2, 2, NULL);
    history_settle(h);
    return h;
}

struct history *
sample_history_dropped(void)
{
    struct history *h = history_create(0xfedcba9876543210);
    struct frame f = frame_eth(ETH_IP4);
    struct history_hop *hop;

    frame_ip4(&f, UDP, 64, "10.0.0.5", "10.0.0.9");
    frame_udp(&f, 4321, 53);
    frame_text(&f, "who?");
    frame_finish(&f);
    hop = add_hop(h, -1, 1, 1, 3, 8);
    set_headers(hop, &f, &f);
    hop = add_hop(h, 0, 3, 1, OF_PORT_NONE, 9);
    set_headers(hop, &f, NULL);
    verdict_set(&hop->verdict, VERDICT_DROPPED, 3, OF_PORT_UNKNOWN,
                "the rule has no output");
    hop->verdict.has_version = true;
    hop->verdict.version = 9;
    history_settle(h);
    return h;
}

struct history *
sample_history_flooded(void)
{
    struct history *h = history_create(42);
    struct frame f = frame_eth(ETH_ARP);
    struct history_hop *hop;

    frame_arp(&f, 1, "10.0.0.5", "10.0.0.9");
    frame_finish(&f);
    hop = add_hop(h, -1, 1, 1, OF_PORT_FLOOD, 1);
    history_hop_add_branch(hop, 3);
    history_hop_add_branch(hop, 2);
    set_headers(hop, &f, &f);
    verdict_set(&hop->verdict, VERDICT_DROPPED, 1, 4, "the port is down");
    hop = add_hop(h, 0, 2, 1, 3, 1);
    history_hop_add_out(hop, 2);
    set_headers(hop, &f, &f);
    hop = add_hop(h, 1, 3, 2, 1, 1);
    set_headers(hop, &f, &f);
    hop = add_hop(h, 2, 1, 3, 2, 1);
    set_headers(hop, &f, &f);
    verdict_set(&hop->verdict, VERDICT_LOOPED, 1, 3,
                "s1 saw this packet before");
    hop = add_hop(h, 0, 3, 1, 2, 1);
    set_headers(hop, &f, &f);
    verdict_set(&hop->verdict, VERDICT_LOST, 3, 2, NULL);
    hop->verdict.evidence = EVIDENCE_UNCERTAIN;
    history_settle(h);
    return h;
}

struct history *
sample_history_odd(void)
{
    struct history *h = history_create(0);
    struct frame f = syn("10.0.0.5", 4321, 64);
    struct frame out = syn("10.0.0.5", 4321, 60);
    struct history_hop *hop;

    h->has_packet_id = false;
    h->carried_by = 77;
    h->carries = 78;
    hop = add_hop(h, -1, 1, 1, OF_PORT_CONTROLLER, 1);
    set_headers(hop, &f, NULL);
    hop = add_hop(h, 0, 1, OF_PORT_CONTROLLER, 2, 100);
    hop->is_packet_out = true;
    set_headers(hop, &f, &f);
    hop = add_hop(h, 1, 2, 1, 3, 5);
    hop->is_deduced = true;
    hop->n_versions = 0;
    hop->time_ns = 0;
    hop = add_hop(h, 2, 3, OF_PORT_UNKNOWN, 3, 6);
    history_hop_add_version(hop, 4);
    hop->has_gap_before = true;
    hop->is_after = true;
    set_headers(hop, &out, &out);
    verdict_set(&hop->verdict, VERDICT_OPEN, 3, OF_PORT_UNKNOWN,
                "more was expected");
    history_settle(h);
    return h;
}
