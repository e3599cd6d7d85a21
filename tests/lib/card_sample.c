/* SPDX-License-Identifier: Apache-2.0 */
/* card_sample - postcards made up at random. */
#include <config.h>

#include "tests/lib/card_sample.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

uint32_t card_sample_state;

uint32_t
card_sample_draw(uint32_t n)
{
    card_sample_state = card_sample_state * 1664525 + 1013904223;
    return (card_sample_state >> 8) % n;
}

uint64_t
card_sample_draw64(void)
{
    uint64_t high = card_sample_draw(1u << 24);
    uint64_t mid = card_sample_draw(1u << 24);

    return high << 40 | mid << 20 | card_sample_draw(1u << 20);
}

void
card_sample_draw_bytes(uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t) card_sample_draw(256);
    }
}

/* --- Packets ------------------------------------------------------------- */

/* An Ethernet frame of some kind, as a rule one that is understood. */
void
card_sample_draw_packet(struct card_sample_packet *k)
{
    uint32_t kind = card_sample_draw(12);
    uint8_t *p = k->header;
    uint16_t own_len;

    card_sample_draw_bytes(p, CARD_SAMPLE_HEADER);
    k->l3_ofs = card_sample_draw(4) ? 14 : 18;
    if (k->l3_ofs == 18) {
        bytes_put_be16(p + 12, 0x8100);
    }
    k->is_ip4 = kind < 7;
    own_len = (uint16_t) (60 + card_sample_draw(200));
    if (k->is_ip4) {
        static const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 47};

        bytes_put_be16(p + k->l3_ofs - 2, 0x0800);
        p[k->l3_ofs] = 0x45;
        bytes_put_be16(p + k->l3_ofs + 2, own_len);
        bytes_put_be16(p + k->l3_ofs + 6,
                       card_sample_draw(20) ? 0x4000 : 0x2000);
        p[k->l3_ofs + 8] = (uint8_t) (64 - card_sample_draw(3) * 63);
        p[k->l3_ofs + 9] = protocols[kind];
        bytes_put_be16(p + k->l3_ofs + 10, 0);
        bytes_put_be16(p + k->l3_ofs + 10, inet_sum(p + k->l3_ofs, 20));
    } else if (kind < 10) {
        bytes_put_be16(p + k->l3_ofs - 2, 0x86dd);
        p[k->l3_ofs] = 0x60;
        bytes_put_be16(p + k->l3_ofs + 4, (uint16_t) (own_len - 40));
        p[k->l3_ofs + 6] = kind == 7 ? 6 : kind == 8 ? 17 : 58;
    } else if (kind == 10) {
        bytes_put_be16(p + 12, 0x0806);
    }
    k->len = (uint16_t) (card_sample_draw(10)
                             ? 96
                             : card_sample_draw(CARD_SAMPLE_HEADER));
    if (k->len > k->l3_ofs + own_len && card_sample_draw(2)) {
        k->len = (uint16_t) (k->l3_ofs + own_len);
    }
    if (k->len < 60) {
        k->l3_ofs = 14;
    }
}

/* What the next switch may see of it. */
static void
draw_hop(struct card_sample_packet *k)
{
    uint8_t *ip = k->header + k->l3_ofs;

    if (k->len < 60) {
        return;
    }
    if (card_sample_draw(4)) {
        if (k->is_ip4) {
            ip[8]--;
            bytes_put_be16(ip + 10, 0);
            bytes_put_be16(ip + 10, inet_sum(ip, 20));
        } else {
            ip[7]--;
        }
    }
    switch (card_sample_draw(14)) {
    case 0: /* A router of which there are few, */
        memset(k->header, (int) card_sample_draw(3), 12);
        break;
    case 1: /* or any. */
        card_sample_draw_bytes(k->header, 12);
        break;
    case 2: /* A tag comes, and pushes bytes out of the capture. */
        if (k->l3_ofs < 200) {
            memmove(k->header + 16, k->header + 12, CARD_SAMPLE_HEADER - 16u);
            bytes_put_be16(k->header + 12, 0x8100);
            bytes_put_be16(k->header + 14, (uint16_t) card_sample_draw(4));
            k->l3_ofs = (uint16_t) (k->l3_ofs + 4);
        }
        break;
    case 3: /* A tag goes, and more is captured. */
        if (k->l3_ofs >= 18) {
            memmove(k->header + 12, k->header + 16, CARD_SAMPLE_HEADER - 16u);
            k->l3_ofs = (uint16_t) (k->l3_ofs - 4);
        }
        break;
    case 4: /* NAT. */
        card_sample_draw_bytes(ip + 10, 10);
        break;
    case 5: /* Less is captured, */
        k->len = (uint16_t) (k->len - card_sample_draw(40));
        break;
    case 6: /* or more. */
        k->len = (uint16_t) (k->len +
                             card_sample_draw(CARD_SAMPLE_HEADER - k->len));
        break;
    case 7: /* It is not the same at all. */
        card_sample_draw_bytes(k->header, k->len);
        break;
    default:
        break;
    }
}

