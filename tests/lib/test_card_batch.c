/* SPDX-License-Identifier: Apache-2.0 */
/* Packed postcards of a cluster: every member comes out as it went in. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/card_batch.h"
#include "lib/hop_template.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define MAX_HEADER 300
#define N_VISITS   6
#define N_LIVE     40 /* Packets under way. */

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

static uint32_t random_state;

static uint32_t
draw(uint32_t n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static uint64_t
draw64(void)
{
    return (uint64_t) draw(1u << 24) << 40 | (uint64_t) draw(1u << 24) << 20 |
           draw(1u << 20);
}

static void
draw_bytes(uint8_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t) draw(256);
    }
}

/* --- Packets ------------------------------------------------------------- */

struct packet {
    uint8_t header[MAX_HEADER];
    uint16_t len, l3_ofs;
    bool is_ip4;
};

/* An Ethernet frame of some kind, as a rule one that is understood. */
static void
draw_packet(struct packet *k)
{
    uint32_t kind = draw(12);
    uint8_t *p = k->header;
    uint16_t own_len;

    draw_bytes(p, MAX_HEADER);
    k->l3_ofs = draw(4) ? 14 : 18;
    if (k->l3_ofs == 18) {
        bytes_put_be16(p + 12, 0x8100);
    }
    k->is_ip4 = kind < 7;
    own_len = (uint16_t) (60 + draw(200));
    if (k->is_ip4) {
        static const uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 47};

        bytes_put_be16(p + k->l3_ofs - 2, 0x0800);
        p[k->l3_ofs] = 0x45;
        bytes_put_be16(p + k->l3_ofs + 2, own_len);
        bytes_put_be16(p + k->l3_ofs + 6, draw(20) ? 0x4000 : 0x2000);
        p[k->l3_ofs + 8] = (uint8_t) (64 - draw(3) * 63);
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
    k->len = (uint16_t) (draw(10) ? 96 : draw(MAX_HEADER));
    if (k->len > k->l3_ofs + own_len && draw(2)) {
        k->len = (uint16_t) (k->l3_ofs + own_len);
    }
    if (k->len < 60) {
        k->l3_ofs = 14;
    }
}

/* What the next switch may see of it. */
static void
draw_hop(struct packet *k)
{
    uint8_t *ip = k->header + k->l3_ofs;

    if (k->len < 60) {
        return;
    }
    if (draw(4)) {
        if (k->is_ip4) {
            ip[8]--;
            bytes_put_be16(ip + 10, 0);
            bytes_put_be16(ip + 10, inet_sum(ip, 20));
        } else {
            ip[7]--;
        }
    }
    switch (draw(14)) {
    case 0: /* A router of which there are few, */
        memset(k->header, (int) draw(3), 12);
        break;
    case 1: /* or any. */
        draw_bytes(k->header, 12);
        break;
    case 2: /* A tag comes, and pushes bytes out of the capture. */
        if (k->l3_ofs < 200) {
            memmove(k->header + 16, k->header + 12, MAX_HEADER - 16u);
            bytes_put_be16(k->header + 12, 0x8100);
            bytes_put_be16(k->header + 14, (uint16_t) draw(4));
            k->l3_ofs = (uint16_t) (k->l3_ofs + 4);
        }
        break;
    case 3: /* A tag goes, and more is captured. */
        if (k->l3_ofs >= 18) {
            memmove(k->header + 12, k->header + 16, MAX_HEADER - 16u);
            k->l3_ofs = (uint16_t) (k->l3_ofs - 4);
        }
        break;
    case 4: /* NAT. */
        draw_bytes(ip + 10, 10);
        break;
    case 5: /* Less is captured, */
        k->len = (uint16_t) (k->len - draw(40));
        break;
    case 6: /* or more. */
        k->len = (uint16_t) (k->len + draw(MAX_HEADER - k->len));
        break;
    case 7: /* It is not the same at all. */
        draw_bytes(k->header, k->len);
        break;
    default:
        break;
    }
}

