/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow_log_states - every state that a model had, also through
 * snapshots, what is deleted, and the end of the process by SIGKILL. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "tests/lib/flow_log_fixture.h"

/* What happens is a function of the number of the change alone, so that a
 * process that is killed and one that looks at what it left agree: change n
 * makes rule n at time n * 10, removes rule n - life(n - ..) and so on. */
#define STEP_NS 10
#define MAX_N   40000

static uint32_t
life(uint32_t n)
{
    uint32_t x = n * 2654435761u;

    /* Most live shortly, some long, a few for ever. */
    x ^= x >> 15;
    return x % 97 == 0 ? UINT32_MAX : x % 11 == 0 ? 3000 : 1 + x % 200;
}

static bool
stands(uint32_t n, uint32_t at)
{
    uint32_t l = life(n);

    return n && n <= at && (l == UINT32_MAX || n + l > at);
}

/* Group g is set at each change that 50 + g divides, and goes 20 changes
 * later. */
static bool
has_group(uint32_t g, uint32_t at, uint32_t *set_at)
{
    uint32_t period = 50 + g;

    *set_at = at / period * period;
    return *set_at && at < *set_at + 20;
}

static void
make_change(struct flow_log *log, uint32_t n)
{
    uint64_t now_ns = (uint64_t) n * STEP_NS;

    ck_assert_uint_eq(flow_log_begin_change(log), n);
    flow_log_fixture_add(log, n, RULE_FLOW, now_ns);
    for (uint32_t back = 1; back <= 3000 && back < n; back++) {
        if (back > 200 && back < 3000) {
            back = 3000;
            if (back >= n) {
                break;
            }
        }
        if (life(n - back) == back) {
            flow_log_removed(log, DPID, n - back, now_ns, "idle_timeout");
        }
    }
    for (uint32_t g = 0; g < 3; g++) {
        char text[32];

        snprintf(text, sizeof text, "set at %u", n);
        if (n % (50 + g) == 0) {
            flow_log_object_set(log, FLOW_LOG_GROUP, DPID, g, now_ns, "add",
                                text, (const uint8_t *) "raw", 3);
        } else if (n > 50 + g && n % (50 + g) == 20) {
            flow_log_object_removed(log, FLOW_LOG_GROUP, DPID, g, now_ns,
                                    "delete");
        }
    }
    flow_log_hand_over(log);
}

static void
check_state(struct flow_log *log, uint32_t at, bool by_version)
{
    struct flow_log_moment moment = {
        .when = by_version ? FLOW_LOG_AT_VERSION : FLOW_LOG_AT_TIME,
        .version = at,
        .time_ns = (uint64_t) at * STEP_NS + STEP_NS - 1,
    };
    struct lh_error error = {.text = ""};
    struct flow_log_state state;
    size_t n = 0, n_groups = 0;
    uint32_t set_at;

    ck_assert_msg(!flow_log_state_at(log, DPID, &moment, &state, &error),
                  "%u: %s", at, error.text);
    for (uint32_t i = 1; i <= at; i++) {
        n += stands(i, at);
    }
    ck_assert_msg(state.rules.n == n, "%zu rules stood at %u, not %zu",
                  state.rules.n, at, n);
    for (size_t i = 0; i < state.rules.n; i++) {
        const struct rule *r = state.rules.rules[i];

        ck_assert_msg(stands(r->version, at), "%u stood not at %u",
                      (unsigned) r->version, at);
        ck_assert_uint_eq(r->installed_ns, (uint64_t) r->version * STEP_NS);
        ck_assert_uint_eq(r->table_id, r->version % 3);
        if (r->removed_ns) {
            ck_assert_uint_eq(r->removed_ns,
                              (uint64_t) (r->version + life(r->version)) *
                                  STEP_NS);
        }
    }
    for (uint32_t g = 0; g < 3; g++) {
        char text[32];

        if (has_group(g, at, &set_at)) {
            ck_assert_uint_lt(n_groups, state.n_objects);
            ck_assert_uint_eq(state.objects[n_groups].id, g);
            snprintf(text, sizeof text, "set at %u", set_at);
            ck_assert_str_eq(state.objects[n_groups].text, text);
            ck_assert_uint_eq(state.objects[n_groups].raw_len, 3);
            n_groups++;
        }
    }
    ck_assert_uint_eq(state.n_objects, n_groups);
    flow_log_state_uninit(&state);
}

/* Some states between two changes, by version and by time. */
static void
check_states(struct flow_log *log, uint32_t from, uint32_t to, unsigned *seed)
{
    for (int i = 0; i < 25; i++) {
        uint32_t at = from + (uint32_t) rand_r(seed) % (to - from + 1);

        check_state(log, at, i % 2);
    }
    check_state(log, to, false);
}

