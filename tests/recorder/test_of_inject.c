/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_inject: the actions installed for the actions written.
 *
 * In the vectors `C(F,P)` stands for a postcard with flags F for port P, and
 * `C(F,P,MOVE)` for one with a further move of a register, `A(F,P)` for one
 * that stands alone in table T, and `note` for the note that carries the
 * version. */
#include <config.h>
#include "recorder/of_inject.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_trace.h"

#define SWITCH_DPID  0x1122u
#define RULE_VERSION 7u

struct vector {
    const char *mode; /* f: flow, b: bucket, p: packet-out; then s: action
                       * sets, e: entry, l: FLOOD is replaced,
                       * k: the in_port is overwritten. */
    const char *in, *out;
    const char *indexed; /* What T got, entries joined by " | "; NULL: none. */
};

static const struct vector vectors[] = {
    /* Outputs: a postcard each, before the rule's own actions. */
    {"f", "output:2", "C(0,2),output:2", NULL},
    {"f", "drop", "C(0,65535)", NULL},
    {"f", "output:1,output:2", "C(0,1),C(0,2),output:1,output:2", NULL},
    {"f", "dec_ttl,output:2", "C(0,2),dec_ttl,output:2", NULL},
    {"f", "set_field:10.0.0.1->ip_src,output:2",
     "C(0,2),set_field:10.0.0.1->ip_src,output:2", NULL},
    {"f", "IN_PORT", "C(0,65528),IN_PORT", NULL},
    {"f", "LOCAL", "C(0,65534),LOCAL", NULL},
    {"f", "NORMAL", "C(0,65530),NORMAL", NULL},
    {"f", "FLOOD", "C(0,65531),FLOOD", NULL},
    {"fl", "FLOOD", "C(0,65531),output:1,output:3,LOCAL", NULL},
    {"f", "ALL", "C(0,65532),output:1,output:3,LOCAL", NULL},
    {"f", "output(port=3,max_len=60)", "C(0,3),output(port=3,max_len=60)",
     NULL},
    {"f", "CONTROLLER:128", "C(0,65533),CONTROLLER:128", NULL},
    {"f", "controller(reason=no_match,max_len=9)",
     "C(0,65533),controller(reason=no_match,max_len=9)", NULL},
    {"f", "enqueue:1:2", "C(0,1),enqueue:1:2", NULL},
    {"f", "bundle(eth_src,0,active_backup,ofport,members:1,2)",
     "C(0,65530),bundle(eth_src,0,active_backup,ofport,members:1,2)", NULL},
    {"f", "clone(set_field:10.0.0.1->ip_src,output:5),output:6",
     "C(0,5),C(0,6),clone(set_field:10.0.0.1->ip_src,output:5),output:6",
     NULL},
    {"f", "ct(commit,nat(src=10.0.0.1)),output:2",
     "C(0,2),ct(commit,nat(src=10.0.0.1)),output:2", NULL},
    {"f", "exit,output:2", "C(0,65535),exit,output:2", NULL},
    {"f", "note:01.02.03.04.05.06", "C(0,65535),note:01.02.03.04.05.06", NULL},

    /* A register: read where it is used. */
    {"f", "output:NXM_NX_REG0[0..15]",
     "note,C(0,0,NXM_NX_REG0[0..15]),output:NXM_NX_REG0[0..15]", NULL},
    {"f", "load:0x5->NXM_NX_REG0[],output:NXM_NX_REG0[]",
     "note,load:0x5->NXM_NX_REG0[],C(0,0,NXM_NX_REG0[0..15]),"
     "output:NXM_NX_REG0[]",
     NULL},
    {"f", "mod_nw_ttl:4,output:NXM_NX_REG0[]",
     "note,mod_nw_ttl:4,C(2,0,NXM_NX_REG0[0..15]),output:NXM_NX_REG0[]", NULL},
    {"f", "clone(mod_nw_ttl:4,output:NXM_NX_REG0[]),output:NXM_NX_REG1[]",
     "note,clone(mod_nw_ttl:4,C(2,0,NXM_NX_REG0[0..15]),output:NXM_NX_REG0[]),"
     "C(0,0,NXM_NX_REG1[0..15]),output:NXM_NX_REG1[]",
     NULL},

    /* A meter stays first. */
    {"f", "meter:3,output:2", "meter:3,C(0,2),output:2", NULL},
    {"f", "meter:3", "meter:3,C(0,65535)", NULL},
    {"f", "meter:3,goto_table:2", "meter:3,note,goto_table:2", NULL},

    /* On its way, not dropped. */
    {"f", "goto_table:1", "note,goto_table:1", NULL},
    {"f", "output:2,goto_table:1", "C(0,2),output:2,goto_table:1", NULL},
    {"f", "resubmit(,3)", "note,resubmit(,3)", NULL},
    {"f", "resubmit(,3),output:4", "C(0,4),resubmit(,3),output:4", NULL},
    {"f", "ct(table=3)", "note,ct(table=3)", NULL},
    {"f", "ct(commit)", "C(0,65535),ct(commit)", NULL},
    {"f", "learn(table=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])",
     "note,learn(table=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])", NULL},
    {"f", "write_metadata:0x3,goto_table:1",
     "note,write_metadata:0x3,goto_table:1", NULL},
    {"f", "group:5", "C(4,65281),group:5", NULL},

    /* Refuses company but for a note. */
    {"f", "conjunction(1,1/2)", "conjunction(1,1/2),note", NULL},

    /* Action sets. */
    {"fs", "write_actions(output:3),goto_table:2",
     "note,write_actions(resubmit(1,253)),goto_table:2", "C(2,3),output:3"},
    {"fse", "write_actions(set_field:10.0.0.1->ip_src,output:3),goto_table:2",
     "note,write_actions(set_field:10.0.0.1->ip_src,resubmit(1,253)),"
     "goto_table:2",
     "C(2,3),output:3"},
    {"fse", "write_actions(set_field:10.0.0.1->ip_src),goto_table:2",
     "note,write_actions(set_field:10.0.0.1->ip_src,resubmit(1,253)),"
     "goto_table:2",
     "C(2,65535),note"},
    {"fs", "write_actions(output:3,output:4)",
     "note,write_actions(resubmit(1,253))", "C(2,4),output:4"},
    {"fs", "write_actions(ALL)", "note,write_actions(resubmit(1,253))",
     "C(2,65532),output:1,output:3,LOCAL"},
    {"fs", "write_actions(output:3,group:4)",
     "clone(resubmit(1,253)),note,write_actions(output:3,group:4)",
     "A(4,65281)"},
    {"fs", "output:5", "clone(resubmit(1,253)),note,output:5", "A(0,5)"},
    {"fse", "output:5", "C(0,5),output:5", NULL},
    {"fse", "goto_table:2", "note,write_actions(resubmit(1,253)),goto_table:2",
     "C(2,65535),note"},
    {"fse", "output:2,goto_table:2",
     "C(0,2),output:2,write_actions(resubmit(1,253)),goto_table:2",
     "C(2,65535),note"},
    {"fse", "drop", "C(0,65535)", NULL},
    {"fse", "group:1", "C(4,65281),group:1", NULL},
    {"fs", "drop", "clone(resubmit(1,253)),note", "A(0,65535)"},
    {"fs", "goto_table:9", "note,goto_table:9", NULL},
    {"fs", "clear_actions,goto_table:4",
     "note,clear_actions,write_actions(resubmit(1,253)),goto_table:4",
     "C(2,65535),note"},
    {"fs", "clear_actions,write_actions(output:1),goto_table:4",
     "note,clear_actions,write_actions(resubmit(1,253)),goto_table:4",
     "C(2,1),output:1"},
    {"fs", "clear_actions",
     "note,clear_actions,write_actions(resubmit(1,253))", "C(2,65535),note"},

    /* Buckets. */
    {"b", "output:3", "resubmit(2,253)",
     "A(0,3) | note,clone(resubmit(1,253)),output:3"},
    {"b", "set_field:10.0.0.1->ip_src,output:3",
     "set_field:10.0.0.1->ip_src,resubmit(2,253)",
     "A(2,3) | note,clone(resubmit(1,253)),output:3"},
    {"b", "drop", "resubmit(2,253)",
     "A(0,65535) | clone(resubmit(1,253)),note"},
    {"b", "ALL", "resubmit(2,253)",
     "A(0,65532) | note,clone(resubmit(1,253)),output:1,output:3,LOCAL"},
    {"b", "group:4", "group:4", NULL},
    {"b", "resubmit(,9)", "resubmit(,9)", NULL},

    /* Where the in_port is overwritten table 0 keeps it, others tell it. */
    {"fek", "output:2", "C(0,2),keep,output:2", NULL},
    {"fek", "meter:3,resubmit(,8)", "meter:3,note,keep,resubmit(,8)", NULL},
    {"fk", "output:2", "K(0,2),output:2", NULL},
    {"fk", "set_field:0->in_port,resubmit(,65)",
     "note,set_field:0->in_port,resubmit(,65)", NULL},
    {"fk", "output:NXM_NX_REG0[0..15]",
     "note,K(0,0,NXM_NX_REG0[0..15]),output:NXM_NX_REG0[0..15]", NULL},
    {"fsk", "output:5", "clone(resubmit(1,253)),note,output:5", "B(0,5)"},
    {"pk", "output:3", "C(1,3),output:3", NULL},

    /* Packet-outs. */
    {"p", "output:3", "C(1,3),output:3", NULL},
    {"p", "output:3,output:4", "C(1,3),C(1,4),output:3,output:4", NULL},
    {"p", "FLOOD", "C(1,65531),FLOOD", NULL},
    {"p", "TABLE", "C(1,65529),TABLE", NULL},
    {"p", "group:3", "C(5,65281),group:3", NULL},
    {"p", "drop", "C(1,65535)", NULL},
};

