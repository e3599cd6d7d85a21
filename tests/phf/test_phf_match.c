/* SPDX-License-Identifier: Apache-2.0 */
/* What a filter means: which histories it matches. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "phf/phf.h"
#include "tests/phf/sketch.h"

static enum phf_result
run(const char *filter, const struct history *h, const struct topology *t)
{
    struct lh_error error;
    enum phf_result result;
    struct phf *phf;

    ck_assert_msg(!phf_compile(filter, NULL, &phf, &error), "%s: %s", filter,
                  error.text);
    result = phf_match(phf, h, t);
    phf_destroy(phf);
    return result;
}

struct row {
    const char *filter;
    const char *history;
    bool is_match;
};

static const struct row rows[] = {
    /* Letters and places. */
    {".", "1:1>2", true},
    {"..", "1:1>2", false},
    {"{{--dpid 1}}", "1:1>2 2:1>3", true},
    {"{{--dpid 2}}", "1:1>2 2:1>3", true},
    {"{{--dpid 3}}", "1:1>2 2:1>3", false},
    {"{{--dpid 1}}{{--dpid 2}}", "1:1>2 2:1>3", true},
    {"{{--dpid 1}}{{--dpid 3}}", "1:1>2 2:1>3 3:1>2", false},
    {"{{--dpid 1}}.{{--dpid 3}}", "1:1>2 2:1>3 3:1>2", true},
    {"{{--dpid 1}}.*{{--dpid 3}}", "1:1>2 2:1>3 3:1>2", true},
    {"{{--dpid 3}}.*{{--dpid 1}}", "1:1>2 2:1>3 3:1>2", false},
    {"{{--dpid 1}} {{--dpid 2}}", "1:1>2 2:1>3", true},
    /* Anchors. */
    {"^{{--dpid 1}}", "1:1>2 2:1>3", true},
    {"^{{--dpid 2}}", "1:1>2 2:1>3", false},
    {"{{--dpid 2}}$", "1:1>2 2:1>3", true},
    {"{{--dpid 1}}$", "1:1>2 2:1>3", false},
    {"^..$", "1:1>2 2:1>3", true},
    {"^.$", "1:1>2 2:1>3", false},
    {"^...$", "1:1>2 2:1>3", false},
    {"^..", "1:1>2 2:1>3 3:1>2", true},
    {"..$", "1:1>2 2:1>3 3:1>2", true},
    {"..$", "1:1>2", false},
    {"^", "1:1>2", true},
    {"$", "1:1>2", true},
    {"^$", "1:1>2", false},
    {".^.", "1:1>2 2:1>3", false},
    {".$.", "1:1>2 2:1>3", false},
    {".(^|{{--dpid 2}})", "1:1>2 2:1>3", true},
    {"(^|.).$", "1:1>2", true},
    {"(^.|.$){{--dpid 2}}", "1:1>2 2:1>3", true},
    {"(^.|.$){{--dpid 3}}", "1:1>2 2:1>3 3:1>2", false},
    {"$|{{--dpid 9}}", "1:1>2", true},
    {"^*{{--dpid 2}}", "1:1>2 2:1>3", true},
    /* Histories without hops have one way, of no hops. */
    {"^$", "", true},
    {"^", "", true},
    {".*", "", true},
    {".", "", false},
    /* Alternatives and groups. */
    {"{{--dpid 1}}|{{--dpid 2}}", "2:1>2", true},
    {"{{--dpid 1}}|{{--dpid 2}}", "3:1>2", false},
    {"^({{--dpid 1}}|{{--dpid 2}})*$", "1:1>2 2:1>2 1:1>2", true},
    {"^({{--dpid 1}}|{{--dpid 2}})*$", "1:1>2 3:1>2 1:1>2", false},
    {"^(.|..|...)$", "1:1>2 3:1>2 1:1>2", true},
    {"^(?:{{--dpid 1}}{{--dpid 2}})+$", "1:1>2 2:1>2 1:1>2 2:1>2", true},
    {"^(?:{{--dpid 1}}{{--dpid 2}})+$", "1:1>2 2:1>2 1:1>2", false},
    /* Quantifiers. */
    {"^.{2}$", "1:1>2 2:1>3", true},
    {"^.{2}$", "1:1>2 2:1>3 3:1>2", false},
    {"^.{2,}$", "1:1>2 2:1>3 3:1>2", true},
    {"^.{2,}$", "1:1>2", false},
    {"^.{1,2}$", "1:1>2", true},
    {"^.{1,2}$", "1:1>2 2:1>3", true},
    {"^.{1,2}$", "1:1>2 2:1>3 3:1>2", false},
    {"^.{0,2}$", "1:1>2 2:1>3 3:1>2", false},
    {"^.{0}{{--dpid 1}}$", "1:1>2", true},
    {"^({{--dpid 1}}{{--dpid 2}}){2,3}$", "1:1>2 2:1>2 1:1>2 2:1>2", true},
    {"^({{--dpid 1}}{{--dpid 2}}){2,3}$", "1:1>2 2:1>2", false},
    {"^({{--dpid 1}}{{--dpid 2}}){2,3}$",
     "1:1>2 2:1>2 1:1>2 2:1>2 1:1>2 2:1>2 1:1>2 2:1>2", false},
    {"^({{--dpid 1}}|..){3}$", "1:1>2 2:1>2 1:1>2 2:1>2 1:1>2", true},
    {"^.?{{--dpid 2}}$", "1:1>2 2:1>3", true},
    {"^.??{{--dpid 2}}$", "1:1>2 2:1>3", true},
    {"^.+?$", "1:1>2 2:1>3", true},
    {"^{{--dpid 1}}{{--dpid 2}}?{{--dpid 3}}$", "1:1>2 3:1>2", true},
    {"(.*)*{{--dpid 9}}", "1:1>2 2:1>3", false},
    {"^(.?){900}$", "1:1>2 2:1>3", true},
    /* Brackets. */
    {"^[{{--dpid 1}}{{--dpid 2}}]+$", "1:1>2 2:1>3", true},
    {"^[{{--dpid 1}}{{--dpid 2}}]+$", "1:1>2 3:1>3", false},
    {"^[^{{--dpid 3}}]+$", "1:1>2 2:1>3", true},
    {"^[^{{--dpid 3}}{{--dpid 2}}]+$", "1:1>2 2:1>3", false},
    {"[^{{--dpid 1}}]", "1:1>2", false},
    /* What was not found is not known, so neither term holds, but the set of
     * hops where it does not hold has this one in it. */
    {"{{--inport 1}}", "1:?>2", false},
    {"{{--inport not 1}}", "1:?>2", false},
    {"[^{{--inport 1}}]", "1:?>2", true},
    /* Numbers of switches. */
    {"{{--dpid 0x10}}", "16:1>2", true},
    {"{{--dpid 10}}", "10:1>2", true},
    {"{{--dpid 0000000000000010}}", "16:1>2", true},
    {"{{--dpid 00:00:00:00:00:00:00:10}}", "16:1>2", true},
    {"{{--dpid 0000000000000010}}", "10:1>2", false},
    /* `not` */
    {"{{--dpid not 1}}", "1:1>2", false},
    {"{{--dpid not 1}}", "2:1>2", true},
    {"{{--dpid not 1}}", "1:1>2 2:1>2", true},
    {"^{{--dpid not 1}}*$", "1:1>2 2:1>2", false},
    {"{{--inport not 1}}", "1:1>2", false},
    {"{{--inport not 1}}", "1:2>2", true},
    {"{{--version not 7}}", "1:1>2/7", false},
    {"{{--version not 7}}", "1:1>2/8", true},
    {"{{--version not 7}}", "1:1>2", false},
    {"{{--version not 7}}", "1:1>2/6,7", false},
    {"{{--verdict not lost}}", "1:1>2=lost", false},
    {"{{--verdict not lost}}", "1:1>2=open", true},
    {"{{--verdict not lost}}", "1:1>2", false},
    /* Terms are ANDed, at one hop. */
    {"{{--dpid 1 --inport 2}}", "1:2>3", true},
    {"{{--dpid 1 --inport 2}}", "1:1>3 2:2>3", false},
    {"{{--dpid 1 --dpid 2}}", "1:1>3 2:2>3", false},
    {"{{--dpid 1 --inport not 2 --outport 3 --version 7}}", "1:1>3/7", true},
    {"{{--dpid 1 --inport not 2 --outport 3 --version 8}}", "1:1>3/7", false},
    /* Versions: any of the hop's. */
    {"{{--version 7}}", "1:1>2/7", true},
    {"{{--version 7}}", "1:1>2/6,7,8", true},
    {"{{--version 0x7}}", "1:1>2/7", true},
    {"{{--version 7}}", "1:1>2/8", false},
    {"{{--version 7}}", "1:1>2", false},
    {"{{--version 4294967295}}", "1:1>2/4294967295", true},
    /* Output ports: any of the hop's. */
    {"{{--outport 2}}", "1:1>2", true},
    {"{{--outport 3}}", "1:1>2", false},
    {"{{--outport 3}}", "1:1>2,3,4", true},
    {"{{--outport not 3}}", "1:1>2,3,4", false},
    {"{{--outport not 5}}", "1:1>2,3,4", true},
    {"{{--outport DROP}}", "1:1>-", true},
    {"{{--outport NONE}}", "1:1>-", true},
    {"{{--outport 65535}}", "1:1>-", true},
    {"{{--outport DROP}}", "1:1>2", false},
    {"{{--outport not DROP}}", "1:1>2", true},
    {"{{--outport not DROP}}", "1:1>-", false},
    {"{{--outport not 2}}", "1:1>-", true},
    {"{{--outport CONTROLLER}}", "1:1>CONTROLLER", true},
    {"{{--outport 65533}}", "1:1>CONTROLLER", true},
    {"{{--outport local}}", "1:1>LOCAL", true},
    {"{{--outport IN_PORT}}", "1:1>IN_PORT", true},
    /* FLOOD and what the next hops prove. */
    {"{{--outport FLOOD}}", "1:1>FLOOD+2,3", true},
    {"{{--outport 3}}", "1:1>FLOOD+2,3", true},
    {"{{--outport 4}}", "1:1>FLOOD+2,3", false},
    {"{{--outport not 3}}", "1:1>FLOOD+2,3", false},
    {"{{--outport not 4}}", "1:1>FLOOD+2,3", true},
    {"{{--outport NORMAL}}", "1:1>NORMAL", true},
    {"{{--outport 2}}", "1:1>NORMAL", false},
    {"{{--outport DROP}}", "1:1>FLOOD", false},
    /* Output ports that are not known. */
    {"{{--outport DROP}}", "1:1>?", false},
    {"{{--outport not DROP}}", "1:1>?", false},
    {"{{--outport 2}}", "1:1>?", false},
    {"{{--outport not 2}}", "1:1>?", false},
    /* Input ports. */
    {"{{--inport LOCAL}}", "1:LOCAL>2", true},
    {"{{--inport 1}}", "1:1>2", true},
    /* Trees: any way from a root to a leaf. */
    {"{{--dpid 1}}{{--dpid 3}}", "1:1>2,3 2:1>4 <0 3:1>4", true},
    {"{{--dpid 2}}{{--dpid 3}}", "1:1>2,3 2:1>4 <0 3:1>4", false},
    {"{{--dpid 2}}.*{{--dpid 3}}", "1:1>2,3 2:1>4 <0 3:1>4", false},
    {"^..$", "1:1>2,3 2:1>4 <0 3:1>4", true},
    {"^...$", "1:1>2,3 2:1>4 <0 3:1>4", false},
    {"^..$", "1:1>2,3 2:1>4 4:1>4 <0 3:1>4", true},
    {"^...$", "1:1>2,3 2:1>4 4:1>4 <0 3:1>4", true},
    {"{{--dpid 1}}$", "1:1>2,3 2:1>4 <0 3:1>4", false},
    {"{{--dpid 2}}$", "1:1>2,3 2:1>4 <0 3:1>4", true},
    {"^{{--dpid 2}}", "1:1>2 <- 2:1>4", true},
    {"{{--dpid 1}}.*{{--dpid 2}}", "1:1>2 <- 2:1>4", false},
    /* Verdicts are those of the way being tried. */
    {"{{--verdict lost}}", "1:1>2 2:1>3=lost", true},
    {"{{--dpid 1 --verdict lost}}", "1:1>2 2:1>3=lost", true},
    {"{{--verdict delivered}}", "1:1>2 2:1>3=lost", false},
    {"{{--verdict lost}}", "1:1>2,3 2:1>4=lost <0 3:1>4=delivered", true},
    {"{{--verdict delivered}}", "1:1>2,3 2:1>4=lost <0 3:1>4=delivered", true},
    {"{{--dpid 3 --verdict lost}}", "1:1>2,3 2:1>4=lost <0 3:1>4=delivered",
     false},
    {"{{--dpid 1 --verdict lost}}.*{{--dpid 3}}",
     "1:1>2,3 2:1>4=lost <0 3:1>4=delivered", false},
    {"{{--dpid 1 --verdict delivered}}.*{{--dpid 3}}",
     "1:1>2,3 2:1>4=lost <0 3:1>4=delivered", true},
    {"{{--verdict lost}}.*{{--verdict delivered}}",
     "1:1>2,3 2:1>4=lost <0 3:1>4=delivered", false},
    {"^{{--verdict not lost}}+$", "1:1>2,3 2:1>4=lost <0 3:1>4=delivered",
     true},
    {"{{--verdict looped}}", "1:1>2 2:1>3 1:1>2=looped", true},
    /* An output that ended while others went on is a way of its own. */
    {"{{--verdict lost}}", "1:1>2,3=lost 2:1>4=delivered", true},
    {"{{--verdict lost}}{{--dpid 2}}", "1:1>2,3=lost 2:1>4=delivered", false},
    {"{{--verdict delivered}}{{--dpid 2}}", "1:1>2,3=lost 2:1>4=delivered",
     true},
    {"^.$", "1:1>2,3=lost 2:1>4=delivered", true},
    {"^{{--verdict delivered}}$", "1:1>2,3=lost 2:1>4=delivered", false},
    {"^{{--verdict lost}}$", "1:1>2,3=lost 2:1>4=delivered", true},
    {"^..$", "1:1>2,3=lost 2:1>4=delivered", true},
    {"(.).\\1$", "1:1>2 2:1>2 1:1>3=looped 3:1>1=delivered", true},
    /* Back-references: the same switches again. */
    {"(.)\\1", "1:1>2 1:3>2", true},
    {"(.)\\1", "1:1>2 2:1>3 1:3>2", false},
    {"(.).*\\1", "1:1>2 2:1>3 1:3>2", true},
    {"(.).*\\1", "1:1>2 2:1>3 3:3>2", false},
    {"^(.)(.)\\2\\1$", "1:1>2 2:1>3 2:3>2 1:1>1", true},
    {"^(.)(.)\\2\\1$", "1:1>2 2:1>3 1:3>2 2:1>1", false},
    {"^(..)\\1$", "1:1>2 2:1>3 1:3>2 2:1>1", true},
    {"^(..)\\1$", "1:1>2 2:1>3 2:3>2 1:1>1", false},
    {"^(.+)\\1$", "1:1>2 2:1>3 3:1>1 1:3>2 2:1>1 3:1>1", true},
    {"^(.+)\\1$", "1:1>2 2:1>3 3:1>1 1:3>2 2:1>1", false},
    {"^(.)+\\1$", "1:1>2 2:1>3 2:1>1", true},
    {"^(.)+\\1$", "1:1>2 2:1>3 1:1>1", false},
    {"^({{--dpid 1}}|{{--dpid 2}}).\\1", "2:1>2 1:1>3 2:1>1", true},
    {"({{--dpid 9}})?.\\1", "2:1>2 1:1>3 2:1>1", false},
    {"(^)\\1{{--dpid 1}}", "1:1>2", true},
    {"(.)(?:\\1){2}", "1:1>2 1:1>2 1:1>2", true},
    {"(.)(?:\\1){3}", "1:1>2 1:1>2 1:1>2", false},
    {"^(.).\\1$", "1:1>2,3 2:1>4 3:1>1 <0 3:1>4 1:2>5", true},
    {"^(.).\\1$", "1:1>2,3 2:1>4 1:1>1 3:1>1 <0 3:1>4 4:2>5", false},
    /* Groups after the ninth only group. */
    {"(.)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)"
     "(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)\\1",
     "1:1>2 2:1>2 1:1>2", true},
    {"(.)\\1{{--verdict lost}}", "1:1>2 1:1>3 <0 1:1>4 2:1>1=lost", true},
    {"(.)\\1{{--verdict lost}}",
     "1:1>2,3 1:1>3 2:2>2=delivered <0 3:1>4 2:1>1=lost", false},
};

