/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that the sums of a block are those of its packets, that they come back
 * as they were put, and that a check of the archive tells when they do not
 * belong to their block. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_check.h"
#include "lib/block_sums.h"
#include "lib/history_columns.h"
#include "lib/hop_traffic.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/packet_row.h"
#include "lib/section_list.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define NOW_NS UINT64_C(1700000000000000000)

/* --- One way ------------------------------------------------------------ */

static void
set_frame(struct history_hop *hop, bool has_tag, uint16_t len)
{
    uint8_t frame[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    size_t at = 12;

    if (has_tag) {
        frame[at++] = 0x81;
        frame[at] = 0;
        at += 3;
    }
    frame[at++] = 0x08;
    frame[at++] = 0x00;
    frame[at] = 0x45;
    frame[at + 2] = (uint8_t) (len >> 8);
    frame[at + 3] = (uint8_t) len;
    frame[at + 8] = 64;
    frame[at + 9] = 59;
    history_hop_set_header(hop, frame, at + 20);
}

/* A packet of 'len' bytes that is flooded by s1, tagged and delivered by s2
 * and dropped by s3. */
static struct history *
flooded(uint16_t len)
{
    struct history *h = history_create(len);
    struct history_hop *hop;

    hop = history_add_hop(h);
    hop->dpid = 1;
    hop->in_port = 4;
    history_hop_add_out(hop, OF_PORT_FLOOD);
    history_hop_add_branch(hop, 2);
    history_hop_add_branch(hop, 3);
    set_frame(hop, false, len);
    hop = history_add_hop(h);
    hop->parent = 0;
    hop->dpid = 2;
    hop->in_port = 1;
    history_hop_add_out(hop, 7);
    set_frame(hop, false, len);
    history_hop_set_header_out(hop, hop->header, hop->caplen);
    set_frame(hop, true, len);
    hop = history_add_hop(h);
    hop->parent = 0;
    hop->dpid = 3;
    hop->in_port = 1;
    history_hop_add_out(hop, 9);
    verdict_set(&hop->verdict, VERDICT_DROPPED, 3, 9, "ttl expired");
    history_settle(h);
    return h;
}

static void
check_ports(const struct history_hop *hop, size_t n, const uint32_t *ports)
{
    struct hop_ports sent = {.n = 0};

    hop_traffic_ports(hop, &sent);
    ck_assert_uint_eq(sent.n, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(sent.ports[i], ports[i]);
    }
    free(sent.ports);
}

static void
check_flooded(void *n_ways, const struct history *h, uint64_t packets,
              const uint64_t *bytes)
{
    ++*(int *) n_ways;
    ck_assert_uint_eq(packets, 2);
    ck_assert_uint_eq(h->n_hops, 3);
    ck_assert_int_eq(h->hops[0].parent, -1);
    ck_assert_int_eq(h->hops[2].parent, 0);
    ck_assert_uint_eq(h->hops[2].dpid, 3);
    ck_assert_uint_eq(h->hops[0].in_port, 4);
    check_ports(&h->hops[0], 2, (const uint32_t[]){2, 3});
    check_ports(&h->hops[1], 1, (const uint32_t[]){7});
    check_ports(&h->hops[2], 0, NULL);
    ck_assert_uint_eq(bytes[0], 14 + 100 + 14 + 1000);
    ck_assert_uint_eq(bytes[1], 14 + 100 + 14 + 1000);
    ck_assert_uint_eq(bytes[2], 18 + 100 + 18 + 1000); /* Tagged, */
    ck_assert_uint_eq(bytes[3], 14 + 100 + 14 + 1000); /* and not. */
    ck_assert_uint_eq(bytes[4], bytes[1]); /* Nothing was captured. */
}

START_TEST(a_way_has_what_came_in_and_went_out_at_each_hop)
{
    struct history *small = flooded(100), *large = flooded(1000);
    struct block_sums *sums = block_sums_create();
    int n_ways = 0;

    block_sums_add_history(sums, small);
    block_sums_add_history(sums, large);
    block_sums_visit(sums, check_flooded, &n_ways);
    ck_assert_int_eq(n_ways, 1);
    history_destroy(small);
    history_destroy(large);
    block_sums_destroy(sums);
}
END_TEST

/* --- As bytes ----------------------------------------------------------- */

static struct block_sums *
random_sums(uint64_t seed, size_t n)
{
    struct block_sums *sums = block_sums_create();

    for (size_t i = 0; i < n; i++) {
        struct history *h = random_history(&seed, 6, NOW_NS);

        block_sums_add_history(sums, h);
        history_destroy(h);
    }
    return sums;
}

START_TEST(sums_come_back_as_they_were_put)
{
    struct block_sums *one = random_sums(5, 60), *two = random_sums(9, 40);
    struct block_sums *both = block_sums_create();
    struct block_sums *back = block_sums_create();
    struct byte_buf buf = BYTE_BUF_INIT;

    block_sums_merge(both, two);
    block_sums_merge(both, one);
    ck_assert(!block_sums_equal(one, both));
    block_sums_put(one, &buf);
    ck_assert(!block_sums_read(back, buf.data, buf.len, NULL));
    ck_assert(block_sums_equal(one, back));
    byte_buf_clear(&buf);
    block_sums_put(two, &buf);
    ck_assert(!block_sums_read(back, buf.data, buf.len, NULL));
    ck_assert(block_sums_equal(both, back));
    ck_assert_uint_eq(block_sums_n_packets(back), 100);
    block_sums_merge(back, two);
    ck_assert(!block_sums_equal(both, back));
    block_sums_reset(back);
    ck_assert_uint_eq(block_sums_n_packets(back), 0);
    byte_buf_uninit(&buf);
    block_sums_destroy(one);
    block_sums_destroy(two);
    block_sums_destroy(both);
    block_sums_destroy(back);
}
END_TEST

START_TEST(broken_bytes_are_refused)
{
    struct block_sums *sums = random_sums(17, 30);
    struct block_sums *back = block_sums_create();
    struct byte_buf buf = BYTE_BUF_INIT;
    struct lh_error error;
    size_t n_refused = 0;

    block_sums_put(sums, &buf);
    for (size_t i = 0; i < buf.len; i++) {
        uint8_t *cut = lh_memdup(buf.data, i + 1);

        n_refused += block_sums_read(back, cut, i, &error) == EBADMSG;
        free(cut);
        for (int bit = 0; bit < 8; bit++) {
            buf.data[i] ^= (uint8_t) (1 << bit);
            block_sums_reset(back);
            n_refused +=
                block_sums_read(back, buf.data, buf.len, &error) == EBADMSG;
            buf.data[i] ^= (uint8_t) (1 << bit);
        }
    }
    ck_assert_uint_gt(n_refused, buf.len / 2);
    byte_buf_uninit(&buf);
    block_sums_destroy(sums);
    block_sums_destroy(back);
}
END_TEST

/* --- In a block --------------------------------------------------------- */

/* A block of packets of flows, and of some that are no trajectory's. */
static size_t
make_payload(struct byte_buf *payload, struct column_totals *totals)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct column_encoder *e =
        column_encoder_create(&config, COLUMN_UNIT_AUTO);
    uint64_t seed = 3;
    size_t table_len;

    for (size_t i = 0; i < 20; i++) {
        struct flow flow;

        flow_init(&flow, &seed, NOW_NS);
        for (size_t k = 0; k < 15; k++) {
            struct history *h = flow_next(&flow, &seed, 1, &config);
            struct trajectory_packet packet;
            uint64_t times_ns[FLOW_MAX_HOPS];
            struct trajectory *t =
                flow_trajectory(&flow, h, &packet, times_ns);

            if (t && k % 5) {
                column_encoder_add(e, t, &packet);
            } else {
                ck_assert(!column_encoder_add_history(e, h));
            }
            history_destroy(h);
        }
        flow_uninit(&flow);
    }
    *totals = *column_encoder_totals(e);
    table_len = column_encoder_finish(e, 1, payload);
    byte_buf_clear(payload);
    /* Again: nothing is counted twice. */
    table_len = column_encoder_finish(e, 1, payload);
    column_encoder_destroy(e);
    return table_len;
}

