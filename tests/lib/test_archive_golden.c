/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the archives of released format versions in tests/lib/golden/.
 *
 * A golden archive is never written again.  That of a new format version is
 * made by running this program with LASTHOP_WRITE_GOLDEN set to the directory
 * to make. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"

/* The histories of a golden archive, as JSON lines. */
#define HISTORIES "histories.jsonl"

static char *
golden_dir(void)
{
    const char *srcdir = getenv("srcdir");

    return lh_asprintf("%s/tests/lib/golden/archive-v1",
                       srcdir ? srcdir : ".");
}

static void
write_golden(const char *dir)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .now_ns = FIXTURE_NOW_NS,
    };
    struct archive_writer *w;
    struct topology_builder *b = topology_builder_create();
    uint64_t seed = 20;
    char *path = lh_asprintf("%s/" HISTORIES, dir);

    topology_builder_add_switch(b, 1, "s1", 1, "192.0.2.1");
    topology_builder_add_switch(b, 2, "s2", 2, "192.0.2.1");
    topology_builder_add_port(b, 1, 1, "s1-eth1", true);
    topology_builder_add_link(b, 1, 2, 2, 1);

    struct topology *topology = topology_build(b, 1);

    if (archive_writer_open(&config, &w, NULL, NULL)) {
        abort();
    }
    archive_writer_set_topology(w, topology, FIXTURE_NOW_NS);

    FILE *stream = fopen(path, "w");

    for (size_t i = 0; i < 40; i++) {
        struct history *h = random_history(&seed, 6, FIXTURE_NOW_NS);
        json_t *json = history_to_json(h, topology);

        archive_writer_add(w, h);
        json_dumpf(json, stream, JSON_COMPACT);
        fputc('\n', stream);
        json_decref(json);
        history_destroy(h);
        if (i % 20 == 19) {
            archive_writer_round(w, FIXTURE_NOW_NS);
        }
    }
    fclose(stream);
    archive_writer_close(w);
    topology_unref(topology);
    free(path);
}

START_TEST(version_1_is_read)
{
    char *dir = golden_dir();
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
    ck_assert_uint_eq(n, 40);
    for (size_t i = 0; i < n; i++) {
        json_t *expected = json_loadf(stream, JSON_DISABLE_EOF_CHECK, NULL);
        json_t *json = history_to_json(all[i], topology);

        ck_assert_msg(json_equal(json, expected), "history %zu", i);
        json_decref(expected);
        json_decref(json);
    }
    fixture_free_all(all, n);
    topology_unref(topology);
    archive_reader_close(r);
    fclose(stream);
    free(path);
    free(dir);
}
END_TEST

int
main(void)
{
    const char *dir = getenv("LASTHOP_WRITE_GOLDEN");

    if (dir) {
        write_golden(dir);
        return EXIT_SUCCESS;
    }

    Suite *suite = suite_create("archive_golden");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, version_1_is_read);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
