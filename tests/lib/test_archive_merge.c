/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of how small blocks of an archive become larger ones. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/archive_check.h"
#include "lib/archive_scan.h"
#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define SECOND  1000000000ull
#define KEEP_NS (100 * SECOND)

static struct archive_writer *
open_writer(const char *dir, uint64_t retain_ns)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .now_ns = FIXTURE_NOW_NS,
        .retain_ns = retain_ns,
        .merges = true,
        .merge_blocks = 4,
        .merge_keep_ns = KEEP_NS,
    };
    struct archive_writer *w;
    struct lh_error error;

    ck_assert_msg(!archive_writer_open(&config, &w, NULL, &error), "%s",
                  error.text);
    return w;
}

static struct archive_writer_counters
counters_of(const struct archive_writer *w)
{
    struct archive_writer_counters c;

    archive_writer_get_counters(w, &c);
    return c;
}

/* Rounds at 'now_ns' until there have been 'n' merges, or 'n_errors' failed.
 */
static void
wait_for(struct archive_writer *w, uint64_t n, uint64_t n_errors,
         uint64_t now_ns)
{
    const struct timespec pause = {0, 1000000};
    time_t deadline = time(NULL) + 110;

    while (counters_of(w).merges < n ||
           counters_of(w).merge_errors < n_errors) {
        ck_assert(time(NULL) < deadline);
        fixture_hurry();
        nanosleep(&pause, NULL);
        archive_writer_round(w, now_ns);
    }
}

/* Files whose names end with 'end'. */
static size_t
count_files(const char *dir, const char *end)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;
    size_t n = 0;

    while ((entry = readdir(stream)) != NULL) {
        size_t len = strlen(entry->d_name);

        n += len > strlen(end) &&
             !strcmp(entry->d_name + len - strlen(end), end);
    }
    closedir(stream);
    return n;
}

static uint32_t left_out_now;

/* Adds packets of the flows and histories of their own; keeps copies. */
static size_t
add_mixed(struct archive_writer *w, struct flow *flows, size_t n_flows,
          uint64_t *seed, struct history **all)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    size_t n = 0;

    for (size_t i = 0; i < 10; i++) {
        struct flow *flow = &flows[random_u32(seed) % n_flows];
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = NULL;

        if (i == 7) {
            all[n] = random_history(seed, 6, FIXTURE_NOW_NS);
        } else {
            all[n] = flow_next(flow, seed, 1, &config);
            t = flow_trajectory(flow, all[n], &packet, times_ns);
        }
        all[n]->left_out = left_out_now;
        packet.left_out = left_out_now;
        if (t) {
            archive_writer_add_packet(w, t, &packet);
        } else {
            archive_writer_add(w, all[n]);
        }
        n++;
    }
    return n;
}

/* Every history that was added is read once, and nothing else. */
static void
check_all(struct archive_reader *r, struct history *const *added,
          size_t n_added)
{
    bool *is_found = lh_alloc_zero(n_added * sizeof *is_found);
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(n, n_added);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < n &&
               (is_found[k] || added[k]->packet_id != all[i]->packet_id ||
                history_first_ns(added[k]) != history_first_ns(all[i]) ||
                !history_is_same(added[k], all[i]))) {
            k++;
        }
        ck_assert_uint_lt(k, n);
        is_found[k] = true;
    }
    fixture_free_all(all, n);
    free(is_found);
}

/* Every block is sound, and none is missing. */
static void
check_blocks(const char *dir, struct archive_reader *r)
{
    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        char *path = archive_dir_segment(dir, &entry->segment);
        int fd = open(path, O_RDONLY);
        struct archive_check check;
        struct lh_error error;

        ck_assert_msg(!archive_check_block(fd, entry->offset, &entry->block,
                                           &check, &error),
                      "%s", error.text);
        close(fd);
        free(path);
    }
}

#define N_FLOWS 8