/* --- Postcards ------------------------------------------------------------
 */

struct sample {
    struct postcard *cards;
    uint8_t (*headers)[MAX_HEADER];
    struct hop_template *visits[N_VISITS];
    struct packet packets[N_LIVE];
    uint64_t now_ns;
    size_t n;
};

static void
sample_init(struct sample *s, size_t max)
{
    memset(s, 0, sizeof *s);
    s->cards = lh_alloc_zero((max + 1) * sizeof *s->cards);
    s->headers = lh_alloc_zero((max + 1) * sizeof *s->headers);
    s->now_ns = UINT64_C(1700000000000000000);
    for (unsigned int i = 0; i < N_VISITS; i++) {
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
    for (size_t i = 0; i < N_LIVE; i++) {
        draw_packet(&s->packets[i]);
    }
}

static void
sample_uninit(struct sample *s)
{
    for (size_t i = 0; i < N_VISITS; i++) {
        free(s->visits[i]);
    }
    free(s->cards);
    free(s->headers);
}

/* Names it as who receives it does. */
static void
name(struct postcard *p)
{
    struct hdr h;

    hdr_parse(p->header, p->caplen, &h);
    p->has_id = packet_id(&id_config, p->header, p->caplen, &h,
                          &p->packet_id) != PACKET_ID_SHORT;
}

/* The members that a rule and its switch decide; now and then any. */
static void
draw_members(struct sample *s, struct postcard *p, unsigned int wild)
{
    p->dpid = 1 + draw(6);
    p->version = 1 + draw(5);
    p->in_port = draw(10) ? 1 + draw(3) : OF_PORT_UNKNOWN;
    p->out_port = draw(10) ? 1 + draw(3) : OF_PORT_NONE;
    p->flags = draw(10) ? 0 : (uint8_t) draw(8);
    p->version_bits = 32;
    if (!draw(4)) {
        postcard_set_visit(p, s->visits[draw(N_VISITS)], !draw(5));
    }
    if (draw(100) < wild) {
        p->dpid = draw64();
        p->version = (uint32_t) draw64();
        p->in_port = (uint32_t) draw64();
        p->out_port = (uint32_t) draw64();
        p->flags = (uint8_t) draw(256);
        p->version_bits = draw(128) & 127;
    }
}

static void
sample_add(struct sample *s, unsigned int wild)
{
    struct packet *k = &s->packets[draw(N_LIVE)];
    struct postcard *p = &s->cards[s->n];

    if (draw(5)) {
        draw_hop(k);
    } else {
        draw_packet(k);
    }
    memcpy(s->headers[s->n], k->header, k->len);
    *p = (struct postcard){.header = s->headers[s->n], .caplen = k->len};
    name(p);
    draw_members(s, p, wild);
    s->now_ns += draw(50) * 1000 + (wild ? draw(2) : 0);
    p->time_ns = draw(100) < wild ? draw64() << draw(24) : s->now_ns;
    if (draw(100) < wild) {
        p->packet_id = draw(2) ? draw(5) : draw64();
        p->has_id = draw(2);
    }
    s->n++;
}

static void
check_equal(const struct postcard *a, const struct postcard *b)
{
    ck_assert_uint_eq(a->dpid, b->dpid);
    ck_assert_uint_eq(a->packet_id, b->packet_id);
    ck_assert_uint_eq(a->time_ns, b->time_ns);
    ck_assert_uint_eq(a->version, b->version);
    ck_assert_uint_eq(a->in_port, b->in_port);
    ck_assert_uint_eq(a->out_port, b->out_port);
    ck_assert_uint_eq(a->flags, b->flags);
    ck_assert_uint_eq(a->version_bits, b->version_bits);
    ck_assert_uint_eq(a->has_id, b->has_id);
    ck_assert_uint_eq(a->caplen, b->caplen);
    ck_assert(!a->caplen || !memcmp(a->header, b->header, a->caplen));
    ck_assert(hop_template_equal(a->visit, b->visit));
}

/* Packs those from 'from' on that find room, reads them, and returns how many
 * they were. */
static size_t
pack(struct card_batch_writer *w, struct card_batch_reader *r,
     const struct postcard *cards, size_t n, size_t *size)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;
    struct postcard p;
    size_t n_in = 0;

    while (n_in < n && card_batch_writer_add(w, &cards[n_in])) {
        n_in++;
    }
    ck_assert_uint_eq(card_batch_writer_n(w), n_in);
    card_batch_writer_finish(w, &out);
    ck_assert_uint_eq(card_batch_writer_n(w), 0);
    ck_assert_uint_le(out.len, CARD_BATCH_MAX_SIZE);
    *size = out.len;
    ck_assert_msg(!card_batch_reader_open(r, out.data, out.len, &error), "%s",
                  error.text);
    ck_assert_uint_eq(card_batch_reader_n(r), n_in);
    for (size_t i = 0; i < n_in; i++) {
        ck_assert(card_batch_reader_next(r, &p));
        check_equal(&cards[i], &p);
    }
    ck_assert(!card_batch_reader_next(r, &p));
    byte_buf_uninit(&out);
    return n_in;
}

