/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/rule_cache. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/rule_cache.h"

/* What was asked for. */
static struct {
    size_t n;
    uint64_t dpid;
    uint32_t version;
    bool is_down;
} asked;

static bool
ask(void *aux, uint64_t dpid, uint32_t version)
{
    if (asked.is_down) {
        return false;
    }
    asked.n++;
    asked.dpid = dpid;
    asked.version = version;
    return true;
}

static struct rule_cache *cache;

static void
make(size_t max_rules)
{
    struct rule_cache_config config = {.max_rules = max_rules, .ask = ask};

    memset(&asked, 0, sizeof asked);
    cache = rule_cache_create(&config);
}

static void
set_up(void)
{
    make(0);
}

static void
tear_down(void)
{
    rule_cache_destroy(cache);
}

static void
add(uint64_t dpid, uint32_t version, uint64_t installed_ns)
{
    struct rule *rule = rule_create();

    rule->dpid = dpid;
    rule->version = version;
    rule->installed_ns = installed_ns;
    rule_cache_add(cache, rule);
}

static struct rule_cache_counters
counters(void)
{
    struct rule_cache_counters c;

    rule_cache_get_counters(cache, &c);
    return c;
}

START_TEST(what_was_added_is_found)
{
    for (uint32_t i = 0; i < 5000; i++) {
        add(i % 7, i * 1000003u, i);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        const struct rule *rule =
            rule_cache_find(cache, i % 7, i * 1000003u, 1);

        ck_assert_ptr_nonnull(rule);
        ck_assert_uint_eq(rule->installed_ns, i);
    }
    ck_assert_uint_eq(counters().rules, 5000);
    ck_assert_uint_eq(asked.n, 0);
}
END_TEST

START_TEST(a_newer_one_replaces)
{
    add(1, 2, 10);
    add(1, 2, 20);
    ck_assert_uint_eq(rule_cache_find(cache, 1, 2, 1)->installed_ns, 20);
    ck_assert_uint_eq(counters().rules, 1);
}
END_TEST

static void
add_quiet(uint64_t dpid, uint32_t version, const char *actions, bool is_quiet)
{
    struct rule *rule = rule_create();

    rule->dpid = dpid;
    rule->version = version;
    rule->is_instrumented = !is_quiet;
    free(rule->actions);
    rule->actions = strdup(actions);
    rule_cache_add(cache, rule);
}

static void
add_capped(uint64_t dpid, uint32_t version, bool is_stopped)
{
    struct rule *rule = rule_create();

    rule->dpid = dpid;
    rule->version = version;
    rule->is_instrumented = !is_stopped;
    free(rule->command);
    rule->command = strdup(is_stopped ? "capped" : "selected");
    rule_cache_add(cache, rule);
}

START_TEST(a_switch_is_silent_while_a_rule_of_it_is)
{
    add_quiet(1, 1, "output:1", false);
    add_quiet(1, 2, "conjunction(3,1/2)", true);
    ck_assert(!rule_cache_is_silent(cache, 1));
    add_quiet(1, 3, "output:2", true);
    add_quiet(1, 4, "drop", true);
    ck_assert(rule_cache_is_silent(cache, 1));
    ck_assert(!rule_cache_is_silent(cache, 2));
    rule_cache_gone(cache, 1, 3);
    rule_cache_gone(cache, 1, 3);
    ck_assert(rule_cache_is_silent(cache, 1));
    add_quiet(1, 4, "drop", false); /* Selected again. */
    ck_assert(!rule_cache_is_silent(cache, 1));
    ck_assert_ptr_nonnull(rule_cache_find(cache, 1, 3, 1));
    add_quiet(1, 4, "drop", true);
    rule_cache_restart(cache);
    ck_assert(!rule_cache_is_silent(cache, 1));
}
END_TEST

START_TEST(a_switch_is_capped_while_the_cap_has_stopped_a_rule)
{
    add_quiet(1, 3, "output:2", true);
    ck_assert(!rule_cache_is_capped(cache, 1));
    add_capped(1, 4, true);
    ck_assert(rule_cache_is_capped(cache, 1));
    ck_assert(!rule_cache_is_capped(cache, 2));
    add_capped(1, 4, false); /* It came back. */
    ck_assert(!rule_cache_is_capped(cache, 1));
    ck_assert(rule_cache_is_silent(cache, 1));
    add_capped(1, 4, true);
    rule_cache_gone(cache, 1, 4);
    ck_assert(!rule_cache_is_capped(cache, 1));
}
END_TEST

START_TEST(an_unknown_one_is_asked_for_once)
{
    ck_assert_ptr_null(rule_cache_find(cache, 1, 2, 100));
    ck_assert_ptr_null(rule_cache_find(cache, 1, 2, 100));
    ck_assert_uint_eq(asked.n, 1);
    ck_assert_uint_eq(asked.dpid, 1);
    ck_assert_uint_eq(asked.version, 2);
    ck_assert_uint_eq(rule_cache_n_waiting(cache), 1);
    add(1, 2, 5);
    ck_assert_uint_eq(rule_cache_n_waiting(cache), 0);
    ck_assert_ptr_nonnull(rule_cache_find(cache, 1, 2, 100));
}
END_TEST

START_TEST(a_denied_one_is_asked_for_again_later)
{
    ck_assert_ptr_null(rule_cache_find(cache, 1, 2, 100));
    rule_cache_deny(cache, 1, 2, 100);
    ck_assert_uint_eq(rule_cache_n_waiting(cache), 0);
    ck_assert_ptr_null(rule_cache_find(cache, 1, 2, 200));
    ck_assert_uint_eq(asked.n, 1);
    ck_assert_ptr_null(
        rule_cache_find(cache, 1, 2, 100 + RULE_CACHE_RETRY_NS));
    ck_assert_uint_eq(asked.n, 2);
    ck_assert_uint_eq(counters().denied, 1);
    /* What nobody waits for cannot be denied. */
    rule_cache_deny(cache, 7, 7, 100);
    add(8, 8, 1);
    rule_cache_deny(cache, 8, 8, 100);
    ck_assert_uint_eq(counters().denied, 1);
}
END_TEST

