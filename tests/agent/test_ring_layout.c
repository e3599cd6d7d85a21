/* SPDX-License-Identifier: Apache-2.0 */
/* Rings: the agent and the patched switch mean the same by every byte, by
 * their own headers. */
#include <config.h>

#include <check.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ring_layout.h"
#include "lib/hop_template.h"
#include "tests/agent/ovs_layout.h"

/* The same place and size in both structs. */
#define SAME(OURS, OUR_FIELD, THEIRS, THEIR_FIELD)                            \
    do {                                                                      \
        ck_assert_uint_eq(offsetof(struct OURS, OUR_FIELD),                   \
                          offsetof(struct THEIRS, THEIR_FIELD));              \
        ck_assert_uint_eq(sizeof(((struct OURS *) 0)->OUR_FIELD),             \
                          sizeof(((struct THEIRS *) 0)->THEIR_FIELD));        \
    } while (0)

START_TEST(test_numbers)
{
    ck_assert_str_eq(RING_NAME, LASTHOP_RING_NAME);
    ck_assert_str_eq(RING_MAGIC, LASTHOP_RING_MAGIC);
    ck_assert_uint_eq(RING_VERSION, LASTHOP_RING_VERSION);
    ck_assert_uint_eq(RING_READER_OFFSET, LASTHOP_RING_READER_OFFSET);
    ck_assert_uint_eq(RING_RECORDS_OFFSET, LASTHOP_RING_RECORDS_OFFSET);
    ck_assert_uint_eq(RING_N_SLOTS, LASTHOP_RING_N_SLOTS);

    ck_assert_int_eq(RING_N_POSTCARDS, (int) LASTHOP_N_POSTCARDS);
    ck_assert_int_eq(RING_N_DROPPED, (int) LASTHOP_N_DROPPED);
    ck_assert_int_eq(RING_N_TEMPLATES, (int) LASTHOP_N_TEMPLATES);
    ck_assert_int_eq(RING_N_UNSAMPLED, (int) LASTHOP_N_UNSAMPLED);
    ck_assert_int_eq(RING_N_UNREAD, (int) LASTHOP_N_UNREAD);
    ck_assert_int_eq(RING_N_GAPS, (int) LASTHOP_N_GAPS);
    ck_assert_int_eq(RING_N_COUNTERS, (int) LASTHOP_N_COUNTERS);

    ck_assert_int_eq(RING_POSTCARD, (int) LASTHOP_RECORD_POSTCARD);
    ck_assert_int_eq(RING_TEMPLATE, (int) LASTHOP_RECORD_TEMPLATE);
    ck_assert_int_eq(RING_GAP, (int) LASTHOP_RECORD_GAP);
    ck_assert_int_eq(RING_SKIP, (int) LASTHOP_RECORD_SKIP);
    ck_assert_int_eq(RING_DROPPED, (int) LASTHOP_RECORD_DROPPED);
}
END_TEST

START_TEST(test_pages)
{
    SAME(ring_header, magic, lasthop_ring_header, magic);
    SAME(ring_header, version, lasthop_ring_header, version);
    SAME(ring_header, records_offset, lasthop_ring_header, records_offset);
    SAME(ring_header, size, lasthop_ring_header, size);
    SAME(ring_header, start_ns, lasthop_ring_header, start_ns);
    SAME(ring_header, pid, lasthop_ring_header, pid);
    SAME(ring_header, tid, lasthop_ring_header, tid);
    SAME(ring_header, thread, lasthop_ring_header, thread);
    SAME(ring_header, head, lasthop_ring_header, head);
    SAME(ring_header, counters, lasthop_ring_header, counters);
    SAME(ring_header, closed, lasthop_ring_header, closed);

    SAME(ring_reader_page, tail, lasthop_ring_reader, tail);
    SAME(ring_reader_page, epoch, lasthop_ring_reader, epoch);
    SAME(ring_reader_page, threshold, lasthop_ring_reader, threshold);
    SAME(ring_reader_page, beat, lasthop_ring_reader, beat);
}
END_TEST

