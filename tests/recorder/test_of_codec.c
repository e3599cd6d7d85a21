/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_*: what is encoded in a version of OpenFlow decodes to
 * the same. */
#include <config.h>
#include "recorder/of_flow.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_group.h"
#include "recorder/of_packet_out.h"
#include "recorder/of_records.h"
#include "recorder/of_wire.h"

#define N_VERSIONS (OF_WIRE_15 - OF_WIRE_10 + 1)

static uint8_t
version_of(int i)
{
    return (uint8_t) (OF_WIRE_10 + i);
}

static void
flow_from_text(struct of_flow *flow, const char *text)
{
    char *error = of_flow_from_text(flow, OF_FLOW_ADD, text);

    ck_assert_msg(!error, "%s: %s", text, error ? error : "");
}

START_TEST(a_flow_mod_comes_back_in_every_version)
{
    static const char *const texts[] = {
        "table=3,priority=7,ip,nw_dst=10.0.0.0/8,actions=output:2",
        "table=1,in_port=3,dl_vlan=5,actions=drop",
        "table=2,tcp,tp_dst=80,actions=dec_ttl,output:1,CONTROLLER:128",
        /* More than the fixed match of 1.1 can say. */
        "table=4,reg3=7,ip,nw_ttl=1,actions=output:NXM_NX_REG0[]",
        "table=4,in_port=1,dl_vlan=5,dl_src=02:00:00:00:00:00/fe:00:00:00:00:"
        "00,actions=resubmit(,5)",
        "table=0,ip,ct_state=+trk+est,actions=ct(table=2)",
        "table=6,ipv6,ipv6_dst=2001:db8::/32,actions=output:LOCAL",
    };
    uint8_t version = version_of(_i);

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct of_flow flow, back;
        char *want, *got;
        uint8_t *msg;
        size_t len;

        flow_from_text(&flow, texts[i]);
        flow.idle_timeout = 10;
        flow.importance = 5;
        flow.flags = OF_FLOW_SEND_REMOVED | OF_FLOW_CHECK_OVERLAP;
        flow.buffer_id = 77;
        ck_assert_int_eq(of_flow_encode(&flow, version, 0x99, &msg, &len), 0);
        ck_assert_int_eq(of_wire_frame(msg, len), (int) len);
        ck_assert_uint_eq(msg[0], version);
        ck_assert_uint_eq(of_wire_xid(msg), 0x99);
        ck_assert_msg(of_flow_decode(msg, len, true, &back), "%s over 1.%d",
                      texts[i], _i);
        want = of_flow_to_text(&flow);
        got = of_flow_to_text(&back);
        ck_assert_str_eq(got, want);
        ck_assert(of_match_equal(back.match, flow.match));
        ck_assert_uint_eq(back.idle_timeout, 10);
        ck_assert_uint_eq(back.importance, version >= OF_WIRE_14 ? 5 : 0);
        ck_assert_uint_eq(back.flags & OF_FLOW_CHECK_OVERLAP,
                          OF_FLOW_CHECK_OVERLAP);
        /* An add of 1.0 and 1.1 always resets the counts. */
        ck_assert_uint_eq(back.flags & OF_FLOW_RESET_COUNTS,
                          version < OF_WIRE_12 ? OF_FLOW_RESET_COUNTS : 0);
        ck_assert_uint_eq(back.buffer_id, 77);
        free(want);
        free(got);
        free(msg);
        of_flow_uninit(&flow);
        of_flow_uninit(&back);
    }
}
END_TEST

START_TEST(a_statistics_request_keeps_its_match)
{
    uint8_t version = version_of(_i);
    struct of_flow_request request = {.table_id = 2,
                                      .cookie = 0x1234,
                                      .cookie_mask = 0xffff,
                                      .out_port = 7,
                                      .out_group = OF_ACTS_ANY,
                                      .is_nicira = true};
    struct of_flow_request back;
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    flow_from_text(&flow, "reg5=1,tcp,actions=drop");
    request.match = flow.match;
    of_flow_request_encode(&request, version, true, 5, &msg, &len);
    ck_assert(of_flow_request_decode(msg, len, &back));
    ck_assert(of_match_equal(back.match, flow.match));
    ck_assert_uint_eq(back.table_id, 2);
    ck_assert_uint_eq(back.cookie, 0x1234);
    ck_assert_uint_eq(back.out_port, 7);
    of_flow_request_uninit(&back);
    of_flow_uninit(&flow);
    free(msg);
}
END_TEST

