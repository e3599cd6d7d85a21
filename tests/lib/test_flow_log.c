/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow_log - tables as they were, rules, events, switches. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "tests/lib/flow_log_fixture.h"

/* --- A table as it was. --- */

#define MODEL_MAX 400

struct model_rule {
    uint32_t version;
    bool is_packet_out;
    uint64_t made_change, removed_change;
    uint64_t made_ns, removed_ns;
};

static struct model_rule model[MODEL_MAX];
static size_t n_model;

static bool
stood(const struct model_rule *m, bool by_time, uint64_t bound)
{
    if (m->is_packet_out) {
        return false;
    }
    return by_time ? m->made_ns <= bound &&
                         (!m->removed_ns || m->removed_ns > bound)
                   : m->made_change <= bound &&
                         (!m->removed_change || m->removed_change > bound);
}

static void
check_table(const struct flow_log_rules *rules, bool by_time, uint64_t bound)
{
    size_t n = 0;

    for (size_t i = 0; i < n_model; i++) {
        if (!stood(&model[i], by_time, bound)) {
            continue;
        }

        size_t j;

        n++;
        for (j = 0; j < rules->n; j++) {
            if (rules->rules[j]->version == model[i].version) {
                break;
            }
        }
        ck_assert_msg(j < rules->n, "version %u is not in the table",
                      (unsigned) model[i].version);
        ck_assert_uint_eq(rules->rules[j]->installed_ns, model[i].made_ns);
        ck_assert_uint_eq(rules->rules[j]->cookie,
                          0xffffffff00000000ULL + model[i].version);
    }
    ck_assert_uint_eq(rules->n, n);
    for (size_t i = 1; i < rules->n; i++) {
        const struct rule *a = rules->rules[i - 1], *b = rules->rules[i];

        ck_assert(a->table_id < b->table_id ||
                  (a->table_id == b->table_id && a->priority >= b->priority));
    }
}

static void
check_random_tables(struct flow_log *log, unsigned *seed)
{
    for (int i = 0; i < 20; i++) {
        const struct model_rule *m = &model[(size_t) rand_r(seed) % n_model];
        struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
        uint64_t at_ns;

        ck_assert_int_eq(flow_log_table_at_version(log, DPID, m->version,
                                                   &rules, &at_ns, NULL),
                         0);
        ck_assert_uint_eq(at_ns, m->made_ns);
        check_table(&rules, false, m->made_change);
        flow_log_rules_uninit(&rules);

        uint64_t time_ns = m->made_ns + (uint64_t) (rand_r(seed) % 3) - 1;

        ck_assert_int_eq(
            flow_log_table_at_time(log, DPID, time_ns, &rules, NULL), 0);
        check_table(&rules, true, time_ns);
        flow_log_rules_uninit(&rules);
    }
}

START_TEST(table_as_it_was_equals_a_model)
{
    struct flow_log *log = flow_log_fixture_open();
    unsigned seed = (unsigned) _i + 1;
    uint64_t now_ns = 1000;
    bool is_disk_full = _i % 2;

    if (is_disk_full) {
        flow_log_fixture_limit_file_size(1);
    }

    n_model = 0;
    while (n_model < MODEL_MAX - 8) {
        uint64_t change = flow_log_begin_change(log);

        now_ns += (uint64_t) (rand_r(&seed) % 3);
        for (int i = rand_r(&seed) % 4; i > 0 && n_model; i--) {
            struct model_rule *m = &model[(size_t) rand_r(&seed) % n_model];

            if (!m->removed_change && !m->is_packet_out) {
                m->removed_change = change;
                m->removed_ns = now_ns;
                flow_log_removed(log, DPID, m->version, now_ns, "delete");
            }
        }
        for (int i = rand_r(&seed) % 4; i > 0; i--) {
            struct model_rule *m = &model[n_model++];

            *m = (struct model_rule){
                .version = flow_log_next_version(log, DPID),
                .is_packet_out = rand_r(&seed) % 5 == 0,
                .made_change = change,
                .made_ns = now_ns,
            };
            flow_log_fixture_add(
                log, m->version,
                m->is_packet_out ? RULE_PACKET_OUT : RULE_FLOW, now_ns);
        }
        if (rand_r(&seed) % 8 == 0 && !is_disk_full) {
            flow_log_fixture_flush(log);
        }
        if (n_model && rand_r(&seed) % 16 == 0) {
            check_random_tables(log, &seed);
        }
    }
    check_random_tables(log, &seed);
    ck_assert(!is_disk_full || flow_log_n_queued(log));
    flow_log_fixture_limit_file_size(RLIM_INFINITY);
    flow_log_fixture_flush(log);
    check_random_tables(log, &seed);
    flow_log_close(log);

    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;

    ck_assert_int_eq(flow_log_open_readonly(flow_log_fixture_path, &log, NULL),
                     0);
    check_random_tables(log, &seed);
    ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
    check_table(&rules, false, UINT64_MAX);
    flow_log_rules_uninit(&rules);
    flow_log_close(log);
}
END_TEST

