/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of of_flow_encode_like(): the same bytes as of_flow_encode(), faster,
 * and never anything but a whole flow-mod. */
#include <config.h>
#include "recorder/of_flow.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_inject.h"
#include "recorder/of_wire.h"

static const char *const texts[] = {
    "table=0,actions=drop",
    "table=3,priority=7,ip,nw_dst=10.0.0.0/8,actions=output:2",
    "table=1,in_port=3,dl_vlan=5,actions=output:1,output:2",
    "table=1,in_port=3,vlan_tci=0x1000/0x1000,actions=pop_vlan,output:1",
    "table=2,tcp,nw_src=10.1.2.3,nw_dst=10.0.0.0/255.0.255.0,tp_dst=80,"
    "actions=dec_ttl,output:1,CONTROLLER:128",
    "table=4,reg3=7,ip,nw_ttl=1,actions=output:NXM_NX_REG0[]",
    "table=4,in_port=1,dl_src=02:00:00:00:00:00/fe:00:00:00:00:00,"
    "actions=resubmit(,5)",
    "table=0,ip,ct_state=+trk+est,actions=ct(table=2)",
    "table=6,ipv6,ipv6_dst=2001:db8::/32,actions=output:LOCAL",
    "table=6,arp,arp_tpa=10.0.0.1,arp_op=1,actions=FLOOD",
    "table=7,metadata=5/0xff,actions=write_metadata:7,goto_table:9",
    "table=0,udp,tp_src=0x400/0xfc00,actions=group:4",
    "table=0,tun_id=5,actions=write_actions(output:3),goto_table:1",
    "table=0,conj_id=3,ip,actions=output:1",
    "table=0,ip,actions=conjunction(1,1/2)",
};
#define N_TEXTS ((int) (sizeof texts / sizeof texts[0]))

static const uint8_t versions[] = {OF_WIRE_12, OF_WIRE_13, OF_WIRE_14,
                                   OF_WIRE_15};
#define N_VERSIONS ((int) sizeof versions)

static uint8_t *
add_of(const char *text, uint8_t version, size_t *len)
{
    struct of_flow flow;
    char *error = of_flow_from_text(&flow, OF_FLOW_ADD, text);
    uint8_t *msg;

    ck_assert_msg(!error, "%s: %s", text, error ? error : "");
    flow.new_cookie = 0x1122334455667788;
    flow.idle_timeout = 10;
    flow.hard_timeout = 20;
    flow.importance = 30;
    flow.buffer_id = 77;
    flow.flags = OF_FLOW_SEND_REMOVED | OF_FLOW_CHECK_OVERLAP;
    ck_assert_int_eq(of_flow_encode(&flow, version, 0x99, &msg, len), 0);
    of_flow_uninit(&flow);
    return msg;
}

static bool
no_index(void *aux, struct of_acts *acts, uint16_t *index)
{
    return false;
}

/* What the switch is sent for 'flow'. */
static void
instrument(const struct of_flow *flow, struct of_acts *acts)
{
    const struct of_inject_config config = {.of_version = OF_WIRE_13,
                                            .dpid = 5,
                                            .port = 99,
                                            .snap_len = 96,
                                            .tlv_index = 63};
    struct of_inject *inject = of_inject_create(&config);
    struct of_inject_ask ask = {.place = OF_INJECT_FLOW,
                                .version = 12345,
                                .is_entry = true,
                                .index = no_index};
    struct of_inject_result result;

    ck_assert_ptr_nonnull(inject);
    of_inject_run(inject, &flow->acts, &ask, &result);
    of_acts_move(acts, &result.acts);
    of_inject_destroy(inject);
}

START_TEST(both_ways_give_the_same_bytes)
{
    uint8_t version = versions[_i % N_VERSIONS];
    const char *text = texts[_i / N_VERSIONS];
    uint8_t *like, *want, *got;
    size_t like_len, want_len, got_len;
    struct of_flow flow;
    struct of_acts own, cards;

    like = add_of(text, version, &like_len);
    ck_assert_msg(of_flow_decode(like, like_len, true, &flow), "%s", text);
    instrument(&flow, &cards);
    own = flow.acts;
    flow.flags &= (uint16_t) ~OF_FLOW_CHECK_OVERLAP;
    flow.buffer_id = OF_FLOW_NO_BUFFER;
    for (int keeps_acts = 0; keeps_acts < 2; keeps_acts++) {
        flow.acts = keeps_acts ? own : cards;
        ck_assert_int_eq(of_flow_encode(&flow, version, 0, &want, &want_len),
                         0);
        ck_assert_int_eq(of_flow_encode_like(&flow, version, like, like_len,
                                             keeps_acts, &got, &got_len),
                         0);
        ck_assert_msg(got_len == want_len && !memcmp(got, want, want_len),
                      "%s over version %d", text, version);
        free(want);
        free(got);
    }
    flow.acts = own;
    of_acts_uninit(&cards);
    of_flow_uninit(&flow);
    free(like);
}
END_TEST

