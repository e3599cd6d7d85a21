/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that a profile of an archive that is divided into shards, some of them
 * there in two copies, is that of the same histories in one; and so it is when
 * parts of it are counted apart and put together. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_shards.h"
#include "lib/lh_alloc.h"
#include "phf/profile.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define N_FLOWS   40
#define N_PACKETS 1500
#define N_WRITERS 5

static char *whole_dir, *dir; /* The same, divided. */
static struct archive_reader *whole, *divided;
static struct history *all[N_PACKETS]; /* Owned. */

static void
put(struct archive_writer *writer, struct flow *flow, const struct history *h)
{
    struct trajectory_packet packet;
    uint64_t times_ns[FLOW_MAX_HOPS];
    struct trajectory *t = flow_trajectory(flow, h, &packet, times_ns);

    if (t) {
        archive_writer_add_packet(writer, t, &packet);
    } else {
        archive_writer_add(writer, h);
    }
}

static struct archive_writer *
open_shard(uint32_t shard, uint32_t copy)
{
    char *path = archive_shards_path(dir, archive_shards_number(shard, copy));
    struct archive_writer *writer = fixture_writer(path, NULL);

    free(path);
    return writer;
}

/* Of what is in one shard the copies have two thirds each. */
static void
put_shard(struct archive_writer *const writers[N_WRITERS], struct flow *flow,
          size_t i)
{
    switch (i % 3) {
    case 0:
        put(writers[1], flow, all[i]);
        break;
    case 1:
        if (i < N_PACKETS * 2 / 3) {
            put(writers[2], flow, all[i]);
        }
        if (i > N_PACKETS / 3) {
            put(writers[3], flow, all[i]);
        }
        break;
    default:
        put(writers[4], flow, all[i]);
    }
}

static void
end_round(struct archive_writer *one,
          struct archive_writer *const writers[N_WRITERS])
{
    archive_writer_round(one, FIXTURE_NOW_NS);
    for (size_t k = 0; k < N_WRITERS; k++) {
        archive_writer_round(writers[k], FIXTURE_NOW_NS);
    }
}

static void
set_up(void)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);
    struct archive_writer *one, *writers[N_WRITERS];
    uint64_t seed = 79;

    whole_dir = fixture_dir();
    dir = fixture_dir();
    one = fixture_writer(whole_dir, NULL);
    writers[0] = fixture_writer(dir, NULL);
    writers[1] = open_shard(0, 0);
    writers[2] = open_shard(1, 0);
    writers[3] = open_shard(1, 1);
    writers[4] = open_shard(2, 1);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (size_t i = 0; i < N_PACKETS; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];

        all[i] = flow_next(flow, &seed, 1, &config);
        put(one, flow, all[i]);
        put_shard(writers, flow, i);
        if (i % 400 == 399) {
            end_round(one, writers);
        }
    }
    end_round(one, writers);
    archive_writer_close(one);
    for (size_t k = 0; k < N_WRITERS; k++) {
        archive_writer_close(writers[k]);
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(flows);
    whole = fixture_reader(whole_dir);
    divided = fixture_reader(dir);
}

static void
tear_down(void)
{
    for (size_t i = 0; i < N_PACKETS; i++) {
        history_destroy(all[i]);
    }
    archive_reader_close(whole);
    archive_reader_close(divided);
    fixture_remove(whole_dir);
    fixture_remove(dir);
}

static struct profile *
create(const struct profile_config *config, const char *text)
{
    json_t *request = json_loads(text, 0, NULL);
    struct lh_error error = {.text = "-"};
    struct profile *profile;

    ck_assert_msg(!profile_create(config, request, &profile, &error), "%s: %s",
                  text, error.text);
    json_decref(request);
    return profile;
}

static void
run(struct profile *profile, struct crew *crew)
{
    profile_start(profile, crew);
    while (!profile_is_done(profile)) {
        struct crew_job *job = crew_take(crew);

        if (job) {
            profile_take(job);
        } else {
            crew_wait(crew, -1);
        }
    }
}

static json_t *
answer_of(struct profile *profile, struct crew *crew)
{
    json_t *answer;

    run(profile, crew);
    answer = profile_answer(profile);
    profile_destroy(profile);
    return answer;
}

static const char *const requests[] = {
    "{\"by\": [\"link\", \"ingress\", \"path\", \"hosts\"], "
    "\"top\": 1000}",
    "{\"phf\": \"{{--bpf tcp}} .*\", \"top\": 1000}",
    "{\"by\": [\"link\"], \"top\": 5}",
    "{\"by\": [\"dst\", \"src\"], \"links\": [\"entry\"], \"top\": 1000}",
    "{\"by\": [], \"phf\": \".*\"}",
    "{\"by\": [\"path\", \"src\"], \"phf\": \"{{--bpf tcp}} .*\", "
    "\"top\": 1000}",
    "{\"by\": [\"dst\"], \"interval_ns\": 20000000, \"top\": 20}",
    "{\"by\": [\"ingress\", \"link\"], \"interval_ns\": 700000000}",
};

