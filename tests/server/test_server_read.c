/* SPDX-License-Identifier: Apache-2.0 */
/* Runs lasthop-server over capture files of postcards, as a person would, and
 * compares the histories it prints with what was sent; and gives it files and
 * options that are wrong. */
#include <config.h>

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "tests/lib/archive_fixture.h"
#include "tests/server/scene.h"

#define PROGRAM  "bin/lasthop-server"
#define NS_PER_S UINT64_C(1000000000)

static char *dir; /* Of the running test. */

static void
set_up(void)
{
    char *path;

    dir = fixture_dir();
    path = lh_asprintf("%s/topology.json", dir);
    scene_write_topology(path);
    free(path);
    path = lh_asprintf("%s/rules.jsonl", dir);
    scene_write_rules(path);
    free(path);
}

static void
tear_down(void)
{
    fixture_remove(dir);
}

/* What a run of the program left. */
struct result {
    int status;
    char *out, *err; /* Owned. */
};

static char *
read_file(const char *name)
{
    char *path = lh_asprintf("%s/%s", dir, name);
    FILE *stream = fopen(path, "r");
    size_t size = 1 << 22;
    char *text = lh_alloc(size + 1);

    ck_assert_ptr_nonnull(stream);
    text[fread(text, 1, size, stream)] = '\0';
    fclose(stream);
    free(path);
    return text;
}

/* Runs the program in the test's directory with 'arguments'. */
static struct result
run(const char *arguments)
{
    const char *threads = getenv("LASTHOP_TEST_THREADS");
    char *cwd = getcwd(NULL, 0);
    char *command = lh_asprintf("cd %s && LASTHOP_RUNDIR=%s %s/" PROGRAM
                                " %s%s %s > out 2> err",
                                dir, dir, cwd, threads ? "--threads=" : "",
                                threads ? threads : "", arguments);
    int status = system(command);
    struct result result = {.status =
                                WIFEXITED(status) ? WEXITSTATUS(status) : -1,
                            .out = read_file("out"),
                            .err = read_file("err")};

    free(command);
    free(cwd);
    return result;
}

static void
forget(struct result *result)
{
    free(result->out);
    free(result->err);
}

/* The number of a packet of the scene, from its history. */
static uint32_t
packet_number(const struct history *h)
{
    const uint8_t *p = h->hops[0].header + 14 + 20 + 8;

    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 |
           (uint32_t) p[2] << 8 | p[3];
}

static void
check_history(const struct history *h, bool has_in_port)
{
    uint32_t n = packet_number(h);
    uint64_t last = n % 3 ? SCENE_SWITCHES : 1 + n % SCENE_SWITCHES;

    ck_assert_uint_eq(h->n_hops, last);
    ck_assert(h->has_packet_id);
    for (uint64_t i = 0; i < last; i++) {
        const struct history_hop *hop = &h->hops[i];
        bool drops = n % 3 == 0 && i + 1 == last;

        ck_assert_uint_eq(hop->dpid, i + 1);
        ck_assert_int_eq(hop->parent, (int) i - 1);
        if (has_in_port || i) {
            ck_assert_uint_eq(hop->in_port, 1);
        }
        ck_assert_uint_eq(hop->n_out, drops ? 0 : 1);
        ck_assert_uint_eq(hop->n_versions, 1);
        ck_assert_uint_eq(hop->versions[0], (drops ? 91 : 11) + i);
        ck_assert_uint_eq(hop->time_ns,
                          SCENE_START_NS + n * 1000000ull + (i + 1) * 10000);
        ck_assert(!hop->has_gap_before);
    }
    ck_assert_int_eq(h->verdict.name,
                     n % 3 ? VERDICT_DELIVERED : VERDICT_DROPPED);
    ck_assert_uint_eq(h->verdict.dpid, last);
    if (n % 3 == 0) {
        ck_assert_uint_eq(h->verdict.version, 90 + last);
    }
}

