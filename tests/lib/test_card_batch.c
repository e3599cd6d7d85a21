/* SPDX-License-Identifier: Apache-2.0 */
/* Packed postcards of a cluster: every member comes out as it went in. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/card_batch.h"
#include "lib/card_marks.h"
#include "lib/hop_template.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "tests/lib/card_sample.h"

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

#define GOLDEN "tests/lib/golden/cards-v%u.hex"

static struct card_batch_writer *
create_writer(unsigned int version)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);

    card_batch_writer_set_version(w, version);
    return w;
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

/* A number for the mark of cards[i], equal just for equal ones. */
static uint32_t
number_mark(const struct postcard *cards, size_t i)
{
    size_t k = 0;

    while (!card_mark_is(&cards[k], &cards[i])) {
        k++;
    }
    return (uint32_t) (CARD_BATCH_MARKS - 1 - k);
}

/* Finishes what has the first 'n_in' of 'cards', and reads it. */
static void
check_batch(struct card_batch_writer *w, struct card_batch_reader *r,
            const struct postcard *cards, size_t n_in, size_t *size)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;
    struct postcard p;

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
}

/* Packs those that find room, reads them, and returns how many they were. */
static size_t
pack(struct card_batch_writer *w, struct card_batch_reader *r,
     const struct postcard *cards, size_t n, size_t *size)
{
    size_t n_in = 0;

    while (n_in < n && card_batch_writer_add(w, &cards[n_in])) {
        n_in++;
    }
    check_batch(w, r, cards, n_in, size);
    return n_in;
}

/* The same, of postcards with their headers' IDs. */
static size_t
pack_known(struct card_batch_writer *w, struct card_batch_reader *r,
           const struct postcard *cards, size_t n, size_t *size)
{
    size_t n_in = 0;

    for (; n_in < n; n_in++) {
        const struct postcard *p = &cards[n_in];
        const struct card_batch_packet packet = {.header = p->header,
                                                 .packet_id = p->packet_id,
                                                 .time_ns = p->time_ns,
                                                 .caplen = p->caplen,
                                                 .has_id = p->has_id};

        if (!card_batch_writer_add_known(w, &packet, p,
                                         number_mark(cards, n_in))) {
            break;
        }
    }
    check_batch(w, r, cards, n_in, size);
    return n_in;
}

static void
check_random(unsigned int version, unsigned int wild, uint32_t seed)
{
    struct card_batch_writer *w = create_writer(version);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct card_sample s;

    card_sample_state = seed;
    card_sample_init(&s, 6000);
    while (s.n < 6000) {
        card_sample_add(&s, wild);
    }
    for (size_t at = 0; at < s.n;) {
        size_t n = 1 + card_sample_draw(3000), size, known_size;

        n = n < s.n - at ? n : s.n - at;
        n = pack(w, r, s.cards + at, n, &size);
        if (!wild) {
            ck_assert_uint_eq(pack(w, r, s.cards + at, n, &size), n);
            /* Nothing is told that need not be. */
            ck_assert_uint_eq(pack_known(w, r, s.cards + at, n, &known_size),
                              n);
            ck_assert_uint_eq(known_size, size);
        }
        at += n;
    }
    card_sample_uninit(&s);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}

START_TEST(test_postcards_of_networks)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        check_random((unsigned int) _i, 0, seed);
    }
}
END_TEST

START_TEST(test_any_postcards)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        check_random((unsigned int) _i, 5, seed);
        check_random((unsigned int) _i, 60, seed);
    }
}
END_TEST