/* The text that stands for "C(...)" or "A(...)" (or, with the in_port that was
 * kept, "K(...)" or "B(...)") at 'p'; '*end' is set behind it. */
static char *
expand_card(const char *p, char **end)
{
    unsigned long flags = strtoul(p + 2, end, 10);
    unsigned long port = strtoul(*end + 1, end, 10);
    char *move = lh_strdup("");
    bool is_alone = *p == 'A' || *p == 'B';
    bool is_kept = *p == 'K' || *p == 'B';
    char *text;

    if (**end == ',') {
        const char *reg = *end + 1;

        *end = strchr(reg, ')');
        free(move);
        move = lh_asprintf("move:%.*s->NXM_NX_TUN_METADATA63[0..15],",
                           (int) (*end - reg), reg);
    }
    *end += 1;
    text = lh_asprintf(
        "%sset_field:0x1%02lx0000%016x%08x0000%04lx->tun_metadata63,"
        "move:%s[]->NXM_NX_TUN_METADATA63[16..31],%s"
        "output(port=99,max_len=96)%s",
        is_alone ? "" : "clone(", flags, SWITCH_DPID, RULE_VERSION, port,
        is_kept ? "NXM_NX_TUN_GBP_ID" : "NXM_OF_IN_PORT", move,
        is_alone ? ",clear_actions" : ")");
    free(move);
    return text;
}

