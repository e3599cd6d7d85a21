/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/archive_writer and lib/archive_reader while all is well. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "lib/archive_span.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"

START_TEST(what_was_written_is_read)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct history *written[300];
    uint64_t seed = 1;

    for (size_t i = 0; i < 300; i++) {
        written[i] = random_history(&seed, 8, FIXTURE_NOW_NS);
        archive_writer_add(w, written[i]);
        if (i % 100 == 99) {
            archive_writer_round(w, FIXTURE_NOW_NS);
        }
    }
    archive_writer_close(w);

    struct archive_reader *r = fixture_reader(dir);
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_eq(archive_reader_n_blocks(r), 3);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(n, 300);
    for (size_t i = 0; i < n; i++) {
        ck_assert(history_is_same(all[i], written[i]));
        history_destroy(written[i]);
    }
    fixture_free_all(all, n);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

START_TEST(counters_add_up_at_every_moment)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_writer_counters c;

    fixture_add(w, 1, 10);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.in, 10);
    ck_assert_uint_eq(c.held, 10);
    ck_assert_uint_eq(c.durable, 0);

    archive_writer_round(w, FIXTURE_NOW_NS);
    fixture_add(w, 11, 5);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.in, c.durable + c.lost + c.refused + c.held);
    ck_assert_uint_eq(c.durable, 10);
    ck_assert_uint_eq(c.hops, 30);
    ck_assert_uint_eq(c.held, 5);
    ck_assert_uint_eq(c.blocks, 1);
    ck_assert_uint_eq(c.bytes, c.total_bytes);
    ck_assert_uint_lt(c.bytes, c.raw_bytes);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_reader_follows_the_writer)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_reader *r = fixture_reader(dir);
    size_t n;

    ck_assert_uint_eq(archive_reader_n_blocks(r), 0);
    for (uint64_t round = 1; round <= 5; round++) {
        fixture_add(w, round * 10, 10);
        archive_writer_round(w, FIXTURE_NOW_NS);
        ck_assert_int_eq(archive_reader_refresh(r, NULL), 0);
        n = fixture_count(r);
        ck_assert_uint_eq(n, round * 10);
    }
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

START_TEST(what_is_pending_can_be_read_before_the_round)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_pending pending;
    struct column_decoder *d;
    struct history_decoder *plain;
    struct history_record record;
    size_t n = 0;

    archive_writer_pending(w, &pending);
    ck_assert_ptr_null(pending.payload);
    fixture_add(w, 1, 7);
    archive_writer_pending(w, &pending);
    ck_assert_uint_eq(pending.min_ns, FIXTURE_NOW_NS + 1000000000);
    ck_assert_uint_eq(pending.max_ns, FIXTURE_NOW_NS + 7000002000);
    ck_assert_int_eq(column_decoder_open(pending.payload, pending.len,
                                         pending.table_len, &d, NULL),
                     0);
    ck_assert_int_eq(column_decoder_plain(d, &plain, NULL), 0);
    while (!history_decoder_next(plain, &record, NULL)) {
        n++;
    }
    ck_assert_uint_eq(n, 7);
    column_decoder_destroy(d);
    free(pending.payload);
    archive_writer_round(w, FIXTURE_NOW_NS);
    archive_writer_pending(w, &pending);
    ck_assert_ptr_null(pending.payload);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_second_opening_goes_on_where_the_first_ended)
{
    char *dir = fixture_dir();
    struct archive_recovery recovery;
    struct archive_writer *w;
    size_t n;

    for (uint64_t i = 0; i < 3; i++) {
        w = fixture_writer(dir, &recovery);
        ck_assert(!recovery.was_torn && !recovery.is_damaged);
        fixture_add(w, i * 4, 4);
        archive_writer_close(w);
    }

    struct archive_reader *r = fixture_reader(dir);

    n = fixture_count(r);
    ck_assert_uint_eq(n, 12);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(archive_reader_entry(r, 2)->block.sequence, 3);
    ck_assert_uint_eq(archive_reader_entry(r, 2)->segment.first, 1);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_second_writer_is_refused)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL), *second;
    struct archive_writer_config config = {.dir = dir,
                                           .packet_id = PACKET_ID_CONFIG_INIT};
    struct lh_error error;

    ck_assert_int_eq(archive_writer_open(&config, &second, NULL, &error),
                     EBUSY);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(error.text, dir));
    archive_writer_close(w);
    ck_assert_int_eq(archive_writer_open(&config, &second, NULL, &error), 0);
    archive_writer_close(second);
    fixture_remove(dir);
}
END_TEST

