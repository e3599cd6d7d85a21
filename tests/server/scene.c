/* SPDX-License-Identifier: Apache-2.0 */
/* scene - a small network for tests of the server. */
#include <config.h>

#include "tests/server/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"

struct topology *
scene_topology(bool with_addresses)
{
    struct topology_builder *b = topology_builder_create();

    for (uint16_t i = 1; i <= SCENE_SWITCHES; i++) {
        char name[16];

        snprintf(name, sizeof name, "s%u", i);
        topology_builder_add_switch(b, i, name, i,
                                    with_addresses ? SCENE_ADDRESS : NULL);
        topology_builder_add_port(b, i, 1, NULL, i == 1);
        topology_builder_add_port(b, i, 2, NULL, i == SCENE_SWITCHES);
        if (i > 1) {
            topology_builder_add_link(b, (uint64_t) i - 1, 2, i, 1);
        }
    }
    return topology_build(b, 1);
}

json_t *
scene_rule(uint64_t dpid, uint32_t version)
{
    bool drops = version == 90 + dpid;

    if (dpid < 1 || dpid > SCENE_SWITCHES ||
        (version != 10 + dpid && !drops)) {
        return NULL;
    }
    return json_pack(
        "{s:o, s:I, s:s, s:i, s:i, s:s, s:s, s:I, s:b, s:o}", "dpid",
        jmember_dpid_new(dpid), "version", (json_int_t) version, "kind",
        "flow", "table", 0, "priority", drops ? 100 : 10, "match",
        drops ? "udp,tp_dst=7" : "", "actions", drops ? "drop" : "output:2",
        "installed_ns", (json_int_t) 1, "instrumented", 1, "steps",
        drops ? json_array()
              : json_pack("[{s:s, s:i}]", "do", "output", "port", 2));
}