START_TEST(what_is_merged_is_what_was_written)
{
    char *dir = fixture_dir();
    struct archive_writer *w = open_writer(dir, 0);
    struct archive_reader *r = fixture_reader(dir);
    struct flow flows[N_FLOWS];
    struct history *all[1000];
    uint64_t seed = 3;
    size_t n = 0, n_blocks;

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (uint64_t round = 1; round <= 60; round++) {
        n += add_mixed(w, flows, N_FLOWS, &seed, all + n);
        archive_writer_round(w, FIXTURE_NOW_NS);
        if (round % 20 == 0) {
            wait_for(w, round / 20, 0, FIXTURE_NOW_NS);
        }
        /* Also while files change places. */
        ck_assert_int_eq(archive_reader_refresh(r, NULL), 0);
        ck_assert_uint_eq(fixture_count(r), n);
        ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    }
    check_all(r, all, n);
    check_blocks(dir, r);
    n_blocks = archive_reader_n_blocks(r);
    ck_assert_uint_lt(n_blocks, 45);
    /* What was merged goes; nothing else changes. */
    size_t n_files = count_files(dir, ".lha");

    archive_writer_round(w, FIXTURE_NOW_NS + 2 * KEEP_NS);
    ck_assert_uint_lt(count_files(dir, ".lha"), n_files);
    ck_assert_int_eq(archive_reader_refresh(r, NULL), 0);
    check_all(r, all, n);
    archive_writer_close(w);
    archive_reader_close(r);

    /* The next writer goes on behind it. */
    w = open_writer(dir, 0);
    ck_assert_uint_eq(count_files(dir, ".new"), 0);
    n += add_mixed(w, flows, N_FLOWS, &seed, all + n);
    archive_writer_close(w);
    r = fixture_reader(dir);
    check_all(r, all, n);
    check_blocks(dir, r);
    archive_reader_close(r);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    while (n) {
        history_destroy(all[--n]);
    }
    fixture_remove(dir);
}
END_TEST

/* Blocks of which much the same was left out become one, others do not; and
 * none of what they say of that is lost. */
START_TEST(what_was_left_out_is_kept)
{
    char *dir = fixture_dir();
    struct archive_writer *w = open_writer(dir, 0);
    struct archive_reader *r;
    uint64_t n = 0;
    struct flow flow;
    struct history *all[200];
    uint64_t seed = 3;
    struct sample_tally sum = {.n = 0};
    size_t n_blocks = 0;

    flow_init(&flow, &seed, FIXTURE_NOW_NS);
    for (uint32_t round = 0; round < 20; round++) {
        static const uint32_t left_out[4] = {
            0, 3u << 30, (3u << 30) + (1u << 20), 1u << 31};

        left_out_now = left_out[round / 5];
        n += add_mixed(w, &flow, 1, &seed, all + n);
        archive_writer_round(w, FIXTURE_NOW_NS);
    }
    wait_for(w, 1, 0, FIXTURE_NOW_NS);
    r = fixture_reader(dir);
    check_all(r, all, n);
    check_blocks(dir, r);
    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        struct column_decoder *d;
        struct sample_tally kept;

        ck_assert(!archive_reader_columns(r, entry, &d, NULL));
        ck_assert(!column_decoder_kept(d, &kept, NULL));
        ck_assert(entry->block.is_sampled == (kept.n != 0));
        sample_tally_merge(&sum, &kept);
        ck_assert(!kept.n || kept.of[0].left_out);
        for (size_t k = 1; k < kept.n; k++) {
            ck_assert_uint_lt(kept.of[k].left_out - kept.of[0].left_out,
                              1u << 21);
        }
        column_decoder_destroy(d);
        n_blocks++;
    }
    ck_assert_uint_lt(n_blocks, 20);
    ck_assert_uint_eq(sum.n, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(sum.of[i].packets, 50);
    }
    archive_reader_close(r);
    archive_writer_close(w);
    while (n) {
        history_destroy(all[--n]);
    }
    flow_uninit(&flow);
    fixture_remove(dir);
}
END_TEST

