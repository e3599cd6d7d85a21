/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/store_vouch, against a plain table of which messages are
 * vouched for since when. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "server/store_vouch.h"
#include "tests/lib/random_history.h"

#define N      60 /* Numbers of messages. */
#define SHARDS 3
#define TIMES  40

/* Since when each message of each shard is; TIMES: never. */
static uint64_t since[SHARDS][N];

static void
add(struct store_vouch *v, struct store_spans *spans, uint32_t shard,
    uint64_t *seed)
{
    uint64_t since_ns = random_u32(seed) % 3 ? 0 : random_u32(seed) % TIMES;
    uint64_t from = random_u32(seed) % N;
    struct store_span span = {.disk = 7,
                              .from = from,
                              .to = from + 1 + random_u32(seed) % (N - from)};
    struct store_span other = {.disk = 8, .from = 0, .to = N};

    *spans = (struct store_spans){.n = 0};
    store_spans_add(spans, &span);
    store_spans_add(spans, &other);
    store_vouch_add(v, shard, spans, 7, since_ns);
    for (uint64_t i = span.from; i < span.to; i++) {
        since[shard][i] =
            since_ns < since[shard][i] ? since_ns : since[shard][i];
    }
}

static uint64_t
expected_from(uint32_t shard, const struct store_spans *spans, uint64_t disk,
              uint64_t since_ns, uint64_t until_ns)
{
    uint64_t whole_ns = since_ns;

    for (size_t i = 0; i < spans->n; i++) {
        const struct store_span *span = &spans->all[i];
        uint64_t need = 0;

        if ((disk && span->disk != disk) || span->min_ns >= until_ns ||
            span->max_ns < since_ns || span->min_ns > span->max_ns) {
            continue;
        }
        for (uint64_t x = span->from; x < span->to; x++) {
            need = since[shard][x] > need ? since[shard][x] : need;
        }
        need = need > span->max_ns ? span->max_ns + 1 : need;
        whole_ns = need > whole_ns ? need : whole_ns;
    }
    return whole_ns < until_ns ? whole_ns : until_ns;
}

START_TEST(a_plain_table_says_the_same)
{
    uint64_t seed = (uint64_t) _i;
    struct store_vouch v = {.n = 0}, read = {.n = 0};
    struct store_spans spans;
    json_t *json;
    int n_whole = 0, n_not = 0;

    for (int s = 0; s < SHARDS; s++) {
        for (int x = 0; x < N; x++) {
            since[s][x] = TIMES;
        }
    }
    for (int i = 0; i < 12; i++) {
        add(&v, &spans, random_u32(&seed) % SHARDS, &seed);
    }
    json = store_vouch_to_json(&v);
    ck_assert_int_eq(store_vouch_read(&read, json), 0);
    json_decref(json);
    for (int i = 0; i < 400; i++) {
        uint32_t shard = random_u32(&seed) % SHARDS;
        uint64_t since_ns = random_u32(&seed) % TIMES;
        uint64_t until_ns = since_ns + 1 + random_u32(&seed) % TIMES;
        uint64_t disk = random_u32(&seed) % 3, from_ns;

        spans = (struct store_spans){.n = 0};
        for (int k = 0; k < 3; k++) {
            uint64_t from = random_u32(&seed) % N;
            struct store_span span = {.disk = 1 + random_u32(&seed) % 2,
                                      .from = from,
                                      .to = from + 1 +
                                            random_u32(&seed) % (N - from) % 8,
                                      .min_ns = random_u32(&seed) % TIMES,
                                      .max_ns = random_u32(&seed) % TIMES};

            store_spans_add(&spans, &span);
        }
        from_ns =
            store_vouch_from(&read, shard, &spans, disk, since_ns, until_ns);
        ck_assert_uint_eq(
            from_ns, expected_from(shard, &spans, disk, since_ns, until_ns));
        n_whole += from_ns == since_ns;
        n_not += from_ns != since_ns;
    }
    ck_assert_int_gt(n_whole, 0);
    ck_assert_int_gt(n_not, 0);
    store_vouch_uninit(&v);
    store_vouch_uninit(&read);
}
END_TEST

/* Of spans that were forgotten nobody knows the times. */
START_TEST(what_was_forgotten_is_vouched_for_by_messages_alone)
{
    const struct store_span span = {.disk = 7, .from = 1, .to = 50};
    struct store_spans spans = {.n = 0}, forgotten = {.horizon = 50};
    struct store_vouch v = {.n = 0};

    ck_assert_uint_eq(store_vouch_from(&v, 0, &forgotten, 9, 3, 10), 10);
    store_spans_add(&spans, &span);
    store_vouch_add(&v, 0, &spans, 7, 3);
    ck_assert_uint_eq(store_vouch_from(&v, 0, &forgotten, 9, 3, 10), 3);
    ck_assert_uint_eq(store_vouch_from(&v, 0, &forgotten, 9, 2, 10), 10);
    forgotten.horizon = 51;
    ck_assert_uint_eq(store_vouch_from(&v, 0, &forgotten, 9, 3, 10), 10);
    store_vouch_uninit(&v);
}
END_TEST

START_TEST(lists_that_are_none_add_nothing)
{
    static const char *const bad[] = {
        "{}",
        "[1]",
        "[[0, 1, 2, 3], [0, 1, 2]]",
        "[[0, 1, 2, 3], [0, 2, 2, 3]]",
        "[[0, 1, 2, 3], [0, 1, 2, -3]]",
        "[[0, 1, 2, 3], [4294967296, 1, 2, 3]]",
        "[[0, 1, 2, 3], [0, 1, 2.5, 3]]",
    };
    struct store_vouch v = {.n = 0};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *json = json_loads(bad[i], 0, NULL);

        ck_assert_int_eq(store_vouch_read(&v, json), EBADMSG);
        ck_assert_uint_eq(v.n, 0);
        json_decref(json);
    }
    ck_assert_int_eq(store_vouch_read(&v, NULL), EBADMSG);
    store_vouch_uninit(&v);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store_vouch");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_loop_test(tc, a_plain_table_says_the_same, 1, 20);
    tcase_add_test(tc, what_was_forgotten_is_vouched_for_by_messages_alone);
    tcase_add_test(tc, lists_that_are_none_add_nothing);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