void
scene_card(struct scene_card *card, uint32_t n, uint64_t dpid, bool drops,
           uint64_t time_ns)
{
    struct frame *f = &card->frame;
    uint8_t payload[24] = {0};

    *f = frame_eth(HDR_ETH_IP4);
    frame_ip4(f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(f, 5000, 7);
    bytes_put_be32(payload, n);
    frame_bytes(f, payload, sizeof payload);
    bytes_put_be16(f->data + f->l3_ofs + 4, (uint16_t) n);
    frame_finish(f);
    card->postcard = (struct postcard){
        .dpid = dpid,
        .time_ns = time_ns,
        .version = (uint32_t) ((drops ? 90 : 10) + dpid),
        .in_port = 1,
        .out_port = drops ? OF_PORT_NONE : 2,
        .version_bits = 32,
        .caplen = (uint16_t) f->len,
        .header = f->data,
    };
}

size_t
scene_datagram(const struct scene_card *card, uint8_t *out)
{
    struct postcard p = card->postcard;

    p.header = card->frame.data;
    return postcard_geneve_encode(&p, out, 2048);
}

size_t
scene_frame(const struct scene_card *card, bool is_mac, uint8_t *out)
{
    static const struct postcard_geneve_path path = {
        .eth_src = {2, 0, 0, 0, 0, 1},
        .eth_dst = {2, 0, 0, 0, 0, 2},
        .ip_src = 0xc0000209, /* SCENE_ADDRESS. */
        .ip_dst = 0xc0000201,
        .udp_src = 40000,
    };
    struct postcard p = card->postcard;
    uint16_t code;

    p.header = card->frame.data;
    if (!is_mac) {
        return postcard_geneve_encode_frame(&p, &path, out, 2048);
    }
    if (!postcard_mac_port_code(p.out_port, &code)) {
        abort();
    }
    return postcard_mac_encode(&p, SCENE_VLAN, (uint16_t) p.dpid, code, out,
                               2048);
}

void
scene_write_topology(const char *path)
{
    struct topology *topology = scene_topology(true);
    json_t *json = topology_to_json(topology);

    if (json_dump_file(json, path, JSON_INDENT(1))) {
        abort();
    }
    json_decref(json);
    topology_unref(topology);
}

void
scene_write_rules(const char *path)
{
    FILE *stream = fopen(path, "w");

    if (!stream) {
        abort();
    }
    for (uint32_t i = 1; i <= SCENE_SWITCHES; i++) {
        for (uint32_t version = 10; version <= 90; version += 80) {
            json_t *json = scene_rule(i, version + i);

            json_dumpf(json, stream, JSON_COMPACT);
            putc('\n', stream);
            json_decref(json);
        }
    }
    fclose(stream);
}

/* --- Capture files ------------------------------------------------------ */

/* Written in the byte order of this machine, as the formats want. */
struct scene_pcap {
    FILE *stream;
    bool is_ng;
};

static void
put(struct scene_pcap *pcap, const void *data, size_t n)
{
    if (fwrite(data, 1, n, pcap->stream) != n) {
        abort();
    }
}

static void
put_u32(struct scene_pcap *pcap, uint32_t value)
{
    put(pcap, &value, sizeof value);
}

static void
put_u16(struct scene_pcap *pcap, uint16_t value)
{
    put(pcap, &value, sizeof value);
}

struct scene_pcap *
scene_pcap_open(const char *path, bool is_ng)
{
    struct scene_pcap *pcap = lh_alloc_zero(sizeof *pcap);

    pcap->stream = fopen(path, "w");
    pcap->is_ng = is_ng;
    if (!pcap->stream) {
        abort();
    }
    if (is_ng) {
        put_u32(pcap, 0x0a0d0d0a); /* Section header. */
        put_u32(pcap, 28);
        put_u32(pcap, 0x1a2b3c4d);
        put_u16(pcap, 1);
        put_u16(pcap, 0);
        put_u32(pcap, UINT32_MAX);
        put_u32(pcap, UINT32_MAX);
        put_u32(pcap, 28);
        put_u32(pcap, 1); /* Interface, with times in nanoseconds. */
        put_u32(pcap, 32);
        put_u16(pcap, 1);
        put_u16(pcap, 0);
        put_u32(pcap, 65535);
        put_u16(pcap, 9); /* if_tsresol */
        put_u16(pcap, 1);
        put_u32(pcap, 9);
        put_u32(pcap, 0);
        put_u32(pcap, 32);
    } else {
        put_u32(pcap, 0xa1b23c4d); /* Times in nanoseconds. */
        put_u16(pcap, 2);
        put_u16(pcap, 4);
        put_u32(pcap, 0);
        put_u32(pcap, 0);
        put_u32(pcap, 65535);
        put_u32(pcap, 1);
    }
    return pcap;
}

void
scene_pcap_add(struct scene_pcap *pcap, const void *frame, size_t len,
               uint64_t time_ns)
{
    static const uint8_t zeros[4] = {0};
    uint32_t n = (uint32_t) len;

    if (pcap->is_ng) {
        uint32_t padded = (n + 3) & ~3u;

        put_u32(pcap, 6); /* Enhanced packet. */
        put_u32(pcap, 32 + padded);
        put_u32(pcap, 0);
        put_u32(pcap, (uint32_t) (time_ns >> 32));
        put_u32(pcap, (uint32_t) time_ns);
        put_u32(pcap, n);
        put_u32(pcap, n);
        put(pcap, frame, n);
        put(pcap, zeros, padded - n);
        put_u32(pcap, 32 + padded);
    } else {
        put_u32(pcap, (uint32_t) (time_ns / 1000000000));
        put_u32(pcap, (uint32_t) (time_ns % 1000000000));
        put_u32(pcap, n);
        put_u32(pcap, n);
        put(pcap, frame, n);
    }
}

void
scene_pcap_close(struct scene_pcap *pcap)
{
    fclose(pcap->stream);
    free(pcap);
}

void
scene_write_capture(const char *path, uint32_t n, bool is_mac, bool is_ng)
{
    struct scene_pcap *pcap = scene_pcap_open(path, is_ng);

    for (uint32_t i = 0; i < n; i++) {
        uint64_t time_ns = SCENE_START_NS + i * UINT64_C(1000000);
        uint64_t last = i % 3 ? SCENE_SWITCHES : 1 + i % SCENE_SWITCHES;

        for (uint64_t dpid = 1; dpid <= last; dpid++) {
            struct scene_card card;
            uint8_t frame[2048];

            scene_card(&card, i, dpid, i % 3 == 0 && dpid == last,
                       time_ns + dpid * 10000);
            scene_pcap_add(pcap, frame, scene_frame(&card, is_mac, frame),
                           card.postcard.time_ns);
        }
    }
    scene_pcap_close(pcap);
}
