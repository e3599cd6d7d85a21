/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the archives of released format versions in tests/lib/golden/.
 *
 * A golden archive is never written again.  That of a new format version is
 * made by running this program with LASTHOP_WRITE_GOLDEN set to the directory
 * to make; one of merged files if LASTHOP_MERGE_GOLDEN is set as well, one of
 * which packets were left out if LASTHOP_SAMPLE_GOLDEN is. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

/* The histories of a golden archive, as JSON lines. */
#define HISTORIES "histories.jsonl"

static const char *const names[] = {
    "archive-v1",         "archive-v2",
    "archive-v2-sums",    /* With the sections of sums. */
    "archive-v2-merged",  /* A file of several, its blocks with indexes. */
    "archive-v2-sampled", /* Agents left packets out of the first block. */
};
#define MERGED  3
#define SAMPLED 4

static char *
golden_dir(int i)
{
    const char *srcdir = getenv("srcdir");

    return lh_asprintf("%s/tests/lib/golden/%s", srcdir ? srcdir : ".",
                       names[i]);
}

#define N_FLOWS     12
#define N_HISTORIES 90

/* Adds packets of flows, and histories that are no trajectory's between them;
 * returns what was added. */
static struct history **
add_histories(struct archive_writer *w, size_t n_round)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct history **all =
        lh_alloc_array(NULL, N_HISTORIES, sizeof(struct history *));
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);
    uint64_t seed = 20;

    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (size_t i = 0; i < N_HISTORIES; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        uint64_t unit_ns = i < N_HISTORIES / 2 ? 1000 : 1;
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = NULL;

        if (i % 6 == 5) {
            all[i] = random_history(&seed, 6, FIXTURE_NOW_NS);
        } else {
            all[i] = flow_next(flow, &seed, unit_ns, &config);
            t = flow_trajectory(flow, all[i], &packet, times_ns);
        }
        if (getenv("LASTHOP_SAMPLE_GOLDEN") && i < N_HISTORIES / 2) {
            all[i]->left_out = i < 10 ? 1u << 31 : 3u << 30;
        }
        packet.left_out = all[i]->left_out;
        if (t) {
            archive_writer_add_packet(w, t, &packet);
        } else {
            archive_writer_add(w, all[i]);
        }
        if (i % n_round == n_round - 1) {
            archive_writer_round(w, FIXTURE_NOW_NS);
        }
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(flows);
    return all;
}

/* Writes the histories as they were added, in the order in which they are
 * read. */
static void
write_lines(const char *dir, struct history **all,
            const struct topology *topology)
{
    char *path = lh_asprintf("%s/" HISTORIES, dir);
    FILE *stream = fopen(path, "w");
    struct archive_reader *r = fixture_reader(dir);
    size_t n;
    struct history **read = fixture_read_all(r, &n);

    if (!stream || n != N_HISTORIES) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        const struct history *found = NULL;

        for (size_t k = 0; k < n && !found; k++) {
            if (all[k]->packet_id == read[i]->packet_id &&
                all[k]->n_hops == read[i]->n_hops &&
                history_first_ns(all[k]) == history_first_ns(read[i])) {
                found = all[k];
            }
        }

        json_t *json = found ? history_to_json(found, topology) : NULL;

        if (!json) {
            abort();
        }
        json_dumpf(json, stream, JSON_COMPACT);
        fputc('\n', stream);
        json_decref(json);
    }
    fixture_free_all(read, n);
    archive_reader_close(r);
    fclose(stream);
    free(path);
}

/* Until the files are one, and those that it was made of are gone. */
static void
merge(struct archive_writer *w)
{
    const struct timespec pause = {0, 1000000};
    struct archive_writer_counters c;
    time_t deadline = time(NULL) + 50;

    do {
        if (time(NULL) > deadline) {
            abort();
        }
        nanosleep(&pause, NULL);
        archive_writer_round(w, FIXTURE_NOW_NS);
        archive_writer_get_counters(w, &c);
    } while (!c.merges);
    archive_writer_round(w, 2 * FIXTURE_NOW_NS);
}