START_TEST(test_empty)
{
    struct card_batch_writer *w = create_writer((unsigned int) _i);
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
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct card_sample s;
    struct card_sample_packet k;
    size_t size;

    card_sample_state = 3;
    card_sample_init(&s, 1000);
    for (size_t i = 0; i < 1000; i++) {
        struct postcard *p = &s.cards[s.n];
        uint8_t *ip = k.header + 14;

        if (i % 10 == 0) {
            do {
                card_sample_draw_packet(&k);
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
        card_sample_name(p);
        s.n++;
    }
    ck_assert_uint_eq(pack(w, r, s.cards, s.n, &size), s.n);
    /* 100 packets of 96 bytes, and a byte for each postcard. */
    ck_assert_uint_lt(size, 100 * 96 + 1000);
    card_sample_uninit(&s);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

START_TEST(test_bounds)
{
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct postcard *cards =
        lh_alloc_zero((CARD_BATCH_MAX + 1) * sizeof *cards);
    uint8_t *header = lh_alloc_zero(UINT16_MAX);
    size_t size;

    card_sample_state = 5;
    card_sample_draw_bytes(header, UINT16_MAX);
    for (size_t i = 0; i <= CARD_BATCH_MAX; i++) {
        cards[i].time_ns = card_sample_draw64();
        cards[i].dpid = card_sample_draw64();
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

/* --- Later hops with less than an IP header ------------------------------
 */

#define HOP_ID 77

/* A postcard of packet HOP_ID with the first 'caplen' bytes of 'header', which
 * are its own, for free(). */
static struct postcard
short_hop(const uint8_t *header, uint16_t caplen, uint64_t time_ns)
{
    uint8_t *own = lh_alloc(caplen);

    memcpy(own, header, caplen);
    return (struct postcard){.dpid = 7,
                             .version_bits = 32,
                             .packet_id = HOP_ID,
                             .has_id = true,
                             .time_ns = time_ns,
                             .caplen = caplen,
                             .header = own};
}

static void
free_headers(struct postcard *cards, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((uint8_t *) cards[i].header);
    }
}

static void
make_ip(uint8_t header[60], bool is_ip4)
{
    memset(header, 0x11, 60);
    bytes_put_be16(header + 12, is_ip4 ? 0x0800 : 0x86dd);
    header[14] = is_ip4 ? 0x45 : 0x60;
    bytes_put_be16(header + 14 + (is_ip4 ? 2 : 4), is_ip4 ? 46 : 6);
    bytes_put_be16(header + 20, is_ip4 ? 0x4000 : 0x3b40);
}

/* Of a packet that was met all of its IP header, or less, is captured later:
 * twice as much, with a TTL that is one less, as its header has, or not. */
START_TEST(test_short_hops)
{
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    size_t size;

    for (uint16_t caplen = 0; caplen <= 60; caplen++) {
        for (int is_ip4 = 0; is_ip4 <= 1; is_ip4++) {
            size_t ttl = is_ip4 ? 22 : 21;
            struct postcard cards[4];
            uint8_t header[60];

            make_ip(header, is_ip4);
            cards[0] = short_hop(header, sizeof header, 1000);
            header[ttl]--;
            cards[1] = short_hop(header, caplen, 2000);
            header[ttl]--;
            cards[2] = short_hop(header, caplen, 3000);
            cards[3] = short_hop(header, caplen, 4000);
            ck_assert_uint_eq(pack(w, r, cards, 4, &size), 4);
            free_headers(cards, 4);
        }
    }
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

/* A batch whose last postcard is said to have a TTL that is one less, though
 * so much of it is not there, at the end of all room for headers. */
START_TEST(test_ttl_that_is_not_there)
{
    /* A new one, two edits, and one that is equal, of marks that are told,
     * told, expected and expected. */
    static const uint8_t ops[] = {0x8a, 0x28, 0x20, 0x10};
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    static const uint8_t plain[UINT16_MAX];
    struct byte_buf out = BYTE_BUF_INIT;
    size_t n_left = CARD_BATCH_MAX_BYTES, at = 0;
    struct postcard cards[4], any = {.dpid = 7, .header = plain};
    uint8_t header[60];

    make_ip(header, true);
    for (size_t i = 0; i < 4; i++) {
        cards[i] = short_hop(header, i ? (i == 1 ? 16 : 15) : 60, 1000);
        n_left -= cards[i].caplen;
    }
    for (; n_left; n_left -= any.caplen) {
        any.caplen = n_left < UINT16_MAX ? (uint16_t) n_left : UINT16_MAX;
        ck_assert(card_batch_writer_add(w, &any));
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert(card_batch_writer_add(w, &cards[i]));
    }
    card_batch_writer_finish(w, &out);
    ck_assert(!card_batch_reader_open(r, out.data, out.len, NULL));
    while (memcmp(out.data + at, ops, sizeof ops) != 0) {
        at++;
        ck_assert_uint_le(at + sizeof ops, out.len);
    }
    out.data[at + 3] = 0;
    ck_assert_int_eq(card_batch_reader_open(r, out.data, out.len, NULL),
                     EBADMSG);
    byte_buf_uninit(&out);
    free_headers(cards, 4);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

/* A caller's number of a mark is that of one batch, however many follow: those
 * of the first one, and others, are used again when as many did as fit into 16
 * bits. */
START_TEST(test_marks_of_many_batches)
{
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    const struct card_batch_packet none = {.header = NULL};
    const uint32_t last = UINT16_MAX + 4u, n_used = 8;
    struct byte_buf out = BYTE_BUF_INIT;
    struct postcard mark = {.dpid = 7}, p;

    for (uint32_t i = 0; i <= last; i++) {
        bool is_used = !i || i > last - n_used;

        for (uint32_t k = 0; is_used && k < n_used; k++) {
            uint32_t number = i ? k + (last - i) * n_used / 2 : k;

            mark.dpid = (uint64_t) i << 32 | k;
            ck_assert(card_batch_writer_add_known(w, &none, &mark, number));
        }
        byte_buf_clear(&out);
        card_batch_writer_finish(w, &out);
        if (is_used) {
            ck_assert(!card_batch_reader_open(r, out.data, out.len, NULL));
        }
        for (uint32_t k = 0; is_used && k < n_used; k++) {
            ck_assert(card_batch_reader_next(r, &p));
            ck_assert_uint_eq(p.dpid, (uint64_t) i << 32 | k);
        }
    }
    byte_buf_uninit(&out);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

START_TEST(test_notes)
{
    struct card_batch_writer *w = create_writer((unsigned int) _i);
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
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;
    struct card_sample s;

    card_sample_state = 9;
    card_sample_init(&s, 60);
    while (s.n < 60) {
        card_sample_add(&s, 5);
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

        out.data[i] ^= (uint8_t) (1u << card_sample_draw(8));
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
    out.data[0] = CARD_BATCH_VERSION + 1;
    ck_assert_int_eq(card_batch_reader_open(r, out.data, out.len, &error),
                     ENOTSUP);
    byte_buf_uninit(&out);
    card_sample_uninit(&s);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}
END_TEST

/* What each version wrote is read for good. */
START_TEST(test_golden)
{
    struct card_batch_writer *w = create_writer((unsigned int) _i);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    static char text[1u << 16];
    static uint8_t data[1u << 15];
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;
    struct postcard p;
    struct card_sample s;
    char name[64];
    FILE *file;
    size_t len;

    card_sample_state = 11;
    card_sample_init(&s, 200);
    while (s.n < 200) {
        card_sample_add(&s, 5);
        ck_assert(card_batch_writer_add(w, &s.cards[s.n - 1]));
    }
    card_batch_writer_finish(w, &out);
    snprintf(name, sizeof name, "%s/" GOLDEN, getenv("srcdir"), _i);
    if (getenv("GOLDEN_UPDATE")) {
        bytes_to_hex(out.data, out.len, text);
        file = fopen(name, "w");
        ck_assert_ptr_nonnull(file);
        fputs(text, file);
        fclose(file);
    }
    file = fopen(name, "r");
    ck_assert_ptr_nonnull(file);
    len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    len = bytes_from_hex(text, data, sizeof data);
    ck_assert_uint_ne(len, SIZE_MAX);
    ck_assert_uint_eq(data[0], _i);
    ck_assert_msg(!card_batch_reader_open(r, data, len, &error), "%s",
                  error.text);
    ck_assert_uint_eq(card_batch_reader_n(r), s.n);
    for (size_t i = 0; i < s.n; i++) {
        ck_assert(card_batch_reader_next(r, &p));
        check_equal(&s.cards[i], &p);
    }
    byte_buf_uninit(&out);
    card_sample_uninit(&s);
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

    tcase_add_loop_test(tcase, test_postcards_of_networks, 1,
                        CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_any_postcards, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_empty, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_hops_are_cheap, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_bounds, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_short_hops, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_ttl_that_is_not_there, 1,
                        CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_marks_of_many_batches, 1,
                        CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_notes, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_damage, 1, CARD_BATCH_VERSION + 1);
    tcase_add_loop_test(tcase, test_golden, 1, CARD_BATCH_VERSION + 1);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
