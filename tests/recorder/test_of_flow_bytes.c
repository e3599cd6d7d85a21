/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of of_flow_reader_open_bytes(): flow statistics passed on byte by byte
 * are those that are decoded and encoded again. */
#include <config.h>
#include "recorder/of_flow.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/byte_buf.h"
#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

#define XID 0x77

static const char *const texts[] = {
    "actions=drop",
    "table=3,priority=7,ip,nw_dst=10.0.0.0/8,actions=output:2",
    "table=1,in_port=3,dl_vlan=5,actions=output:1,output:2",
    "table=2,tcp,nw_src=10.1.2.3,tp_dst=80,actions=dec_ttl,output:1",
    "table=6,ipv6,ipv6_dst=2001:db8::/32,actions=output:LOCAL",
    "table=7,metadata=5/0xff,actions=write_metadata:7,goto_table:9",
    "table=0,tun_id=5,actions=write_actions(output:3),goto_table:1",
};
#define N_TEXTS (sizeof texts / sizeof texts[0])

static void
collect(void *all, uint8_t *msg, size_t len)
{
    byte_buf_put(all, msg, len);
    free(msg);
}

/* A reply of a switch with 'n' records. */
static void
make_reply(uint8_t version, size_t n, struct byte_buf *reply)
{
    struct of_flow_writer *writer = of_flow_writer_open(version, false);

    for (size_t i = 0; i < n; i++) {
        struct of_flow flow;
        char *error =
            of_flow_from_text(&flow, OF_FLOW_ADD, texts[i % N_TEXTS]);
        struct of_flow_record record = {
            .match = flow.match,
            .acts = flow.acts,
            .table_id = flow.table_id,
            .priority = flow.priority,
            .cookie = 0x1000 + i,
            .idle_timeout = 5,
            .hard_timeout = 6,
            .importance = 7,
            .flags = OF_FLOW_SEND_REMOVED,
            .duration_sec = 8,
            .duration_nsec = 9,
            .idle_age = -1,
            .hard_age = -1,
            .n_packets = 10,
            .n_bytes = 11,
        };

        ck_assert_ptr_null(error);
        of_flow_writer_add(writer, &record);
        of_flow_uninit(&flow);
    }
    of_flow_writer_close(writer, XID, false, collect, reply);
}

/* What becomes of 'msg' when every other record shows 'shown' instead of its
 * own actions, and each third is left out. */
static void
rewrite(struct of_flow_reader *reader, uint8_t version,
        const struct of_acts *shown, bool more, struct byte_buf *out)
{
    struct of_flow_writer *writer = of_flow_writer_open(version, false);
    struct of_flow_record record;
    int result;

    for (size_t i = 0; (result = of_flow_reader_next(reader, &record)) > 0;
         i++) {
        if (i % 2) {
            record.shown = shown;
            record.flags = OF_FLOW_CHECK_OVERLAP | OF_FLOW_RESET_COUNTS;
        }
        if (i % 3) {
            of_flow_writer_add(writer, &record);
        }
        of_flow_record_uninit(&record);
    }
    ck_assert_int_eq(result, 0);
    of_flow_reader_close(reader);
    of_flow_writer_close(writer, XID, more, collect, out);
}

static void
check_same(uint8_t version, size_t n, const char *shown_text)
{
    struct byte_buf reply = BYTE_BUF_INIT;
    struct of_acts shown;
    char *error = of_acts_from_text(&shown, shown_text);
    size_t ofs = 0;
    int len;

    ck_assert_ptr_null(error);
    make_reply(version, n, &reply);
    while ((len = of_wire_frame(reply.data + ofs, reply.len - ofs)) > 0) {
        const uint8_t *msg = reply.data + ofs;
        struct byte_buf want = BYTE_BUF_INIT, got = BYTE_BUF_INIT;

        rewrite(of_flow_reader_open(msg, (size_t) len), version, &shown,
                ofs > 0, &want);
        rewrite(of_flow_reader_open_bytes(msg, (size_t) len), version, &shown,
                ofs > 0, &got);
        ck_assert_uint_eq(got.len, want.len);
        ck_assert(!want.len || !memcmp(got.data, want.data, want.len));
        byte_buf_uninit(&want);
        byte_buf_uninit(&got);
        ofs += (size_t) len;
    }
    ck_assert_uint_eq(ofs, reply.len);
    of_acts_uninit(&shown);
    byte_buf_uninit(&reply);
}

