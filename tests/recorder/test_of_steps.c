/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_steps: what actions do to a packet. */
#include <config.h>
#include "recorder/of_steps.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"

static const struct {
    const char *in; /* "set:" in front: an action set. */
    const char *steps;
} vectors[] = {
    {"drop", ""},
    {"output:1,output:2", "out 1;out 2;"},
    {"IN_PORT,LOCAL,NORMAL,FLOOD,ALL",
     "out 65528;out 65534;out 65530;out 65531;out 65532;"},
    {"CONTROLLER:9,controller(max_len=1)", "out 65533;out 65533;"},
    {"enqueue:3:1,output(port=4,max_len=60)", "out 3;out 4;"},
    {"output:NXM_NX_REG0[]", "out 65536;"},
    {"group:5", "group 5;"},
    {"mod_dl_src:02:00:00:00:00:01", "eth_src=020000000001/ffffffffffff;"},
    {"mod_nw_src:10.0.0.1", "ipv4_src=0a000001/ffffffff;"},
    {"set_field:10.0.0.0/255.0.0.0->ip_dst", "ipv4_dst=0a000000/ff000000;"},
    {"set_field:80->tcp_dst", "tp_dst=0050/ffff;"},
    {"mod_nw_tos:16", "ip_dscp=04/3f;"},
    {"set_field:9->ip_dscp", "ip_dscp=09/ff;"},
    {"mod_nw_ecn:2", "ip_ecn=02/03;"},
    {"mod_nw_ttl:7", "ip_ttl=07/ff;"},
    {"dec_ttl", "dec_ttl;"},
    {"mod_vlan_vid:5", "vlan_vid=0005/0fff;"},
    {"mod_vlan_pcp:3", "vlan_pcp=03/ff;"},
    {"push_vlan:0x8100,set_field:4101->vlan_vid",
     "push_vlan 8100;vlan_vid=0005/0fff;"},
    {"strip_vlan", "pop_vlan;"},
    {"load:0x5005->NXM_OF_VLAN_TCI[]", "vlan_vid=0005/0fff;vlan_pcp=02/07;"},
    {"load:0->NXM_OF_VLAN_TCI[]", "pop_vlan;"},
    {"push_mpls:0x8847,set_field:7->mpls_label",
     "push_mpls 8847;mpls_label=00000007/ffffffff;"},
    {"pop_mpls:0x0800", "pop_mpls 0800;"},
    {"load:0x3->NXM_NX_REG0[],set_field:3->metadata,set_tunnel:4", ""},
    {"move:NXM_NX_REG0[0..15]->NXM_OF_TCP_DST[]", "unknown move;"},
    {"move:NXM_OF_TCP_DST[]->NXM_NX_REG0[0..15]", ""},
    {"ct(commit,nat(src=10.0.0.1)),output:2", "unknown ct;out 2;"},
    {"ct(commit),output:2", "out 2;"},
    {"resubmit(,3),output:2", "unknown resubmit;out 2;"},
    {"exit,output:2", ""},
    {"clone(output:5),output:6", "out 5;out 6;"},
    {"clone(mod_nw_ttl:3,output:5),output:6", "out 6;unknown clone;out 5;"},
    {"write_actions(output:3,set_field:02:00:00:00:00:01->eth_dst)",
     "eth_dst=020000000001/ffffffffffff;out 3;"},
    {"set:output:3,set_field:02:00:00:00:00:01->eth_dst",
     "eth_dst=020000000001/ffffffffffff;out 3;"},
    {"set:output:3,output:4", "out 4;"},
    {"set:output:3,group:4", "group 4;"},
};

static char *
hex(const uint8_t *bytes, size_t n)
{
    char *text = lh_alloc(2 * n + 1);

    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    return text;
}

/* The bytes that the step's mask reaches to. */
static size_t
mask_len(const struct step *s)
{
    size_t n = sizeof s->mask;

    while (n && !s->mask[n - 1]) {
        n--;
    }
    return s->field == FIELD_IPV4_DST || s->field == FIELD_IPV4_SRC ? 4 : n;
}

static char *
step_text(const struct step *s)
{
    char *value, *mask, *text;

    switch (s->type) {
    case STEP_OUTPUT:
        return lh_asprintf("out %u;", s->port);
    case STEP_GROUP:
        return lh_asprintf("group %u;", s->port);
    case STEP_SET:
        value = hex(s->value, mask_len(s));
        mask = hex(s->mask, mask_len(s));
        text =
            lh_asprintf("%s=%s/%s;", step_field_name(s->field), value, mask);
        free(value);
        free(mask);
        return text;
    case STEP_PUSH_VLAN:
        return lh_asprintf("push_vlan %04x;", s->ethertype);
    case STEP_POP_VLAN:
        return lh_strdup("pop_vlan;");
    case STEP_PUSH_MPLS:
        return lh_asprintf("push_mpls %04x;", s->ethertype);
    case STEP_POP_MPLS:
        return lh_asprintf("pop_mpls %04x;", s->ethertype);
    case STEP_DEC_TTL:
        return lh_strdup("dec_ttl;");
    case STEP_UNKNOWN:
    default:
        return lh_asprintf("unknown %s;", s->text);
    }
}

START_TEST(tells_what_the_vectors_say)
{
    const char *in = vectors[_i].in;
    bool is_set = !strncmp(in, "set:", 4);
    struct rule *rule = rule_create();
    char *got = lh_strdup("");
    struct of_acts acts;
    char *error;

    error = of_acts_from_text(&acts, in + (is_set ? 4 : 0));
    ck_assert_msg(!error, "%s: %s", in, error ? error : "");
    of_steps_add(rule, &acts, is_set);
    for (size_t i = 0; i < rule->n_steps; i++) {
        char *more = step_text(&rule->steps[i]);
        char *joined = lh_asprintf("%s%s", got, more);

        free(more);
        free(got);
        got = joined;
    }
    ck_assert_msg(!strcmp(got, vectors[_i].steps), "%s: %s", in, got);
    free(got);
    of_acts_uninit(&acts);
    rule_unref(rule);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_steps");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    of_msg_init();
    tcase_add_loop_test(tc, tells_what_the_vectors_say, 0,
                        (int) (sizeof vectors / sizeof vectors[0]));
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
