/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_why: which rules a packet meets. */
#include <config.h>
#include "recorder/of_why.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_flow.h"
#include "recorder/of_text.h"
#include "recorder/of_wire.h"
#include "tests/lib/frame.h"

/* Adds what 'text' holds, separated by ";": rules as ovs-ofctl writes them,
 * which get the versions 1, 2, .., "group ..", whose buckets get ID * 100 +
 * 0, 1, .., "down PORT", "up PORT", "punt TABLE" (its table miss goes to the
 * controller). */
static struct of_why_table *
make_table(const char *text)
{
    struct of_why_table *t = of_why_table_create();
    char *copy = lh_strdup(text), *save = NULL;
    uint32_t version = 0;

    for (char *s = strtok_r(copy, ";", &save); s;
         s = strtok_r(NULL, ";", &save)) {
        uint8_t *raw = NULL;
        size_t len = 0;

        s += strspn(s, " \n");
        if (!strncmp(s, "group ", 6)) {
            struct of_why_bucket buckets[8];
            uint32_t id = (uint32_t) atoi(strchr(s, '=') + 1);
            char *error = of_text_to_group(s + 6, OF_WIRE_13, &raw, &len);

            ck_assert_msg(!error, "%s: %s", s, error);
            for (uint32_t i = 0; i < 8; i++) {
                buckets[i] = (struct of_why_bucket){i, id * 100 + i};
            }
            ck_assert(of_why_table_add_group(t, buckets, 8, raw, len));
        } else if (!strncmp(s, "down ", 5) || !strncmp(s, "up ", 3)) {
            of_why_table_add_port(t, (uint16_t) atoi(strchr(s, ' ')),
                                  *s == 'u');
        } else if (!strncmp(s, "punt ", 5)) {
            of_why_table_add_miss(t, (uint8_t) atoi(s + 5), 999, true);
        } else {
            struct of_flow flow;
            char *error = of_flow_from_text(&flow, OF_FLOW_ADD, s);
            struct of_why_rule rule = {.version = ++version};

            ck_assert_msg(!error, "%s: %s", s, error);
            rule.table_id =
                flow.table_id == OF_FLOW_ALL_TABLES ? 0 : flow.table_id;
            rule.priority = flow.priority;
            ck_assert(!of_flow_encode(&flow, OF_WIRE_13, 0, &raw, &len));
            ck_assert(of_why_table_add_rule(t, &rule, raw, len));
            of_flow_uninit(&flow);
        }
        free(raw);
    }
    free(copy);
    return t;
}