static void
check_random(unsigned int wild, uint32_t seed)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct sample s;

    random_state = seed;
    sample_init(&s, 6000);
    while (s.n < 6000) {
        sample_add(&s, wild);
    }
    for (size_t at = 0; at < s.n;) {
        size_t n = 1 + draw(3000), size;

        at += pack(w, r, s.cards + at, n < s.n - at ? n : s.n - at, &size);
    }
    sample_uninit(&s);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}

START_TEST(test_postcards_of_networks)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        check_random(0, seed);
    }
}
END_TEST

START_TEST(test_any_postcards)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        check_random(5, seed);
        check_random(60, seed);
    }
}
END_TEST

START_TEST(test_empty)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct postcard p = {.dpid = 7};
    size_t size;

    ck_assert_uint_eq(pack(w, r, NULL, 0, &size), 0);
    ck_assert_uint_eq(pack(w, r, &p, 1, &size), 1); /* Without a header. */
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

/* The same packet at many switches costs little. */
START_TEST(test_hops_are_cheap)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct sample s;
    struct packet k;
    size_t size;

    random_state = 3;
    sample_init(&s, 1000);
    for (size_t i = 0; i < 1000; i++) {
        struct postcard *p = &s.cards[s.n];
        uint8_t *ip = k.header + 14;

        if (i % 10 == 0) {
            do {
                draw_packet(&k);
            } while (!k.is_ip4 || k.l3_ofs != 14 || k.len != 96 || ip[8] < 20);
        }
        ip[8]--;
        bytes_put_be16(ip + 10, 0);
        bytes_put_be16(ip + 10, inet_sum(ip, 20));
        memset(k.header, (int) (i % 10), 6); /* Routers. */
        memcpy(s.headers[s.n], k.header, k.len);
        *p = (struct postcard){.header = s.headers[s.n],
                               .caplen = k.len,
                               .dpid = 1 + i % 10,
                               .in_port = 1,
                               .out_port = 2,
                               .version = 3,
                               .version_bits = 32,
                               .time_ns = i * 10000};
        name(p);
        s.n++;
    }
    ck_assert_uint_eq(pack(w, r, s.cards, s.n, &size), s.n);
    /* 100 packets of 96 bytes, and a byte for each postcard. */
    ck_assert_uint_lt(size, 100 * 96 + 1000);
    sample_uninit(&s);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

START_TEST(test_bounds)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct postcard *cards =
        lh_alloc_zero((CARD_BATCH_MAX + 1) * sizeof *cards);
    uint8_t *header = lh_alloc_zero(UINT16_MAX);
    size_t size;

    random_state = 5;
    draw_bytes(header, UINT16_MAX);
    for (size_t i = 0; i <= CARD_BATCH_MAX; i++) {
        cards[i].time_ns = draw64();
        cards[i].dpid = draw64();
        cards[i].header = header;
        cards[i].caplen = i % 7;
    }
    ck_assert_uint_eq(pack(w, r, cards, CARD_BATCH_MAX + 1, &size),
                      CARD_BATCH_MAX);
    for (size_t i = 0; i <= CARD_BATCH_MAX; i++) {
        cards[i].caplen = UINT16_MAX;
    }
    ck_assert_uint_eq(pack(w, r, cards, CARD_BATCH_MAX, &size),
                      CARD_BATCH_MAX_BYTES / UINT16_MAX);
    free(cards);
    free(header);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