START_TEST(other_constants_are_refused)
{
    char *dir = fixture_dir();

    archive_writer_close(fixture_writer(dir, NULL));

    struct archive_writer *w;
    struct archive_writer_config config = {
        .dir = dir, .packet_id = {.seed = 1, .n_bytes = 70}};
    struct lh_error error;

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, &error), EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "other constants"));
    fixture_remove(dir);
}
END_TEST

static void
write_file(const char *dir, const char *name, const char *text)
{
    char *path = lh_asprintf("%s/%s", dir, name);
    FILE *stream = fopen(path, "w");

    ck_assert_ptr_nonnull(stream);
    fputs(text, stream);
    fclose(stream);
    free(path);
}

START_TEST(what_is_no_archive_is_said)
{
    static const struct {
        const char *meta;
        int error;
        const char *text;
    } rows[] = {
        {"{", EINVAL, "meta.json:1"},
        {"[]", EINVAL, "meta.json"},
        {"{\"format\":\"other\"}", EINVAL, "format"},
        {"{\"format\":\"lasthop-archive\"}", EINVAL, "version"},
        {"{\"format\":\"lasthop-archive\",\"version\":99}", EPROTONOSUPPORT,
         "99"},
        {"{\"format\":\"lasthop-archive\",\"version\":1,\"created_ns\":1,"
         "\"packet_id\":{\"seed\":\"x\",\"bytes\":70}}",
         EINVAL, "packet_id.seed"},
    };
    char *dir = fixture_dir();
    struct archive_reader *r;
    struct lh_error error;

    ck_assert_int_eq(archive_reader_open(dir, &r, &error), ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, dir));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(dir, "meta.json", rows[i].meta);
        ck_assert_int_eq(archive_reader_open(dir, &r, &error), rows[i].error);
        ck_assert_msg(strstr(error.text, rows[i].text), "%s", error.text);
        ck_assert_ptr_null(r);
    }
    fixture_remove(dir);
}
END_TEST

START_TEST(a_damaged_meta_can_be_repaired_as_it_is_said)
{
    char *dir = fixture_dir();
    char *meta = lh_asprintf("%s/meta.json", dir);
    char *away = lh_asprintf("%s/meta.json.damaged", dir);
    struct archive_writer_config config = {.dir = dir,
                                           .packet_id = PACKET_ID_CONFIG_INIT};
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_reader *r;
    struct lh_error error;

    fixture_add(w, 1, 5);
    archive_writer_close(w);
    write_file(dir, "meta.json", "{\"format\":\"lasthop-arch");
    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, &error), EINVAL);
    ck_assert_msg(strstr(error.text, meta), "%s", error.text);
    ck_assert_msg(strstr(error.text, "move it away and start lasthop-server"),
                  "%s", error.text);
    ck_assert_int_eq(archive_reader_open(dir, &r, &error), EINVAL);
    ck_assert_msg(strstr(error.text, "move it away"), "%s", error.text);

    ck_assert_int_eq(rename(meta, away), 0);
    archive_writer_close(fixture_writer(dir, NULL));
    r = fixture_reader(dir);
    ck_assert_uint_eq(fixture_count(r), 5);
    archive_reader_close(r);
    free(meta);
    free(away);
    fixture_remove(dir);
}
END_TEST