static char *
expand(const char *p)
{
    char *out = lh_strdup("");

    while (*p) {
        char *more;
        char *joined;

        if (strchr("CAKB", *p) && p[1] == '(') {
            char *end;

            more = expand_card(p, &end);
            p = end;
        } else if (!strncmp(p, "note", 4) && p[4] != ':') {
            more = lh_asprintf("note:6c.68.00.00.00.%02x", RULE_VERSION);
            p += 4;
        } else if (!strncmp(p, "keep", 4)) {
            more = lh_strdup("move:NXM_OF_IN_PORT[]->NXM_NX_TUN_GBP_ID[]");
            p += 4;
        } else {
            more = lh_asprintf("%c", *p++);
        }
        joined = lh_asprintf("%s%s", out, more);
        free(out);
        free(more);
        out = joined;
    }
    return out;
}

struct table_t {
    struct of_acts acts[8];
    size_t n;
    bool is_full;
};

static bool
take(void *t_, struct of_acts *acts, uint16_t *indexp)
{
    struct table_t *t = t_;

    if (t->is_full) {
        return false;
    }
    of_acts_move(&t->acts[t->n++], acts);
    *indexp = (uint16_t) t->n;
    return true;
}

static const struct of_acts *
find(void *t_, uint8_t table_id, uint16_t index)
{
    const struct table_t *t = t_;

    return table_id == 253 && index && index <= t->n ? &t->acts[index - 1]
                                                     : NULL;
}