/* Copies a payload, with section 'id' replaced by 'raw', or taken away (NULL);
 * returns the length of its table. */
static size_t
replace(const struct byte_buf *from, size_t table_len, unsigned int id,
        const struct byte_buf *raw, struct byte_buf *to)
{
    struct compressor *compressor = compressor_create();
    struct byte_buf sections = BYTE_BUF_INIT;
    struct section_list list, copy = {.n = 0};

    ck_assert(!section_list_parse(&list, from->data, table_len, NULL));
    for (size_t i = 0; i < list.n; i++) {
        const struct section *s = &list.sections[i];
        uint8_t *bytes;

        ck_assert(!section_expand(s, from->data + table_len + s->offset,
                                  &bytes, NULL));
        if (s->id != id) {
            section_list_add(&copy, s->id, bytes, s->raw_len, 1, compressor,
                             &sections);
        } else if (raw) {
            section_list_add(&copy, s->id, raw->data, raw->len, 1, compressor,
                             &sections);
        }
        free(bytes);
    }
    table_len = section_list_put_table(&copy, to);
    byte_buf_put(to, sections.data, sections.len);
    byte_buf_uninit(&sections);
    compressor_destroy(compressor);
    return table_len;
}

/* What a check of a file with that block says. */
static int
check_block(const struct byte_buf *payload, size_t table_len,
            const struct column_totals *totals, struct lh_error *error)
{
    struct archive_block block = {.kind = ARCHIVE_COLUMNS,
                                  .n_records = totals->n_records,
                                  .n_hops = totals->n_hops,
                                  .sequence = 1,
                                  .min_ns = totals->min_ns,
                                  .max_ns = totals->max_ns};
    struct byte_buf out = BYTE_BUF_INIT;
    size_t start = archive_block_begin_columns(1, &out);
    struct archive_check check;
    FILE *stream = tmpfile();
    int retval;

    byte_buf_put(&out, payload->data, payload->len);
    archive_block_end_columns(&block, start, table_len, &out);
    ck_assert_uint_eq(fwrite(out.data, 1, out.len, stream), out.len);
    fflush(stream);
    retval = archive_check_block(fileno(stream), 0, &block, &check, error);
    fclose(stream);
    byte_buf_uninit(&out);
    return retval;
}