START_TEST(the_flow_log_is_remembered)
{
    char *dir = fixture_dir();
    struct archive_writer_config config = {.dir = dir,
                                           .packet_id = PACKET_ID_CONFIG_INIT,
                                           .flow_log =
                                               "/var/lib/lasthop/flows.db",
                                           .now_ns = 42};
    struct archive_writer *w;

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    archive_writer_close(w);
    /* Opened without: stays.  With another: changes. */
    archive_writer_close(fixture_writer(dir, NULL));

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_str_eq(archive_reader_meta(r)->flow_log,
                     "/var/lib/lasthop/flows.db");
    ck_assert_uint_eq(archive_reader_meta(r)->created_ns, 42);
    archive_reader_close(r);

    config.flow_log = "/other.db";
    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    archive_writer_close(w);
    r = fixture_reader(dir);
    ck_assert_str_eq(archive_reader_meta(r)->flow_log, "/other.db");
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

static struct topology *
named_topology(const char *name)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, name, 1, NULL);
    return topology_build(b, 1);
}

static void
check_name(struct archive_reader *r, uint64_t at_ns, const char *name)
{
    struct topology *t = archive_reader_topology(r, at_ns);

    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(topology_find(t, 1)->name, name);
    topology_unref(t);
}

START_TEST(names_are_those_of_the_time)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct topology *first = named_topology("old");
    struct topology *second = named_topology("new");

    archive_writer_set_topology(w, first, 1000);
    fixture_add(w, 1, 1);
    archive_writer_round(w, 1500);
    archive_writer_set_topology(w, second, 2000);
    archive_writer_close(w);
    topology_unref(first);
    topology_unref(second);

    struct archive_reader *r = fixture_reader(dir);

    check_name(r, 1999, "old");
    check_name(r, 2000, "new");
    check_name(r, UINT64_MAX, "new");
    check_name(r, 10, "old");
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

START_TEST(retention_removes_the_oldest_and_keeps_the_names)
{
    char *dir = fixture_dir();
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = 2000,
        .retain_bytes = 10000,
    };
    struct archive_writer_counters c;
    struct archive_writer *w;
    struct topology *topology = named_topology("s1");

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    archive_writer_set_topology(w, topology, FIXTURE_NOW_NS);
    topology_unref(topology);

    struct archive_reader *r = fixture_reader(dir);

    for (uint64_t i = 0; i < 100; i++) {
        fixture_add(w, 1000 + i * 10, 10);
        archive_writer_round(w, FIXTURE_NOW_NS);
        ck_assert_int_eq(archive_reader_refresh(r, NULL), 0);
    }
    archive_writer_get_counters(w, &c);
    ck_assert_uint_le(c.total_bytes, 10000);
    ck_assert_uint_gt(c.segments_removed, 5);
    archive_writer_close(w);

    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_gt(n, 50);
    ck_assert_uint_lt(n, 900);
    ck_assert_uint_eq(all[n - 1]->packet_id, 1999);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    check_name(r, UINT64_MAX, "s1");
    fixture_free_all(all, n);
    archive_reader_close(r);

    /* And by age, with the last history 2,999 s after FIXTURE_NOW_NS. */
    config.retain_bytes = 0;
    config.retain_ns = 1000;
    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    archive_writer_round(w, FIXTURE_NOW_NS + 4000 * 1000000000ull);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_gt(c.segments_removed, 0);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

/* Adds a history whose time is that of the system's clock and so many seconds,
 * in a file of its own. */
static void
add_at(const struct archive_writer_config *config, int64_t later_s)
{
    struct archive_writer *w;
    int64_t now_s = (int64_t) (time_spec_now() / 1000000000u);
    int64_t fixture_s = FIXTURE_NOW_NS / 1000000000;

    ck_assert_int_eq(archive_writer_open(config, &w, NULL, NULL), 0);
    fixture_add(w, (uint64_t) (now_s + later_s - fixture_s), 1);
    archive_writer_round(w, time_spec_now());
    archive_writer_close(w);
}

/* The files that are left when so many seconds have passed. */
static size_t
count_left(const struct archive_writer_config *config, uint64_t later_s,
           uint64_t n_removed)
{
    struct archive_writer_counters c;
    struct archive_segment *segments;
    struct archive_writer *w;
    size_t n;

    ck_assert_int_eq(archive_writer_open(config, &w, NULL, NULL), 0);
    archive_writer_round(w, time_spec_now() + later_s * 1000000000u);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.segments_removed, n_removed);
    archive_writer_close(w);
    ck_assert_int_eq(
        archive_dir_list(config->dir, &segments, &n, NULL, NULL, NULL), 0);
    free(segments);
    return n;
}