static void put(char *buf, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
put(char *buf, size_t size, const char *format, ...)
{
    size_t len = strlen(buf);
    va_list args;

    va_start(args, format);
    vsnprintf(buf + len, size - len, format, args);
    va_end(args);
}

/* "0:v1 2:miss 7.0:v700 set > 2,3" for each path, separated by " | ". */
static void
write_paths(const struct of_why_answer *answer, char *buf, size_t size)
{
    *buf = '\0';
    for (size_t i = 0; i < answer->n_paths; i++) {
        const struct of_why_path *p = &answer->paths[i];

        put(buf, size, "%s", i ? " | " : "");
        for (size_t j = 0; j < p->n_steps; j++) {
            const struct of_why_step *s = &p->steps[j];

            if (s->kind == OF_WHY_ACTION_SET) {
                put(buf, size, "set ");
            } else if (s->kind == OF_WHY_BUCKET) {
                put(buf, size, "%u.%zu:v%u ", (unsigned) s->group_id,
                    s->bucket, (unsigned) s->version);
            } else if (s->is_miss) {
                put(buf, size, "%u:miss ", s->table_id);
            } else {
                put(buf, size, "%u:v%u ", s->table_id, (unsigned) s->version);
            }
        }
        put(buf, size, ">");
        for (size_t j = 0; j < p->n_outputs; j++) {
            if (!p->outputs[j].is_known) {
                put(buf, size, " ?");
            } else {
                put(buf, size, " %u", p->outputs[j].port);
            }
        }
        if (p->verdict == OF_WHY_DROPPED) {
            put(buf, size, " dropped");
        }
    }
}

static struct of_why_packet *
udp_packet(void)
{
    struct frame f = frame_eth(0x0800);

    frame_ip4(&f, 17, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1000, 2000);
    frame_text(&f, "hello");
    frame_finish(&f);
    return of_why_packet_create(f.data, f.len, f.len, 1);
}

static const struct {
    const char *rules, *paths;
} vectors[] = {
    /* Lookup. */
    {"", "0:miss > dropped"},
    {"punt 0", "0:miss > 65533"},
    {"priority=1,actions=drop; priority=2,actions=output:2", "0:v2 > 2"},
    {"priority=5,tcp,actions=output:3; priority=4,udp,actions=output:2",
     "0:v2 > 2"},
    {"in_port=2,actions=output:3", "0:miss > dropped"},
    {"ip,nw_src=10.0.0.0/24,nw_dst=10.0.0.2,actions=output:2", "0:v1 > 2"},
    {"udp,tp_dst=2000/0xfff0,actions=output:2", "0:v1 > 2"},
    {"dl_src=02:00:00:00:00:01,vlan_tci=0,actions=output:2", "0:v1 > 2"},
    {"vlan_tci=0x1000/0x1000,actions=output:2", "0:miss > dropped"},
    /* Outputs. */
    {"actions=output:1", "0:v1 > dropped"},
    {"actions=in_port,LOCAL,NORMAL,FLOOD,ALL,CONTROLLER:9",
     "0:v1 > 1 65534 65530 65531 65532 65533"},
    {"actions=output(port=2,max_len=64),enqueue:3:1", "0:v1 > 2 3"},
    {"actions=output:2,output:3; down 3", "0:v1 > 2"},
    {"actions=output:2; up 2", "0:v1 > 2"},
    {"actions=load:5->NXM_NX_REG3[0..15],output:NXM_NX_REG3[0..15]",
     "0:v1 > 5"},
    {"actions=bundle(eth_src,0,active_backup,ofport,members:2,3)",
     "0:v1 > 2 | 0:v1 > 3"},
    {"actions=exit,output:2", "0:v1 > dropped"},
    {"actions=note:01.02,set_queue:3,pop_queue,output:2", "0:v1 > 2"},
    {"actions=meter:3,output:2", "0:v1 > 2"},
    /* Edits that later tables see. */
    {"actions=set_field:9->reg0,resubmit(,1); table=1,reg0=9,actions=2",
     "0:v1 1:v2 > 2"},
    {"actions=load:9->OXM_OF_METADATA[0..7],resubmit(,1);"
     "table=1,metadata=9,actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[],resubmit(,1);"
     "table=1,ip,nw_dst=10.0.0.1,actions=2",
     "0:v1 1:v2 > 2"},
    {"actions=write_metadata:0xf0/0xff,goto_table:1;"
     "table=1,metadata=0xf0,actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=push:NXM_OF_IP_SRC[],pop:NXM_NX_REG1[],resubmit(,1);"
     "table=1,reg1=0x0a000001,actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=mod_nw_src:1.2.3.4,mod_nw_dst:5.6.7.8,mod_tp_src:1,mod_tp_"
     "dst:2,"
     "mod_nw_tos:4,mod_nw_ecn:1,mod_nw_ttl:9,mod_dl_src:02:00:00:00:00:07,"
     "resubmit(,1); table=1,udp,nw_src=1.2.3.4,nw_dst=5.6.7.8,tp_src=1,tp_dst="
     "2,nw_tos=4,nw_ecn=1,nw_ttl=9,dl_src=02:00:00:00:00:07,actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=resubmit(,1); table=1,udp,tp_dst=2000,"
     "actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=dec_ttl,resubmit(,1); table=1,ip,nw_ttl=63,actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=mod_nw_ttl:1,dec_ttl,output:2", "0:v1 > dropped"},
    {"udp,actions=mod_nw_ttl:1,resubmit(,1),output:3; "
     "table=1,ip,actions=dec_ttl,2",
     "0:v1 1:v2 > 3"},
    {"actions=mod_vlan_vid:5,resubmit(,1); "
     "table=1,dl_vlan=5,actions=strip_vlan"
     ",resubmit(,2); table=2,vlan_tci=0,actions=2",
     "0:v1 1:v2 2:v3 > 2"},
    {"actions=push_vlan:0x8100,set_field:4102->vlan_vid,mod_vlan_pcp:3,"
     "resubmit(,1); table=1,dl_vlan=6,dl_vlan_pcp=3,actions=2",
     "0:v1 1:v2 > 2"},
    {"udp,actions=push_mpls:0x8847,set_field:7->mpls_label,resubmit(,1);"
     "table=1,mpls,mpls_label=7,mpls_ttl=64,mpls_bos=1,actions=dec_mpls_ttl,"
     "pop_mpls:0x0800,resubmit(,2); table=2,udp,tp_dst=2000,actions=2",
     "0:v1 1:v2 2:v3 > 2"},
    {"actions=dec_mpls_ttl,output:2", "0:v1 > dropped"},
    {"actions=push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,"
     "push_mpls:0x8847,output:2",
     "0:v1 > dropped"},
    {"actions=output:2,push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,"
     "push_mpls:0x8847",
     "0:v1 > dropped"},
    {"actions=check_pkt_larger(20)->NXM_NX_REG0[0],resubmit(,1);"
     "table=1,reg0=1,actions=2",
     "0:v1 1:v2 > 2"},
    /* Other tables. */
    {"actions=goto_table:1", "0:v1 1:miss > dropped"},
    {"actions=goto_table:1; punt 1", "0:v1 1:miss > 65533"},
    {"actions=resubmit(,1),output:2; punt 1", "0:v1 1:miss > 2"},
    {"in_port=1,actions=resubmit(7,0),output:2; in_port=7,actions=3,in_port",
     "0:v1 0:v2 > 3 1 2"},
    {"actions=resubmit(,0)", NULL},
    {"actions=resubmit(,1),output:3; table=1,actions=exit", "0:v1 1:v2 > "
                                                            "dropped"},
    /* Clones and action sets. */
    {"actions=clone(set_field:5->reg0,resubmit(,1)),resubmit(,1);"
     "table=1,reg0=5,actions=2; table=1,reg0=0,actions=3",
     "0:v1 1:v2 1:v3 > 2 3"},
    {"actions=clone(exit),output:2", "0:v1 > dropped"},
    {"actions=write_actions(output:2),goto_table:1; table=1,actions="
     "output:3",
     "0:v1 1:v2 set > 3 2"},
    {"actions=write_actions(output:2),goto_table:1; table=1,actions="
     "clear_actions,write_actions(output:4)",
     "0:v1 1:v2 set > 4"},
    {"actions=write_actions(output:2),goto_table:1; table=1,actions=exit",
     "0:v1 1:v2 > dropped"},
    {"actions=write_actions(output:2,set_field:9->reg0),goto_table:1;"
     "table=1,actset_output=2,actions=drop",
     "0:v1 1:v2 set > 2"},
    /* Groups. */
    {"group group_id=1,type=all,bucket=output:2,bucket=output:3;"
     "actions=group:1,output:4",
     "0:v1 1.0:v100 1.1:v101 > 2 3 4"},
    {"group group_id=1,type=indirect,bucket=set_field:5->reg0,resubmit(,1);"
     "actions=group:1,resubmit(,2); table=1,reg0=5,actions=2;"
     "table=2,reg0=0,actions=3",
     "0:v1 1.0:v100 1:v2 2:v3 > 2 3"},
    {"group group_id=1,type=select,bucket=output:2,bucket=output:3;"
     "actions=group:1",
     "0:v1 1.0:v100 > 2 | 0:v1 1.1:v101 > 3"},
    {"group group_id=1,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:"
     "3,output:3; actions=group:1; down 2; up 3",
     "0:v1 1.1:v101 > 3"},
    {"group group_id=1,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:"
     "3,output:3; actions=group:1",
     "0:v1 1.0:v100 > 2 | 0:v1 1.1:v101 > 3 | 0:v1 > dropped"},
    {"group group_id=1,type=ff,bucket=watch_port:2,output:2;"
     "actions=group:1; down 2",
     "0:v1 > dropped"},
    {"actions=group:9,output:2", "0:v1 > dropped"},
    {"group group_id=1,type=all; actions=group:1,output:2", "0:v1 > 2"},
    /* Conjunctions. */
    {"priority=5,ip,nw_src=10.0.0.1,actions=conjunction(7,1/2);"
     "priority=5,ip,nw_dst=10.0.0.2,actions=conjunction(7,2/2);"
     "priority=5,conj_id=7,actions=output:2; priority=1,actions=output:3",
     "0:v3 > 2"},
    {"priority=5,ip,nw_src=10.0.0.1,actions=conjunction(7,1/2);"
     "priority=5,ip,nw_dst=10.0.0.9,actions=conjunction(7,2/2);"
     "priority=5,conj_id=7,actions=output:2; priority=1,actions=output:3",
     "0:v4 > 3"},
    {"priority=5,ip,nw_src=10.0.0.1,actions=conjunction(7,1/2);"
     "priority=4,ip,nw_dst=10.0.0.2,actions=conjunction(7,2/2);"
     "priority=5,conj_id=7,actions=output:2; priority=1,actions=output:3",
     "0:v4 > 3"},
    /* What is not known. */
    {"udp,actions=ct(table=1); table=1,ct_state=+trk+new,actions=2;"
     "table=1,ct_state=+trk+est,actions=3",
     "0:v1 1:v2 > 2 | 0:v1 1:v3 > 3 | 0:v1 1:miss > dropped"},
    {"udp,actions=ct(commit,zone=3,table=1),output:4; "
     "table=1,ct_zone=3,actions=2;"
     "table=1,actions=3",
     "0:v1 1:v2 > 4 2"},
    {"udp,actions=ct(commit,exec(set_field:5->ct_mark),table=1);"
     "table=1,ct_mark=5,actions=2; table=1,ct_state=+new-rel,actions=3",
     "0:v1 1:v2 > 2 | 0:v1 1:miss > dropped"},
    {"udp,actions=ct(commit,nat(src=10.9.9.9),table=1);"
     "table=1,ct_state=+new-rel,ip,nw_src=10.9.9.9,actions=2",
     "0:v1 1:v2 > 2 | 0:v1 1:miss > dropped"},
    {"udp,actions=ct(table=1),resubmit(,1); table=1,ct_state=-trk,actions=2;"
     "table=1,ct_state=+trk,actions=3",
     "0:v1 1:v2 1:v3 > 2 3"},
    {"tun_id=5,actions=2; priority=1,actions=3", "0:v1 > 2 | 0:v2 > 3"},
    {"actions=multipath(eth_src,0,modulo_n,2,0,NXM_NX_REG0[0..7]),"
     "resubmit(,1); table=1,reg0=0,actions=2; table=1,reg0=1,actions=3",
     "0:v1 1:v2 > 2 | 0:v1 1:v3 > 3 | 0:v1 1:miss > dropped"},
    {"actions=multipath(eth_src,0,modulo_n,2,0,NXM_NX_REG0[0..15]),"
     "output:NXM_NX_REG0[0..15]",
     "0:v1 > ?"},
    {"actions=learn(table=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]),output:2",
     "0:v1 > 2"},
};

START_TEST(packets_meet_the_rules_they_match)
{
    struct of_why_table *t = make_table(vectors[_i].rules);
    struct of_why_packet *packet = udp_packet();
    struct of_why_answer answer;
    char text[4096];

    of_why_run(t, packet, 0, &answer);
    if (vectors[_i].paths) {
        write_paths(&answer, text, sizeof text);
        ck_assert_msg(!strcmp(text, vectors[_i].paths), "%s:\n is %s\nnot %s",
                      vectors[_i].rules, text, vectors[_i].paths);
    } else { /* An endless resubmit. */
        ck_assert_int_eq(answer.n_paths, 1);
        ck_assert_int_eq(answer.paths[0].n_steps, 65);
        ck_assert_int_eq(answer.paths[0].verdict, OF_WHY_DROPPED);
    }
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    of_why_table_destroy(t);
}
END_TEST

START_TEST(edits_are_told_field_by_field)
{
    struct of_why_table *t = make_table(
        "udp,actions=set_field:9->reg0,dec_ttl,mod_vlan_vid:5,output:2");
    struct of_why_packet *packet = udp_packet();
    struct of_why_answer answer;
    char text[1024] = "";

    of_why_run(t, packet, 0, &answer);
    for (size_t i = 0; i < answer.paths[0].steps[0].n_edits; i++) {
        const struct of_why_edit *e = &answer.paths[0].steps[0].edits[i];

        put(text, sizeof text, "%s %s>%s;", e->field, e->before, e->after);
    }
    ck_assert_str_eq(text, "reg0 0>0x9;nw_ttl 64>63;vlan_tci 0>0x1000;"
                           "vlan_tci 0x1000>0x1005;");
    ck_assert_ptr_nonnull(
        strstr(answer.paths[0].outputs[0].header, "nw_ttl=63"));
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    of_why_table_destroy(t);
}
END_TEST

static const struct {
    const char *rules;
    uint32_t version;
    const char *why;
} nots[] = {
    {"ip,nw_dst=10.0.0.9,tcp,actions=2", 1,
     "reached; nw_dst 10.0.0.9/10.0.0.2; nw_proto 6/17;"},
    {"in_port=7,actions=2", 1, "reached; in_port 7/1;"},
    {"priority=9,actions=3; priority=5,ip,actions=2", 2,
     "reached; shadowed by v1;"},
    {"priority=5,actions=3; priority=5,ip,actions=2", 2,
     "reached; shadowed by v1; undefined;"},
    {"actions=3; table=4,actions=2", 2, "not reached;"},
    {"actions=3", 7, "not found;"},
    {"actions=3", 1, "reached; matched;"},
    {"dl_vlan=5,actions=2", 1, "reached; vlan_tci 0x1005/0x1fff/0;"},
    {"tcp,tp_dst=80,actions=2", 1, "reached; nw_proto 6/17; tcp_dst 80/-;"},
};

START_TEST(why_a_rule_did_not_match)
{
    struct of_why_table *t = make_table(nots[_i].rules);
    struct of_why_packet *packet = udp_packet();
    struct of_why_answer answer;
    const struct of_why_not *n = &answer.not ;
    char text[1024] = "";

    of_why_run(t, packet, nots[_i].version, &answer);
    put(text, sizeof text, "%s",
        !n->is_found     ? "not found;"
        : !n->is_reached ? "not reached;"
                         : "reached;");
    if (n->is_matched) {
        put(text, sizeof text, " matched;");
    }
    for (size_t i = 0; i < n->n_fields; i++) {
        put(text, sizeof text, " %s %s/%s;", n->fields[i].field,
            n->fields[i].before, n->fields[i].after);
    }
    if (n->shadowed_by) {
        put(text, sizeof text, " shadowed by v%u;", (unsigned) n->shadowed_by);
    }
    if (n->is_undefined) {
        put(text, sizeof text, " undefined;");
    }
    ck_assert_str_eq(text, nots[_i].why);
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    of_why_table_destroy(t);
}
END_TEST

static const struct {
    const char *rules;
    unsigned int next; /* Of the first step. */
} nexts[] = {
    {"priority=9,udp actions=drop; priority=5,ip actions=output:2", 2},
    {"priority=9,udp actions=drop; priority=5,tcp actions=output:2;"
     "priority=1,actions=output:3",
     3},
    {"priority=9,udp actions=drop; priority=5,tcp actions=output:2", 0},
    {"priority=9,udp actions=drop; table=1,priority=5 actions=output:2", 0},
    /* The packet was not tracked. */
    {"priority=9,udp actions=drop; priority=5,ct_state=+new+trk,udp "
     "actions=drop; priority=1,actions=output:3",
     3},
};

START_TEST(the_rule_that_would_match_next_is_told)
{
    struct of_why_table *t = make_table(nexts[_i].rules);
    struct of_why_packet *packet = udp_packet();
    struct of_why_answer answer;

    of_why_run(t, packet, 0, &answer);
    ck_assert_int_eq(answer.n_paths, 1);
    ck_assert_uint_eq(answer.paths[0].steps[0].next_version, nexts[_i].next);
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    of_why_table_destroy(t);
}
END_TEST

START_TEST(packets_cut_short_keep_their_headers)
{
    struct of_why_table *t =
        make_table("udp,tp_dst=2000,actions=2; priority=1,actions=3");
    struct frame f = frame_eth(0x0800);
    struct of_why_packet *packet;
    struct of_why_answer answer;

    frame_ip4(&f, 17, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1000, 2000);
    for (int i = 0; i < 100; i++) {
        frame_text(&f, "0123456789");
    }
    frame_finish(&f);
    packet = of_why_packet_create(f.data, 96, 0, 1);
    of_why_run(t, packet, 0, &answer);
    ck_assert_int_eq(answer.paths[0].steps[0].version, 1);
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    of_why_table_destroy(t);
}
END_TEST

START_TEST(packets_are_read_from_text)
{
    struct of_why_table *t =
        make_table("tun_id=5,tcp,tp_dst=80,actions=2; priority=1,actions=3");
    struct of_why_packet *packet;
    struct of_why_answer answer;
    char *error;

    error =
        of_why_packet_from_text("in_port=1,tcp,tp_dst=80,tun_id=5", &packet);
    ck_assert_msg(!error, "%s", error);
    of_why_run(t, packet, 0, &answer);
    ck_assert_int_eq(answer.n_paths, 1);
    ck_assert_int_eq(answer.paths[0].steps[0].version, 1);
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    error = of_why_packet_from_text("in_port=1,nonsense=3", &packet);
    ck_assert_ptr_nonnull(error);
    ck_assert_ptr_null(packet);
    free(error);
    of_why_table_destroy(t);
}
END_TEST

START_TEST(too_many_ways_are_cut_and_said)
{
    char rules[8192] = "actions=";
    struct of_why_packet *packet = udp_packet();
    struct of_why_answer answer;
    struct of_why_table *t;

    for (int i = 1; i <= 12; i++) {
        put(rules, sizeof rules, "group:%d%s", i, i < 12 ? "," : "");
    }
    for (int i = 1; i <= 12; i++) {
        put(rules, sizeof rules,
            "; group group_id=%d,type=select,bucket=2,bucket=3", i);
    }
    t = make_table(rules);
    of_why_run(t, packet, 0, &answer);
    ck_assert_int_eq(answer.n_paths, OF_WHY_MAX_PATHS);
    ck_assert(answer.is_truncated);
    of_why_answer_uninit(&answer);
    of_why_packet_destroy(packet);
    of_why_table_destroy(t);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_why");
    TCase *tc = tcase_create("of_why");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tc, packets_meet_the_rules_they_match, 0,
                        sizeof vectors / sizeof vectors[0]);
    tcase_add_test(tc, edits_are_told_field_by_field);
    tcase_add_loop_test(tc, why_a_rule_did_not_match, 0,
                        sizeof nots / sizeof nots[0]);
    tcase_add_loop_test(tc, the_rule_that_would_match_next_is_told, 0,
                        sizeof nexts / sizeof nexts[0]);
    tcase_add_test(tc, packets_cut_short_keep_their_headers);
    tcase_add_test(tc, packets_are_read_from_text);
    tcase_add_test(tc, too_many_ways_are_cut_and_said);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
