/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_tally - several doors tell what came, a switch what it sent:
 * that all came is said when it is so, and never else, whatever is lost of
 * what doors tell. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "gen/gen_random.h"
#include "server/cluster_tally.h"
#include "server/loss_ledger.h"

#define MS      UINT64_C(1000000)
#define T0      UINT64_C(1700000000000000000)
#define SW      7
#define N_DOORS 3
#define N_STEPS 500 /* Of 50 ms. */
#define STEP_MS 50

static struct gen_random r;
static struct cluster_tally *doors[N_DOORS]; /* The first has a recorder. */
static struct cluster_tally *owner;
static uint64_t tokens[N_DOORS], settled[N_DOORS];
static uint64_t n_sent;
static uint64_t sent_at[N_STEPS];    /* How many, up to the end of a step. */
static uint64_t missing_at[N_STEPS]; /* Of these, missing. */
static struct byte_buf late;         /* A message that is late. */

static void
set_up(void)
{
    r = (struct gen_random){0};
    n_sent = 0;
    owner = cluster_tally_create(NULL);
    late = (struct byte_buf) BYTE_BUF_INIT;
    for (size_t i = 0; i < N_DOORS; i++) {
        doors[i] = cluster_tally_create(NULL);
        tokens[i] = settled[i] = 0;
    }
}

static void
tear_down(void)
{
    cluster_tally_destroy(owner);
    byte_buf_uninit(&late);
    for (size_t i = 0; i < N_DOORS; i++) {
        cluster_tally_destroy(doors[i]);
    }
}

static uint64_t
ns_of(size_t step)
{
    return T0 + step * STEP_MS * MS;
}

static void
take(const struct byte_buf *message, uint64_t now_ns)
{
    struct lh_error error;

    ck_assert_int_eq(
        cluster_tally_take(owner, message->data, message->len, now_ns, &error),
        0);
    for (size_t i = 0; i < N_DOORS; i++) {
        ck_assert_int_eq(cluster_tally_take(doors[i], message->data,
                                            message->len, now_ns, &error),
                         0);
    }
}

/* Door 'i' tells; a message may be lost, or come much later. */
static void
tell(size_t i, size_t step, uint32_t trouble)
{
    struct byte_buf out = BYTE_BUF_INIT;
    uint32_t chance = gen_random_pick(&r, 100);

    cluster_tally_put(doors[i], settled[i], ns_of(step), &out);
    if (chance < trouble && !late.len) {
        late = out;
        return;
    }
    if (chance >= 2 * trouble) {
        take(&out, ns_of(step));
    }
    byte_buf_uninit(&out);
}

/* A postcard of the switch, that comes to a door, or not. */
static void
send_one(size_t step, uint32_t trouble)
{
    size_t i = gen_random_pick(&r, N_DOORS);
    uint32_t chance = gen_random_pick(&r, 100);

    n_sent++;
    if (chance < trouble) {
        missing_at[step]++;
        return;
    }
    cluster_tally_came(doors[i], SW, ns_of(step), ++tokens[i]);
    if (chance < 2 * trouble) {
        cluster_tally_lose(doors[i], SW);
        missing_at[step]++;
    }
}

/* A second has passed: what the switch had sent some time ago is told. */
static void
count(size_t step)
{
    size_t ago = gen_random_pick(&r, 40);

    cluster_tally_count(doors[0], SW, ns_of(step), ns_of(step) + MS,
                        step > ago ? sent_at[step - 1 - ago] : 0);
}

static uint64_t
n_missing(size_t from, size_t to)
{
    uint64_t n = 0;

    for (size_t step = from; step <= to; step++) {
        n += missing_at[step];
    }
    return n;
}

/* A run of 25 s in which the switch sends now and then; returns how often it
 * was said that all came. */
static size_t
play(uint32_t lost_cards, uint32_t lost_messages)
{
    size_t n_none = 0;
    bool is_busy = false;

    for (size_t step = 0; step < N_STEPS; step++) {
        missing_at[step] = 0;
        if (!gen_random_pick(&r, is_busy ? 10 : 60)) {
            is_busy = !is_busy;
        }
        for (uint32_t n = is_busy ? gen_random_pick(&r, 4) : 0; n; n--) {
            send_one(step, step > 60 ? lost_cards : 0);
        }
        sent_at[step] = n_sent;
        for (size_t i = 0; i < N_DOORS; i++) {
            if (gen_random_pick(&r, 3)) {
                settled[i] = tokens[i];
            }
            if (step % 5 == i) {
                tell(i, step, lost_messages);
            }
        }
        if (step % 20 == 0) {
            count(step);
        }
        if (late.len && !gen_random_pick(&r, 30)) {
            take(&late, ns_of(step));
            byte_buf_uninit(&late);
            late = (struct byte_buf) BYTE_BUF_INIT;
        }
        for (size_t ago = 50; ago < 120 && ago < step; ago += 7) {
            size_t from = step - ago, to = from + gen_random_pick(&r, 20);

            if (loss_ledger_ask(cluster_tally_ledger(owner), SW, ns_of(from),
                                ns_of(to), ns_of(step)) == LOSS_NONE) {
                ck_assert_uint_eq(n_missing(from, to), 0);
                n_none++;
            }
        }
    }
    return n_none;
}