static uint8_t *kept;
static size_t kept_len;

static void
keep(void *aux, uint8_t *msg, size_t len)
{
    ck_assert_ptr_null(kept);
    kept = msg;
    kept_len = len;
}

START_TEST(flow_statistics_come_back_in_every_version)
{
    uint8_t version = version_of(_i);
    struct of_flow_writer *writer = of_flow_writer_open(version, true);
    struct of_flow_reader *reader;
    struct of_flow flow;
    struct of_flow_record record, back;

    flow_from_text(&flow, "reg5=1,tcp,actions=output:1,resubmit(,3)");
    record = (struct of_flow_record){.match = flow.match,
                                     .acts = flow.acts,
                                     .table_id = 3,
                                     .priority = 100,
                                     .cookie = 0x5566,
                                     .idle_timeout = 8,
                                     .importance = 9,
                                     .flags = OF_FLOW_SEND_REMOVED,
                                     .duration_sec = 12,
                                     .n_packets = 1000,
                                     .n_bytes = 64000};
    of_flow_writer_add(writer, &record);
    of_flow_writer_close(writer, 3, false, keep, NULL);
    ck_assert(of_wire_is_last_reply(kept, kept_len));
    reader = of_flow_reader_open(kept, kept_len);
    ck_assert_int_eq(of_flow_reader_next(reader, &back), 1);
    ck_assert(of_match_equal(back.match, record.match));
    ck_assert(of_acts_equal(&back.acts, &record.acts));
    ck_assert_uint_eq(back.table_id, 3);
    ck_assert_uint_eq(back.priority, 100);
    ck_assert_uint_eq(back.cookie, 0x5566);
    ck_assert_uint_eq(back.n_packets, 1000);
    ck_assert_uint_eq(back.n_bytes, 64000);
    ck_assert_uint_eq(back.duration_sec, 12);
    ck_assert_uint_eq(back.importance, version >= OF_WIRE_14 ? 9 : 0);
    ck_assert_uint_eq(back.flags,
                      version >= OF_WIRE_13 ? OF_FLOW_SEND_REMOVED : 0);
    of_flow_record_uninit(&back);
    ck_assert_int_eq(of_flow_reader_next(reader, &back), 0);
    of_flow_reader_close(reader);
    of_flow_uninit(&flow);
    free(kept);
    kept = NULL;
}
END_TEST

START_TEST(flow_removed_comes_back_in_every_version)
{
    uint8_t version = version_of(_i);
    struct of_flow_removed removed = {.table_id = 3,
                                      .reason = OF_FLOW_HARD,
                                      .priority = 5,
                                      .cookie = 0x77,
                                      .duration_ns = UINT64_C(2000000003)};
    struct of_flow_removed back;
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    flow_from_text(&flow, "in_port=2,tcp,tp_dst=80,actions=drop");
    removed.match = flow.match;
    of_flow_removed_encode(&removed, version, &msg, &len);
    ck_assert_uint_eq(msg[0], version);
    ck_assert(of_flow_removed_decode(msg, len, &back));
    ck_assert(of_match_equal(back.match, flow.match));
    ck_assert_uint_eq(back.table_id, 3);
    ck_assert_uint_eq(back.priority, 5);
    ck_assert_uint_eq(back.cookie, 0x77);
    ck_assert_uint_eq(back.duration_ns, UINT64_C(2000000003));
    of_flow_removed_uninit(&back);
    of_flow_uninit(&flow);
    free(msg);
}
END_TEST