START_TEST(semantics)
{
    struct history *h = sketch_history(rows[_i].history);
    enum phf_result result = run(rows[_i].filter, h, NULL);

    ck_assert_msg(result == (rows[_i].is_match ? PHF_MATCH : PHF_MISS),
                  "%s on \"%s\" gave %d", rows[_i].filter, rows[_i].history,
                  result);
    history_destroy(h);
}
END_TEST

START_TEST(one_way_takes_the_verdict_of_the_history)
{
    struct history *h = sketch_history("1:1>2 2:1>3");

    verdict_set(&h->verdict, VERDICT_LOST, 2, 3, NULL);
    ck_assert_int_eq(run("{{--verdict lost}}", h, NULL), PHF_MATCH);
    history_destroy(h);
    h = sketch_history("1:1>2 2:1>3 <0 3:1>1");
    verdict_set(&h->verdict, VERDICT_LOST, 2, 3, NULL);
    ck_assert_int_eq(run("{{--verdict lost}}", h, NULL), PHF_MISS);
    ck_assert_int_eq(run("{{--verdict not lost}}", h, NULL), PHF_MISS);
    history_destroy(h);
}
END_TEST

static const struct {
    const char *filter;
    size_t caplen;
    bool is_match;
} bpf_rows[] = {
    {"{{--bpf ip}}", 60, true},
    {"{{--bpf ip6}}", 60, false},
    {"{{--bpf not ip}}", 60, false},
    {"{{--bpf not ip6}}", 60, true},
    {"{{--bpf tcp port 80}}", 60, true},
    {"{{--bpf \"tcp port 80\"}}", 60, true},
    {"{{--bpf tcp port 81}}", 60, false},
    {"{{--bpf tcp dst port http}}", 60, true},
    {"{{--bpf src host 10.0.0.1 and dst host 10.0.0.2}}", 60, true},
    {"{{--bpf tcp[tcpflags] & tcp-syn != 0}}", 60, true},
    {"{{--bpf tcp[tcpflags] & tcp-ack != 0}}", 60, false},
    /* `not` takes all of a bare expression; in quotes it is BPF's. */
    {"{{--bpf not tcp and port 81}}", 60, true},
    {"{{--bpf \"not tcp and port 81\"}}", 60, false},
    {"{{--bpf not \"not ip\"}}", 60, true},
    {"{{--bpf ip --dpid 1}}", 60, true},
    {"{{--bpf ip --dpid 2}}", 60, false},
    {"{{--dpid 1 --bpf \"ip\" --inport 1}}", 60, true},
    /* Cut inside the TCP header: not known. */
    {"{{--bpf ip}}", 36, true},
    {"{{--bpf tcp}}", 36, true},
    {"{{--bpf tcp dst port 80}}", 36, false},
    {"{{--bpf tcp dst port 81}}", 36, false},
    {"{{--bpf not tcp dst port 80}}", 36, false},
    {"{{--bpf not tcp dst port 81}}", 36, false},
    /* But what decides by itself is known. */
    {"{{--bpf not udp dst port 80}}", 36, true},
    /* Nothing captured. */
    {"{{--bpf ip}}", 0, false},
    {"{{--bpf not ip}}", 0, false},
    {"[^{{--bpf ip}}]", 0, true},
    /* The packet's own length, not what was captured. */
    {"{{--bpf len = 54}}", 36, true},
    {"{{--bpf greater 50}}", 36, true},
    {"{{--bpf less 50}}", 36, false},
};