static char *
table_text(const struct table_t *t)
{
    char *text = lh_strdup("");

    for (size_t i = 0; i < t->n; i++) {
        char *acts = of_acts_to_text(&t->acts[i]);
        char *joined = lh_asprintf("%s%s%s", text, i ? " | " : "", acts);

        free(acts);
        free(text);
        text = joined;
    }
    return text;
}

static struct of_inject *
create(bool is_mac, uint8_t of_version)
{
    struct of_inject_config config = {.is_mac = is_mac,
                                      .of_version = of_version,
                                      .dpid = SWITCH_DPID,
                                      .port = 99,
                                      .snap_len = 96,
                                      .tlv_index = 63,
                                      .switch_index = 5,
                                      .vlan = 4000};
    struct of_inject *inj;

    of_msg_init();
    inj = of_inject_create(&config);
    ck_assert_ptr_nonnull(inj);
    return inj;
}

static const uint16_t ports[] = {1, 3, 65534};
static const struct of_trace trace = {.dpid = SWITCH_DPID, .switch_index = 5};

static struct of_inject_ask
make_ask(const char *mode, struct table_t *t)
{
    return (struct of_inject_ask){.place = strchr(mode, 'b') ? OF_INJECT_BUCKET
                                           : strchr(mode, 'p')
                                               ? OF_INJECT_PACKET_OUT
                                               : OF_INJECT_FLOW,
                                  .version = RULE_VERSION,
                                  .ports = ports,
                                  .n_ports = 3,
                                  .replace_flood = strchr(mode, 'l') != NULL,
                                  .has_action_sets = strchr(mode, 's') != NULL,
                                  .is_entry = strchr(mode, 'e') != NULL,
                                  .keeps_in_port = strchr(mode, 'k') != NULL,
                                  .index_table = 253,
                                  .index = take,
                                  .aux = t};
}

static void
parse(struct of_acts *acts, const char *text)
{
    char *error = of_acts_from_text(acts, text);

    ck_assert_msg(!error, "%s: %s", text, error ? error : "");
}