START_TEST(all_came_is_said_when_it_is_so)
{
    r = (struct gen_random){(uint64_t) _i};
    ck_assert_uint_gt(play(0, 0), 50);
}
END_TEST

START_TEST(and_never_when_one_did_not_come)
{
    r = (struct gen_random){(uint64_t) _i};
    play(1 + gen_random_pick(&r, 4), gen_random_pick(&r, 2) * 2);
}
END_TEST

START_TEST(what_doors_tell_may_be_lost)
{
    r = (struct gen_random){(uint64_t) _i};
    play(0, 3);
}
END_TEST

/* All doors tell, at a time of 'ms' after T0. */
static void
tell_all(uint64_t ms)
{
    for (size_t i = 0; i < N_DOORS; i++) {
        struct byte_buf out = BYTE_BUF_INIT;

        cluster_tally_put(doors[i], settled[i], T0 + ms * MS, &out);
        take(&out, T0 + ms * MS);
        byte_buf_uninit(&out);
    }
}

static enum loss_answer
ask(uint64_t now_ms)
{
    return loss_ledger_ask(cluster_tally_ledger(owner), SW, T0 + 4000 * MS,
                           T0 + 5000 * MS, T0 + now_ms * MS);
}

/* What NATS has not got yet is waited for, as long as its door is there. */
START_TEST(what_is_not_safe_does_not_count)
{
    for (uint64_t ms = 0; ms <= 9000; ms += 250) {
        if (ms % 1000 == 0) {
            cluster_tally_count(doors[0], SW, T0 + ms * MS, T0 + ms * MS,
                                ms > 4100 ? 1 : 0);
        }
        if (ms == 4000) {
            cluster_tally_came(doors[1], SW, T0 + 4100 * MS, 1);
        }
        tell_all(ms);
    }
    ck_assert_int_eq(ask(9250), LOSS_NOT_YET);
    settled[1] = 1;
    tell_all(9250);
    ck_assert_int_eq(ask(9250), LOSS_NONE);
}
END_TEST

/* Up to when door 1 says that it has told all, in ms after T0. */
static uint64_t
told_ms(uint64_t now_ms)
{
    struct byte_buf out = BYTE_BUF_INIT;
    uint64_t told_ns = 0;

    cluster_tally_put(doors[1], settled[1], T0 + now_ms * MS, &out);
    for (size_t i = 17; i < 25; i++) {
        told_ns = told_ns << 8 | out.data[i];
    }
    byte_buf_uninit(&out);
    return (told_ns - T0) / MS;
}

/* What agents send has the times of these agents. */
START_TEST(what_waits_longest_need_not_be_the_earliest)
{
    cluster_tally_count(doors[1], SW, T0, T0, 0);
    tell_all(0);
    cluster_tally_came(doors[1], SW, T0 + 3000 * MS, 1);
    cluster_tally_came(doors[1], SW, T0 + 1000 * MS, 2);
    cluster_tally_came(doors[1], SW, T0 + 2000 * MS, 3);
    ck_assert_uint_eq(told_ms(500), 500);
    ck_assert_uint_eq(told_ms(4000), 1000);
    settled[1] = 1;
    ck_assert_uint_eq(told_ms(4000), 1000);
    settled[1] = 2;
    ck_assert_uint_eq(told_ms(4000), 2000);
    settled[1] = 3;
    ck_assert_uint_eq(told_ms(4000), 4000);
}
END_TEST

START_TEST(other_messages_are_refused)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;

    cluster_tally_count(doors[0], SW, T0, T0, 1);
    cluster_tally_put(doors[0], 0, T0, &out);
    take(&out, T0);
    cluster_tally_came(doors[0], SW, T0, 1);
    cluster_tally_lose(doors[0], SW);
    byte_buf_clear(&out);
    cluster_tally_count(doors[0], SW, T0, T0, 1);
    cluster_tally_put(doors[0], 1, T0, &out);
    for (size_t len = 0; len < out.len; len++) {
        struct cluster_tally *other = cluster_tally_create(NULL);

        ck_assert_int_eq(cluster_tally_take(other, out.data, len, T0, &error),
                         EBADMSG);
        cluster_tally_destroy(other);
    }
    out.data[0]++;
    ck_assert_int_eq(cluster_tally_take(owner, out.data, out.len, T0, &error),
                     ENOTSUP);
    byte_buf_uninit(&out);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_tally");
    TCase *tcase = tcase_create("cluster_tally");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, all_came_is_said_when_it_is_so, 1, 20);
    tcase_add_loop_test(tcase, and_never_when_one_did_not_come, 1, 100);
    tcase_add_loop_test(tcase, what_doors_tell_may_be_lost, 1, 20);
    tcase_add_test(tcase, what_is_not_safe_does_not_count);
    tcase_add_test(tcase, what_waits_longest_need_not_be_the_earliest);
    tcase_add_test(tcase, other_messages_are_refused);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
