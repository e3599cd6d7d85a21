/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that the index of a block denies nothing that was added, and most of
 * what was not. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block_index.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

static void
put_ip4(uint8_t *p, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport)
{
    static const uint8_t start[24] = {2, 0, 0,    0, 0, 1,  2, 0, 0, 0, 0,  2,
                                      8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6};

    memset(p, 0, 54);
    memcpy(p, start, sizeof start);
    for (int i = 0; i < 4; i++) {
        p[26 + i] = (uint8_t) (src >> (24 - 8 * i));
        p[30 + i] = (uint8_t) (dst >> (24 - 8 * i));
    }
    p[34] = (uint8_t) (sport >> 8);
    p[35] = (uint8_t) sport;
    p[36] = (uint8_t) (dport >> 8);
    p[37] = (uint8_t) dport;
    p[46] = 0x50;
}

/* A history over one switch. */
static struct history *
one_hop(uint64_t dpid, uint32_t in, uint32_t out, uint32_t version,
        const uint8_t *header, size_t len)
{
    struct history *h = history_create(7);
    struct history_hop *hop = history_add_hop(h);

    hop->dpid = dpid;
    hop->in_port = in;
    if (out) {
        history_hop_add_out(hop, out);
    }
    history_hop_add_version(hop, version);
    history_hop_set_header(hop, header, len);
    verdict_set(&hop->verdict, VERDICT_DELIVERED, dpid, out, NULL);
    history_settle(h);
    return h;
}

static void
finish(struct block_index_maker *m, uint32_t n, size_t max,
       struct block_index *index)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    size_t len;
    uint8_t *raw;

    block_index_maker_finish(m, n, max, &buf);
    ck_assert_uint_le(buf.len, max + 256);
    raw = byte_buf_take(&buf, &len);
    ck_assert_int_eq(block_index_parse(index, raw, len, NULL), 0);
    ck_assert_uint_eq(index->n_records, n);
}

/* What an expression with both addresses and both ports demands. */
static bool
has_flow(const struct block_index *index, const uint8_t *header)
{
    struct flow_key mask, value;

    memset(&mask, 0, sizeof mask);
    memset(mask.bytes, 0xff, 12);
    memset(&value, 0, sizeof value);
    memcpy(value.bytes, header + 26, 12);
    return block_index_has_key(index, HEADER_IP4_TCP, &mask, &value);
}

/* ... and with one of four parts of it. */
static bool
has_part(const struct block_index *index, const uint8_t *header, size_t at,
         size_t len)
{
    struct flow_key mask, value;

    memset(&mask, 0, sizeof mask);
    memset(mask.bytes + at, 0xff, len);
    memset(&value, 0, sizeof value);
    memcpy(value.bytes + at, header + 26 + at, len);
    return block_index_has_key(index, HEADER_IP4_TCP, &mask, &value);
}

START_TEST(what_is_there_is_not_denied)
{
    struct block_index_maker *m = block_index_maker_create();
    struct block_index index;
    uint8_t header[54];

    for (uint32_t i = 0; i < 500; i++) {
        struct history *h;

        put_ip4(header, 0x0a000000 + i, 0x0a010000 + i, (uint16_t) i, 80);
        h = one_hop(i, i + 1, i + 2, i + 3, header, sizeof header);
        block_index_maker_add_history(m, h);
        history_destroy(h);
    }
    finish(m, 500, SIZE_MAX / 2, &index);
    ck_assert_uint_eq(index.classes, (1 << N_BLOCK_INDEX_CLASSES) - 1);
    ck_assert(!index.has_others && !index.has_any);
    ck_assert_uint_eq(index.n_forms, 1);
    ck_assert_uint_eq(index.forms[0].kind, HEADER_IP4_TCP);
    ck_assert_uint_eq(index.forms[0].l3_ofs, 14);
    for (uint32_t i = 0; i < 500; i++) {
        put_ip4(header, 0x0a000000 + i, 0x0a010000 + i, (uint16_t) i, 80);
        ck_assert(has_flow(&index, header));
        ck_assert(has_part(&index, header, 0, 4));
        ck_assert(has_part(&index, header, 4, 4));
        ck_assert(has_part(&index, header, 0, 8));
        ck_assert(has_part(&index, header, 8, 2));
        ck_assert(has_part(&index, header, 10, 2));
        /* A part of an address is not asked. */
        ck_assert(has_part(&index, header, 1, 3));
        ck_assert(block_index_has_hop(&index, BLOCK_INDEX_DPID, i, 0));
        ck_assert(
            block_index_has_hop(&index, BLOCK_INDEX_IN_PORT_AT, i, i + 1));
        ck_assert(
            block_index_has_hop(&index, BLOCK_INDEX_OUT_PORT_AT, i, i + 2));
        ck_assert(
            block_index_has_hop(&index, BLOCK_INDEX_VERSION_AT, i, i + 3));
        ck_assert(block_index_has_hop(&index, BLOCK_INDEX_VERSION, 0, i + 3));
    }
    ck_assert(block_index_has_hop(&index, BLOCK_INDEX_VERDICT, 0,
                                  VERDICT_DELIVERED));
    block_index_uninit(&index);
    block_index_maker_destroy(m);
}
END_TEST