/* A packet-out of 1.5 that begins with in_port 3 and metadata 0x1122. */
START_TEST(a_packet_out_of_15_keeps_what_the_packet_begins_with)
{
    uint8_t msg[8 + 8 + 24 + 16 + 4] = {OF_WIRE_15, OF_WIRE_PACKET_OUT};
    struct of_packet_out po, back;
    uint8_t *sent;
    size_t len;
    char *a, *b;

    of_wire_put16(msg + 2, sizeof msg);
    of_wire_put32(msg + 8, UINT32_MAX);
    of_wire_put16(msg + 12, 16); /* Of the actions. */
    of_wire_put16(msg + 16, 1);  /* OXM. */
    of_wire_put16(msg + 18, 4 + 8 + 12);
    of_wire_put32(msg + 20, 0x80000004); /* in_port. */
    of_wire_put32(msg + 24, 3);
    of_wire_put32(msg + 28, 0x80000408); /* metadata. */
    of_wire_put64(msg + 32, 0x1122);
    of_wire_put16(msg + 42, 16); /* Output. */
    of_wire_put32(msg + 44, 2);
    ck_assert(of_packet_out_decode(msg, sizeof msg, &po));
    ck_assert_uint_eq(po.in_port, 3);
    ck_assert_uint_eq(po.len, 4);
    ck_assert_int_eq(of_packet_out_encode(&po, OF_WIRE_15, 0, &sent, &len), 0);
    ck_assert(of_packet_out_decode(sent, len, &back));
    a = of_match_to_text(po.pipeline);
    b = of_match_to_text(back.pipeline);
    ck_assert_ptr_nonnull(strstr(a, "metadata=0x1122"));
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
    free(sent);
    of_packet_out_uninit(&po);
    of_packet_out_uninit(&back);
}
END_TEST

START_TEST(a_packet_out_with_a_buffer_keeps_its_number)
{
    uint8_t version = version_of(_i);
    struct of_packet_out po = {.in_port = 4, .buffer_id = 1234};
    struct of_packet_out back;
    uint8_t *msg;
    size_t len;

    ck_assert_ptr_null(of_acts_from_text(&po.acts, "output:2"));
    if (version == OF_WIRE_15) {
        po.pipeline = of_match_create_in_port(4);
    }
    ck_assert_int_eq(of_packet_out_encode(&po, version, 0, &msg, &len), 0);
    ck_assert(of_packet_out_decode(msg, len, &back));
    ck_assert_uint_eq(back.buffer_id, 1234);
    ck_assert_uint_eq(back.in_port, 4);
    ck_assert_ptr_null(back.frame);
    ck_assert(of_acts_equal(&back.acts, &po.acts));
    free(msg);
    of_packet_out_uninit(&po);
    of_packet_out_uninit(&back);
}
END_TEST

/* Sizes of records by version, from openflow.h. */
START_TEST(records_of_every_version_are_found)
{
    static const struct {
        enum of_kind kind;
        size_t head_10, head_11;
        size_t size[N_VERSIONS];
        size_t no_ofs[N_VERSIONS];
        int len_ofs; /* From 1.4 on. */
    } cases[] = {
        {OF_FEATURES_REPLY, 32, 32, {48, 64, 64, 0, 0, 0}, {0}, -1},
        {OF_PORT_DESC_REPLY, 12, 16, {48, 64, 64, 64, 72, 72}, {0}, 4},
        {OF_PORT_STATUS, 16, 16, {48, 64, 64, 64, 72, 72}, {0}, 4},
        {OF_PORT_STATS_REPLY,
         12,
         16,
         {104, 104, 104, 112, 120, 120},
         {0, 0, 0, 0, 4, 4},
         0},
        {OF_QUEUE_STATS_REPLY,
         12,
         16,
         {32, 32, 32, 40, 48, 48},
         {0, 0, 0, 0, 8, 8},
         0},
        {OF_QUEUE_DESC_REPLY, 12, 16, {0, 0, 0, 0, 24, 24}, {0}, 8},
    };
    uint8_t version = version_of(_i);

    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        size_t head =
            version == OF_WIRE_10 ? cases[k].head_10 : cases[k].head_11;
        size_t size = cases[k].size[_i];
        size_t len = head + 2 * size;
        uint8_t *msg = lh_alloc_zero(len + 1);
        struct of_records r;
        uint16_t no;

        of_wire_put_header(msg, version, 0, (uint16_t) len, 0);
        for (size_t i = 0; size && i < 2; i++) {
            uint8_t *p = msg + head + i * size;
            uint16_t port = i ? 0xfffe : 5;

            if (version == OF_WIRE_10) {
                of_wire_put16(p, port);
            } else {
                of_wire_put32(p + cases[k].no_ofs[_i], i ? 0xfffffffe : port);
            }
            if (version >= OF_WIRE_14 && cases[k].len_ofs >= 0) {
                of_wire_put16(p + cases[k].len_ofs, (uint16_t) size);
            }
        }
        of_records_open(&r, cases[k].kind, msg, len);
        for (size_t i = 0; size && i < 2; i++) {
            ck_assert_msg(of_records_next(&r), "kind %zu over 1.%d", k, _i);
            ck_assert_uint_eq(r.record_len, size);
            ck_assert_ptr_eq(r.record, msg + head + i * size);
            ck_assert(of_records_port(&r, &no));
            ck_assert_uint_eq(no, i ? 0xfffe : 5);
        }
        ck_assert(!of_records_next(&r));
        /* The last one is not whole. */
        if (size) {
            of_records_open(&r, cases[k].kind, msg, len - 1);
            ck_assert(of_records_next(&r));
            ck_assert(!of_records_next(&r));
        }
        free(msg);
    }
}
END_TEST