static void
write_golden(const char *dir)
{
    bool merges = getenv("LASTHOP_MERGE_GOLDEN") != NULL;
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .now_ns = FIXTURE_NOW_NS,
        .merges = merges,
        .merge_blocks = 2,
        .merge_keep_ns = 1,
    };
    struct archive_writer *w;
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, "s1", 1, "192.0.2.1");
    topology_builder_add_switch(b, 2, "s2", 2, "192.0.2.1");
    topology_builder_add_port(b, 1, 1, "s1-eth1", true);
    topology_builder_add_link(b, 1, 2, 2, 1);

    struct topology *topology = topology_build(b, 1);

    if (archive_writer_open(&config, &w, NULL, NULL)) {
        abort();
    }
    archive_writer_set_topology(w, topology, FIXTURE_NOW_NS);

    struct history **all = add_histories(w, merges ? 4 : N_HISTORIES / 2);

    if (merges) {
        merge(w);
    }
    archive_writer_close(w);
    write_lines(dir, all, topology);
    fixture_free_all(all, N_HISTORIES);
    topology_unref(topology);
}

/* Each block of columns says what it may have. */
static void
check_indexes(struct archive_reader *r)
{
    size_t n = 0, n_denied = 0, largest = 0;

    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        struct column_decoder *d;
        struct block_index index;

        if (entry->block.kind != ARCHIVE_COLUMNS) {
            continue;
        }
        ck_assert(!archive_reader_columns(r, entry, &d, NULL));
        ck_assert(!column_decoder_index(d, &index, NULL));
        ck_assert_uint_eq(index.n_records, entry->block.n_records);
        ck_assert_uint_eq(index.classes, (1 << N_BLOCK_INDEX_CLASSES) - 1);
        for (uint64_t dpid = 1; dpid < 3; dpid++) {
            ck_assert(block_index_has_hop(&index, BLOCK_INDEX_DPID, dpid, 0));
        }
        for (uint64_t dpid = 4000; dpid < 4100; dpid++) {
            n_denied +=
                !block_index_has_hop(&index, BLOCK_INDEX_DPID, dpid, 0);
        }
        block_index_uninit(&index);
        column_decoder_destroy(d);
        n++;
        largest = entry->block.n_records > largest ? entry->block.n_records
                                                   : largest;
    }
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_gt(n_denied, 50 * n);
    ck_assert_uint_gt(largest, 15);
}

/* What was left out of the first block, and of no other. */
static void
check_sampling(struct archive_reader *r)
{
    for (size_t i = 0, n = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        struct column_decoder *d;
        struct sample_tally kept;

        if (entry->block.kind != ARCHIVE_COLUMNS) {
            continue;
        }
        ck_assert(!archive_reader_columns(r, entry, &d, NULL));
        ck_assert(!column_decoder_kept(d, &kept, NULL));
        ck_assert(entry->block.is_sampled == !n);
        ck_assert_uint_eq(kept.n, n ? 0 : 2);
        if (!n++) {
            ck_assert_uint_eq(kept.of[0].left_out, 1u << 31);
            ck_assert_uint_eq(kept.of[0].packets, 10);
            ck_assert_uint_eq(kept.of[1].left_out, 3u << 30);
            ck_assert_uint_eq(kept.of[1].packets, N_HISTORIES / 2 - 10);
        }
        column_decoder_destroy(d);
    }
}

START_TEST(released_versions_are_read)
{
    char *dir = golden_dir(_i);
    char *path = lh_asprintf("%s/" HISTORIES, dir);
    FILE *stream = fopen(path, "r");

    ck_assert_msg(stream != NULL, "%s", path);

    struct archive_reader *r = fixture_reader(dir);
    struct topology *topology = archive_reader_topology(r, UINT64_MAX);
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(archive_reader_meta(r)->packet_id.seed, PACKET_ID_SEED);
    ck_assert_str_eq(topology_find(topology, 2)->name, "s2");
    ck_assert_uint_eq(n, _i == 0 ? 40 : N_HISTORIES);
    for (size_t i = 0; i < n; i++) {
        json_t *expected = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
        json_t *json = history_to_json(all[i], topology);

        ck_assert_msg(json_equal(json, expected), "history %zu", i);
        json_decref(expected);
        json_decref(json);
    }
    if (_i == MERGED) {
        check_indexes(r);
    } else if (_i == SAMPLED) {
        check_sampling(r);
    }
    fixture_free_all(all, n);
    topology_unref(topology);
    archive_reader_close(r);
    fclose(stream);
    free(path);
    free(dir);
}
END_TEST

START_TEST(a_golden_archive_is_written)
{
    write_golden(getenv("LASTHOP_WRITE_GOLDEN"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_golden");
    TCase *tc = tcase_create("all");

    if (getenv("LASTHOP_WRITE_GOLDEN")) {
        tcase_add_test(tc, a_golden_archive_is_written);
    } else {
        tcase_add_loop_test(tc, released_versions_are_read, 0,
                            sizeof names / sizeof *names);
    }
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