START_TEST(bpf)
{
    struct history *h = sketch_history("1:1>2");

    sketch_tcp(&h->hops[0], 1, 2, 80, bpf_rows[_i].caplen);
    ck_assert_msg(run(bpf_rows[_i].filter, h, NULL) ==
                      (bpf_rows[_i].is_match ? PHF_MATCH : PHF_MISS),
                  "%s with %zu bytes", bpf_rows[_i].filter,
                  bpf_rows[_i].caplen);
    history_destroy(h);
}
END_TEST

START_TEST(bpf_sees_the_packet_at_that_hop)
{
    struct history *h = sketch_history("1:1>2 2:1>3 3:1>2");

    sketch_tcp(&h->hops[0], 1, 2, 80, 54);
    sketch_tcp(&h->hops[1], 1, 2, 80, 54);
    sketch_tcp(&h->hops[2], 1, 3, 8080, 54);
    ck_assert_int_eq(
        run("{{--bpf tcp port 80}}.*{{--bpf tcp port 8080}}", h, NULL),
        PHF_MATCH);
    ck_assert_int_eq(
        run("{{--bpf tcp port 8080}}.*{{--bpf tcp port 80}}", h, NULL),
        PHF_MISS);
    ck_assert_int_eq(run("^{{--bpf tcp port 80}}{2}.$", h, NULL), PHF_MATCH);
    history_destroy(h);
}
END_TEST