static json_t *
expected(const char *request)
{
    const struct profile_config config = {.reader = whole,
                                          .now_ns = FIXTURE_NOW_NS};
    json_t *answer = answer_of(create(&config, request), NULL);

    ck_assert_int_gt(json_integer_value(json_object_get(answer, "packets")),
                     0);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "scanned")),
                     N_PACKETS);
    return answer;
}

static void
check_equal(json_t *got, json_t *wanted)
{
    char *a = json_dumps(got, JSON_SORT_KEYS | JSON_INDENT(1));
    char *b = json_dumps(wanted, JSON_SORT_KEYS | JSON_INDENT(1));

    /* Too long for Check. */
    ck_assert(!strcmp(a, b));
    free(a);
    free(b);
    json_decref(got);
    json_decref(wanted);
}

START_TEST(what_is_there_twice_counts_once)
{
    const struct profile_config config = {.reader = divided,
                                          .now_ns = FIXTURE_NOW_NS};
    struct crew *crew = _i % 2 ? crew_create(2, CREW_NORMAL) : NULL;

    check_equal(answer_of(create(&config, requests[_i]), crew),
                expected(requests[_i]));
    crew_destroy(crew);
}
END_TEST

/* The request, with the range of the whole. */
static char *
with_range(const char *request, json_t *answer)
{
    json_t *json = json_loads(request, 0, NULL);
    char *text;

    json_object_set(json, "since", json_object_get(answer, "since_ns"));
    json_object_set(json, "until", json_object_get(answer, "until_ns"));
    text = json_dumps(json, 0);
    json_decref(json);
    return text;
}

static void
add_shards(struct profile *sum, const char *request, uint64_t from_ns,
           const uint32_t *shards, size_t n)
{
    const struct profile_config config = {.reader = divided,
                                          .now_ns = FIXTURE_NOW_NS,
                                          .is_part = true,
                                          .from_ns = from_ns,
                                          .shards = shards,
                                          .n_shards = n};
    struct profile *part = create(&config, request);
    json_t *totals;
    size_t first = 0, next;

    run(part, NULL);
    for (;; first = next) {
        struct byte_buf rows = BYTE_BUF_INIT;

        next = profile_put_rows(part, first, &rows);
        ck_assert(next == first || rows.len);
        ck_assert(next == first ||
                  !profile_add_rows(sum, rows.data, rows.len));
        byte_buf_uninit(&rows);
        if (next == first) {
            break;
        }
    }
    totals = profile_answer(part);
    profile_add_totals(sum, totals);
    json_decref(totals);
    profile_destroy(part);
}

/* From the middle on by shards, before it by histories. */
START_TEST(parts_together_are_the_whole)
{
    static const uint32_t some[] = {0, 2}, other[] = {1};
    json_t *wanted = expected(requests[_i]), *answer;
    char *request = with_range(requests[_i], wanted);
    const struct profile_config config = {.now_ns = FIXTURE_NOW_NS};
    struct profile *sum = create(&config, request);
    uint64_t from_ns = history_first_ns(all[N_PACKETS / 2]);

    add_shards(sum, request, from_ns, some, 2);
    add_shards(sum, request, from_ns, other, 1);
    for (size_t i = 0; i < N_PACKETS; i++) {
        if (history_first_ns(all[i]) < from_ns) {
            profile_add_history(sum, all[i]);
        }
    }
    answer = answer_of(sum, NULL);
    /* Some were looked at twice: their block is on both sides. */
    json_object_del(answer, "scanned");
    json_object_del(wanted, "scanned");
    check_equal(answer, wanted);
    free(request);
}
END_TEST

/* Whatever is cut or changed in a piece is an error or other rows. */
START_TEST(pieces_that_are_none_are_refused)
{
    const struct profile_config part_config = {
        .reader = whole, .now_ns = FIXTURE_NOW_NS, .is_part = true};
    const struct profile_config config = {.now_ns = FIXTURE_NOW_NS};
    struct profile *part =
        create(&part_config, "{\"by\": [\"link\", \"flow\"]}");
    struct profile *sum = create(&config, "{\"by\": [\"link\"]}");
    struct profile *no_links = create(&config, "{\"by\": [\"flow\"]}");
    struct byte_buf rows = BYTE_BUF_INIT;

    run(part, NULL);
    profile_put_rows(part, 0, &rows);
    ck_assert_int_eq(profile_add_rows(no_links, rows.data, rows.len), EBADMSG);
    for (size_t n = 0; n < rows.len; n += 1 + n / 8) {
        ck_assert_int_eq(profile_add_rows(sum, rows.data, n), EBADMSG);
    }
    ck_assert_int_eq(profile_add_rows(sum, rows.data, rows.len), 0);
    rows.data[0]++;
    ck_assert_int_eq(profile_add_rows(sum, rows.data, rows.len), EBADMSG);
    byte_buf_uninit(&rows);
    profile_destroy(part);
    profile_destroy(sum);
    profile_destroy(no_links);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("profile_shards");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_unchecked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, what_is_there_twice_counts_once, 0,
                        sizeof requests / sizeof *requests);
    tcase_add_loop_test(tc, parts_together_are_the_whole, 0,
                        sizeof requests / sizeof *requests);
    tcase_add_test(tc, pieces_that_are_none_are_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
