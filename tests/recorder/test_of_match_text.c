/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_match_text: the text of a match is the one that Open
 * vSwitch prints, letter for letter. */
#include <config.h>
#include "recorder/of_flow.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/of_match.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

/* What Open vSwitch prints of the match of a flow-mod; of malloc(). */
static char *
printed(const struct of_flow *flow)
{
    char *line, *begin, *end, *match;
    uint8_t *msg;
    size_t len;

    ck_assert_int_eq(of_flow_encode(flow, OF_WIRE_13, 1, &msg, &len), 0);
    line = of_msg_to_text(msg, len);
    begin = strstr(line, "ADD ");
    ck_assert_ptr_nonnull(begin);
    begin += strlen("ADD ");
    end = strstr(begin, "actions=");
    ck_assert_ptr_nonnull(end);
    while (end > begin && end[-1] == ' ') {
        end--;
    }
    match = strndup(begin, (size_t) (end - begin));
    free(line);
    free(msg);
    return match;
}

static void
assert_same(const char *text)
{
    struct of_flow flow;
    char *error, *want, *got, *full;

    full = malloc(strlen(text) + 16);
    sprintf(full, "%s%sactions=drop", text, *text ? "," : "");
    error = of_flow_from_text(&flow, OF_FLOW_ADD, full);
    ck_assert_msg(!error, "%s: %s", full, error ? error : "");
    want = printed(&flow);
    got = of_match_to_text(flow.match);
    ck_assert_str_eq(got, want);
    of_flow_uninit(&flow);
    free(full);
    free(want);
    free(got);
}

START_TEST(every_field_is_printed_as_the_switch_does)
{
    static const char *const texts[] = {
        "",
        "in_port=LOCAL",
        "in_port=65279",
        "dl_vlan=0",
        "dl_vlan=5,dl_vlan_pcp=3",
        "vlan_tci=0x1000/0x1000",
        "dl_src=0a:0b:0c:01:02:ff",
        "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
        "dl_type=0x0",
        "dl_type=0x88cc",
        "arp",
        "arp,arp_spa=10.0.0.1",
        "arp,arp_op=1",
        "rarp",
        "mpls",
        "ip,nw_src=10.0.0.0/8,reg3=5",
        "ip,nw_tos=16",
        "ip,nw_ttl=3",
        "ip,nw_frag=yes",
        "ip,ct_state=+trk",
        "tcp,tcp_flags=+syn",
        "tcp,tp_dst=0x10/0xfff0",
        "tcp6,tp_dst=80",
        "udp,nw_dst=0.0.0.0",
        "metadata=4",
        "tun_id=7,ip",
        "conj_id=3,ip",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_same(texts[i]);
    }
}
END_TEST

static const char *
one_of(const char *const *choices)
{
    size_t n = 0;

    while (choices[n]) {
        n++;
    }
    return choices[(size_t) rand() % n];
}

START_TEST(all_that_can_be_plain_together)
{
    static const char *const ports[] = {
        "", "", "in_port=1,", "in_port=65000,", "in_port=LOCAL,", NULL};
    static const char *const vlans[] = {
        "",  "", "dl_vlan=1,", "dl_vlan=4095,", "dl_vlan=9,dl_vlan_pcp=7,",
        NULL};
    static const char *const sources[] = {
        "",
        "",
        "dl_src=00:00:00:00:00:00,",
        "dl_src=fe:dc:ba:98:76:54,",
        "dl_src=00:00:00:00:00:01/00:00:00:00:00:ff,",
        NULL};
    static const char *const targets[] = {
        "",
        "",
        "dl_dst=ff:ff:ff:ff:ff:ff,",
        "dl_dst=02:00:00:00:00:0a,",
        "dl_dst=80:00:00:00:00:00/80:00:00:00:00:00,",
        NULL};
    static const char *const types[] = {"ip,",
                                        "icmp,",
                                        "tcp,",
                                        "udp,",
                                        "sctp,",
                                        "ip,nw_proto=2,",
                                        "arp,",
                                        "ipv6,",
                                        "ip,nw_proto=0,",
                                        "ip,nw_proto=255,",
                                        NULL};
    static const char *const from[] = {"",
                                       "nw_src=10.9.8.7,",
                                       "nw_src=0.0.0.0,",
                                       "nw_src=128.0.0.0/1,",
                                       "nw_src=192.168.100.0/22,",
                                       "nw_src=10.0.0.1/255.0.0.255,",
                                       NULL};
    static const char *const to[] = {"",
                                     "nw_dst=255.255.255.255,",
                                     "nw_dst=1.2.3.4/31,",
                                     "nw_dst=172.16.0.0/12,",
                                     "nw_dst=0.0.0.1/0.0.0.1,",
                                     NULL};
    static const char *const tp[] = {"",
                                     "tp_src=0,",
                                     "tp_dst=65535,",
                                     "tp_src=1,tp_dst=10000,",
                                     "tp_src=0x100/0xff00,",
                                     NULL};
    static const char *const icmp[] = {"", "icmp_type=8,",
                                       "icmp_type=3,icmp_code=1,", NULL};

    srand(7);
    for (int i = 0; i < 4000; i++) {
        const char *type = one_of(types);
        bool is_ip = *type != 'a' && strcmp(type, "ipv6,");
        bool has_tp = *type == 't' || *type == 'u' || !strcmp(type, "sctp,");
        char text[512];

        snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s", one_of(ports),
                 one_of(vlans), one_of(sources), one_of(targets), type,
                 is_ip ? one_of(from) : "", is_ip ? one_of(to) : "",
                 has_tp                   ? one_of(tp)
                 : !strcmp(type, "icmp,") ? one_of(icmp)
                                          : "");
        text[strlen(text) - 1] = '\0'; /* The comma. */
        assert_same(text);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_match_text");
    TCase *tcase = tcase_create("of_match_text");
    SRunner *runner;
    int n_failed;

    of_msg_init();
    tcase_add_test(tcase, every_field_is_printed_as_the_switch_does);
    tcase_add_test(tcase, all_that_can_be_plain_together);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