static struct topology *
named_topology(const char *name_of_1)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, name_of_1, 0, NULL);
    topology_builder_add_switch(b, 2, NULL, 0, NULL);
    topology_builder_add_port(b, 1, 1, "to-host", true);
    topology_builder_add_port(b, 1, 2, "uplink", false);
    topology_builder_add_port(b, 2, 2, NULL, false);
    return topology_build(b, 1);
}

static const struct row name_rows[] = {
    {"{{--dpid s1}}", "1:1>2", true},
    {"{{--dpid not s1}}", "1:1>2", false},
    {"{{--dpid s9}}", "1:1>2", false},
    {"{{--dpid not s9}}", "1:1>2", true},
    /* Switch 2 has no known name, switch 3 is not known at all. */
    {"{{--dpid s9}}", "2:1>2 3:1>2", false},
    {"{{--dpid not s9}}", "2:1>2 3:1>2", false},
    {"{{--inport to-host}}", "1:1>2", true},
    {"{{--inport to-host}}", "1:2>2", false},
    {"{{--inport not to-host}}", "1:2>2", true},
    {"{{--inport not to-host}}", "1:7>2", false},
    {"{{--outport uplink}}", "1:1>2", true},
    {"{{--outport uplink}}", "1:1>1,2", true},
    {"{{--outport uplink}}", "2:1>2", false},
    {"{{--outport not uplink}}", "2:1>2", false},
    {"{{--outport not uplink}}", "1:2>1", true},
    {"{{--outport uplink}}", "1:1>FLOOD+2", true},
    {"{{--outport not uplink}}", "1:1>FLOOD+1", true},
    {"{{--outport not uplink}}", "1:1>-", true},
};

