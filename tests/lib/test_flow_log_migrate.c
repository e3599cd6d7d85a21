/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow_log_migrate - a log of format 1, written by the program that knew
 * no other, answers as it did then. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/bytes.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "tests/lib/flow_log_fixture.h"
#include "tests/lib/golden.h"

static void
copy_old(void)
{
    const char *srcdir = getenv("srcdir");
    char *command = lh_asprintf(
        "cp %s/tests/lib/golden/flow-log-v1/flow.db %s && chmod u+w %s",
        srcdir ? srcdir : ".", flow_log_fixture_path, flow_log_fixture_path);
    int status = system(command);

    free(command);
    ck_assert_int_eq(status, 0);
}

static void
check_rule(struct flow_log *log, uint64_t dpid, json_t *expected)
{
    uint32_t version =
        (uint32_t) json_integer_value(json_object_get(expected, "version"));
    struct lh_error error = {.text = ""};
    struct rule *r;
    char raw[512];

    ck_assert_msg(!flow_log_find(log, dpid, version, &r, &error), "%s",
                  error.text);

    json_t *json = rule_to_json(r);

    bytes_to_hex(r->raw, r->raw_len, raw);
    json_object_set_new(json, "raw", json_string(raw));
    ck_assert_msg(json_equal(json, expected), "version %u: %s",
                  (unsigned) version, json_dumps(json, 0));
    json_decref(json);
    rule_unref(r);
}

static void
check_versions(const struct flow_log_rules *rules, const json_t *expected)
{
    size_t i;
    json_t *version;

    ck_assert_uint_eq(rules->n, json_array_size(expected));
    json_array_foreach(expected, i, version)
    {
        size_t n = 0;

        for (size_t j = 0; j < rules->n; j++) {
            n += rules->rules[j]->version == json_integer_value(version);
        }
        ck_assert_uint_eq(n, 1);
    }
}

static void
check_switch(struct flow_log *log, const json_t *expected)
{
    uint64_t dpid =
        (uint64_t) json_integer_value(json_object_get(expected, "dpid"));
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(expected, "rules"), i, item)
    {
        check_rule(log, dpid, item);
    }
    json_array_foreach(json_object_get(expected, "tables"), i, item)
    {
        uint64_t at_ns =
            (uint64_t) json_integer_value(json_object_get(item, "at_ns"));

        ck_assert_int_eq(
            flow_log_table_at_time(log, dpid, at_ns, &rules, NULL), 0);
        check_versions(&rules, json_object_get(item, "versions"));
        flow_log_rules_uninit(&rules);
    }
    ck_assert_int_eq(flow_log_standing(log, dpid, &rules, NULL), 0);
    check_versions(&rules, json_object_get(expected, "standing"));
    flow_log_rules_uninit(&rules);
}

/* Events of one switch keep their order. */
struct events {
    json_t *expected;
    bool is_seen[64];
    size_t n;
};

static bool
check_event(void *events_, const struct flow_log_entry *e)
{
    struct events *events = events_;
    json_t *item;
    size_t i;

    json_array_foreach(events->expected, i, item)
    {
        const char *text = json_string_value(json_object_get(item, "text"));

        if (!events->is_seen[i] &&
            (uint64_t) json_integer_value(json_object_get(item, "dpid")) ==
                e->dpid &&
            !strcmp(json_string_value(json_object_get(item, "event")),
                    flow_log_event_name(e->event)) &&
            json_integer_value(json_object_get(item, "port")) == e->port &&
            !strcmp(text ? text : "", e->text ? e->text : "")) {
            events->is_seen[i] = true;
            events->n++;
            return true;
        }
    }
    ck_abort_msg("event %s was not there", flow_log_event_name(e->event));
}

static void
check_log(struct flow_log *log)
{
    json_t *golden = golden_load_json("flow-log-v1/answers.json"), *item;
    struct events events = {.expected = json_object_get(golden, "events")};
    char *text;
    size_t i;

    json_array_foreach(json_object_get(golden, "switches"), i, item)
    {
        check_switch(log, item);
    }
    ck_assert_int_eq(
        flow_log_events(log, 0, 0, UINT64_MAX, check_event, &events, NULL), 0);
    ck_assert_uint_eq(events.n, json_array_size(events.expected));
    ck_assert_int_eq(flow_log_get_text(log, "topology", &text, NULL), 0);
    ck_assert_msg(strstr(text, "\"epoch\":5"), "%s", text);
    free(text);
    json_decref(golden);
}

START_TEST(old_log_becomes_a_new_one)
{
    struct flow_log *log;
    char *new_path = lh_asprintf("%s.new", flow_log_fixture_path);

    copy_old();
    log = flow_log_fixture_open();
    check_log(log);
    ck_assert_int_ne(access(new_path, F_OK), 0);
    ck_assert_uint_eq(flow_log_put_switch(log, 1, NULL, NULL), 1);
    ck_assert_uint_eq(flow_log_next_version(log, 1), 43);
    flow_log_close(log);
    log = flow_log_fixture_open();
    check_log(log);
    flow_log_close(log);
    free(new_path);
}
END_TEST

START_TEST(old_log_is_read_as_it_is)
{
    struct flow_log *log;

    copy_old();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(
            flow_log_open_readonly(flow_log_fixture_path, &log, NULL), 0);
        check_log(log);
        flow_log_close(log);
    }
}
END_TEST

/* A file that was left half done by a crash does not count. */
START_TEST(half_a_new_log_is_begun_again)
{
    char *new_path = lh_asprintf("%s.new", flow_log_fixture_path);
    FILE *file;
    struct flow_log *log;

    copy_old();
    file = fopen(new_path, "w");
    fputs("half", file);
    fclose(file);
    log = flow_log_fixture_open();
    check_log(log);
    ck_assert_int_ne(access(new_path, F_OK), 0);
    flow_log_close(log);
    free(new_path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow_log_migrate");
    TCase *tc = tcase_create("flow_log");

    tcase_add_checked_fixture(tc, flow_log_fixture_setup,
                              flow_log_fixture_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, old_log_becomes_a_new_one);
    tcase_add_test(tc, old_log_is_read_as_it_is);
    tcase_add_test(tc, half_a_new_log_is_begun_again);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