START_TEST(rule_comes_back_whole)
{
    struct flow_log *log = flow_log_fixture_open();
    struct rule *r = flow_log_fixture_rule(9, RULE_FLOW, 5000);
    struct step set = {
        .type = STEP_SET,
        .field = FIELD_IPV4_DST,
        .value = {192, 0, 2, 1},
        .mask = {255, 255, 255, 255},
    };
    struct step output = {.type = STEP_OUTPUT, .port = OF_PORT_CONTROLLER};

    r->change = 77;
    r->idle_timeout = 60;
    r->hard_timeout = 65535;
    r->flags = 1;
    r->importance = 3;
    r->is_transit = true;
    r->is_instrumented = true;
    rule_add_step(r, &set);
    rule_add_step(r, &output);
    flow_log_begin_change(log);
    r->raw = lh_memdup("\0\1\2", 3);
    r->raw_len = 3;
    flow_log_made(log, r);
    flow_log_fixture_limit_file_size(1);
    for (int round = 0; round < 2; round++) {
        struct rule *back;

        ck_assert_int_eq(flow_log_find(log, DPID, 9, &back, NULL), 0);

        json_t *a = rule_to_json(r), *b = rule_to_json(back);

        ck_assert(json_equal(a, b));
        ck_assert_uint_eq(back->raw_len, 3);
        ck_assert_mem_eq(back->raw, "\0\1\2", 3);
        json_decref(a);
        json_decref(b);
        rule_unref(back);
        flow_log_fixture_limit_file_size(RLIM_INFINITY);
        flow_log_fixture_flush(log);
    }
    flow_log_begin_change(log);
    flow_log_removed(log, DPID, 9, 6000, "idle_timeout");
    flow_log_fixture_flush(log);

    struct rule *gone;

    ck_assert_int_eq(flow_log_find(log, DPID, 9, &gone, NULL), 0);
    ck_assert_uint_eq(gone->removed_ns, 6000);
    ck_assert_str_eq(gone->removed_reason, "idle_timeout");
    rule_unref(gone);
    ck_assert_int_eq(flow_log_find(log, DPID, 10, &gone, NULL), ENOENT);
    rule_unref(r);
    flow_log_close(log);
}
END_TEST

START_TEST(rule_that_is_restored_stands_as_if_never_removed)
{
    struct flow_log *log = flow_log_fixture_open();

    if (_i) {
        flow_log_fixture_limit_file_size(1);
    }
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 1, RULE_FLOW, 100);
    flow_log_begin_change(log);
    flow_log_removed(log, DPID, 1, 200, "replaced");
    flow_log_fixture_add(log, 2, RULE_FLOW, 200);
    if (!_i) {
        flow_log_fixture_flush(log);
    }
    flow_log_begin_change(log);
    flow_log_removed(log, DPID, 2, 300, "error");
    flow_log_fixture_add(log, 1, RULE_FLOW, 100);
    for (int round = 0; round < 2; round++) {
        struct flow_log_rules rules = FLOW_LOG_RULES_INIT;

        ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
        ck_assert_uint_eq(rules.n, 1);
        ck_assert_uint_eq(rules.rules[0]->version, 1);
        ck_assert_uint_eq(rules.rules[0]->removed_ns, 0);
        ck_assert_ptr_null(rules.rules[0]->removed_reason);
        flow_log_rules_uninit(&rules);
        ck_assert_int_eq(flow_log_table_at_time(log, DPID, 250, &rules, NULL),
                         0);
        ck_assert_uint_eq(rules.n, 1);
        ck_assert_uint_eq(rules.rules[0]->version, 1);
        flow_log_rules_uninit(&rules);
        flow_log_fixture_limit_file_size(RLIM_INFINITY);
        flow_log_fixture_flush(log);
    }

    /* One that stands anyway is counted and changes nothing. */
    flow_log_fixture_add(log, 1, RULE_FLOW, 100);
    flow_log_fixture_flush(log);
    ck_assert_uint_eq(flow_log_counters(log).duplicates, 1);
    flow_log_close(log);
}
END_TEST