START_TEST(most_of_what_is_not_there_is_denied)
{
    struct block_index_maker *m = block_index_maker_create();
    struct block_index index;
    uint8_t header[54];
    size_t n_flows = 0, n_ports = 0;

    for (uint32_t i = 0; i < 2000; i++) {
        struct history *h;

        put_ip4(header, 0x0a000000 + i % 20, 0x0a010000 + i / 20, (uint16_t) i,
                80);
        h = one_hop(i % 50, 1, 2, i, header, sizeof header);
        block_index_maker_add_history(m, h);
        history_destroy(h);
    }
    finish(m, 2000, SIZE_MAX / 2, &index);
    /* Addresses and ports that are there, not together. */
    for (uint32_t i = 0; i < 2000; i++) {
        put_ip4(header, 0x0a000000 + i % 20, 0x0a010000 + i / 20,
                (uint16_t) (i ^ 1), 80);
        n_flows += has_flow(&index, header);
        n_ports += block_index_has_hop(&index, BLOCK_INDEX_IN_PORT_AT, i, 77);
    }
    ck_assert_uint_lt(n_flows, 100);
    ck_assert_uint_lt(n_ports, 100);
    block_index_uninit(&index);
    block_index_maker_destroy(m);
}
END_TEST

START_TEST(classes_without_room_are_taken_as_there)
{
    struct block_index_maker *m = block_index_maker_create();
    struct block_index index;
    uint8_t header[54];

    for (uint32_t i = 0; i < 1000; i++) {
        struct history *h;

        put_ip4(header, 1, 2, (uint16_t) i, 80);
        h = one_hop(1, 1, 0, 4, header, sizeof header);
        block_index_maker_add_history(m, h);
        history_destroy(h);
    }
    finish(m, 1000, 256, &index);
    ck_assert_uint_eq(index.classes,
                      1 << BLOCK_INDEX_HOPS | 1 << BLOCK_INDEX_ADDRS |
                          1 << BLOCK_INDEX_VERSIONS | 1 << BLOCK_INDEX_PAIRS);
    put_ip4(header, 1, 2, 5000, 6000);
    ck_assert(has_flow(&index, header));
    ck_assert(has_part(&index, header, 8, 2));
    put_ip4(header, 1, 3, 5000, 6000);
    ck_assert(!has_flow(&index, header));
    ck_assert(
        block_index_has_hop(&index, BLOCK_INDEX_OUT_PORT_AT, 1, OF_PORT_NONE));
    block_index_uninit(&index);

    finish(m, 1000, 16, &index); /* No class at all. */
    ck_assert_uint_eq(index.classes, 0);
    ck_assert(has_flow(&index, header));
    ck_assert(block_index_has_hop(&index, BLOCK_INDEX_DPID, 99, 0));
    block_index_uninit(&index);
    block_index_maker_destroy(m);
}
END_TEST

/* Rather less is told of each than nothing of flows. */
START_TEST(flows_find_room)
{
    struct block_index_maker *m = block_index_maker_create();
    struct block_index index;
    uint8_t header[54];
    size_t n_flows = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        struct history *h;

        put_ip4(header, 1, 2, (uint16_t) i, 80);
        h = one_hop(1, 1, 0, 4, header, sizeof header);
        block_index_maker_add_history(m, h);
        history_destroy(h);
    }
    finish(m, 1000, 960, &index); /* Of ten bits each they need 1,280. */
    ck_assert(index.classes & 1 << BLOCK_INDEX_FLOWS);
    ck_assert(!(index.classes & 1 << BLOCK_INDEX_PORTS));
    for (uint32_t i = 0; i < 2000; i++) {
        bool may;

        put_ip4(header, 1, 2, (uint16_t) i, 80);
        may = has_flow(&index, header);
        ck_assert(may || i >= 1000);
        n_flows += may;
    }
    ck_assert_uint_lt(n_flows, 1200);
    block_index_uninit(&index);
    block_index_maker_destroy(m);
}
END_TEST

