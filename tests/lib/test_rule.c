/* SPDX-License-Identifier: Apache-2.0 */
/* test_rule - rules are counted, copied, and go through JSON unchanged. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/rule_slab.h"
#include "lib/rule.h"

static void
set_text(char **member, const char *text)
{
    free(*member);
    *member = lh_strdup(text);
}

/* A rule with every member set and every kind of step. */
static struct rule *
full_rule(void)
{
    struct rule *rule = rule_create();
    struct step group = {.type = STEP_GROUP, .port = 7};

    rule->dpid = 0xfedcba9876543210;
    rule->version = UINT32_MAX;
    rule->kind = RULE_GROUP;
    rule->table_id = 254;
    rule->priority = 65535;
    rule->cookie = UINT64_MAX;
    rule->idle_timeout = 10;
    rule->hard_timeout = 20;
    rule->flags = 0x8013;
    rule->importance = 3;
    set_text(&rule->match, "tcp,nw_dst=10.0.0.2");
    set_text(&rule->actions, "output:2");
    set_text(&rule->command, "modify");
    set_text(&rule->who, "tcp:127.0.0.1:6653");
    rule->change = 99;
    rule->installed_ns = 1700000000000000000;
    rule->removed_ns = 1700000001000000001;
    rule->removed_reason = lh_strdup("idle_timeout");
    rule->is_transit = true;
    rule->is_instrumented = true;
    for (int i = 0; i < N_FIELDS; i++) {
        size_t size = step_field_size(i);
        uint8_t value[16] = {0}, mask[16] = {0};

        value[size - 1] = 1;
        mask[size - 1] = 1;
        rule_add_set(rule, i, value, NULL);
        rule_add_set(rule, i, value, mask);
    }
    rule_add_plain(rule, STEP_PUSH_VLAN, 0x88a8);
    rule_add_plain(rule, STEP_POP_VLAN, 0);
    rule_add_plain(rule, STEP_PUSH_MPLS, 0x8847);
    rule_add_plain(rule, STEP_POP_MPLS, 0x0800);
    rule_add_plain(rule, STEP_DEC_TTL, 0);
    rule_add_output(rule, 3);
    rule_add_output(rule, OF_PORT_CONTROLLER);
    rule_add_output(rule, OF_PORT_UNKNOWN);
    rule_add_step(rule, &group);
    rule_add_unknown(rule, "ct(commit,nat(src=192.0.2.1))");
    return rule;
}