START_TEST(packet_out_is_known_but_stands_in_no_table)
{
    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    struct rule *r;
    uint64_t at_ns;

    flow_log_begin_change(log);
    flow_log_fixture_add(log, 1, RULE_FLOW, 100);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 2, RULE_PACKET_OUT, 200);
    flow_log_fixture_flush(log);
    ck_assert_int_eq(flow_log_find(log, DPID, 2, &r, NULL), 0);
    ck_assert_int_eq(r->kind, RULE_PACKET_OUT);
    rule_unref(r);
    ck_assert_int_eq(
        flow_log_table_at_version(log, DPID, 2, &rules, &at_ns, NULL), 0);
    ck_assert_uint_eq(rules.n, 1);
    ck_assert_uint_eq(at_ns, 200);
    flow_log_rules_uninit(&rules);
    flow_log_close(log);
}
END_TEST

/* --- Switches, texts, events, age. --- */

START_TEST(switches_keep_their_index)
{
    struct flow_log *log = flow_log_fixture_open();

    ck_assert_uint_eq(flow_log_put_switch(log, 7, "s7", "192.0.2.7"), 1);
    ck_assert_uint_eq(flow_log_put_switch(log, DPID, NULL, NULL), 2);
    flow_log_close(log);
    log = flow_log_fixture_open();
    ck_assert_uint_eq(flow_log_put_switch(log, 9, "s9", NULL), 3);
    ck_assert_uint_eq(flow_log_put_switch(log, 7, NULL, NULL), 1);

    struct flow_log_switch *switches;
    size_t n;

    ck_assert_int_eq(flow_log_switches(log, &switches, &n, NULL), 0);
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < n; i++) {
        if (switches[i].dpid == 7) {
            ck_assert_str_eq(switches[i].name, "s7");
            ck_assert_str_eq(switches[i].address, "192.0.2.7");
        }
    }
    flow_log_switches_free(switches, n);
    flow_log_close(log);
}
END_TEST

START_TEST(texts_are_kept)
{
    struct flow_log *log = flow_log_fixture_open();
    char *text;

    ck_assert_int_eq(flow_log_get_text(log, "topology", &text, NULL), ENOENT);
    flow_log_put_text(log, "topology", "{}");
    flow_log_put_text(log, "topology", "{\"a\":1}");
    ck_assert_int_eq(flow_log_get_text(log, "topology", &text, NULL), 0);
    ck_assert_str_eq(text, "{\"a\":1}");
    free(text);
    flow_log_close(log);
    log = flow_log_fixture_open();
    ck_assert_int_eq(flow_log_get_text(log, "topology", &text, NULL), 0);
    ck_assert_str_eq(text, "{\"a\":1}");
    free(text);
    flow_log_close(log);
}
END_TEST

static bool
count_entry(void *aux, const struct flow_log_entry *entry)
{
    int *n = aux;

    ck_assert_int_eq(entry->event, *n ? FLOW_LOG_PORT : FLOW_LOG_CONNECT);
    if (entry->event == FLOW_LOG_PORT) {
        ck_assert_uint_eq(entry->port, 3);
        ck_assert_str_eq(entry->text, "down");
    }
    ++*n;
    return true;
}

START_TEST(events_stand_on_the_timeline)
{
    struct flow_log *log = flow_log_fixture_open();

    flow_log_event(log, FLOW_LOG_START, 0, OF_PORT_UNKNOWN, 50, NULL);
    flow_log_event(log, FLOW_LOG_CONNECT, DPID, OF_PORT_UNKNOWN, 100, "s1");
    flow_log_event(log, FLOW_LOG_PORT, DPID, 3, 200, "down");
    flow_log_event(log, FLOW_LOG_PORT, DPID, 3, 300, "up");
    for (int round = 0; round < 2; round++) {
        int n = 0;

        ck_assert_int_eq(
            flow_log_events(log, DPID, 0, 300, count_entry, &n, NULL), 0);
        ck_assert_int_eq(n, 2);
        flow_log_fixture_flush(log);
    }
    flow_log_close(log);
}
END_TEST

