/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that a profile is the same, number by number, whether it has sums
 * beside files or reads their blocks: of random archives, ranges and
 * questions, and when some sums are damaged, of other blocks or missing. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/archive_shards.h"
#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"
#include "phf/profile.h"
#include "phf/profile_parts.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define SECOND    1000000000ull
#define N_ROUNDS  8
#define PER_ROUND 150
#define N_FLOWS   25

static char *dir;
static uint64_t seed;

static uint32_t
below(uint32_t n)
{
    return random_u32(&seed) % n;
}

/* Writes an archive of files of a round each, in 'path'. */
static void
write_archive(const char *path, bool is_sampled)
{
    struct packet_id_config ids = PACKET_ID_CONFIG_INIT;
    struct archive_writer_config config = {.dir = path,
                                           .packet_id = PACKET_ID_CONFIG_INIT,
                                           .now_ns = FIXTURE_NOW_NS,
                                           .segment_bytes = 1};
    struct archive_writer *w;
    struct flow flows[N_FLOWS];
    struct lh_error error;

    ck_assert(!archive_writer_open(&config, &w, NULL, &error));
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (size_t i = 0; i < N_ROUNDS * PER_ROUND; i++) {
        struct flow *flow = &flows[below(N_FLOWS)];
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = NULL;
        struct history *h;

        if (below(12)) {
            h = flow_next(flow, &seed, 1, &ids);
            t = flow_trajectory(flow, h, &packet, times_ns);
        } else {
            h = random_history(&seed, 5, FIXTURE_NOW_NS + i * SECOND);
        }
        h->left_out = is_sampled && i >= 4 * PER_ROUND ? 1u << 31 : 0;
        packet.left_out = h->left_out;
        if (t) {
            archive_writer_add_packet(w, t, &packet);
        } else {
            archive_writer_add(w, h);
        }
        history_destroy(h);
        if (i % PER_ROUND == PER_ROUND - 1) {
            archive_writer_round(w, FIXTURE_NOW_NS);
        }
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    archive_writer_close(w);
}

static void
damage(const char *path)
{
    FILE *stream = fopen(path, "r+b");
    long at;
    int c;

    ck_assert_ptr_nonnull(stream);
    ck_assert(!fseek(stream, 0, SEEK_END));
    at = (long) below((uint32_t) ftell(stream));
    ck_assert(!fseek(stream, at, SEEK_SET));
    c = fgetc(stream);
    ck_assert(!fseek(stream, at, SEEK_SET));
    fputc(c ^ (1 << below(8)), stream);
    ck_assert(!fclose(stream));
}

/* Gives all files but some sums, of which some are broken. */
static size_t
make_sums(bool breaks)
{
    struct archive_segment *segments;
    struct lh_error error;
    size_t n, n_made = 0;

    ck_assert(!archive_shards_list(dir, &segments, &n, &error));
    for (size_t i = 0; i < n; i++) {
        char *from = archive_sums_new_path(dir, &segments[i]);
        char *to = archive_sums_path(dir, &segments[i]);
        uint64_t size;

        if (!archive_sums_write(dir, &segments[i], NULL, &size, &error)) {
            ck_assert(!rename(from, to));
            n_made++;
            if (breaks && !below(4)) {
                archive_sums_remove(dir, &segments[i]);
            } else if (breaks && !below(3)) {
                damage(to);
            }
        }
        free(from);
        free(to);
    }
    free(segments);
    return n_made;
}

static const char *const levels[] = {"link", "ingress", "path", "src",
                                     "dst",  "hosts",   "flow"};
static const char *const links[] = {"all", "entry", "1:2", "2:2", "1:2/in"};

/* A random question. */
static json_t *
make_request(uint64_t min_ns, uint64_t max_ns)
{
    json_t *request = json_pack("{s:[s], s:i}", "links", links[below(5)],
                                "top", below(2) ? 1000 : 2);
    json_t *by = json_array();
    uint32_t used = 0, n = below(5);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t level = below(7);

        if (!(used & 1u << level)) {
            used |= 1u << level;
            json_array_append_new(by, json_string(levels[level]));
        }
    }
    if (n) {
        json_object_set_new(request, "by", by);
    } else {
        json_decref(by);
    }
    if (below(2)) {
        uint64_t span = max_ns - min_ns;

        json_object_set_new(
            request, "since",
            json_integer((json_int_t) (min_ns + span / 100 * below(50))));
        json_object_set_new(
            request, "until",
            json_integer((json_int_t) (max_ns - span / 100 * below(50) + 1)));
    }
    if (!below(6)) {
        json_object_set_new(request, "phf", json_string("{{--bpf tcp}}"));
    }
    if (!below(6)) {
        json_object_set_new(
            request, "interval_ns",
            json_integer((json_int_t) ((max_ns - min_ns) / 9 + 1)));
    }
    return request;
}

