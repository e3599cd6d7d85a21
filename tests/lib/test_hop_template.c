/* SPDX-License-Identifier: Apache-2.0 */
/* test_hop_template - templates of visits are read as documented, from both
 * forms, and strange bytes are refused or made harmless. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hop_template.h"
#include "lib/of_port.h"

static const struct hop_output outputs[] = {{2, HOP_OUTPUT_REWRITTEN},
                                            {OF_PORT_CONTROLLER, 0},
                                            {1, HOP_OUTPUT_TUNNEL}};
static const struct hop_trail trail[] = {
    {7, 0, HOP_TRAIL_VERSION, 0},
    {0, 3, 0, 0},
    {9, 254, HOP_TRAIL_VERSION | HOP_TRAIL_MISS, 0}};

static struct hop_template_parts
sample(void)
{
    return (struct hop_template_parts){
        .dpid = 0xfedcba9876543210,
        .in_port = 4,
        .flags = HOP_CONTINUED | HOP_METER,
        .bridge = "br-int",
        .bridge_len = 6,
        .outputs = outputs,
        .n_outputs = 3,
        .trail = trail,
        .n_trail = 3,
        .reason = "recursion too deep",
        .reason_len = 18,
    };
}

static void
check_sample(const struct hop_template *t)
{
    ck_assert_uint_eq(t->dpid, 0xfedcba9876543210);
    ck_assert_uint_eq(t->in_port, 4);
    ck_assert_uint_eq(t->flags, HOP_CONTINUED | HOP_METER);
    ck_assert_str_eq(t->bridge, "br-int");
    ck_assert_uint_eq(t->n_outputs, 3);
    ck_assert_mem_eq(hop_template_outputs(t), outputs, sizeof outputs);
    ck_assert_uint_eq(t->n_trail, 3);
    ck_assert_mem_eq(hop_template_trail(t), trail, sizeof trail);
    ck_assert_str_eq(hop_template_reason(t), "recursion too deep");
}

START_TEST(is_made_of_parts)
{
    union hop_template_buf buf;
    struct hop_template_parts parts = sample();

    hop_template_make(&buf, &parts);
    check_sample(&buf.t);

    struct hop_template *copy = hop_template_clone(&buf.t);

    check_sample(copy);
    ck_assert(hop_template_equal(copy, &buf.t));
    ck_assert(!hop_template_equal(copy, NULL));
    ck_assert(hop_template_equal(NULL, NULL));
    free(copy);
}
END_TEST

/* Whatever differs, hash and comparison tell. */
START_TEST(differs_in_every_part)
{
    struct hop_template_parts parts = sample();
    union hop_template_buf a, b;

    hop_template_make(&a, &parts);
#define DIFFERS(CHANGE)                                                       \
    do {                                                                      \
        parts = sample();                                                     \
        CHANGE;                                                               \
        hop_template_make(&b, &parts);                                        \
        ck_assert(!hop_template_equal(&a.t, &b.t));                           \
        ck_assert_uint_ne(a.t.hash, b.t.hash);                                \
    } while (0)
    DIFFERS(parts.dpid++);
    DIFFERS(parts.in_port++);
    DIFFERS(parts.flags ^= HOP_PACKET_OUT);
    DIFFERS(parts.bridge = "br-ext");
    DIFFERS(parts.n_outputs--);
    DIFFERS(parts.outputs = outputs + 1; parts.n_outputs--);
    DIFFERS(parts.n_trail--);
    DIFFERS(parts.trail = trail + 1; parts.n_trail--);
    DIFFERS(parts.reason_len--);
#undef DIFFERS
    parts = sample();
    hop_template_make(&b, &parts);
    ck_assert(hop_template_equal(&a.t, &b.t));
}
END_TEST

START_TEST(cuts_what_is_too_long)
{
    struct hop_output many[70] = {{0, 0}};
    struct hop_trail way[70] = {{0, 0, 0, 0}};
    char text[100];
    union hop_template_buf buf;

    memset(text, 'x', sizeof text);
    hop_template_make(
        &buf, &(struct hop_template_parts){.in_port = OF_PORT_UNKNOWN,
                                           .flags = 0xffff & ~HOP_TRUNCATED,
                                           .bridge = text,
                                           .bridge_len = sizeof text,
                                           .outputs = many,
                                           .n_outputs = 70,
                                           .trail = way,
                                           .n_trail = 70,
                                           .reason = text,
                                           .reason_len = sizeof text});
    ck_assert_uint_eq(buf.t.n_outputs, HOP_TEMPLATE_MAX_OUTPUTS);
    ck_assert_uint_eq(buf.t.n_trail, HOP_TEMPLATE_MAX_TRAIL);
    ck_assert_uint_eq(buf.t.flags, HOP_FLAGS);
    ck_assert_uint_eq(strlen(buf.t.bridge), HOP_TEMPLATE_BRIDGE_LEN - 1);
    ck_assert_uint_eq(strlen(hop_template_reason(&buf.t)),
                      HOP_TEMPLATE_MAX_REASON);
    ck_assert_uint_le(buf.t.size, sizeof buf);

    struct byte_buf ring = BYTE_BUF_INIT;
    union hop_template_buf back;

    hop_template_to_ring(&buf.t, &ring);
    ck_assert_uint_le(ring.len, 1024);
    ck_assert_int_eq(hop_template_from_ring(ring.data, ring.len, &back, NULL),
                     0);
    ck_assert(hop_template_equal(&buf.t, &back.t));
    byte_buf_uninit(&ring);
}
END_TEST