/* Writes 'n' rounds of two histories each. */
static void
write_rounds(struct archive_writer *w, uint64_t first_id, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fixture_add(w, first_id + 2 * i, 2);
        archive_writer_round(w, FIXTURE_NOW_NS);
    }
}

START_TEST(a_topology_is_kept_once)
{
    char *dir = fixture_dir();
    struct archive_writer *w = open_writer(dir, 0);
    struct topology_builder *b = topology_builder_create();
    size_t n = 0;

    topology_builder_add_switch(b, 1, "s1", 1, "192.0.2.1");

    struct topology *topology = topology_build(b, 1);

    archive_writer_set_topology(w, topology, FIXTURE_NOW_NS);
    write_rounds(w, 1, 17);
    wait_for(w, 1, 0, FIXTURE_NOW_NS);
    archive_writer_close(w);

    struct archive_reader *r = fixture_reader(dir);

    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        n += archive_reader_entry(r, i)->block.kind == ARCHIVE_TOPOLOGY;
    }
    ck_assert_uint_lt(n, 5);
    ck_assert_uint_gt(n, 0);
    topology_unref(topology);
    topology = archive_reader_topology(r, UINT64_MAX);
    ck_assert_str_eq(topology_find(topology, 1)->name, "s1");
    topology_unref(topology);
    ck_assert_uint_eq(fixture_count(r), 34);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

START_TEST(retention_removes_what_was_merged_and_of_what)
{
    char *dir = fixture_dir();
    struct archive_writer *w = open_writer(dir, 50 * SECOND);

    write_rounds(w, 1, 17);
    wait_for(w, 1, 0, FIXTURE_NOW_NS);
    ck_assert_uint_gt(count_files(dir, ".lha"), 3);
    /* Before the time at which what was merged would go. */
    archive_writer_round(w, FIXTURE_NOW_NS + 90 * SECOND);
    ck_assert_uint_le(count_files(dir, ".lha"), 1);
    ck_assert_uint_gt(counters_of(w).segments_removed, 0);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_le(fixture_count(r), 8);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_merge_that_fails_loses_nothing_and_is_tried_again)
{
    char *dir = fixture_dir();
    struct archive_writer *w = open_writer(dir, 0);
    struct archive_segment segment = {.first = 1, .last = 2};
    char *path = archive_dir_segment(dir, &segment);
    char *in_the_way = lh_asprintf("%s.new", path);

    /* Nothing can be written there. */
    ck_assert_int_eq(mkdir(in_the_way, 0700), 0);
    write_rounds(w, 1, 9);
    wait_for(w, 0, 1, FIXTURE_NOW_NS);
    ck_assert_uint_eq(counters_of(w).merges, 0);
    ck_assert_int_eq(rmdir(in_the_way), 0);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 18);
    wait_for(w, 1, 1, FIXTURE_NOW_NS + 61 * SECOND);
    ck_assert_int_eq(archive_reader_refresh(r, NULL), 0);
    ck_assert_uint_eq(fixture_count(r), 18);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_int_eq(access(path, R_OK), 0);
    archive_reader_close(r);
    archive_writer_close(w);
    free(in_the_way);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_damaged_file_is_left_as_it_is)
{
    char *dir = fixture_dir();
    struct archive_writer *w = open_writer(dir, 0);
    struct archive_segment segment = {.first = 2, .last = 2};
    char *path = archive_dir_segment(dir, &segment);

    /* With the next round the second file ends, and both may be merged. */
    write_rounds(w, 1, 7);

    int fd = open(path, O_RDWR);
    uint8_t byte;

    ck_assert_int_eq(pread(fd, &byte, 1, 100), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 100), 1);
    close(fd);
    write_rounds(w, 15, 2);
    wait_for(w, 0, 1, FIXTURE_NOW_NS);
    /* Those before and after it are too few, or merged without it. */
    write_rounds(w, 19, 16);
    wait_for(w, 1, 1, FIXTURE_NOW_NS + 61 * SECOND);
    ck_assert_int_eq(access(path, R_OK), 0);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 50 - 2);
    ck_assert_uint_eq(archive_reader_n_damages(r), 1);
    ck_assert_uint_eq(archive_reader_damage(r, 0)->segment.first, 2);
    archive_reader_close(r);
    archive_writer_close(w);
    free(path);
    fixture_remove(dir);
}
END_TEST

