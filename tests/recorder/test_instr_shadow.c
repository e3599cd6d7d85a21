/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr_shadow and recorder/of_match against a model that
 * looks at packets: a match is the set of packets it matches. */
#include <config.h>
#include "recorder/instr_shadow.h"

#include <check.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"

/* All matches on in_port (any, 1, 2), EtherType (any, IP, ARP) and, with IP, a
 * destination (any, 10.0.0.0/8, 10.0.0.1, 11.0.0.1). */
enum { N_IN = 3, N_TYPE = 3, N_DST = 4 };
struct shape {
    unsigned int in, type, dst;
};

/* All packets: in_port 1, 2, 3; IP, ARP, other; destinations 10.0.0.1,
 * 10.0.0.2, 11.0.0.1, 12.0.0.1. */
enum { N_PACKETS = 3 * 3 * 4 };

static bool
shape_matches(const struct shape *s, unsigned int packet)
{
    unsigned int in = packet % 3;
    unsigned int type = packet / 3 % 3;
    unsigned int dst = packet / 9;

    if ((s->in && s->in != in + 1) || (s->type && s->type != type + 1)) {
        return false;
    }
    switch (s->dst) {
    case 1:
        return dst <= 1;
    case 2:
        return dst == 0;
    case 3:
        return dst == 2;
    default:
        return true;
    }
}

static struct shape
make_shape(unsigned int i)
{
    struct shape s = {i % N_IN, i / N_IN % N_TYPE, i / (N_IN * N_TYPE)};

    if (s.type != 1) {
        s.dst = 0; /* Only IP has one. */
    }
    return s;
}

enum { N_SHAPES = N_IN * N_TYPE * N_DST };

static void
make_flow(const struct shape *s, enum of_flow_command command,
          unsigned int table, unsigned int priority, struct of_flow *flow)
{
    static const char *const in[] = {"", ",in_port=1", ",in_port=2"};
    static const char *const type[] = {"", ",ip", ",arp"};
    static const char *const dst[] = {"", ",nw_dst=10.0.0.0/8",
                                      ",nw_dst=10.0.0.1", ",nw_dst=11.0.0.1"};
    bool is_strict = command != OF_FLOW_MODIFY && command != OF_FLOW_DELETE;
    char *prio =
        is_strict ? lh_asprintf(",priority=%u", priority) : lh_strdup("");
    bool is_delete =
        command == OF_FLOW_DELETE || command == OF_FLOW_DELETE_STRICT;
    char *text = lh_asprintf("table=%u%s%s%s%s%s", table, prio, in[s->in],
                             type[s->type], dst[s->dst],
                             is_delete ? "" : ",actions=output:2");
    char *error = of_flow_from_text(flow, command, text);

    ck_assert_msg(!error, "%s: %s", text, error ? error : "");
    free(prio);
    free(text);
}

START_TEST(covers_and_overlaps_are_what_packets_say)
{
    for (unsigned int i = 0; i < N_SHAPES; i++) {
        for (unsigned int j = 0; j < N_SHAPES; j++) {
            struct shape a = make_shape(i), b = make_shape(j);
            bool covers = true, overlaps = false, equal = true;
            struct of_flow fa, fb;

            for (unsigned int p = 0; p < N_PACKETS; p++) {
                bool in_a = shape_matches(&a, p), in_b = shape_matches(&b, p);

                covers &= in_a || !in_b;
                overlaps |= in_a && in_b;
                equal &= in_a == in_b;
            }
            make_flow(&a, OF_FLOW_ADD, 0, 1, &fa);
            make_flow(&b, OF_FLOW_ADD, 0, 1, &fb);
            ck_assert_msg(of_match_covers(fa.match, fb.match) == covers,
                          "%u covers %u", i, j);
            ck_assert_msg(of_match_overlaps(fa.match, fb.match) == overlaps,
                          "%u overlaps %u", i, j);
            ck_assert_msg(of_match_equal(fa.match, fb.match) == equal,
                          "%u equals %u", i, j);
            of_flow_uninit(&fa);
            of_flow_uninit(&fb);
        }
    }
}
END_TEST

/* The model: a plain list. */
struct entry {
    struct shape shape;
    unsigned int table, priority;
    uint32_t version;
};

static struct entry entries[4096];
static size_t n_entries;

static bool
same_shape(const struct shape *a, const struct shape *b)
{
    return a->in == b->in && a->type == b->type && a->dst == b->dst;
}