START_TEST(states_equal_the_model_across_snapshots_and_deleting)
{
    struct flow_log *log = flow_log_fixture_open(), *reader;
    struct flow_log_state state;
    struct flow_log_moment before = {.when = FLOW_LOG_AT_TIME};
    unsigned seed = 1;
    struct rule *r;

    for (uint32_t n = 1; n <= 20000; n++) {
        make_change(log, n);
        if (n % 4000 == 0) {
            check_states(log, 1, n, &seed); /* Some of it still waits. */
        }
    }
    flow_log_fixture_flush(log);
    check_states(log, 1, 20000, &seed);
    ck_assert_int_eq(
        flow_log_open_readonly(flow_log_fixture_path, &reader, NULL), 0);
    check_states(reader, 1, 20000, &seed);
    flow_log_close(reader);

    /* The floor keeps what is asked to go. */
    flow_log_retain(log, 9000 * STEP_NS);
    flow_log_trim(log, 15000 * STEP_NS, 0);
    flow_log_fixture_flush(log);
    check_states(log, 9000, 20000, &seed);
    ck_assert_uint_gt(flow_log_counters(log).trimmed, 1000);
    before.time_ns = 5000 * STEP_NS;
    ck_assert_int_eq(flow_log_state_at(log, DPID, &before, &state, NULL),
                     ERANGE);
    flow_log_retain(log, UINT64_MAX);
    flow_log_trim(log, 15000 * STEP_NS, 0);
    flow_log_fixture_flush(log);
    check_states(log, 15000, 20000, &seed);
    before.time_ns = 12000 * STEP_NS;
    ck_assert_int_eq(flow_log_state_at(log, DPID, &before, &state, NULL),
                     ERANGE);
    /* Old rules that stand are known, others not. */
    for (uint32_t n = 1; n < 9000; n++) {
        int retval = flow_log_find(log, DPID, n, &r, NULL);

        ck_assert_int_eq(retval, life(n) == UINT32_MAX ? 0 : ENOENT);
        rule_unref(r);
    }
    flow_log_close(log);
    log = flow_log_fixture_open();
    ck_assert_uint_eq(flow_log_retained(log), UINT64_MAX);
    check_states(log, 15000, 20000, &seed);
    flow_log_close(log);
}
END_TEST

/* Writes changes from 'n' on until it is killed. */
static void
write_for_ever(uint32_t n)
{
    struct flow_log *log = flow_log_fixture_open();

    for (; n < MAX_N; n++) {
        make_change(log, n);
        if (n % 500 == 0) {
            flow_log_flush(log, NULL);
        }
    }
    pause();
}

START_TEST(states_equal_the_model_after_each_kill)
{
    uint32_t n = 0;
    unsigned seed = 3;

    for (int round = 0; round < 4; round++) {
        struct flow_log *reader;
        struct lh_error error;
        uint64_t first_ns = 0;
        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (!pid) {
            write_for_ever(n + 1);
        }
        /* Until it has written some more; then in the middle of it. */
        for (uint32_t known = n; known < n + 2500;) {
            struct rule *r;

            usleep(1000);
            if (flow_log_open_readonly(flow_log_fixture_path, &reader,
                                       &error)) {
                continue;
            }
            if (!flow_log_find(reader, DPID, n + 2500, &r, NULL)) {
                rule_unref(r);
                known = n + 2500;
            }
            flow_log_close(reader);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);

        struct flow_log *log = flow_log_fixture_open();

        ck_assert(flow_log_gap(log).is_there);
        ck_assert_int_eq(flow_log_reach(log, &first_ns, NULL), 0);
        n = (uint32_t) flow_log_gap(log).change;
        ck_assert_uint_ge(n, 2500);
        check_states(log, 1, n, &seed);
        flow_log_close(log);
    }
}
END_TEST

/* Rules whose notes were lost are right once they are logged anew. */
START_TEST(what_was_lost_is_there_when_it_is_logged_anew)
{
    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_moment now = {.when = FLOW_LOG_NOW};
    struct flow_log_state state;

    flow_log_set_max_bytes(log, 1);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 1, RULE_FLOW, 10); /* Lost. */
    flow_log_hand_over(log);
    ck_assert_uint_ge(flow_log_counters(log).lost, 1);
    flow_log_set_max_bytes(log, FLOW_LOG_MAX_BYTES);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 2, RULE_FLOW, 20);
    flow_log_fixture_flush(log);
    ck_assert_int_eq(flow_log_state_at(log, DPID, &now, &state, NULL), 0);
    ck_assert_uint_eq(state.rules.n, 1);
    flow_log_state_uninit(&state);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 1, RULE_FLOW, 10);
    flow_log_fixture_add(log, 2, RULE_FLOW, 20);
    flow_log_fixture_flush(log);
    ck_assert_int_eq(flow_log_state_at(log, DPID, &now, &state, NULL), 0);
    ck_assert_uint_eq(state.rules.n, 2);
    flow_log_state_uninit(&state);
    flow_log_close(log);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow_log_states");
    TCase *tc = tcase_create("flow_log");

    tcase_add_checked_fixture(tc, flow_log_fixture_setup,
                              flow_log_fixture_teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, states_equal_the_model_across_snapshots_and_deleting);
    tcase_add_test(tc, what_was_lost_is_there_when_it_is_logged_anew);
    tcase_add_test(tc, states_equal_the_model_after_each_kill);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