/* Checks that 'text' holds the history of each of 'n' packets. */
static void
check_lines(const char *text, uint32_t n, bool has_in_port)
{
    bool *seen = lh_alloc_zero(n * sizeof *seen);
    uint32_t n_lines = 0;

    for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
        json_error_t why;
        json_t *json = json_loads(p, JSON_DISABLE_EOF_CHECK, &why);
        struct history *h;
        struct lh_error error = {.text = ""};

        ck_assert_msg(json != NULL, "%s", why.text);
        ck_assert_msg(!history_from_json(json, &h, &error), "%s", error.text);
        ck_assert_str_eq(
            json_string_value(json_object_get(
                json_array_get(json_object_get(json, "hops"), 0), "switch")),
            "s1");
        ck_assert_uint_lt(packet_number(h), n);
        ck_assert(!seen[packet_number(h)]);
        seen[packet_number(h)] = true;
        check_history(h, has_in_port);
        history_destroy(h);
        json_decref(json);
        n_lines++;
    }
    ck_assert_uint_eq(n_lines, n);
    free(seen);
}

START_TEST(histories_of_a_file_are_what_was_sent)
{
    bool is_mac = _i & 1, is_ng = _i & 2;
    char *path = lh_asprintf("%s/cards.pcap", dir);

    scene_write_capture(path, 300, is_mac, is_ng);

    struct result r = run("--read cards.pcap --topology topology.json "
                          "--rules rules.jsonl --json");

    ck_assert_msg(r.status == 0, "%s", r.err);
    check_lines(r.out, 300, !is_mac);
    ck_assert_msg(strstr(r.err, "1050 frames, 1050 postcards, 300 histories"),
                  "%s", r.err);
    ck_assert_msg(strstr(r.err, "200 delivered, 100 dropped"), "%s", r.err);
    forget(&r);
    free(path);
}
END_TEST

START_TEST(several_files_are_read_one_after_the_other)
{
    char *path = lh_asprintf("%s/a.pcap", dir);

    scene_write_capture(path, 30, false, false);
    free(path);
    path = lh_asprintf("%s/b.pcap", dir);
    scene_write_capture(path, 60, false, true);
    free(path);

    struct result r = run("--read a.pcap --read b.pcap --topology "
                          "topology.json --rules rules.jsonl");

    ck_assert_int_eq(r.status, 0);
    ck_assert_msg(strstr(r.out, "315 frames, 315 postcards, "), "%s", r.out);
    ck_assert_str_eq(r.err, "");
    forget(&r);
}
END_TEST

START_TEST(what_was_read_is_in_the_archive)
{
    char *path = lh_asprintf("%s/cards.pcap", dir);
    char *archive = lh_asprintf("%s/archive", dir);

    scene_write_capture(path, 90, false, false);

    struct result r = run("--read cards.pcap --topology topology.json "
                          "--rules rules.jsonl --archive archive");

    ck_assert_msg(r.status == 0, "%s", r.err);
    ck_assert_msg(strstr(r.out, "90 archived"), "%s", r.out);

    struct archive_reader *reader = fixture_reader(archive);
    size_t n;
    struct history **all = fixture_read_all(reader, &n);
    struct topology *topology = archive_reader_topology(reader, 1);

    ck_assert_uint_eq(n, 90);
    for (size_t i = 0; i < n; i++) {
        check_history(all[i], true);
    }
    ck_assert_ptr_nonnull(topology);
    ck_assert_str_eq(topology_find(topology, 3)->name, "s3");
    topology_unref(topology);
    fixture_free_all(all, n);
    archive_reader_close(reader);
    fixture_remove(archive);
    forget(&r);
    free(path);
}
END_TEST

/* Makes an archive with 'n' files of a history of this hour each. */
static void
make_recent_archive(const char *archive, size_t n)
{
    struct archive_writer_config config = {
        .dir = archive,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = 1,
    };
    uint64_t now_s = (time_spec_now() - FIXTURE_NOW_NS) / NS_PER_S;
    struct archive_writer *w;

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        fixture_add(w, now_s, 1);
        archive_writer_round(w, time_spec_now());
    }
    archive_writer_close(w);
}

/* Writes a capture of two packets of the year 2100. */
static void
write_future(const char *path)
{
    struct scene_pcap *pcap = scene_pcap_open(path, false);

    for (uint32_t i = 1; i <= 2; i++) {
        struct scene_card card;
        uint8_t frame[2048];

        scene_card(&card, i, 1, false, UINT64_C(4102444800) * NS_PER_S);
        scene_pcap_add(pcap, frame, scene_frame(&card, false, frame),
                       card.postcard.time_ns);
    }
    scene_pcap_close(pcap);
}