START_TEST(json_gives_back_the_rule)
{
    struct rule *rule = full_rule(), *back;
    json_t *json = rule_to_json(rule);
    struct lh_error error;

    ck_assert_int_eq(rule_from_json(json, &back, &error), 0);
    ck_assert_uint_eq(back->dpid, rule->dpid);
    ck_assert_uint_eq(back->version, rule->version);
    ck_assert_int_eq(back->kind, rule->kind);
    ck_assert_uint_eq(back->cookie, rule->cookie);
    ck_assert_uint_eq(back->flags, rule->flags);
    ck_assert_str_eq(back->removed_reason, "idle_timeout");
    ck_assert_uint_eq(back->n_steps, rule->n_steps);
    for (size_t i = 0; i < rule->n_steps; i++) {
        const struct step *a = &rule->steps[i], *b = &back->steps[i];

        ck_assert_int_eq(a->type, b->type);
        ck_assert_uint_eq(a->port, b->port);
        ck_assert_uint_eq(a->ethertype, b->ethertype);
        ck_assert_str_eq(a->text, b->text);
        if (a->type == STEP_SET) {
            size_t size = step_field_size(a->field);

            ck_assert_int_eq(a->field, b->field);
            ck_assert_mem_eq(a->value, b->value, size);
            ck_assert_int_eq(step_is_whole(a), step_is_whole(b));
            ck_assert_mem_eq(a->mask, b->mask, size);
        }
    }

    json_t *again = rule_to_json(back);

    ck_assert(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    rule_unref(rule);
    rule_unref(back);
}
END_TEST

START_TEST(json_is_the_documented_one)
{
    static const char text[] =
        "{\"dpid\":\"0000000000000002\",\"version\":12,\"kind\":\"flow\","
        "\"table\":0,\"priority\":100,\"cookie\":\"0x2a\","
        "\"match\":\"tcp,nw_dst=198.51.100.7,tp_dst=80\","
        "\"actions\":\"mod_nw_dst:10.0.0.2,mod_tp_dst:8080,output:2\","
        "\"idle_timeout\":0,\"hard_timeout\":0,\"flags\":[\"send_flow_rem\"],"
        "\"importance\":0,\"command\":\"add\",\"who\":\"tcp:127.0.0.1:6653\","
        "\"change\":9,\"installed_ns\":1700000000000000000,"
        "\"removed_ns\":null,\"removed_reason\":null,\"transit\":false,"
        "\"instrumented\":true,\"steps\":[{\"do\":\"set\","
        "\"field\":\"ipv4_dst\",\"value\":\"10.0.0.2\"},{\"do\":\"set\","
        "\"field\":\"tp_dst\",\"value\":8080},{\"do\":\"output\",\"port\":2}]"
        "}";
    json_t *json = json_loads(text, 0, NULL);
    struct lh_error error;
    struct rule *rule;

    ck_assert_int_eq(rule_from_json(json, &rule, &error), 0);

    json_t *again = rule_to_json(rule);
    char *dumped = json_dumps(again, JSON_COMPACT);

    ck_assert_str_eq(dumped, text);
    ck_assert_uint_eq(rule->cookie, 42);
    ck_assert_uint_eq(rule->flags, 1);
    ck_assert_uint_eq(rule->removed_ns, 0);
    ck_assert_uint_eq(rule->n_steps, 3);
    ck_assert_int_eq(rule->steps[1].field, FIELD_TP_DST);
    ck_assert_mem_eq(rule->steps[1].value, "\x1f\x90", 2);
    free(dumped);
    json_decref(again);
    json_decref(json);
    rule_unref(rule);
}
END_TEST

START_TEST(little_is_enough)
{
    json_t *json =
        json_loads("{\"dpid\":1,\"version\":2,\"new\":[]}", 0, NULL);
    struct rule *rule;

    ck_assert_int_eq(rule_from_json(json, &rule, NULL), 0);
    ck_assert_uint_eq(rule->dpid, 1);
    ck_assert_str_eq(rule->match, "");
    ck_assert_uint_eq(rule->n_steps, 0);
    json_decref(json);
    rule_unref(rule);
}
END_TEST

static const struct {
    const char *json, *reason;
} bad_rules[] = {
    {"[]", "object"},
    {"{\"version\":1}", "dpid"},
    {"{\"dpid\":1}", "version"},
    {"{\"dpid\":1,\"version\":4294967296}", "version"},
    {"{\"dpid\":1,\"version\":1,\"kind\":\"tree\"}", "tree"},
    {"{\"dpid\":1,\"version\":1,\"table\":256}", "table"},
    {"{\"dpid\":1,\"version\":1,\"cookie\":\"42\"}", "cookie"},
    {"{\"dpid\":1,\"version\":1,\"cookie\":\"0x10000000000000000\"}",
     "cookie"},
    {"{\"dpid\":1,\"version\":1,\"flags\":[\"tall\"]}", "flags[0]"},
    {"{\"dpid\":1,\"version\":1,\"match\":5}", "match"},
    {"{\"dpid\":1,\"version\":1,\"installed_ns\":-1}", "installed_ns"},
    {"{\"dpid\":1,\"version\":1,\"steps\":{}}", "steps"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"jump\"}]}", "jump"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"output\","
     "\"port\":70000}]}",
     "steps[0].port"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"set\","
     "\"field\":\"hat\",\"value\":1}]}",
     "hat"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"set\","
     "\"field\":\"vlan_vid\",\"value\":4096}]}",
     "value"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"set\","
     "\"field\":\"ipv4_src\",\"value\":\"10.0.0\"}]}",
     "IPv4"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"set\","
     "\"field\":\"eth_src\",\"value\":\"02:00:00:00:00:1\"}]}",
     "MAC"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"set\","
     "\"field\":\"eth_src\",\"value\":\"02:00:00:00:00:01:\"}]}",
     "MAC"},
    {"{\"dpid\":1,\"version\":1,\"steps\":[{\"do\":\"push_vlan\"}]}",
     "ethertype"},
};

START_TEST(bad_json_is_named)
{
    json_t *json = json_loads(bad_rules[_i].json, 0, NULL);
    struct lh_error error;
    struct rule *rule;

    ck_assert_ptr_nonnull(json);
    ck_assert_int_eq(rule_from_json(json, &rule, &error), EINVAL);
    ck_assert_ptr_null(rule);
    ck_assert_msg(strstr(error.text, bad_rules[_i].reason), "%s says \"%s\"",
                  bad_rules[_i].json, error.text);
    json_decref(json);
}
END_TEST

START_TEST(references_and_copies)
{
    struct rule *rule = full_rule();

    rule->raw = lh_memdup("raw", 3);
    rule->raw_len = 3;
    ck_assert_ptr_eq(rule_ref(rule), rule);
    rule_unref(rule);

    struct rule *copy = rule_clone(rule);

    rule_add_output(copy, 4);
    ck_assert_uint_eq(copy->n_steps, rule->n_steps + 1);
    rule_unref(rule);
    ck_assert_str_eq(copy->match, "tcp,nw_dst=10.0.0.2");
    ck_assert_mem_eq(copy->raw, "raw", 3);
    rule_unref(copy);
    rule_unref(NULL);
}
END_TEST

START_TEST(outputs_in_order)
{
    struct rule *rule = full_rule();
    uint32_t ports[2] = {0, 0};

    ck_assert_uint_eq(rule_outputs(rule, ports, 2), 3);
    ck_assert_uint_eq(ports[0], 3);
    ck_assert_uint_eq(ports[1], OF_PORT_CONTROLLER);
    rule_unref(rule);
}
END_TEST

static int n_described;

static void
describe(struct rule *rule)
{
    n_described++;
    free(rule->match);
    rule->match = lh_strdup("ip");
    rule_add_output(rule, 7);
}

/* A rule published without texts gets them once, by whoever asks first. */
START_TEST(texts_are_made_when_asked_for)
{
    struct rule *rule = rule_create(), *copy;
    json_t *json;

    n_described = 0;
    rule->describe = describe;
    ck_assert_uint_eq(rule_outputs(rule, NULL, 0), 1);
    json = rule_to_json(rule);
    ck_assert_str_eq(json_string_value(json_object_get(json, "match")), "ip");
    json_decref(json);
    copy = rule_clone(rule);
    ck_assert_uint_eq(copy->n_steps, 1);
    ck_assert_int_eq(n_described, 1);
    rule_unref(copy);
    rule_unref(rule);

    rule = rule_create();
    rule->describe = describe;
    copy = rule_clone(rule);
    ck_assert_str_eq(copy->match, "ip");
    rule_describe(copy);
    ck_assert_uint_eq(copy->n_steps, 1);
    rule_unref(copy);
    rule_unref(rule);
}
END_TEST

/* Terse rules are pieces of slabs, too long ones are not; either way they may
 * be freed in any order. */
START_TEST(terse_rules_come_and_go)
{
    enum { N = 5000 };
    static struct rule *rules[N];
    uint8_t *raw = lh_alloc_zero(RULE_SLAB_PIECE);

    for (size_t i = 0; i < N; i++) {
        size_t len = i % 100 ? i % 300 : RULE_SLAB_PIECE;

        memset(raw, (int) (i & 0xff), len);
        rules[i] = rule_create_terse("add", "tcp:192.0.2.1:6653",
                                     len ? raw : NULL, len, describe);
        ck_assert_ptr_nonnull(rules[i]);
        ck_assert_int_eq(rules[i]->slab == NULL, len == RULE_SLAB_PIECE);
    }
    for (size_t k = 0; k < N; k++) {
        size_t i = k * 7919 % N; /* Prime: each of them once. */
        struct rule *rule = rules[i], *copy = rule_clone(rule);

        ck_assert_uint_eq(copy->raw_len, rule->raw_len);
        memset(raw, (int) (i & 0xff), rule->raw_len);
        ck_assert_mem_eq(rule->raw, raw, rule->raw_len);
        ck_assert_str_eq(copy->command, "add");
        ck_assert_str_eq(copy->match, "ip");
        rule_unref(rule);
        ck_assert_str_eq(copy->who, "tcp:192.0.2.1:6653");
        rule_unref(copy);
    }
    free(raw);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rule");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, json_gives_back_the_rule);
    tcase_add_test(tcase, json_is_the_documented_one);
    tcase_add_test(tcase, little_is_enough);
    tcase_add_loop_test(tcase, bad_json_is_named, 0,
                        sizeof bad_rules / sizeof bad_rules[0]);
    tcase_add_test(tcase, references_and_copies);
    tcase_add_test(tcase, outputs_in_order);
    tcase_add_test(tcase, texts_are_made_when_asked_for);
    tcase_add_test(tcase, terse_rules_come_and_go);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