START_TEST(headers_that_are_not_split_have_forms)
{
    struct block_index_maker *m = block_index_maker_create();
    struct block_index index;
    uint8_t header[54];
    struct history *h;

    put_ip4(header, 1, 2, 3, 4);
    header[20] = 0x20; /* A fragment. */
    h = one_hop(1, 1, 2, 3, header, sizeof header);
    block_index_maker_add_history(m, h);
    finish(m, 1, 4096, &index);
    ck_assert(!index.has_others);
    ck_assert_uint_eq(index.n_forms, 1);
    ck_assert_uint_eq(index.forms[0].kind, HEADER_IP4_OTHER);
    block_index_uninit(&index);
    history_destroy(h);

    header[14] = 0x46; /* Options. */
    h = one_hop(1, 1, 2, 3, header, sizeof header);
    block_index_maker_add_history(m, h);
    header[13] = 6; /* ARP. */
    history_hop_set_header(history_add_hop(h), header, sizeof header);
    header[12] = 0; /* LLC, of any length. */
    history_hop_set_header(history_add_hop(h), header, sizeof header);
    block_index_maker_reset(m);
    block_index_maker_add_history(m, h);
    finish(m, 2, 4096, &index);
    ck_assert(!index.has_others);
    ck_assert_uint_eq(index.n_forms, 3);
    ck_assert_uint_eq(index.forms[0].kind, HEADER_IP4_OPTIONS);
    ck_assert_uint_eq(index.forms[1].kind, HEADER_ARP);
    ck_assert_uint_eq(index.forms[2].kind, HEADER_TYPE);
    ck_assert_uint_eq(index.forms[2].l3_ofs, 0);
    block_index_uninit(&index);
    history_destroy(h);

    h = one_hop(1, 1, 2, 3, header, 13);
    block_index_maker_add_history(m, h);
    finish(m, 3, 4096, &index);
    ck_assert(index.has_others);
    block_index_uninit(&index);
    history_destroy(h);

    block_index_maker_reset(m);
    finish(m, 0, 4096, &index);
    ck_assert(!index.has_others);
    ck_assert_uint_eq(index.n_lines, 0);
    ck_assert(!block_index_has_hop(&index, BLOCK_INDEX_DPID, 1, 0));
    block_index_uninit(&index);
    block_index_maker_destroy(m);
}
END_TEST

START_TEST(broken_ones_are_refused)
{
    struct block_index_maker *m = block_index_maker_create();
    struct byte_buf buf = BYTE_BUF_INIT;
    uint8_t header[54];
    struct history *h;

    put_ip4(header, 1, 2, 3, 4);
    h = one_hop(1, 1, 2, 3, header, sizeof header);
    block_index_maker_add_history(m, h);
    block_index_maker_finish(m, 1, 4096, &buf);
    for (size_t len = 0; len < buf.len; len++) {
        uint8_t *raw = lh_alloc(len + 1);
        struct lh_error error = {.text = ""};
        struct block_index index;

        memcpy(raw, buf.data, len);

        int retval = block_index_parse(&index, raw, len, &error);

        /* A whole number of lines is missing, or it is told. */
        ck_assert(retval == EBADMSG ? error.text[0] != '\0'
                                    : !retval && (buf.len - len) % 64 == 0);
        block_index_uninit(&index);
    }
    for (size_t at = 1; at < 5; at++) {
        uint8_t *raw = lh_memdup(buf.data, buf.len);
        struct block_index index;

        raw[at] = 0xff; /* Classes, flags, forms, kind. */
        ck_assert_int_eq(block_index_parse(&index, raw, buf.len, NULL),
                         EBADMSG);
    }
    history_destroy(h);
    byte_buf_uninit(&buf);
    block_index_maker_destroy(m);
}
END_TEST

/* The lines of a set of one item, as docs/formats/archive.md has it. */
START_TEST(the_format_is_as_documented)
{
    static const uint8_t head[] = {1, 63, 0, 0};
    struct block_index_maker *m = block_index_maker_create();
    struct byte_buf buf = BYTE_BUF_INIT;
    struct history *h = history_create(1);
    unsigned int n_bits = 0;

    verdict_set(&h->verdict, VERDICT_OPEN, 0, 0, NULL);
    block_index_maker_add_history(m, h);
    block_index_maker_finish(m, 1, 4096, &buf);
    ck_assert_uint_eq(buf.len, sizeof head + 64);
    ck_assert_mem_eq(buf.data, head, sizeof head);
    /* XXH64 of 08, 8 bytes of 0, 00 00 00 03: VERDICT. */
    for (size_t i = sizeof head; i < buf.len; i++) {
        n_bits += (unsigned int) __builtin_popcount(buf.data[i]);
    }
    ck_assert_uint_eq(n_bits, 6);
    for (size_t i = 0; i < 6; i++) {
        static const uint16_t bits[6] = {108, 366, 421, 417, 369, 180};

        ck_assert(buf.data[sizeof head + bits[i] / 8] >> bits[i] % 8 & 1);
    }
    history_destroy(h);
    byte_buf_uninit(&buf);
    block_index_maker_destroy(m);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("block_index");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tcase, what_is_there_is_not_denied);
    tcase_add_test(tcase, most_of_what_is_not_there_is_denied);
    tcase_add_test(tcase, classes_without_room_are_taken_as_there);
    tcase_add_test(tcase, flows_find_room);
    tcase_add_test(tcase, headers_that_are_not_split_have_forms);
    tcase_add_test(tcase, broken_ones_are_refused);
    tcase_add_test(tcase, the_format_is_as_documented);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