START_TEST(both_readers_lead_to_the_same_bytes)
{
    uint8_t version = (uint8_t) (OF_WIRE_11 + _i);

    check_same(version, 0, "output:1");
    check_same(version, N_TEXTS * 3, "output:1");
    check_same(version, N_TEXTS * 3, "drop");
}
END_TEST

/* A reply may be longer than what comes in: it is cut between records. */
START_TEST(records_that_grow_are_cut_into_messages)
{
    check_same(OF_WIRE_13, 2000,
               "output:1,output:2,output:3,output:4,output:5,output:6");
}
END_TEST

START_TEST(bytes_are_there_in_the_versions_that_have_them)
{
    struct byte_buf reply = BYTE_BUF_INIT;
    struct of_flow_reader *reader;
    struct of_flow_record record;
    uint8_t version = (uint8_t) (OF_WIRE_10 + _i);
    bool has = version >= OF_WIRE_12 && version <= OF_WIRE_14;

    make_reply(version, 2, &reply);
    reader = of_flow_reader_open_bytes(reply.data, reply.len);
    ck_assert_int_eq(of_flow_reader_next(reader, &record), 1);
    of_flow_record_uninit(&record);
    ck_assert_int_eq(of_flow_reader_next(reader, &record), 1);
    ck_assert_int_eq(record.wire != NULL, has);
    ck_assert_int_eq(record.acts.data == NULL, has);
    ck_assert_uint_eq(record.cookie, 0x1001);
    ck_assert_uint_eq(record.table_id, 3);
    ck_assert_uint_eq(record.priority, 7);
    ck_assert_uint_eq(record.n_packets, 10);
    ck_assert_uint_eq(record.n_bytes, 11);
    of_flow_record_uninit(&record);
    ck_assert_int_eq(of_flow_reader_next(reader, &record), 0);
    of_flow_reader_close(reader);
    byte_buf_uninit(&reply);
}
END_TEST

/* Any byte may be wrong; no more than what is there is read. */
START_TEST(damaged_replies_are_read_within_their_bounds)
{
    struct byte_buf reply = BYTE_BUF_INIT;

    make_reply(OF_WIRE_13, N_TEXTS, &reply);
    for (size_t i = 16; i < reply.len; i++) {
        uint8_t *copy = lh_memdup(reply.data, reply.len);
        struct of_flow_reader *reader;
        struct of_flow_record record;
        size_t n = 0;

        copy[i] = (uint8_t) (copy[i] ^ (1u << i % 8));
        reader = of_flow_reader_open_bytes(copy, reply.len);
        while (of_flow_reader_next(reader, &record) > 0) {
            if (record.wire) {
                ck_assert_uint_le(record.wire_acts_ofs,
                                  of_wire_get16(record.wire));
            }
            of_flow_record_uninit(&record);
            n++;
        }
        ck_assert_uint_le(n, reply.len / 48);
        of_flow_reader_close(reader);
        free(copy);
    }
    byte_buf_uninit(&reply);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_flow_bytes");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    of_msg_init();
    tcase_add_loop_test(tc, both_readers_lead_to_the_same_bytes, 0,
                        OF_WIRE_15 - OF_WIRE_11 + 1);
    tcase_add_test(tc, records_that_grow_are_cut_into_messages);
    tcase_add_loop_test(tc, bytes_are_there_in_the_versions_that_have_them, 0,
                        OF_WIRE_15 - OF_WIRE_10 + 1);
    tcase_add_test(tc, damaged_replies_are_read_within_their_bounds);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