/* A group-mod with buckets that output to 'ports' and, with 1.5, have those
 * numbers too. */
static struct of_group *
make_group(uint8_t version, uint16_t command, uint32_t bucket_id,
           const uint16_t *ports, size_t n)
{
    bool is_15 = version == OF_WIRE_15 || version == OF_WIRE_10;
    size_t head = (version == OF_WIRE_10 ? 16 : 8) + (is_15 ? 16 : 8);
    size_t action = version == OF_WIRE_10 ? 8 : 16;
    size_t bucket = (is_15 ? 8 : 16) + action;
    size_t len = head + n * bucket;
    uint8_t *msg = lh_alloc_zero(len);
    uint8_t *body = msg + (version == OF_WIRE_10 ? 16 : 8);
    struct of_group *group;

    of_wire_put_header(msg, version, version == OF_WIRE_10 ? 4 : 15,
                       (uint16_t) len, 0);
    if (version == OF_WIRE_10) {
        of_wire_put32(msg + 8, 0x2320);
        of_wire_put32(msg + 12, 31);
    }
    of_wire_put16(body, command);
    of_wire_put32(body + 4, 50);
    if (is_15) {
        of_wire_put16(body + 8, (uint16_t) (n * bucket));
        of_wire_put32(body + 12, bucket_id);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = msg + head + i * bucket;
        uint8_t *a = p + bucket - action;

        of_wire_put16(p, (uint16_t) bucket);
        if (is_15) {
            of_wire_put16(p + 2, (uint16_t) action);
            of_wire_put32(p + 4, ports[i]);
        } else {
            of_wire_put32(p + 4, UINT32_MAX);
            of_wire_put32(p + 8, UINT32_MAX);
        }
        of_wire_put16(a + 2, (uint16_t) action);
        if (version == OF_WIRE_10) {
            of_wire_put16(a + 4, ports[i]);
        } else {
            of_wire_put32(a + 4, ports[i]);
        }
    }
    group = of_group_decode(msg, len);
    free(msg);
    return group;
}

/* The ports of its buckets, as "1,2,3"; malloc()ed. */
static char *
ports_of(const struct of_group *group)
{
    char *text = lh_strdup("");

    for (size_t i = 0; i < of_group_n_buckets(group); i++) {
        struct of_acts acts;
        char *one, *both;

        of_group_get_bucket(group, i, &acts);
        one = of_acts_to_text(&acts);
        ck_assert(!strncmp(one, "output:", 7));
        both = lh_asprintf("%s%s%s", text, i ? "," : "", one + 7);
        free(one);
        free(text);
        text = both;
    }
    return text;
}

START_TEST(a_group_comes_back_in_every_version)
{
    static const uint16_t ports[] = {1, 2, 3};
    uint8_t version = version_of(_i);
    struct of_group *group = make_group(version, 0, UINT32_MAX, ports, 3);
    struct of_group *back;
    uint8_t *msg;
    size_t len;
    char *text;

    ck_assert_ptr_nonnull(group);
    ck_assert_int_eq(of_group_command(group), OF_GROUP_ADD);
    ck_assert_int_eq(of_group_encode(group, version, 0, &msg, &len), 0);
    back = of_group_decode(msg, len);
    ck_assert_ptr_nonnull(back);
    ck_assert_uint_eq(of_group_id(back), 50);
    text = ports_of(back);
    ck_assert_str_eq(text, "1,2,3");
    free(text);
    free(msg);
    of_group_destroy(group);
    of_group_destroy(back);
}
END_TEST

START_TEST(bucket_commands_are_of_15_alone)
{
    static const uint16_t ports[] = {1};
    uint8_t version = version_of(_i);
    struct of_group *group =
        make_group(version, 3, UINT32_C(0xfffffffe), ports, 1);

    ck_assert_ptr_nonnull(group);
    ck_assert_int_eq(of_group_command(group),
                     version == OF_WIRE_15 || version == OF_WIRE_10
                         ? OF_GROUP_INSERT_BUCKETS
                         : OF_GROUP_OTHER);
    of_group_destroy(group);
}
END_TEST