/* Writes and merges until it is killed; after each round it tells the last ID
 * that is durable. */
static void
write_until_killed(const char *dir, uint64_t id, uint64_t now_ns, int out)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .now_ns = now_ns,
        .merges = true,
        .merge_blocks = 2,
        .merge_keep_ns = 3 * SECOND,
    };
    struct archive_writer *w;

    if (archive_writer_open(&config, &w, NULL, NULL)) {
        _exit(1);
    }
    for (;;) {
        fixture_add(w, id, 3);
        id += 3;
        archive_writer_round(w, now_ns += SECOND);
        fixture_hurry();

        uint64_t durable = id - 1;

        if (write(out, &durable, sizeof durable) != sizeof durable) {
            _exit(0);
        }
    }
}

START_TEST(killed_at_any_moment_nothing_is_lost_or_doubled)
{
    char *dir = fixture_dir();
    uint64_t seed = 5, next = 1, promised = 0, n_merged = 0;

    for (int i = 0; i < 25; i++) {
        uint64_t n_rounds = random_u32(&seed) % 60 + 1, durable;
        int fds[2];

        ck_assert_int_eq(pipe(fds), 0);

        pid_t pid = fork();

        if (!pid) {
            close(fds[0]);
            write_until_killed(dir, next,
                               FIXTURE_NOW_NS + (uint64_t) i * 60 * SECOND,
                               fds[1]);
        }
        close(fds[1]);
        while (n_rounds-- > 0) {
            ck_assert_int_eq(read(fds[0], &durable, sizeof durable),
                             sizeof durable);
            promised = durable;
        }

        const struct timespec moment = {0, random_u32(&seed) % 2000000};

        nanosleep(&moment, NULL);
        kill(pid, SIGKILL);
        while (read(fds[0], &durable, sizeof durable) == sizeof durable) {
            promised = durable;
        }
        waitpid(pid, NULL, 0);
        close(fds[0]);

        struct archive_reader *r = fixture_reader(dir);
        size_t n;
        struct history **all = fixture_read_all(r, &n);

        /* In order, each once; of the round that was cut all or nothing. */
        ck_assert_uint_eq(archive_reader_n_damages(r), 0);
        ck_assert_uint_ge(n, promised);
        for (size_t k = 0; k < n; k++) {
            ck_assert_uint_eq(all[k]->packet_id, k + 1);
        }
        for (size_t k = 0; k < archive_reader_n_blocks(r); k++) {
            const struct archive_entry *entry = archive_reader_entry(r, k);

            n_merged += entry->segment.first != entry->segment.last;
        }
        next = n + 1;
        fixture_free_all(all, n);
        archive_reader_close(r);
    }
    ck_assert_uint_gt(n_merged, 0);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_merge");
    TCase *tc = tcase_create("all");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, what_is_merged_is_what_was_written);
    tcase_add_test(tc, what_was_left_out_is_kept);
    tcase_add_test(tc, a_topology_is_kept_once);
    tcase_add_test(tc, retention_removes_what_was_merged_and_of_what);
    tcase_add_test(tc, a_merge_that_fails_loses_nothing_and_is_tried_again);
    tcase_add_test(tc, a_damaged_file_is_left_as_it_is);
    tcase_add_test(tc, killed_at_any_moment_nothing_is_lost_or_doubled);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