/* --- Postcards ------------------------------------------------------------
 */

void
card_sample_init(struct card_sample *s, size_t max)
{
    memset(s, 0, sizeof *s);
    s->cards = lh_alloc_zero((max + 1) * sizeof *s->cards);
    s->headers = lh_alloc_zero((max + 1) * sizeof *s->headers);
    s->now_ns = UINT64_C(1700000000000000000);
    for (unsigned int i = 0; i < CARD_SAMPLE_VISITS; i++) {
        union hop_template_buf buf;
        struct hop_output output = {.port = (uint16_t) (i + 2)};
        struct hop_trail trail = {.version = i + 7,
                                  .flags = HOP_TRAIL_VERSION};

        hop_template_make(&buf, &(struct hop_template_parts){
                                    .dpid = 0xa0 + i % 3,
                                    .in_port = i % 2 ? 1 : OF_PORT_UNKNOWN,
                                    .bridge = "br",
                                    .bridge_len = 2,
                                    .flags = i % 3 ? HOP_PACKET_OUT : 0,
                                    .outputs = &output,
                                    .n_outputs = 1,
                                    .trail = &trail,
                                    .n_trail = i % 2,
                                    .reason = "loop",
                                    .reason_len = i == 3 ? 4 : 0});
        buf.t.left_out = i % 2 * UINT32_MAX;
        s->visits[i] = hop_template_clone(&buf.t);
    }
    for (size_t i = 0; i < CARD_SAMPLE_LIVE; i++) {
        card_sample_draw_packet(&s->packets[i]);
    }
}

void
card_sample_uninit(struct card_sample *s)
{
    for (size_t i = 0; i < CARD_SAMPLE_VISITS; i++) {
        free(s->visits[i]);
    }
    free(s->cards);
    free(s->headers);
}

/* Names it as who receives it does. */
void
card_sample_name(struct postcard *p)
{
    struct hdr h;

    hdr_parse(p->header, p->caplen, &h);
    p->has_id = packet_id(&id_config, p->header, p->caplen, &h,
                          &p->packet_id) != PACKET_ID_SHORT;
}

/* The members that a rule and its switch decide; now and then any. */
static void
draw_members(struct card_sample *s, struct postcard *p, unsigned int wild)
{
    p->dpid = 1 + card_sample_draw(6);
    p->version = 1 + card_sample_draw(5);
    p->in_port =
        card_sample_draw(10) ? 1 + card_sample_draw(3) : OF_PORT_UNKNOWN;
    p->out_port =
        card_sample_draw(10) ? 1 + card_sample_draw(3) : OF_PORT_NONE;
    p->flags = card_sample_draw(10) ? 0 : (uint8_t) card_sample_draw(8);
    p->version_bits = 32;
    if (!card_sample_draw(4)) {
        bool is_dropped = !card_sample_draw(5);

        postcard_set_visit(p, s->visits[card_sample_draw(CARD_SAMPLE_VISITS)],
                           is_dropped);
    }
    if (card_sample_draw(100) < wild) {
        p->dpid = card_sample_draw64();
        p->version = (uint32_t) card_sample_draw64();
        p->in_port = (uint32_t) card_sample_draw64();
        p->out_port = (uint32_t) card_sample_draw64();
        p->flags = (uint8_t) card_sample_draw(256);
        p->version_bits = card_sample_draw(128) & 127;
    }
}

void
card_sample_add(struct card_sample *s, unsigned int wild)
{
    struct card_sample_packet *k =
        &s->packets[card_sample_draw(CARD_SAMPLE_LIVE)];
    struct postcard *p = &s->cards[s->n];

    if (card_sample_draw(5)) {
        draw_hop(k);
    } else {
        card_sample_draw_packet(k);
    }
    memcpy(s->headers[s->n], k->header, k->len);
    *p = (struct postcard){.header = s->headers[s->n], .caplen = k->len};
    card_sample_name(p);
    draw_members(s, p, wild);
    s->now_ns += card_sample_draw(50) * 1000;
    s->now_ns += wild ? card_sample_draw(2) : 0;
    p->time_ns = s->now_ns;
    if (card_sample_draw(100) < wild) {
        p->time_ns = card_sample_draw64();
        p->time_ns <<= card_sample_draw(24);
    }
    if (card_sample_draw(100) < wild) {
        p->packet_id =
            card_sample_draw(2) ? card_sample_draw(5) : card_sample_draw64();
        p->has_id = card_sample_draw(2);
    }
    s->n++;
}