/* A match that is not written as we would write it goes out as it came: the
 * switch takes it for the same rule as directly. */
START_TEST(the_match_keeps_its_own_order)
{
    size_t len, got_len;
    uint8_t *like = add_of("table=0,in_port=3,dl_type=0x88cc,actions=output:1",
                           OF_WIRE_13, &len);
    uint8_t in_port[8], *got;
    struct of_flow flow, back;

    /* in_port (8 bytes) and eth_type (6) change places. */
    memcpy(in_port, like + 52, sizeof in_port);
    memmove(like + 52, like + 60, 6);
    memcpy(like + 58, in_port, sizeof in_port);
    ck_assert(of_flow_decode(like, len, true, &flow));
    ck_assert_int_eq(of_flow_encode_like(&flow, OF_WIRE_13, like, len, false,
                                         &got, &got_len),
                     0);
    ck_assert_int_eq(memcmp(got + 48, like + 48, 24), 0);
    ck_assert(of_flow_decode(got, got_len, true, &back));
    ck_assert(of_match_equal(flow.match, back.match));
    of_flow_uninit(&flow);
    of_flow_uninit(&back);
    free(like);
    free(got);
}
END_TEST

START_TEST(that_packets_are_ethernet_is_not_said)
{
    static const uint8_t packet_type[8] = {0x80, 0x00, 0x58, 0x04};
    size_t len, want_len, got_len;
    uint8_t *plain =
        add_of("table=0,in_port=3,actions=output:1", OF_WIRE_15, &len);
    uint8_t *like = lh_alloc(len + 8), *want, *got;
    struct of_flow flow;

    memcpy(like, plain, 60);
    memcpy(like + 60, packet_type, sizeof packet_type);
    memset(like + 68, 0, 4);
    memcpy(like + 72, plain + 64, len - 64);
    of_wire_put16(like + 2, (uint16_t) (len + 8));
    of_wire_put16(like + 50, 20);
    ck_assert(of_flow_decode(like, len + 8, true, &flow));
    ck_assert_int_eq(of_flow_encode(&flow, OF_WIRE_15, 0, &want, &want_len),
                     0);
    ck_assert_int_eq(of_flow_encode_like(&flow, OF_WIRE_15, like, len + 8,
                                         false, &got, &got_len),
                     0);
    ck_assert_uint_eq(got_len, want_len);
    ck_assert_int_eq(memcmp(got, want, want_len), 0);
    of_flow_uninit(&flow);
    free(plain);
    free(like);
    free(want);
    free(got);
}
END_TEST

/* Whatever 'like' is, what comes out is a flow-mod with the flow's actions. */
START_TEST(a_match_cut_short_is_not_copied)
{
    size_t len, want_len, got_len;
    uint8_t *like =
        add_of("table=0,tcp,tp_dst=80,actions=output:1", OF_WIRE_13, &len);
    uint8_t *want, *got;
    struct of_flow flow;

    ck_assert(of_flow_decode(like, len, true, &flow));
    ck_assert_int_eq(of_flow_encode(&flow, OF_WIRE_13, 0, &want, &want_len),
                     0);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = lh_memdup(like, cut ? cut : 1);

        if (cut >= 8 && cut < 72) { /* The match ends at 72. */
            ck_assert_int_eq(of_flow_encode_like(&flow, OF_WIRE_13, copy, cut,
                                                 false, &got, &got_len),
                             0);
            ck_assert_uint_eq(got_len, want_len);
            ck_assert_int_eq(memcmp(got, want, want_len), 0);
            free(got);
        }
        free(copy);
    }
    for (unsigned int n = 0; n < 256; n++) {
        like[55] = (uint8_t) n; /* Length of the first field. */
        ck_assert_int_eq(of_flow_encode_like(&flow, OF_WIRE_13, like, len,
                                             false, &got, &got_len),
                         0);
        ck_assert_uint_eq(got_len, want_len);
        free(got);
    }
    of_flow_uninit(&flow);
    free(like);
    free(want);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("of_flow_like");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, both_ways_give_the_same_bytes, 0,
                        N_TEXTS * N_VERSIONS);
    tcase_add_test(tc, the_match_keeps_its_own_order);
    tcase_add_test(tc, that_packets_are_ethernet_is_not_said);
    tcase_add_test(tc, a_match_cut_short_is_not_copied);
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(make_suite());

    srunner_run_all(runner, CK_ENV);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
