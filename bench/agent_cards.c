/* SPDX-License-Identifier: Apache-2.0 */
/* agent_cards - postcards of patched switches, for bench_agent. */
#include <config.h>
#include "bench/agent_cards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"

#define BURST   32
#define N_FLOWS 8 /* Of TCP bulk. */

struct card *cards;
size_t n_cards;

static size_t n_allocated;
static struct hop_template **templates;
static size_t n_templates, templates_allocated;

static const struct hop_template *
find_template(uint64_t dpid, uint32_t in_port, uint32_t out_port,
              uint32_t version)
{
    struct hop_output output = {.port = (uint16_t) out_port};
    struct hop_trail trail = {.version = version, .flags = HOP_TRAIL_VERSION};
    union hop_template_buf buf;

    hop_template_make(&buf, &(struct hop_template_parts){.dpid = dpid,
                                                         .in_port = in_port,
                                                         .bridge = "br",
                                                         .bridge_len = 2,
                                                         .outputs = &output,
                                                         .n_outputs = 1,
                                                         .trail = &trail,
                                                         .n_trail = 1});
    for (size_t i = n_templates; i-- > 0;) {
        if (hop_template_equal(templates[i], &buf.t)) {
            return templates[i];
        }
    }
    templates = lh_alloc_grow(templates, n_templates, &templates_allocated,
                              sizeof *templates);
    templates[n_templates] = hop_template_clone(&buf.t);
    return templates[n_templates++];
}

static struct card *
add_card(const struct hop_template *template, uint64_t time_ns,
         const uint8_t *header, uint16_t caplen, uint32_t packet_len)
{
    struct card *card;

    cards = lh_alloc_grow(cards, n_cards, &n_allocated, sizeof *cards);
    card = &cards[n_cards++];
    card->template = template;
    card->time_ns = time_ns;
    card->packet_len = packet_len;
    card->caplen = caplen;
    memcpy(card->header, header, caplen);
    return card;
}

const char *
agent_cards_make_mix(size_t n_packets)
{
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    char *trace;
    struct gen *gen;
    const char *traffic = bench_preset(&config, &trace);
    size_t n;

    config.n_packets = n_packets;
    config.snap = PACKET_ID_SNAP;
    if (gen_create(&config, &gen, &error)) {
        figure_die(error.text);
    }
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            struct postcard p;
            struct hdr outer, h;

            if (postcard_geneve_decode_frame(batch[i].data, batch[i].len,
                                             &outer, &p) != POSTCARD_OK ||
                p.caplen > PACKET_ID_SNAP) {
                figure_die("no postcard");
            }
            hdr_parse(p.header, p.caplen, &h);
            add_card(find_template(p.dpid, p.in_port, p.out_port, p.version),
                     batch[i].time_ns, p.header, p.caplen,
                     hdr_has_l3(&h) ? h.l3_ofs + h.own_len : p.caplen);
        }
    }
    gen_destroy(gen);
    free(trace);
    return traffic;
}

/* Segment or acknowledgement 'i' of a connection, as bridge 'hop' sees it. */
static uint16_t
make_segment(uint8_t *p, uint32_t flow, uint32_t i, unsigned int hop,
             uint64_t *random)
{
    bool is_ack = flow & 1;
    uint16_t own_len = is_ack ? 52 : 1500;

    memset(p, 0, PACKET_ID_SNAP);
    p[0] = p[6] = 2;
    p[5] = (uint8_t) (hop + 1);
    p[11] = (uint8_t) hop;
    bytes_put_be16(p + 12, HDR_ETH_IP4);
    p[14] = 0x45;
    bytes_put_be16(p + 16, own_len);
    bytes_put_be16(p + 18, (uint16_t) (flow * 771 + i));
    p[20] = 0x40;
    p[22] = (uint8_t) (64 - hop);
    p[23] = HDR_IP_TCP;
    bytes_put_be32(p + 26, 0x0a000001 + (is_ack ? 256 : 0));
    bytes_put_be32(p + 30, 0x0a000001 + (is_ack ? 0 : 256));
    bytes_put_be16(p + 24, inet_sum(p + 14, 20));
    bytes_put_be16(p + 34, (uint16_t) (is_ack ? 5201 : 40000 + flow / 2));
    bytes_put_be16(p + 36, (uint16_t) (is_ack ? 40000 + flow / 2 : 5201));
    bytes_put_be32(p + 38, is_ack ? 77 : 1000 * flow + 1448 * i);
    bytes_put_be32(p + 42, is_ack ? 1000 * flow + 2896 * i : 78);
    p[46] = 0x80;
    p[47] = 0x10;
    bytes_put_be16(p + 48, is_ack ? (uint16_t) (3000 + i % 7) : 509);
    bytes_put_be32(p + 54, 0x0101080a);
    bytes_put_be32(p + 58, 100000 + flow + i / 800);
    bytes_put_be32(p + 62, 200000 + flow + i / 800);
    bytes_put_be16(p + 50, (uint16_t) (*random >> 16));
    if (is_ack) {
        return 66;
    }
    for (size_t at = 66; at < PACKET_ID_SNAP; at++) {
        *random =
            *random * UINT64_C(6364136223846793005) + 1442695040888963407;
        p[at] = (uint8_t) (*random >> 56);
    }
    return PACKET_ID_SNAP;
}

void
agent_cards_make_bulk(size_t n_packets, unsigned int n_bridges)
{
    uint64_t now_ns = UINT64_C(1700000000000000000), random = 7;
    uint32_t count[2 * N_FLOWS] = {0};
    const struct hop_template *at[2][16];

    for (unsigned int i = 0; i < n_bridges; i++) {
        at[0][i] = find_template(0xa0 + i, 1, 2, 10 + i);
        at[1][i] = find_template(0xa0 + i, 2, 1, 20 + i);
    }
    for (size_t n = 0; n < n_packets; n += BURST) {
        uint8_t p[BURST][PACKET_ID_SNAP];
        /* Two segments for an acknowledgement. */
        bool is_ack = n / BURST % 3 == 2;
        uint32_t flow[BURST], number[BURST];
        uint64_t seeds[BURST];

        for (unsigned int k = 0; k < BURST; k++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            flow[k] = 2 * (uint32_t) (random >> 60) % (2 * N_FLOWS) + is_ack;
            number[k] = count[flow[k]]++;
            seeds[k] = random;
        }
        for (unsigned int hop = 0; hop < n_bridges; hop++) {
            now_ns += 1000 + (random >> 50) % 3000;
            for (unsigned int k = 0; k < BURST; k++) {
                uint64_t seed = seeds[k];
                uint16_t caplen =
                    make_segment(p[k], flow[k], number[k], hop, &seed);

                add_card(at[is_ack][hop], now_ns, p[k], caplen,
                         is_ack ? 66 : 1514);
            }
        }
    }
}