/* The layout that the switch writes, byte by byte. */
START_TEST(reads_the_ring)
{
    struct {
        uint64_t dpid;
        uint32_t in_port;
        uint16_t flags, n_outputs, n_trail, reason_len;
        char bridge[16];
        uint32_t pad;
        struct {
            uint16_t port, flags;
        } outputs[2];
        struct {
            uint32_t version;
            uint8_t table, flags;
            uint16_t pad;
        } trail[1];
        char reason[8];
    } ring = {0x1122334455667788,
              0xffff,
              0xff00 | HOP_PACKET_OUT,
              2,
              1,
              5,
              "br\x01\xff",
              0xffffffff,
              {{0xfffe, 0xfffd}, {3, 0}},
              {{5, 2, 0xf9, 9}},
              "meter\0\0\0"};
    union hop_template_buf buf;

    ck_assert_uint_eq(sizeof ring, 64);
    ck_assert_int_eq(
        hop_template_from_ring((uint8_t *) &ring, sizeof ring, &buf, NULL), 0);
    ck_assert_uint_eq(buf.t.dpid, 0x1122334455667788);
    ck_assert_uint_eq(buf.t.in_port, OF_PORT_UNKNOWN);
    ck_assert_uint_eq(buf.t.flags, HOP_PACKET_OUT);
    ck_assert_str_eq(buf.t.bridge, "br??");
    ck_assert_uint_eq(buf.t.n_outputs, 2);
    ck_assert_uint_eq(hop_template_outputs(&buf.t)[0].port, OF_PORT_LOCAL);
    ck_assert_uint_eq(hop_template_outputs(&buf.t)[0].flags,
                      HOP_OUTPUT_REWRITTEN | HOP_OUTPUT_MAYBE |
                          HOP_OUTPUT_MIRROR);
    ck_assert_uint_eq(hop_template_outputs(&buf.t)[1].port, 3);
    ck_assert_uint_eq(buf.t.n_trail, 1);
    ck_assert_uint_eq(hop_template_trail(&buf.t)[0].version, 5);
    ck_assert_uint_eq(hop_template_trail(&buf.t)[0].table, 2);
    ck_assert_uint_eq(hop_template_trail(&buf.t)[0].flags, HOP_TRAIL_VERSION);
    ck_assert_str_eq(hop_template_reason(&buf.t), "meter");
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
    struct byte_buf ring = BYTE_BUF_INIT, wire = BYTE_BUF_INIT;
    struct hop_template_parts parts = sample();
    union hop_template_buf buf, got;
    struct lh_error error;

    hop_template_make(&buf, &parts);
    hop_template_to_ring(&buf.t, &ring);
    hop_template_put(&wire, &buf.t);
    got.t.dpid = 1;
    for (size_t len = 0; len < 40 + 3 * 4 + 3 * 8 + 18; len++) {
        ck_assert_int_eq(hop_template_from_ring(ring.data, len, &got, &error),
                         EINVAL);
        ck_assert_uint_gt(strlen(error.text), 0);
    }
    for (size_t len = 0; len < wire.len; len++) {
        struct bytes_reader r = bytes_reader(wire.data, len);

        ck_assert_int_eq(hop_template_get(&r, &got, &error), EINVAL);
    }
    for (size_t ofs = 14; ofs < 20; ofs += 2) {
        uint16_t was, much = 65;

        memcpy(&was, ring.data + ofs, 2);
        memcpy(ring.data + ofs, &much, 2);
        ck_assert_int_eq(
            hop_template_from_ring(ring.data, ring.len, &got, &error), EINVAL);
        memcpy(ring.data + ofs, &was, 2);
    }
    ck_assert_uint_eq(got.t.dpid, 1);
    byte_buf_uninit(&ring);
    byte_buf_uninit(&wire);
}
END_TEST

/* The form on the wire is this one, and several stand behind each other. */
START_TEST(goes_over_the_wire)
{
    static const uint8_t want[] = {
        0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0,    4,   0,   0x12,
        3,    3,    18,   6,    0,    2,    1,    0xff, 0xfd, 0,   0,   1,
        2,    0,    0,    0,    7,    0,    1,    0,    0,    0,   0,   3,
        0,    0,    0,    0,    9,    254,  3,    'r',  'e',  'c', 'u', 'r'};
    struct byte_buf wire = BYTE_BUF_INIT;
    struct hop_template_parts parts = sample();
    union hop_template_buf buf, got;

    hop_template_make(&buf, &parts);
    hop_template_put(&wire, &buf.t);
    ck_assert_uint_eq(wire.len, 16 + 9 + 18 + 18 + 6);
    ck_assert_mem_eq(wire.data, want, sizeof want);
    parts.in_port = OF_PORT_UNKNOWN;
    hop_template_make(&buf, &parts);
    hop_template_put(&wire, &buf.t);

    struct bytes_reader r = bytes_reader(wire.data, wire.len);

    ck_assert_int_eq(hop_template_get(&r, &got, NULL), 0);
    check_sample(&got.t);
    ck_assert_int_eq(hop_template_get(&r, &got, NULL), 0);
    ck_assert(hop_template_equal(&got.t, &buf.t));
    ck_assert_uint_eq(bytes_left(&r), 0);
    byte_buf_uninit(&wire);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hop_template");
    TCase *tcase = tcase_create("hop_template");

    tcase_add_test(tcase, is_made_of_parts);
    tcase_add_test(tcase, differs_in_every_part);
    tcase_add_test(tcase, cuts_what_is_too_long);
    tcase_add_test(tcase, reads_the_ring);
    tcase_add_test(tcase, refuses_what_does_not_fit);
    tcase_add_test(tcase, goes_over_the_wire);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