START_TEST(names)
{
    struct topology *topology = named_topology("s1");
    struct history *h = sketch_history(name_rows[_i].history);

    ck_assert_msg(run(name_rows[_i].filter, h, topology) ==
                      (name_rows[_i].is_match ? PHF_MATCH : PHF_MISS),
                  "%s on %s", name_rows[_i].filter, name_rows[_i].history);
    /* Without a topology no name is known. */
    ck_assert_msg(run(name_rows[_i].filter, h, NULL) ==
                      (strstr(name_rows[_i].filter, "outport not") &&
                               (strstr(name_rows[_i].history, ">-"))
                           ? PHF_MATCH
                           : PHF_MISS),
                  "%s on %s without topology", name_rows[_i].filter,
                  name_rows[_i].history);
    history_destroy(h);
    topology_unref(topology);
}
END_TEST

START_TEST(a_filter_follows_a_change_of_names)
{
    struct topology *before = named_topology("s1");
    struct topology *after = named_topology("core");
    struct history *h = sketch_history("1:1>2");
    struct phf *phf;

    ck_assert(!phf_compile("{{--dpid s1}}", before, &phf, NULL));
    ck_assert_int_eq(phf_match(phf, h, before), PHF_MATCH);
    ck_assert_int_eq(phf_match(phf, h, after), PHF_MISS);
    phf_destroy(phf);
    history_destroy(h);
    topology_unref(before);
    topology_unref(after);
}
END_TEST