START_TEST(a_capture_from_the_future_removes_nothing)
{
    char *path = lh_asprintf("%s/cards.pcap", dir);
    char *archive = lh_asprintf("%s/archive", dir);

    make_recent_archive(archive, 4);
    write_future(path);

    struct result r = run("--read cards.pcap --topology topology.json "
                          "--rules rules.jsonl --archive archive --retain 2h");

    ck_assert_msg(r.status == 0, "%s", r.err);

    struct archive_reader *reader = fixture_reader(archive);

    ck_assert_uint_eq(fixture_count(reader), 4 + 2);
    archive_reader_close(reader);
    fixture_remove(archive);
    forget(&r);
    free(path);
}
END_TEST

START_TEST(without_rules_and_topology_nothing_is_invented)
{
    char *path = lh_asprintf("%s/cards.pcap", dir);

    scene_write_capture(path, 30, false, false);

    struct result r = run("--read cards.pcap --json");

    ck_assert_int_eq(r.status, 0);
    ck_assert_msg(strstr(r.err, "105 postcards"), "%s", r.err);
    ck_assert_msg(strstr(r.err, "105 unknown_switch"), "%s", r.err);
    ck_assert_ptr_null(strstr(r.out, "\"delivered\""));
    forget(&r);
    free(path);
}
END_TEST

START_TEST(senders_can_be_asked_for_in_files_too)
{
    char *path = lh_asprintf("%s/cards.pcap", dir);

    scene_write_capture(path, 30, false, false);

    struct result r = run("--read cards.pcap --accept 198.51.100.0/24");

    ck_assert_int_eq(r.status, 0);
    ck_assert_msg(strstr(r.out, "105 frames, 0 postcards"), "%s", r.out);
    ck_assert_msg(strstr(r.out, "105 foreign"), "%s", r.out);
    forget(&r);
    r = run("--read cards.pcap --accept 192.0.2.0/24");
    ck_assert_msg(strstr(r.out, "105 frames, 105 postcards"), "%s", r.out);
    forget(&r);
    free(path);
}
END_TEST

static void
make_bad_files(void)
{
    char *path = lh_asprintf("%s/cards.pcap", dir);
    char *cut = lh_asprintf("%s/cut.pcap", dir);
    char *command = lh_asprintf(
        "cd %s && head -c 2000 cards.pcap > cut.pcap && echo hello > text && "
        ": > empty && printf '{\"dpid\":1,\"version\":2}\\n{\\n' > "
        "bad-rules && echo '{\"switches\":[{\"dpid\":\"zz\"}]}' > "
        "bad-topology && mkdir -p plain-dir",
        dir);

    scene_write_capture(path, 30, false, false);
    ck_assert_int_eq(system(command), 0);
    free(command);
    free(cut);
    free(path);
}