START_TEST(test_records)
{
    SAME(ring_record, size, lasthop_record, size);
    SAME(ring_record, type, lasthop_record, type);
    SAME(ring_record, flags, lasthop_record, flags);
    SAME(ring_record, slot, lasthop_record, slot);
    SAME(ring_record, seq, lasthop_record, seq);

    SAME(ring_postcard, time_ns, lasthop_postcard_record, time_ns);
    SAME(ring_postcard, packet_len, lasthop_postcard_record, packet_len);
    SAME(ring_postcard, caplen, lasthop_postcard_record, caplen);
    SAME(ring_postcard, reason, lasthop_postcard_record, reason);

    SAME(ring_template, hash, lasthop_template_record, hash);
    SAME(ring_template, len, lasthop_template_record, len);

    SAME(ring_gap, first_ns, lasthop_gap_record, first_ns);
    SAME(ring_gap, last_ns, lasthop_gap_record, last_ns);
    SAME(ring_gap, count, lasthop_gap_record, count);
    SAME(ring_gap, n, lasthop_gap_record, n);
    SAME(ring_gap_count, dpid, lasthop_gap_count, dpid);
    SAME(ring_gap_count, count, lasthop_gap_count, count);

    ck_assert_uint_eq(sizeof(struct ring_record),
                      sizeof(struct lasthop_record));
    ck_assert_uint_eq(sizeof(struct ring_postcard),
                      sizeof(struct lasthop_postcard_record));
    ck_assert_uint_eq(sizeof(struct ring_template),
                      sizeof(struct lasthop_template_record));
    ck_assert_uint_eq(sizeof(struct ring_gap),
                      sizeof(struct lasthop_gap_record));
}
END_TEST

/* A template as the switch writes it, read. */
START_TEST(test_template)
{
    static const char reason[] = "no rule";
    struct lasthop_template template = {
        .dpid = 0x123456789abcdef0,
        .in_port = 7,
        .flags = LASTHOP_PACKET_OUT | LASTHOP_TRUNCATED | LASTHOP_METER,
        .n_outputs = 1,
        .n_trail = 2,
        .reason_len = sizeof reason - 1,
        .bridge = "br-int",
    };
    struct lasthop_output output = {0xfffd, LASTHOP_OUTPUT_REWRITTEN |
                                                LASTHOP_OUTPUT_TUNNEL};
    struct lasthop_trail trail[] = {{9, 1, LASTHOP_TRAIL_VERSION, 0},
                                    {0, 2, LASTHOP_TRAIL_MISS, 0}};
    uint8_t bytes[1024] = "", *p = bytes;
    union hop_template_buf buf;
    struct lh_error error;

    memcpy(p, &template, sizeof template);
    p += sizeof template;
    memcpy(p, &output, sizeof output);
    p += sizeof output;
    memcpy(p, trail, sizeof trail);
    p += sizeof trail;
    memcpy(p, reason, sizeof reason - 1);
    p += sizeof reason - 1;

    size_t len = ((size_t) (p - bytes) + 7) / 8 * 8;

    ck_assert_int_eq(hop_template_from_ring(bytes, len, &buf, &error), 0);

    const struct hop_template *t = &buf.t;

    ck_assert_uint_eq(t->dpid, template.dpid);
    ck_assert_uint_eq(t->in_port, 7);
    ck_assert_uint_eq(t->flags, HOP_PACKET_OUT | HOP_TRUNCATED | HOP_METER);
    ck_assert_str_eq(t->bridge, "br-int");
    ck_assert_uint_eq(t->n_outputs, 1);
    ck_assert_uint_eq(hop_template_outputs(t)->port, 0xfffd);
    ck_assert_uint_eq(hop_template_outputs(t)->flags,
                      HOP_OUTPUT_REWRITTEN | HOP_OUTPUT_TUNNEL);
    ck_assert_uint_eq(t->n_trail, 2);
    ck_assert_uint_eq(hop_template_trail(t)[0].version, 9);
    ck_assert_uint_eq(hop_template_trail(t)[0].table, 1);
    ck_assert_uint_eq(hop_template_trail(t)[0].flags, HOP_TRAIL_VERSION);
    ck_assert_uint_eq(hop_template_trail(t)[1].table, 2);
    ck_assert_uint_eq(hop_template_trail(t)[1].flags, HOP_TRAIL_MISS);
    ck_assert_str_eq(hop_template_reason(t), reason);

    ck_assert_uint_eq(HOP_CONTINUED, LASTHOP_CONTINUED);
    ck_assert_uint_eq(HOP_CONTINUES, LASTHOP_CONTINUES);
    ck_assert_uint_eq(sizeof(struct hop_output), sizeof output);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ring_layout");
    TCase *tc = tcase_create("layout");

    suite_add_tcase(suite, tc);
    tcase_add_test(tc, test_numbers);
    tcase_add_test(tc, test_pages);
    tcase_add_test(tc, test_records);
    tcase_add_test(tc, test_template);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_ENV);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