/* The sections with sums, and what is said when they are others'. */
static const struct {
    unsigned int id;
    const char *message;
} sections[] = {
    {COLUMN_SUMS, "its sums are of other packets"},
    {COLUMN_FLOW_BYTES, "a flow has another sum than its packets"},
};

START_TEST(a_check_tells_sums_of_other_packets)
{
    struct byte_buf payload = BYTE_BUF_INIT, copy = BYTE_BUF_INIT;
    struct byte_buf raw = BYTE_BUF_INIT;
    struct column_totals totals;
    size_t table_len = make_payload(&payload, &totals);
    struct lh_error error = {.text = ""};
    struct section_list list;
    const struct section *s;
    uint8_t *bytes;

    ck_assert_msg(!check_block(&payload, table_len, &totals, &error), "%s",
                  error.text);
    ck_assert(!section_list_parse(&list, payload.data, table_len, NULL));
    s = section_list_find(&list, (uint8_t) sections[_i].id);
    ck_assert_ptr_nonnull(s);
    ck_assert(!section_expand(s, payload.data + table_len + s->offset, &bytes,
                              NULL));
    byte_buf_put(&raw, bytes, s->raw_len);
    free(bytes);

    /* Without them it is sound. */
    size_t copy_len =
        replace(&payload, table_len, sections[_i].id, NULL, &copy);

    ck_assert_msg(!check_block(&copy, copy_len, &totals, &error), "%s",
                  error.text);
    raw.data[raw.len - 1] ^= 1; /* Of the last number. */
    byte_buf_clear(&copy);
    copy_len = replace(&payload, table_len, sections[_i].id, &raw, &copy);
    ck_assert_int_eq(check_block(&copy, copy_len, &totals, &error), EBADMSG);
    ck_assert_msg(strstr(error.text, sections[_i].message) != NULL, "%s",
                  error.text);
    byte_buf_uninit(&payload);
    byte_buf_uninit(&copy);
    byte_buf_uninit(&raw);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("block_sums");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, a_way_has_what_came_in_and_went_out_at_each_hop);
    tcase_add_test(tc, sums_come_back_as_they_were_put);
    tcase_add_test(tc, broken_bytes_are_refused);
    tcase_add_loop_test(tc, a_check_tells_sums_of_other_packets, 0,
                        sizeof sections / sizeof *sections);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