#define FIRST UINT32_C(0xfffffffd)
#define LAST  UINT32_C(0xfffffffe)
#define ALL   UINT32_MAX

START_TEST(buckets_are_inserted_and_removed)
{
    static const uint16_t ports[] = {1, 2, 3};
    static const uint16_t more[] = {7, 8};
    static const uint16_t again[] = {2};
    static const struct {
        uint16_t command;
        uint32_t id;
        const char *after; /* NULL: refused. */
    } cases[] = {
        {3, FIRST, "7,8,1,2,3"},
        {3, LAST, "1,2,3,7,8"},
        {3, 1, "1,7,8,2,3"},
        {3, 3, "1,2,3,7,8"},
        {3, 9, NULL},
        {5, FIRST, "2,3"},
        {5, LAST, "1,2"},
        {5, 2, "1,3"},
        {5, ALL, ""},
        {5, 9, NULL},
    };
    struct of_group *old = make_group(OF_WIRE_15, 0, ALL, ports, 3);
    struct of_group *change, *after;
    size_t *from;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        change = make_group(OF_WIRE_15, cases[i].command, cases[i].id, more,
                            cases[i].command == 3 ? 2 : 0);
        ck_assert_ptr_nonnull(change);
        after = of_group_edit(old, change, &from);
        ck_assert_msg(!after == !cases[i].after, "case %zu", i);
        if (after) {
            char *text = ports_of(after);

            ck_assert_str_eq(text, cases[i].after);
            for (size_t j = 0; j < of_group_n_buckets(after); j++) {
                uint32_t id = of_group_bucket_id(after, j);

                ck_assert_uint_eq(
                    from[j] < 3 ? ports[from[j]] : more[from[j] - 3], id);
            }
            free(text);
        }
        free(from);
        of_group_destroy(after);
        of_group_destroy(change);
    }
    change = make_group(OF_WIRE_15, 3, LAST, again, 1);
    ck_assert_ptr_null(of_group_edit(old, change, &from));
    of_group_destroy(change);
    of_group_destroy(old);
}
END_TEST

START_TEST(table_mods_say_what_a_miss_does_in_11_and_12)
{
    static const enum of_miss misses[] = {OF_MISS_CONTROLLER, OF_MISS_CONTINUE,
                                          OF_MISS_DROP};
    uint8_t version = version_of(_i);

    for (uint32_t config = 0; config < 3; config++) {
        uint8_t msg[16] = {version, 17, 0, 16};
        enum of_miss miss;
        uint8_t table_id;
        char *line;

        msg[8] = 4;
        of_wire_put32(msg + 12, config);
        if (version == OF_WIRE_10) {
            ck_assert(!of_msg_table_mod(msg, 16, &table_id, &miss));
            continue;
        }
        ck_assert(of_msg_table_mod(msg, 16, &table_id, &miss));
        ck_assert_uint_eq(table_id, 4);
        ck_assert_int_eq(miss, version <= OF_WIRE_12 ? misses[config]
                                                     : OF_MISS_DEFAULT);
        line = of_msg_to_line(msg, 16);
        ck_assert_msg(!strncmp(line, "table_id=4", 10), "%s", line);
        ck_assert_ptr_null(strchr(line, '\n'));
        free(line);
    }
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("of_codec");
    TCase *tc = tcase_create("versions");

    tcase_add_loop_test(tc, a_flow_mod_comes_back_in_every_version, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, a_statistics_request_keeps_its_match, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, flow_statistics_come_back_in_every_version, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, flow_removed_comes_back_in_every_version, 0,
                        N_VERSIONS);
    tcase_add_test(tc, a_packet_out_of_15_keeps_what_the_packet_begins_with);
    tcase_add_loop_test(tc, a_packet_out_with_a_buffer_keeps_its_number, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, records_of_every_version_are_found, 0, N_VERSIONS);
    tcase_add_loop_test(tc, a_group_comes_back_in_every_version, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, bucket_commands_are_of_15_alone, 0, N_VERSIONS);
    tcase_add_test(tc, buckets_are_inserted_and_removed);
    tcase_add_loop_test(tc, table_mods_say_what_a_miss_does_in_11_and_12, 0,
                        N_VERSIONS);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(make_suite());
    int n_failed;

    of_msg_init();
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