START_TEST(bad_input_is_said)
{
    static const struct {
        const char *arguments;
        int status;
        const char *text; /* Somewhere in what it says. */
    } rows[] = {
        {"", 2, "give --listen, --agents, --capture or --read"},
        {"--agents here", 2, "--agents: here: must be ADDR:PORT"},
        {"--agents ssl:127.0.0.1:0", 2, "--certificate and --ca-cert go"},
        {"--read cards.pcap --agents 127.0.0.1:0", 2, "--read goes"},
        {"--bogus", 2, "unknown option --bogus"},
        {"--read", 2, "--read needs a value"},
        {"cards.pcap", 2, "\"cards.pcap\" is no option"},
        {"--read cards.pcap --listen geneve:127.0.0.1:0", 2, "--read goes"},
        {"--read nowhere.pcap", 2, "nowhere.pcap: No such file"},
        {"--read plain-dir", 2, "plain-dir"},
        {"--read text", 2, "text: not a capture file"},
        {"--read empty", 2, "empty: not a capture file"},
        {"--read cut.pcap", 1, "cut.pcap: after 12 frames"},
        {"--read cards.pcap --read nowhere.pcap", 1, "nowhere.pcap"},
        {"--read cards.pcap --topology nowhere", 2, "topology: nowhere"},
        {"--read cards.pcap --topology bad-topology", 2, "switches[0].dpid"},
        {"--read cards.pcap --rules nowhere", 2, "rules: nowhere"},
        {"--read cards.pcap --rules bad-rules", 2, "bad-rules:2:"},
        {"--read cards.pcap --archive text", 2, "archive: text"},
        {"--read cards.pcap --archive no/where", 2, "archive: no/where"},
        {"--read cards.pcap --window 0s", 2, "--window 0s: must be"},
        {"--read cards.pcap --window 1", 2, "--window 1: must be"},
        {"--read cards.pcap --round x", 2, "--round x: must be"},
        {"--read cards.pcap --retain 10G", 2, "need --archive"},
        {"--read cards.pcap --archive a --retain 10", 2,
         "--retain 10: must be"},
        {"--read cards.pcap --archive a --retain 99999999T", 2, "must be"},
        {"--read cards.pcap --accept 1.2.3", 2, "\"1.2.3\" is no address"},
        {"--read cards.pcap --accept 1.2.3.4/33", 2, "is no address"},
        {"--read cards.pcap --accept 1.2.3.4/", 2, "is no address"},
        {"--read cards.pcap --encap vxlan", 2, "auto, geneve or mac"},
        {"--read cards.pcap --mac-vlan 4095", 2, "from 1 to 4094"},
        {"--read cards.pcap --id-seed xyz", 2, "hex digits"},
        {"--read cards.pcap --id-bytes 3", 2, "from 40"},
        {"--listen 127.0.0.1:1", 2, "geneve:ADDR:PORT"},
        {"--listen geneve:127.0.0.1:99999", 2, "is not ADDRESS:PORT"},
        {"--listen geneve:127.0.0.1", 2, "is not ADDRESS:PORT"},
        {"--listen geneve:localhost:6081", 2, "localhost"},
        {"--listen geneve:203.0.113.7:6081", 2,
         "cannot listen at 203.0.113.7:6081"},
        {"--capture no-such-interface", 2, "no-such-interface"},
        {"--rundir text --listen geneve:127.0.0.1:0", 2, "text"},
    };

    make_bad_files();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct result r = run(rows[i].arguments);

        ck_assert_msg(r.status == rows[i].status, "%s: status %d\n%s",
                      rows[i].arguments, r.status, r.err);
        ck_assert_msg(strstr(r.err, rows[i].text), "%s: says\n%s",
                      rows[i].arguments, r.err);
        forget(&r);
    }
}
END_TEST

START_TEST(a_full_output_is_said)
{
    char *path = lh_asprintf("%s/cards.pcap", dir);

    scene_write_capture(path, 30, false, false);

    char *cwd = getcwd(NULL, 0);
    char *command =
        lh_asprintf("%s/" PROGRAM " --read %s --json > /dev/full 2> %s/err",
                    cwd, path, dir);
    int status = system(command);
    char *err = read_file("err");

    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_msg(strstr(err, "standard output: cannot write"), "%s", err);
    free(err);
    free(command);
    free(cwd);
    free(path);
}
END_TEST

START_TEST(help_and_version_are_told)
{
    struct result r = run("--help");

    ck_assert_int_eq(r.status, 0);
    ck_assert_ptr_nonnull(strstr(r.out, "usage: lasthop-server"));
    forget(&r);
    r = run("--version");
    ck_assert_int_eq(r.status, 0);
    ck_assert_ptr_nonnull(strstr(r.out, "lasthop-server " PACKAGE_VERSION));
    forget(&r);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server_read");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, histories_of_a_file_are_what_was_sent, 0, 4);
    tcase_add_test(tc, several_files_are_read_one_after_the_other);
    tcase_add_test(tc, what_was_read_is_in_the_archive);
    tcase_add_test(tc, a_capture_from_the_future_removes_nothing);
    tcase_add_test(tc, without_rules_and_topology_nothing_is_invented);
    tcase_add_test(tc, senders_can_be_asked_for_in_files_too);
    tcase_add_test(tc, bad_input_is_said);
    tcase_add_test(tc, a_full_output_is_said);
    tcase_add_test(tc, help_and_version_are_told);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