/* A history of 'n' hops in a line, dpids 1 to n. */
static struct history *
line(size_t n)
{
    struct history *h = history_create(1);

    for (size_t i = 0; i < n; i++) {
        struct history_hop *hop = history_add_hop(h);

        hop->parent = (int) i - 1;
        hop->dpid = i + 1;
        history_hop_add_out(hop, 1);
    }
    return h;
}

/* On this many hops anything exponential or even cubic would not end. */
START_TEST(long_histories_and_nested_quantifiers_are_linear)
{
    static const char *const misses[] = {
        "(.*)*{{--dpid 9999999}}",    "(.|.)*{{--dpid 9999999}}",
        "(.+)+{{--dpid 9999999}}",    "((.*)*)*{{--dpid 9999999}}$",
        "(.?){50}{{--dpid 9999999}}", ".*.*.*.*.*.*{{--dpid 9999999}}",
    };
    struct history *h = line(50000);

    for (size_t i = 0; i < sizeof misses / sizeof *misses; i++) {
        ck_assert_int_eq(run(misses[i], h, NULL), PHF_MISS);
    }
    ck_assert_int_eq(run("^.*{{--dpid 50000}}$", h, NULL), PHF_MATCH);
    history_destroy(h);
}
END_TEST

START_TEST(more_positions_than_a_machine_word)
{
    struct history *h = line(200);

    ck_assert_int_eq(run("^.{200}$", h, NULL), PHF_MATCH);
    ck_assert_int_eq(run("^.{199}$", h, NULL), PHF_MISS);
    ck_assert_int_eq(run("^.{201}$", h, NULL), PHF_MISS);
    ck_assert_int_eq(run("{{--dpid 1}}.{198}{{--dpid 200}}", h, NULL),
                     PHF_MATCH);
    ck_assert_int_eq(run("{{--dpid 1}}.{197}{{--dpid 200}}", h, NULL),
                     PHF_MISS);
    ck_assert_int_eq(run("^(.?.?){100}$", h, NULL), PHF_MATCH);
    history_destroy(h);
}
END_TEST