static json_t *
ask(const json_t *request, struct crew *crew)
{
    struct profile_config config = {.reader = fixture_reader(dir),
                                    .now_ns = FIXTURE_NOW_NS};
    struct lh_error error = {.text = "-"};
    struct profile *profile;
    json_t *answer;

    ck_assert_msg(!profile_create(&config, request, &profile, &error), "%s",
                  error.text);
    profile_start(profile, crew);
    while (!profile_is_done(profile)) {
        struct crew_job *job = crew_take(crew);

        if (job) {
            profile_take(job);
        } else {
            crew_wait(crew, -1);
        }
    }
    answer = profile_answer(profile);
    profile_destroy(profile);
    archive_reader_close(config.reader);
    return answer;
}

static void
find_times(uint64_t *min_ns, uint64_t *max_ns)
{
    struct archive_reader *reader = fixture_reader(dir);

    *min_ns = UINT64_MAX;
    *max_ns = 0;
    for (size_t i = 0; i < archive_reader_n_blocks(reader); i++) {
        const struct archive_block *b =
            &archive_reader_entry(reader, i)->block;

        *min_ns = b->min_ns < *min_ns ? b->min_ns : *min_ns;
        *max_ns = b->max_ns > *max_ns ? b->max_ns : *max_ns;
    }
    archive_reader_close(reader);
}

/* Of how many files the sums would be asked. */
static size_t
count_summed(void)
{
    const struct profile_ask ask = {.links = {.scope = PROFILE_ALL},
                                    .until_ns = UINT64_MAX};
    struct profile_config config = {.reader = fixture_reader(dir)};
    struct profile_parts parts = {.n = 0};
    size_t n = 0;

    profile_parts_find(&parts, &ask, dir, &config);
    for (size_t i = 0; i < parts.n; i++) {
        n += parts.all[i].has_sums;
    }
    profile_parts_uninit(&parts);
    archive_reader_close(config.reader);
    return n;
}

#define N_ASKED 40

static void
compare(bool breaks)
{
    json_t *requests[N_ASKED], *without[N_ASKED];
    struct crew *crew = crew_create(2, CREW_NORMAL);
    uint64_t min_ns, max_ns, n_packets = 0;

    find_times(&min_ns, &max_ns);
    ck_assert_uint_eq(count_summed(), 0);
    for (size_t i = 0; i < N_ASKED; i++) {
        requests[i] = make_request(min_ns, max_ns);
        without[i] = ask(requests[i], NULL);
        n_packets += (uint64_t) json_integer_value(
            json_object_get(without[i], "packets"));
    }
    ck_assert_uint_gt(n_packets, N_ASKED);
    ck_assert_uint_gt(make_sums(breaks), 0);
    ck_assert_uint_gt(count_summed(), 0);
    for (size_t i = 0; i < N_ASKED; i++) {
        json_t *with = ask(requests[i], i % 2 ? crew : NULL);
        char *text = json_dumps(requests[i], 0);

        ck_assert_msg(json_equal(with, without[i]), "%s", text);
        free(text);
        json_decref(with);
        json_decref(requests[i]);
        json_decref(without[i]);
    }
    crew_destroy(crew);
}

START_TEST(sums_say_what_blocks_say)
{
    seed = 1000 + (uint64_t) _i;
    dir = fixture_dir();
    write_archive(dir, false);
    compare(_i % 2);
    fixture_remove(dir);
}
END_TEST

/* Files of which nothing was left out have sums, the others not. */
START_TEST(some_files_were_sampled)
{
    seed = 7;
    dir = fixture_dir();
    write_archive(dir, true);
    compare(false);
    ck_assert_uint_eq(count_summed(), 4);
    fixture_remove(dir);
}
END_TEST

START_TEST(shards_have_sums_of_their_own)
{
    seed = 8;
    dir = fixture_dir();
    write_archive(dir, false);
    for (uint32_t i = 0; i < 2; i++) {
        char *path = archive_shards_path(dir, 3 * i);

        ck_assert(!mkdir(path, 0777));
        write_archive(path, false);
        free(path);
    }
    compare(false);
    ck_assert_uint_eq(count_summed(), 3 * N_ROUNDS);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("profile sums");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(all, sums_say_what_blocks_say, 0, 6);
    tcase_add_test(all, some_files_were_sampled);
    tcase_add_test(all, shards_have_sums_of_their_own);
    tcase_set_timeout(all, 120);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