START_TEST(test_notes)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct card_batch_inner in[3] = {
        {1, 2, 1000}, {UINT64_MAX, 5, UINT64_MAX}, {3, 3, 0}};
    struct byte_buf out = BYTE_BUF_INIT;
    struct card_batch_inner inner;
    struct postcard p = {.dpid = 7};

    for (size_t i = 0; i < 3; i++) {
        ck_assert(card_batch_writer_add_inner(w, &in[i]));
    }
    ck_assert(card_batch_writer_add(w, &p));
    card_batch_writer_finish(w, &out);
    ck_assert(!card_batch_reader_open(r, out.data, out.len, NULL));
    for (size_t i = 0; i < 3; i++) {
        ck_assert(card_batch_reader_next_inner(r, &inner));
        ck_assert_uint_eq(inner.inner, in[i].inner);
        ck_assert_uint_eq(inner.outer, in[i].outer);
        ck_assert_uint_eq(inner.time_ns, in[i].time_ns);
    }
    ck_assert(!card_batch_reader_next_inner(r, &inner));
    ck_assert(card_batch_reader_next(r, &p));
    for (size_t i = 0; i < CARD_BATCH_MAX_INNER; i++) {
        ck_assert(card_batch_writer_add_inner(w, &in[i % 3]));
    }
    ck_assert(!card_batch_writer_add_inner(w, &in[0]));
    byte_buf_uninit(&out);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

/* Damage is found, or makes postcards that are in bounds. */
START_TEST(test_damage)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;
    struct sample s;

    random_state = 9;
    sample_init(&s, 60);
    while (s.n < 60) {
        sample_add(&s, 5);
        ck_assert(card_batch_writer_add(w, &s.cards[s.n - 1]));
    }
    card_batch_writer_finish(w, &out);
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *part = lh_alloc(len + 1);

        memcpy(part, out.data, len);
        ck_assert_int_eq(card_batch_reader_open(r, part, len, &error),
                         EBADMSG);
        ck_assert_str_ne(error.text, "");
        ck_assert_uint_eq(card_batch_reader_n(r), 0);
        free(part);
    }
    for (size_t i = 1; i < out.len; i++) {
        struct postcard p;
        unsigned int sum = 0;

        out.data[i] ^= (uint8_t) (1u << draw(8));
        if (!card_batch_reader_open(r, out.data, out.len, &error)) {
            while (card_batch_reader_next(r, &p)) {
                for (size_t k = 0; k < p.caplen; k++) {
                    sum += p.header[k];
                }
            }
        }
        ck_assert_uint_lt(sum, UINT32_MAX);
        card_batch_writer_finish(w, &out);
        byte_buf_clear(&out);
        for (size_t k = 0; k < s.n; k++) {
            card_batch_writer_add(w, &s.cards[k]);
        }
        card_batch_writer_finish(w, &out);
    }
    out.data[0]++;
    ck_assert_int_eq(card_batch_reader_open(r, out.data, out.len, &error),
                     ENOTSUP);
    byte_buf_uninit(&out);
    sample_uninit(&s);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("card_batch");
    TCase *tcase = tcase_create("card_batch");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tcase, test_postcards_of_networks);
    tcase_add_test(tcase, test_any_postcards);
    tcase_add_test(tcase, test_empty);
    tcase_add_test(tcase, test_hops_are_cheap);
    tcase_add_test(tcase, test_bounds);
    tcase_add_test(tcase, test_notes);
    tcase_add_test(tcase, test_damage);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