START_TEST(what_cannot_be_asked_now_is_asked_next_time)
{
    asked.is_down = true;
    ck_assert_ptr_null(rule_cache_find(cache, 1, 2, 100));
    ck_assert_uint_eq(rule_cache_n_waiting(cache), 0);
    asked.is_down = false;
    ck_assert_ptr_null(rule_cache_find(cache, 1, 2, 100));
    ck_assert_uint_eq(asked.n, 1);
}
END_TEST

START_TEST(the_least_used_goes_first)
{
    tear_down();
    make(100);
    for (uint32_t i = 0; i < 100; i++) {
        add(1, i, i);
    }
    ck_assert_ptr_nonnull(rule_cache_find(cache, 1, 0, 1));
    for (uint32_t i = 100; i < 150; i++) {
        add(1, i, i);
    }
    ck_assert_uint_eq(counters().rules, 100);
    ck_assert_uint_eq(counters().evicted, 50);
    asked.is_down = true;
    ck_assert_ptr_nonnull(rule_cache_find(cache, 1, 0, 1));
    ck_assert_ptr_null(rule_cache_find(cache, 1, 1, 1));
    ck_assert_ptr_null(rule_cache_find(cache, 1, 50, 1));
    ck_assert_ptr_nonnull(rule_cache_find(cache, 1, 51, 1));
    asked.is_down = false;
    /* Questions are bounded too. */
    for (uint32_t i = 1000; i < 2000; i++) {
        rule_cache_find(cache, 1, i, 1);
    }
    ck_assert_uint_eq(rule_cache_n_waiting(cache), 100);
    ck_assert_uint_eq(counters().rules, 0);
}
END_TEST

START_TEST(low_bits_name_the_newest_not_after_the_time)
{
    add(1, 0x0000005, 100);
    add(1, 0x1000005, 200);
    add(1, 0x2000005, 300);
    add(2, 0x3000005, 100);
    ck_assert_uint_eq(rule_cache_resolve(cache, 1, 5, 100), 0x0000005);
    ck_assert_uint_eq(rule_cache_resolve(cache, 1, 5, 250), 0x1000005);
    ck_assert_uint_eq(rule_cache_resolve(cache, 1, 5, 999), 0x2000005);
    /* None is so old: the clocks differ, the newest is the best guess. */
    ck_assert_uint_eq(rule_cache_resolve(cache, 1, 5, 50), 0x2000005);
    ck_assert_uint_eq(counters().guessed, 0);
}
END_TEST

START_TEST(low_bits_of_no_known_rule_are_near_the_newest_version)
{
    ck_assert_uint_eq(rule_cache_resolve(cache, 9, 77, 1), 77);
    add(1, 0x1000010, 1);
    ck_assert_uint_eq(rule_cache_resolve(cache, 1, 0x11, 1), 0x1000011);
    ck_assert_uint_eq(rule_cache_resolve(cache, 1, 0xffffff, 1), 0x0ffffff);
    add(2, 0x1fffff0, 1);
    ck_assert_uint_eq(rule_cache_resolve(cache, 2, 1, 1), 0x2000001);
    add(3, 5, 1);
    ck_assert_uint_eq(rule_cache_resolve(cache, 3, 0xffffff, 1), 0xffffff);
    add(4, 0xffffff00, 1);
    ck_assert_uint_eq(rule_cache_resolve(cache, 4, 1, 1), 0xff000001);
    ck_assert_uint_eq(counters().guessed, 6);
}
END_TEST

START_TEST(a_file_of_rules_is_loaded)
{
    char path[] = "/tmp/lasthop-rules-XXXXXX";
    int fd = mkstemp(path);
    struct lh_error error;
    static const char text[] =
        "{\"dpid\":\"0000000000000001\",\"version\":7}\n"
        "\n"
        "{\"dpid\":2,\"version\":8}\n";

    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    ck_assert_int_eq(rule_cache_load(cache, path, &error), 0);
    ck_assert_ptr_nonnull(rule_cache_find(cache, 1, 7, 1));
    ck_assert_ptr_nonnull(rule_cache_find(cache, 2, 8, 1));
    ck_assert_int_eq(write(fd, "{\"dpid\":1}\n", 11), 11);
    ck_assert_int_eq(rule_cache_load(cache, path, &error), EINVAL);
    ck_assert_msg(strstr(error.text, ":4: version"), "%s", error.text);
    close(fd);
    unlink(path);
    ck_assert_int_eq(rule_cache_load(cache, path, &error), ENOENT);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rule_cache");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_was_added_is_found);
    tcase_add_test(tc, a_newer_one_replaces);
    tcase_add_test(tc, an_unknown_one_is_asked_for_once);
    tcase_add_test(tc, a_denied_one_is_asked_for_again_later);
    tcase_add_test(tc, what_cannot_be_asked_now_is_asked_next_time);
    tcase_add_test(tc, the_least_used_goes_first);
    tcase_add_test(tc, low_bits_name_the_newest_not_after_the_time);
    tcase_add_test(tc, low_bits_of_no_known_rule_are_near_the_newest_version);
    tcase_add_test(tc, a_file_of_rules_is_loaded);
    tcase_add_test(tc, a_switch_is_silent_while_a_rule_of_it_is);
    tcase_add_test(tc, a_switch_is_capped_while_the_cap_has_stopped_a_rule);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