START_TEST(a_time_that_is_wrong_keeps_nothing_and_removes_nothing)
{
    const int64_t year_s = 366 * 86400;
    char *dir = fixture_dir();
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = 1, /* Each block has a file. */
        .retain_ns = 100 * 1000000000ull,
    };
    uint64_t oldest_ns;

    add_at(&config, 80 * year_s);
    add_at(&config, 0);
    add_at(&config, 80 * year_s);
    add_at(&config, 0);
    /* What is ahead of the clock is not what the archive reaches back to. */
    ck_assert_int_eq(
        archive_span_oldest(dir, time_spec_now(), &oldest_ns, NULL), 0);
    ck_assert_uint_lt(oldest_ns, time_spec_now());
    ck_assert_uint_gt(oldest_ns, time_spec_now() - 3600 * 1000000000ull);
    ck_assert_int_eq(archive_span_oldest(dir, 1, &oldest_ns, NULL), ENOENT);

    ck_assert_uint_eq(count_left(&config, 0, 0), 4);
    /* The last one is open for more. */
    ck_assert_uint_eq(count_left(&config, 7200, 3), 1);
    fixture_remove(dir);
}
END_TEST

static char *
file_of(const char *dir, uint64_t number)
{
    return archive_dir_segment(
        dir, &(struct archive_segment){.first = number, .last = number});
}

static void
cut_off_all(const char *dir, uint64_t number)
{
    char *path = file_of(dir, number);

    ck_assert_int_eq(truncate(path, 0), 0);
    free(path);
}

static bool
has_file(const char *dir, uint64_t number)
{
    char *path = file_of(dir, number);
    bool has = !access(path, F_OK);

    free(path);
    return has;
}

/* The first file is there until what follows it is removed, though all that
 * was in it was cut off: it shows that nothing was removed by then. */
START_TEST(an_empty_file_is_as_old_as_what_follows)
{
    char *dir = fixture_dir();
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = 1, /* Each block has a file. */
        .retain_ns = 100 * 1000000000ull,
    };

    for (int i = 0; i < 5; i++) {
        add_at(&config, 0);
    }
    cut_off_all(dir, 1);
    cut_off_all(dir, 3);
    count_left(&config, 50, 0);
    ck_assert(has_file(dir, 1) && has_file(dir, 2));
    ck_assert(!has_file(dir, 3) && has_file(dir, 4));
    count_left(&config, 7200, 4);
    ck_assert(!has_file(dir, 1) && !has_file(dir, 2));
    fixture_remove(dir);
}
END_TEST

START_TEST(a_block_that_is_full_is_written_before_the_round)
{
    char *dir = fixture_dir();
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .block_bytes = 4096,
    };
    struct archive_writer_counters c;
    struct archive_writer *w;

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    fixture_add(w, 1, 500);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_gt(c.blocks, 5);
    ck_assert_uint_eq(c.durable, 0);
    ck_assert_uint_eq(c.held, 500);
    archive_writer_round(w, FIXTURE_NOW_NS);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.durable, 500);
    archive_writer_close(w);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, what_was_written_is_read);
    tcase_add_test(tc, counters_add_up_at_every_moment);
    tcase_add_test(tc, a_reader_follows_the_writer);
    tcase_add_test(tc, what_is_pending_can_be_read_before_the_round);
    tcase_add_test(tc, a_second_opening_goes_on_where_the_first_ended);
    tcase_add_test(tc, a_second_writer_is_refused);
    tcase_add_test(tc, other_constants_are_refused);
    tcase_add_test(tc, what_is_no_archive_is_said);
    tcase_add_test(tc, a_damaged_meta_can_be_repaired_as_it_is_said);
    tcase_add_test(tc, the_flow_log_is_remembered);
    tcase_add_test(tc, names_are_those_of_the_time);
    tcase_add_test(tc, retention_removes_the_oldest_and_keeps_the_names);
    tcase_add_test(tc, a_time_that_is_wrong_keeps_nothing_and_removes_nothing);
    tcase_add_test(tc, an_empty_file_is_as_old_as_what_follows);
    tcase_add_test(tc, a_block_that_is_full_is_written_before_the_round);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