/* The texts of the groups that stood at 'at_ns', one after the other. */
static void
check_groups(struct flow_log *log, uint64_t at_ns, const char *expected)
{
    const struct flow_log_moment moment = {.when = FLOW_LOG_AT_TIME,
                                           .time_ns = at_ns};
    struct flow_log_state state;
    char texts[64] = "";

    ck_assert_int_eq(flow_log_state_at(log, DPID, &moment, &state, NULL), 0);
    for (size_t i = 0; i < state.n_objects; i++) {
        strcat(texts, state.objects[i].text);
    }
    ck_assert_str_eq(texts, expected);
    flow_log_state_uninit(&state);
}

/* A change that the switch refused never was, also in the moment before its
 * error came. */
START_TEST(a_refused_group_never_stood)
{
    static const struct {
        const char *how, *text; /* No text: it is gone. */
        bool goes_on;           /* Of the same change as the one before. */
    } notes[] = {
        {"add", "a", false},      {"modify", "b", false},
        {"restored", "a", false}, /* b was refused. */
        {"modify", "c", false},   {"modify", "d", true},
        {"restored", "c", false}, /* d, and c with it. */
        {"restored", "a", true},  {"delete", NULL, false},
        {"restored", "a", false}, /* That was refused. */
        {"delete", NULL, false},  {"add", "e", false},
        {"error", NULL, false}, /* So was e. */
        {"add", "f", false},
    };
    static const char *const stood[] = {"a", "a", "a", "a", "a", "a", "a",
                                        "a", "a", "",  "",  "",  "f"};
    struct flow_log *log = flow_log_fixture_open();
    size_t n = sizeof notes / sizeof notes[0];

    flow_log_put_switch(log, DPID, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        uint64_t now_ns = 1000 + i * 10;

        if (!notes[i].goes_on) {
            flow_log_begin_change(log);
        }
        if (notes[i].text) {
            flow_log_object_set(log, FLOW_LOG_GROUP, DPID, 1, now_ns,
                                notes[i].how, notes[i].text, NULL, 0);
        } else {
            flow_log_object_removed(log, FLOW_LOG_GROUP, DPID, 1, now_ns,
                                    notes[i].how);
        }
        flow_log_fixture_flush(log);
    }
    for (size_t i = 0; i < n; i++) {
        check_groups(log, 1005 + i * 10, stood[i]);
    }
    flow_log_close(log);
}
END_TEST

START_TEST(trim_deletes_only_what_was_over)
{
    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    struct rule *r;

    flow_log_next_version(log, DPID);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 1, RULE_FLOW, 100);
    flow_log_fixture_add(log, 2, RULE_FLOW, 100);
    flow_log_fixture_add(log, 3, RULE_PACKET_OUT, 100);
    flow_log_begin_change(log);
    flow_log_removed(log, DPID, 1, 200, "delete");
    flow_log_fixture_flush(log);
    flow_log_put_switch(log, DPID, NULL, NULL);
    flow_log_trim(log, 150, 0);
    flow_log_fixture_flush(log);
    ck_assert_int_eq(flow_log_find(log, DPID, 3, &r, NULL), ENOENT);
    flow_log_trim(log, 1000, 0);
    flow_log_fixture_flush(log);
    ck_assert_int_eq(flow_log_find(log, DPID, 1, &r, NULL), ENOENT);
    ck_assert_int_eq(flow_log_standing(log, DPID, &rules, NULL), 0);
    ck_assert_uint_eq(rules.n, 1);
    ck_assert_uint_eq(rules.rules[0]->version, 2);
    flow_log_rules_uninit(&rules);
    flow_log_close(log);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow_log");
    TCase *tc = tcase_create("flow_log");

    tcase_add_checked_fixture(tc, flow_log_fixture_setup,
                              flow_log_fixture_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, table_as_it_was_equals_a_model, 0, 4);
    tcase_add_test(tc, rule_comes_back_whole);
    tcase_add_loop_test(tc, rule_that_is_restored_stands_as_if_never_removed,
                        0, 2);
    tcase_add_test(tc, packet_out_is_known_but_stands_in_no_table);
    tcase_add_test(tc, switches_keep_their_index);
    tcase_add_test(tc, texts_are_kept);
    tcase_add_test(tc, events_stand_on_the_timeline);
    tcase_add_test(tc, a_refused_group_never_stood);
    tcase_add_test(tc, trim_deletes_only_what_was_over);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