START_TEST(a_wide_and_deep_tree)
{
    struct history *h = line(2000);

    /* Every hop has a second child, a leaf. */
    for (size_t i = 2000; i-- > 0;) {
        struct history_hop *hop = history_add_hop(h);

        hop->parent = (int) i;
        hop->dpid = 10000 + i;
        hop->verdict.name = i % 2 ? VERDICT_LOST : VERDICT_DELIVERED;
    }
    ck_assert_int_eq(run("{{--dpid 1000}}{{--dpid 10999}}$", h, NULL),
                     PHF_MATCH);
    ck_assert_int_eq(run("{{--dpid 1000}}{{--dpid 11000}}$", h, NULL),
                     PHF_MISS);
    ck_assert_int_eq(run("{{--dpid 10999 --verdict lost}}$", h, NULL),
                     PHF_MATCH);
    ck_assert_int_eq(run("{{--dpid 10999 --verdict delivered}}$", h, NULL),
                     PHF_MISS);
    history_destroy(h);
}
END_TEST

START_TEST(back_references_give_up)
{
    struct history *h = line(3000);

    ck_assert_int_eq(run("^(.).*\\1", h, NULL), PHF_MISS);
    ck_assert_int_eq(run("(.).*(.).*(.).*\\1\\2\\3", h, NULL), PHF_LIMIT);
    /* A match that is found before is one. */
    h->hops[1].dpid = 1;
    ck_assert_int_eq(run("(.).*(.).*(.).*\\1|(.)\\4", h, NULL), PHF_MATCH);
    history_destroy(h);
    /* Enough for every loop that a TTL allows. */
    h = line(255);
    ck_assert_int_eq(run("(.).*\\1", h, NULL), PHF_MISS);
    h->hops[254].dpid = 1;
    ck_assert_int_eq(run("(.).*\\1", h, NULL), PHF_MATCH);
    history_destroy(h);
    h = line(65535);
    ck_assert_int_eq(run("(.)\\1", h, NULL), PHF_LIMIT);
    history_destroy(h);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("phf_match");
    TCase *tcase = tcase_create("phf_match");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, semantics, 0, sizeof rows / sizeof *rows);
    tcase_add_test(tcase, one_way_takes_the_verdict_of_the_history);
    tcase_add_loop_test(tcase, bpf, 0, sizeof bpf_rows / sizeof *bpf_rows);
    tcase_add_test(tcase, bpf_sees_the_packet_at_that_hop);
    tcase_add_loop_test(tcase, names, 0, sizeof name_rows / sizeof *name_rows);
    tcase_add_test(tcase, a_filter_follows_a_change_of_names);
    tcase_add_test(tcase, long_histories_and_nested_quantifiers_are_linear);
    tcase_add_test(tcase, more_positions_than_a_machine_word);
    tcase_add_test(tcase, a_wide_and_deep_tree);
    tcase_add_test(tcase, back_references_give_up);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