static bool
model_covers(const struct shape *wide, const struct shape *narrow)
{
    for (unsigned int p = 0; p < N_PACKETS; p++) {
        if (shape_matches(narrow, p) && !shape_matches(wide, p)) {
            return false;
        }
    }
    return true;
}

static uint32_t seed = 1;

static unsigned int
pick(unsigned int n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void
add(struct instr_shadow *shadow, uint32_t version)
{
    struct entry e = {make_shape(pick(N_SHAPES)), pick(3), pick(3), version};
    struct shadow_rule *rule, *old;
    struct of_flow flow;
    uint32_t replaced = 0;

    for (size_t i = 0; i < n_entries; i++) {
        if (same_shape(&entries[i].shape, &e.shape) &&
            entries[i].table == e.table && entries[i].priority == e.priority) {
            replaced = entries[i].version;
            entries[i] = entries[--n_entries];
            break;
        }
    }
    entries[n_entries++] = e;
    make_flow(&e.shape, OF_FLOW_ADD, e.table, e.priority, &flow);
    rule = shadow_rule_create((uint8_t) e.table, (uint16_t) e.priority,
                              of_match_clone(flow.match), &flow.acts);
    rule->version = version;
    old = instr_shadow_insert(shadow, rule);
    ck_assert_uint_eq(old ? old->version : 0, replaced);
    shadow_rule_destroy(old);
    of_flow_uninit(&flow);
}

/* Selects by a random command; what is selected goes, in both. */
static void
take_selected(struct instr_shadow *shadow)
{
    static const enum of_flow_command commands[] = {
        OF_FLOW_DELETE, OF_FLOW_DELETE_STRICT, OF_FLOW_MODIFY_STRICT};
    enum of_flow_command command = commands[pick(3)];
    struct shape shape = make_shape(pick(N_SHAPES));
    unsigned int table = pick(3), priority = pick(3);
    struct shadow_rule **found;
    struct of_flow flow;
    size_t n, n_model = 0;

    make_flow(&shape, command, table, priority, &flow);
    if (!pick(4)) {
        flow.table_id = OF_FLOW_ALL_TABLES;
    }
    found = instr_shadow_select(shadow, &flow, &n);
    for (size_t i = n_entries; i-- > 0;) {
        const struct entry *e = &entries[i];
        bool hit =
            (flow.table_id == OF_FLOW_ALL_TABLES ||
             e->table == flow.table_id) &&
            (command == OF_FLOW_DELETE
                 ? model_covers(&shape, &e->shape)
                 : same_shape(&shape, &e->shape) && e->priority == priority);

        if (hit) {
            bool is_found = false;

            for (size_t j = 0; j < n; j++) {
                is_found |= found[j]->version == e->version;
            }
            ck_assert(is_found);
            n_model++;
            entries[i] = entries[--n_entries];
        }
    }
    ck_assert_uint_eq(n, n_model);
    for (size_t j = 0; j < n; j++) {
        ck_assert(j + 1 == n || found[j]->table_id <= found[j + 1]->table_id);
        instr_shadow_take(shadow, found[j]);
        shadow_rule_destroy(found[j]);
    }
    free(found);
    of_flow_uninit(&flow);
}

START_TEST(behaves_like_a_list)
{
    struct instr_shadow *shadow = instr_shadow_create();
    uint32_t version = 0;

    for (int round = 0; round < 2000; round++) {
        if (pick(4)) {
            add(shadow, ++version);
        } else {
            take_selected(shadow);
        }
        ck_assert_uint_eq(instr_shadow_count(shadow), n_entries);
    }
    for (size_t i = 0; i < n_entries; i++) {
        const struct entry *e = &entries[i];
        const struct shadow_rule *rule =
            instr_shadow_by_version(shadow, e->version);

        ck_assert_ptr_nonnull(rule);
        ck_assert_uint_eq(rule->table_id, e->table);
        ck_assert_uint_eq(rule->priority, e->priority);
    }
    ck_assert_ptr_null(instr_shadow_by_version(shadow, version + 1));
    instr_shadow_destroy(shadow);
}
END_TEST

START_TEST(counts_what_tables_are_used_for)
{
    struct instr_shadow *shadow = instr_shadow_create();
    static const struct {
        const char *acts;
        uint8_t table;
        size_t uses, reaches, missing;
    } cases[] = {
        {"output:1", 9, 0, 0, 0},       {"goto_table:9", 9, 1, 1, 1},
        {"resubmit(,9)", 9, 1, 1, 0},   {"ct(table=9)", 9, 1, 1, 1},
        {"learn(table=9)", 9, 1, 0, 0}, {"resubmit:3", 0, 1, 1, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct shadow_table *t =
            instr_shadow_table(shadow, cases[i].table);
        struct shadow_rule *rule;
        struct of_acts acts;

        ck_assert_ptr_null(of_acts_from_text(&acts, cases[i].acts));
        rule = shadow_rule_create(0, 1, of_match_create_all(), &acts);
        ck_assert_ptr_null(instr_shadow_insert(shadow, rule));
        ck_assert_uint_eq(t->n_uses, cases[i].uses);
        ck_assert_uint_eq(t->n_reaches, cases[i].reaches);
        ck_assert_uint_eq(t->n_missing, cases[i].missing);
        ck_assert_uint_eq(instr_shadow_n_learn(shadow),
                          cases[i].acts[0] == 'l');
        instr_shadow_take(shadow, rule);
        shadow_rule_destroy(rule);
        ck_assert_uint_eq(t->n_uses + t->n_reaches + t->n_missing, 0);
    }
    instr_shadow_destroy(shadow);
}
END_TEST

static struct shadow_rule *
put(struct instr_shadow *shadow, uint8_t table_id, uint16_t priority,
    const char *text)
{
    struct shadow_rule *rule;
    struct of_acts acts;

    ck_assert_ptr_null(of_acts_from_text(&acts, text));
    rule =
        shadow_rule_create(table_id, priority, of_match_create_all(), &acts);
    ck_assert_ptr_null(instr_shadow_insert(shadow, rule));
    return rule;
}

/* Looks, and checks which of the tables up to 63 are lookups. */
static void
check_lookups(struct instr_shadow *shadow, uint64_t expected)
{
    uint64_t before = instr_shadow_lookups(shadow)->bits[0];

    ck_assert_uint_eq(instr_shadow_find_lookups(shadow).bits[0],
                      before ^ expected);
    ck_assert_uint_eq(instr_shadow_lookups(shadow)->bits[0], expected);
    ck_assert_uint_eq(instr_shadow_find_lookups(shadow).bits[0], 0);
}

#define T(N) (UINT64_C(1) << (N))

START_TEST(knows_tables_that_are_only_looked_up)
{
    struct instr_shadow *shadow = instr_shadow_create();
    struct shadow_rule *rule;

    put(shadow, 0, 1, "resubmit(,1)");
    put(shadow, 50, 1, "drop");
    check_lookups(shadow, 0);
    put(shadow, 1, 1,
        "resubmit(,20),move:NXM_NX_REG1[0]->NXM_NX_REG2[0],resubmit(,2)");
    check_lookups(shadow, T(20));
    /* What a lookup goes on to is one too. */
    put(shadow, 20, 1, "resubmit(,21)");
    check_lookups(shadow, T(20) | T(21));
    /* Clones end by themselves. */
    put(shadow, 2, 1, "clone(ct_clear,resubmit(,3)),resubmit(,4)");
    check_lookups(shadow, T(20) | T(21));
    /* The last of several, with what sends nothing behind it. */
    put(shadow, 4, 1, "resubmit(,5),resubmit(,5),load:1->NXM_NX_REG1[]");
    check_lookups(shadow, T(20) | T(21));
    put(shadow, 4, 2, "resubmit(,22),output:1");
    put(shadow, 4, 3, "resubmit(,23),ct(commit)");
    check_lookups(shadow, T(20) | T(21) | T(22));
    /* Another way there. */
    rule = put(shadow, 5, 1, "goto_table:21");
    check_lookups(shadow, T(20) | T(22));
    instr_shadow_take(shadow, rule);
    shadow_rule_destroy(rule);
    check_lookups(shadow, T(20) | T(21) | T(22));
    rule = put(shadow, 20, 2, "ct(table=24)");
    check_lookups(shadow, T(20) | T(21) | T(22) | T(24));
    instr_shadow_destroy(shadow);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_shadow");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    of_msg_init();
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, covers_and_overlaps_are_what_packets_say);
    tcase_add_test(tc, behaves_like_a_list);
    tcase_add_test(tc, counts_what_tables_are_used_for);
    tcase_add_test(tc, knows_tables_that_are_only_looked_up);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