START_TEST(injects_what_the_vectors_say)
{
    const struct vector *v = &vectors[_i];
    struct of_inject *inj = create(false, 4);
    struct table_t t = {.n = 0};
    struct of_inject_ask ask = make_ask(v->mode, &t);
    struct of_inject_result result;
    struct of_acts acts, stripped;
    char *want, *got;

    parse(&acts, v->in);
    of_inject_run(inj, &acts, &ask, &result);
    want = expand(v->out);
    got = of_acts_to_text(&result.acts);
    ck_assert_str_eq(got, want);
    free(want);
    free(got);

    want = expand(v->indexed ? v->indexed : "");
    got = table_text(&t);
    ck_assert_str_eq(got, want);
    free(want);
    free(got);

    /* What was put in can be taken out again, but for the lists. */
    of_trace_strip(&trace, &result.acts, find, &t, &stripped);
    if (!strstr(v->out, "output:1,output:3,LOCAL") &&
        strcmp(v->in, "write_actions(output:3,output:4)")) {
        got = of_acts_to_text(&stripped);
        ck_assert_str_eq(got, v->in);
        free(got);
    }
    of_acts_uninit(&stripped);

    /* And whose it is can be told. */
    if (strchr(v->mode, 'f')) {
        uint32_t version = 0;

        ck_assert(
            of_trace_find_version(&trace, &result.acts, find, &t, &version));
        ck_assert_uint_eq(version, RULE_VERSION);
    }
    for (size_t i = 0; i < t.n; i++) {
        of_acts_uninit(&t.acts[i]);
    }
    of_acts_uninit(&result.acts);
    of_acts_uninit(&acts);
    of_inject_destroy(inj);
}
END_TEST

START_TEST(leaves_an_output_alone_when_the_table_is_full)
{
    struct of_inject *inj = create(false, 4);
    struct table_t t = {.is_full = true};
    struct of_inject_ask ask = make_ask("b", &t);
    struct of_inject_result result;
    struct of_acts acts;
    char *got;

    parse(&acts, "set_field:10.0.0.1->ip_src,output:3");
    of_inject_run(inj, &acts, &ask, &result);
    got = of_acts_to_text(&result.acts);
    ck_assert_str_eq(got, "set_field:10.0.0.1->ip_src,output:3");
    free(got);
    of_acts_uninit(&result.acts);
    of_acts_uninit(&acts);
    of_inject_destroy(inj);
}
END_TEST

static void
check_mac(uint8_t of_version, const char *in, const char *want)
{
    struct of_inject *inj = create(true, of_version);
    struct of_inject_ask ask = make_ask("f", NULL);
    struct of_inject_result result;
    uint32_t version = 0;
    struct of_acts acts;
    char *got;

    parse(&acts, in);
    ask.version = 0x01020304;
    of_inject_run(inj, &acts, &ask, &result);
    got = of_acts_to_text(&result.acts);
    ck_assert_str_eq(got, want);
    free(got);
    ck_assert(
        of_trace_find_version(&trace, &result.acts, NULL, NULL, &version));
    ck_assert_uint_eq(version, 0x01020304);
    of_acts_uninit(&result.acts);
    of_acts_uninit(&acts);
    of_inject_destroy(inj);
}

/* What 'in' becomes by postcards is taken out again by 'other'. */
static void
check_stripped(bool is_mac, const struct of_trace *other, const char *in,
               bool is_known)
{
    struct of_inject *inj = create(is_mac, 4);
    struct of_inject_ask ask = make_ask("f", NULL);
    struct of_inject_result result;
    struct of_acts acts, stripped;
    uint32_t version = 0;
    char *got, *injected;

    parse(&acts, in);
    of_inject_run(inj, &acts, &ask, &result);
    injected = of_acts_to_text(&result.acts);
    of_trace_strip(other, &result.acts, NULL, NULL, &stripped);
    got = of_acts_to_text(&stripped);
    ck_assert_str_eq(got, is_known ? in : injected);
    ck_assert(of_trace_find_version(other, &result.acts, NULL, NULL,
                                    &version) == is_known);
    ck_assert_uint_eq(version, is_known ? RULE_VERSION : 0);
    free(got);
    free(injected);
    of_acts_uninit(&stripped);
    of_acts_uninit(&result.acts);
    of_acts_uninit(&acts);
    of_inject_destroy(inj);
}

START_TEST(finds_traces_whatever_the_postcards_are_now)
{
    struct of_trace no_index = {.dpid = SWITCH_DPID};
    struct of_trace stranger = {.dpid = SWITCH_DPID + 1, .switch_index = 6};

    check_stripped(false, &no_index, "output:2,output:3", true);
    check_stripped(true, &no_index, "output:2,output:3", true);
    check_stripped(false, &stranger, "output:2", false);
    check_stripped(false, &trace, "drop", true);
}
END_TEST

START_TEST(leaves_what_only_looks_like_a_trace)
{
    static const char *const lists[] = {
        "clone(set_field:02:00:00:00:00:01->eth_dst,output:2)",
        "clone(set_field:02:00:00:00:00:01->eth_dst,push_vlan:0x8100,"
        "set_field:4100->vlan_vid,output(port=2,max_len=96))",
        "clone(set_field:0x1->tun_metadata0,output:2)",
        "note:01.02.03.04.05.06,output:2"};

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct of_acts acts, stripped;
        uint32_t version;
        char *got, *want;

        parse(&acts, lists[i]);
        of_trace_strip(&trace, &acts, NULL, NULL, &stripped);
        got = of_acts_to_text(&stripped);
        want = of_acts_to_text(&acts);
        ck_assert_str_eq(got, want);
        ck_assert(!of_trace_find_version(&trace, &acts, NULL, NULL, &version));
        free(got);
        free(want);
        of_acts_uninit(&stripped);
        of_acts_uninit(&acts);
    }
}
END_TEST

START_TEST(writes_mac_postcards)
{
    check_mac(4, "output:2",
              "clone(set_field:02:03:04:00:20:05->eth_dst,push_vlan:0x8100,"
              "set_field:8096->vlan_vid,output(port=99,max_len=96)),"
              "note:6c.68.01.02.03.04,output:2");
    check_mac(4, "drop",
              "clone(set_field:02:03:04:ff:f0:05->eth_dst,push_vlan:0x8100,"
              "set_field:8096->vlan_vid,output(port=99,max_len=96)),"
              "note:6c.68.01.02.03.04");
    check_mac(4, "group:1",
              "clone(set_field:02:03:04:ff:00:05->eth_dst,push_vlan:0x8100,"
              "set_field:8096->vlan_vid,output(port=99,max_len=96)),"
              "note:6c.68.01.02.03.04,group:1");
    check_mac(1, "output:2",
              "clone(set_field:02:03:04:00:20:05->eth_dst,mod_vlan_vid:4000,"
              "output(port=99,max_len=96)),note:6c.68.01.02.03.04,output:2");
    /* A port that 12 bits cannot name, and that no code was given for. */
    check_mac(4, "output:5000", "note:6c.68.01.02.03.04,output:5000");
}
END_TEST

START_TEST(says_what_is_on_its_way)
{
    static const struct {
        const char *acts;
        bool alone, pending;
    } cases[] = {
        {"drop", false, true},
        {"output:1", false, true},
        {"goto_table:1", true, true},
        {"resubmit(,1)", true, true},
        {"ct(table=1)", true, true},
        {"ct(commit)", false, true},
        {"group:1", true, true},
        {"exit,resubmit(,1)", false, true},
        {"clone(ct_clear,resubmit(,8))", true, true},
        {"clone(set_field:1->reg1),output:1", false, true},
        {"learn(table=1)", true, true},
        {"write_actions(output:1)", true, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct of_acts acts;

        parse(&acts, cases[i].acts);
        ck_assert_msg(of_acts_is_transit(&acts, false) == cases[i].alone, "%s",
                      cases[i].acts);
        ck_assert_msg(of_acts_is_transit(&acts, true) == cases[i].pending,
                      "%s", cases[i].acts);
        of_acts_uninit(&acts);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_inject");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, injects_what_the_vectors_say, 0,
                        (int) (sizeof vectors / sizeof vectors[0]));
    tcase_add_test(tc, leaves_an_output_alone_when_the_table_is_full);
    tcase_add_test(tc, finds_traces_whatever_the_postcards_are_now);
    tcase_add_test(tc, leaves_what_only_looks_like_a_trace);
    tcase_add_test(tc, writes_mac_postcards);
    tcase_add_test(tc, says_what_is_on_its_way);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
