/* SPDX-License-Identifier: Apache-2.0 */
/* Files of invariants: what is one, what is said of what is none, and that the
 * filters find what the invariant means. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/invariant_file.h"
#include "lib/hdr.h"
#include "phf/phf.h"
#include "tests/lib/frame.h"
#include "tests/lib/sample_history.h"

/* Names as of the sample topology: s1, s2 and s3. */
static struct app_names *
sample_names(void)
{
    struct topology *topology = sample_topology();
    struct app_names *names;

    ck_assert_int_eq(app_names_create(NULL, &names, NULL), 0);
    app_names_set_topology(names, topology);
    topology_unref(topology);
    return names;
}

static struct invariant_file *
parse(const char *text)
{
    struct app_names *names = sample_names();
    struct invariant_file *file;

    invariant_file_parse(text, strlen(text), names, &file);
    app_names_destroy(names);
    ck_assert_msg(!file->n_errors, "%s: %s", text, file->errors[0].text);
    return file;
}

/* --- what is said of what is wrong --------------------------------------- */

static const struct {
    const char *text;
    unsigned int line, column;
    const char *message; /* Its beginning. */
} wrongs[] = {
    {"", 1, 1, "nothing is to be watched"},
    {"# no loops\n", 2, 1, "nothing is to be watched"},
    {"no lops", 1, 4, "\"lops\" stands where \"loops\", \"black-holes\""},
    {"no", 1, 3, "the line ends where \"loops\""},
    {"\nisolat a", 2, 1, "there is no \"isolat\"; is \"isolate\" meant?"},
    {"hello", 1, 1, "\"hello\" stands where \"no ..\", \"isolate\""},
    {"no loops loops", 1, 10, "\"loops\" stands where \"from\", \"to\""},
    {"no loops from", 1, 14, "the line ends where an address"},
    {"no loops from a=b", 1, 15, "there is no group, host or switch \"a\""},
    {"no loops from ,", 1, 15, "\",\" stands where an address"},
    {"no loops from s1,", 1, 18, "the line ends where an address"},
    {"no loops from s1 from s2", 1, 18, "\"from\" stands where"},
    {"no loops from 10.0.0.0/33", 1, 15, "\"10.0.0.0/33\" is no network"},
    {"no loops from 10.0.0.1/8", 1, 15,
     "10.0.0.1/8 has bits set behind its length; is 10.0.0.0/8 or the host "
     "10.0.0.1 meant?"},
    {"no loops from 2001:db8::1/32", 1, 15,
     "2001:db8::1/32 has bits set behind its length; is 2001:db8::/32 or"},
    {"no loops from /8", 1, 15, "\"/8\" is no network"},
    {"no loops from vlan", 1, 19, "the line ends where the number of a VLAN"},
    {"no loops from vlan 4096", 1, 20, "\"4096\" stands where the number"},
    {"no loops from s9:1", 1, 15, "no switch is called \"s9\""},
    {"no loops from s1:clinet", 1, 15,
     "switch s1: no port is called \"clinet\"; there is client"},
    {"group servers = s1\nno loops to sevrers", 2, 13,
     "there is no group, host or switch \"sevrers\"; is \"servers\" meant?"},
    {"group a = s1\ngroup a = s2", 2, 7, "line 1 has a group of this name"},
    {"group = s1", 1, 7, "\"=\" stands where a name"},
    {"group a s1", 1, 9, "\"s1\" stands where \"=\" is expected"},
    {"group a = s1 s2", 1, 14, "\"s2\" stands where \",\" or the end"},
    {"group a = b\ngroup b = s1", 1, 11, "there is no group, host"},
    {"isolate s1 to s2", 1, 12, "\"to\" stands where \"from\""},
    {"isolate s1 from s2 to s3", 1, 20, "\"to\" stands where"},
    {"waypoint s2", 1, 1, "of whom?"},
    {"waypoint s9 from any", 1, 10, "no switch is called \"s9\""},
    {"waypoint s1 or from any", 1, 16, "no switch is called \"from\""},
    {"path", 1, 5, "the line ends where \"at most N\""},
    {"path at least 3", 1, 9, "\"least\" stands where \"most\""},
    {"path at most 0", 1, 14, "\"0\" stands where a number of hops"},
    {"path at most 201", 1, 14, "\"201\" stands where a number of hops"},
    {"path at most 3x", 1, 14, "\"3x\" stands where a number of hops"},
    {"path equals", 1, 12, "the line ends where a switch"},
    {"path equals s1 | from s1", 1, 18, "no switch is called \"from\""},
    {"reach to s1", 1, 7, "\"to\" stands where \"within\" or \"every\""},
    {"reach within 5 to s1", 1, 14, "\"5\" stands where a span of time"},
    {"reach within 5ms to s1", 1, 14, "\"5ms\" stands where a span of 1s"},
    {"reach within 5s to s1:1", 1, 1, "a packet that does not arrive"},
    {"reach every 5s", 1, 1, "of whom?"},
    {"no traffic", 1, 1, "of whom?"},
    {"no drops matching \"tcp", 1, 19, "a second \" is missing"},
    {"no drops matching tcp", 1, 19, "\"tcp\" stands where a packet filter"},
    {"no drops except \"tcp prot 8\"", 1, 22, "BPF: \"prot\" is neither"},
    {"no drops except \"ip\" except \"ip\"", 1, 29, "\"ip\" stands where no"},
    {"no drops clear 1", 1, 16, "\"1\" stands where a span of time"},
    {"a: no loops\na: no drops", 2, 1, "line 1 is called the same"},
    {"no loops\nno loops", 2, 1, "line 1 is called the same"},
    {"a/b: no loops", 1, 1, "\"a/b:\" stands where a name"},
    {"no loops\x01", 1, 9, "a control character (0x01)"},
    {"no loops # \xff", 1, 1, "this line is not UTF-8"},
};

START_TEST(a_wrong_line_is_told_with_its_place)
{
    struct app_names *names = sample_names();
    const char *text = wrongs[_i].text;
    struct invariant_file *file;
    unsigned int line, column;

    ck_assert_int_eq(invariant_file_parse(text, strlen(text), names, &file),
                     EINVAL);
    ck_assert_uint_ge(file->n_errors, 1);
    invariant_file_place(file, file->errors[0].pos, &line, &column);
    ck_assert_msg(!strncmp(file->errors[0].text, wrongs[_i].message,
                           strlen(wrongs[_i].message)),
                  "%s: %s", text, file->errors[0].text);
    ck_assert_msg(line == wrongs[_i].line && column == wrongs[_i].column,
                  "%s: at %u:%u", text, line, column);
    invariant_file_destroy(file);
    app_names_destroy(names);
}
END_TEST

START_TEST(every_wrong_line_is_told_up_to_a_limit)
{
    struct invariant_file *file;
    char text[1000] = "";

    for (int i = 0; i < 30; i++) {
        strcat(text, i % 2 ? "no lops\n" : "no loops\n");
    }
    invariant_file_parse("no lops\nno loops\nno dops\n", 24, NULL, &file);
    ck_assert_uint_eq(file->n_errors, 2);
    invariant_file_destroy(file);
    invariant_file_parse(text, strlen(text), NULL, &file);
    ck_assert_uint_eq(file->n_errors, INVARIANT_FILE_MAX_ERRORS);
    invariant_file_destroy(file);
}
END_TEST

START_TEST(bounds_are_errors)
{
    size_t size = INVARIANT_FILE_MAX_BYTES + 1;
    char *text = malloc(size);
    struct invariant_file *file;
    FILE *out;

    memset(text, ' ', size);
    ck_assert_int_eq(invariant_file_parse(text, size, NULL, &file), EINVAL);
    ck_assert_ptr_nonnull(strstr(file->errors[0].text, "1048576 bytes"));
    invariant_file_destroy(file);

    out = fmemopen(text, size, "w");
    for (int i = 0; i <= INVARIANT_FILE_MAX; i++) {
        fprintf(out, "i%d: no loops\n", i);
    }
    fclose(out);
    invariant_file_parse(text, strlen(text), NULL, &file);
    ck_assert_str_eq(file->errors[0].text, "more than 500 invariants");
    invariant_file_destroy(file);

    /* Ports on both sides: each pair is a question of its own. */
    out = fmemopen(text, size, "w");
    fprintf(out, "group a = s1:1");
    for (int i = 2; i < 30; i++) {
        fprintf(out, ", s1:%d", i);
    }
    fprintf(out, "\nisolate a from a\n");
    fclose(out);
    invariant_file_parse(text, strlen(text), NULL, &file);
    ck_assert_uint_eq(file->n_errors, 1);
    ck_assert_ptr_nonnull(strstr(file->errors[0].text, "too large a filter"));
    invariant_file_destroy(file);
    free(text);
}
END_TEST

/* --- what is right ------------------------------------------------------- */

static const struct {
    const char *text;
    const char *filter;
} rights[] = {
    {"no loops", "{{--verdict looped}}"},
    {"no black-holes", "[{{--verdict dropped}}{{--verdict lost}}]"},
    {"no drops to s3", "{{--dpid s3 --verdict dropped}}$"},
    {"no losses from s1:client",
     "^{{--dpid s1 --inport client --verdict lost}}"},
    {"no punts", "{{--outport CONTROLLER}}"},
    {"no punts except \"arp\"",
     "^{{--bpf not \"arp\"}}.*{{--outport CONTROLLER}}|"
     "^{{--bpf not \"arp\" --outport CONTROLLER}}"},
    {"no traffic from 1 to 0000000000000003",
     "^{{--dpid 1}}.*{{--dpid 0000000000000003 --verdict delivered}}$|"
     "^{{--dpid 1 --dpid 0000000000000003 --verdict delivered}}$"},
    {"no loops from vlan 7, 02:00:00:00:00:01",
     "^[{{--bpf \"ether src 02:00:00:00:00:01\" --verdict looped}}"
     "{{--bpf \"vlan 7\" --verdict looped}}]"},
    {"no loops from 10.0.1.0/24, fd00::1 matching \"udp\"",
     "^{{--bpf \"src net 10.0.1.0/24 or src host fd00::1 or (vlan and "
     "(src net 10.0.1.0/24 or src host fd00::1))\" --bpf \"udp\" "
     "--verdict looped}}"},
    {"waypoint s2 or s3 from any",
     "^[^{{--dpid s2}}{{--dpid s3}}]*"
     "{{--dpid not s2 --dpid not s3 --verdict delivered}}$"},
    {"path at most 4 hops", "^.{5,}"},
    {"path at most 1 from s1", "^{{--dpid s1}}.*.$"},
    {"path equals s1 s2|s3 from any",
     "^..{1,}{{--verdict delivered}}$|"
     "^{{--dpid not s1}}{{--verdict delivered}}$|"
     "^.{{--dpid not s2 --dpid not s3 --verdict delivered}}$|"
     "^{{--verdict delivered}}$"},
    {"reach every 1m to 10.0.0.9",
     "{{--bpf \"dst host 10.0.0.9 or (vlan and (dst host 10.0.0.9))\" "
     "--verdict delivered}}$"},
};

START_TEST(an_invariant_becomes_its_filters)
{
    struct invariant_file *file = parse(rights[_i].text);

    ck_assert_uint_eq(file->n, 1);
    ck_assert_str_eq(file->invariants[0].filters[0].phf, rights[_i].filter);
    ck_assert_str_eq(file->invariants[0].name, rights[_i].text);
    invariant_file_destroy(file);
}
END_TEST

START_TEST(names_groups_and_comments_are_read)
{
    struct invariant_file *file =
        parse("# comment\r\n\r\n"
              "group a = 10.0.0.1, s1:client # who\r\n"
              "group b = a, vlan 3\n"
              "\tname.1: no loops from b clear 2m # \"not read\n"
              "n2: isolate a from any\n"
              "path equals \"s1\" s2 s3 to a");

    ck_assert_uint_eq(file->n, 3);
    ck_assert_str_eq(file->invariants[0].name, "name.1");
    ck_assert_str_eq(file->invariants[0].text, "no loops from b clear 2m");
    ck_assert_uint_eq(file->invariants[0].line, 5);
    ck_assert_uint_eq(file->invariants[0].from.n, 3);
    ck_assert_uint_eq(file->invariants[0].clear_ns,
                      UINT64_C(120) * 1000000000);
    ck_assert_uint_eq(file->invariants[1].n_filters, 2);
    ck_assert_uint_eq(file->invariants[1].to.n, 0);
    ck_assert_uint_eq(file->invariants[2].n_stops, 3);
    ck_assert_str_eq(file->invariants[2].stops[0].switches[0], "s1");
    invariant_file_destroy(file);
}
END_TEST

START_TEST(without_a_network_every_name_is_a_switch)
{
    static const char text[] = "no loops from core:up-1, x, DROP:2";
    struct invariant_file *file;

    ck_assert_int_eq(invariant_file_parse(text, strlen(text), NULL, &file), 0);
    ck_assert_str_eq(file->invariants[0].filters[0].phf,
                     "^[{{--dpid core --inport up-1 --verdict looped}}"
                     "{{--dpid x --verdict looped}}"
                     "{{--dpid \"DROP\" --inport 2 --verdict looped}}]");
    invariant_file_destroy(file);
}
END_TEST

/* --- paths --------------------------------------------------------------- */

#define MAX_HOPS 4

/* The history of a packet that met these switches; from address 10.0.0.1 to
 * 10.0.0.2, or the other way. */
static struct history *
walk(const unsigned int *way, size_t n, bool is_back, enum verdict_name end)
{
    struct history *h = history_create(1);
    struct frame frame = frame_eth(HDR_ETH_IP4);

    frame_ip4(&frame, HDR_IP_UDP, 64, is_back ? "10.0.0.2" : "10.0.0.1",
              is_back ? "10.0.0.1" : "10.0.0.2");
    frame_udp(&frame, 4321, 9);
    frame_finish(&frame);
    for (size_t i = 0; i < n; i++) {
        struct history_hop *hop = history_add_hop(h);

        hop->parent = (int) i - 1;
        hop->dpid = way[i];
        hop->in_port = 1;
        history_hop_add_out(hop, 2);
        history_hop_set_header(hop, frame.data, frame.len);
        if (i == n - 1) {
            verdict_set(&hop->verdict, end, way[i], 2, NULL);
        }
    }
    history_settle(h);
    return h;
}

static bool
is_found(const struct invariant *inv, const struct history *h)
{
    struct topology *topology = sample_topology();
    bool is_match = false;

    for (size_t i = 0; i < inv->n_filters; i++) {
        struct phf *phf;

        ck_assert_int_eq(
            phf_compile(inv->filters[i].phf, topology, &phf, NULL), 0);
        is_match |= phf_match(phf, h, topology) == PHF_MATCH;
        phf_destroy(phf);
    }
    topology_unref(topology);
    return is_match;
}

static bool
meets(const unsigned int *way, size_t n, unsigned int a, unsigned int b)
{
    for (size_t i = 0; i < n; i++) {
        if (way[i] == a || way[i] == b) {
            return true;
        }
    }
    return false;
}

static bool
breaks_waypoint(const unsigned int *way, size_t n, bool is_delivered)
{
    return is_delivered && !meets(way, n, 2, 2);
}

static bool
breaks_waypoints(const unsigned int *way, size_t n, bool is_delivered)
{
    return is_delivered && !meets(way, n, 2, 3);
}

static bool
breaks_at_most_2(const unsigned int *way, size_t n, bool is_delivered)
{
    return n > 2;
}

static bool
breaks_at_most_1(const unsigned int *way, size_t n, bool is_delivered)
{
    return n > 1;
}

static bool
breaks_path_1(const unsigned int *way, size_t n, bool is_delivered)
{
    return is_delivered && (n != 1 || way[0] != 1);
}

static bool
breaks_path_12(const unsigned int *way, size_t n, bool is_delivered)
{
    return is_delivered && (n != 2 || way[0] != 1 || way[1] != 2);
}

static bool
breaks_path_1x3(const unsigned int *way, size_t n, bool is_delivered)
{
    return is_delivered &&
           (n != 3 || way[0] != 1 || way[1] == 3 || way[2] != 3);
}

static bool
breaks_path_1213(const unsigned int *way, size_t n, bool is_delivered)
{
    static const unsigned int path[] = {1, 2, 1, 3};

    return is_delivered && (n != 4 || memcmp(way, path, sizeof path));
}

static bool
breaks_traffic(const unsigned int *way, size_t n, bool is_delivered)
{
    return is_delivered;
}

static bool
breaks_drops(const unsigned int *way, size_t n, bool is_delivered)
{
    return !is_delivered;
}

static const struct {
    const char *text;
    bool (*breaks)(const unsigned int *way, size_t n, bool is_delivered);
} paths[] = {
    {"waypoint s2", breaks_waypoint},
    {"waypoint s2 or s3", breaks_waypoints},
    {"path at most 2", breaks_at_most_2},
    {"path at most 1 hops", breaks_at_most_1},
    {"path equals s1", breaks_path_1},
    {"path equals s1 s2", breaks_path_12},
    {"path equals s1 s1|s2 s3", breaks_path_1x3},
    {"path equals s1 s2 s1 s3", breaks_path_1213},
    {"no traffic", breaks_traffic},
    {"no drops", breaks_drops},
    {"no black-holes", breaks_drops},
};

/* Every way of up to four hops over three switches. */
START_TEST(filters_find_exactly_the_paths_that_break_it)
{
    static const char *const scopes[] = {
        " from 10.0.0.1 to 10.0.0.2",
        " from 10.0.0.1",
        " to 10.0.0.2",
        " from any",
        " from 10.0.0.1 matching \"udp\"",
        " from any except \"src host 10.0.0.2\""};

    for (size_t s = 0; s < sizeof scopes / sizeof *scopes; s++) {
        char text[200];
        struct invariant_file *file;
        unsigned int way[MAX_HOPS];

        snprintf(text, sizeof text, "%s%s", paths[_i].text, scopes[s]);
        file = parse(text);
        for (unsigned int k = 0; k < 4 * 4 * 4 * 4; k++) {
            size_t n = 0;

            /* Digits of k in base 4: a switch each, 0 ends. */
            for (unsigned int rest = k; rest % 4; rest /= 4) {
                way[n++] = rest % 4;
            }
            for (int v = 0; n && v < 4; v++) {
                bool is_back = v % 2, is_delivered = v / 2;
                struct history *h =
                    walk(way, n, is_back,
                         is_delivered ? VERDICT_DELIVERED : VERDICT_DROPPED);
                bool is_meant = (s == 3 || !is_back) &&
                                paths[_i].breaks(way, n, is_delivered);

                ck_assert_msg(is_found(&file->invariants[0], h) == is_meant,
                              "%s: way %u of %zu, %d", text, k, n, v);
                history_destroy(h);
            }
        }
        invariant_file_destroy(file);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("invariant");
    TCase *tc = tcase_create("files");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, a_wrong_line_is_told_with_its_place, 0,
                        sizeof wrongs / sizeof *wrongs);
    tcase_add_test(tc, every_wrong_line_is_told_up_to_a_limit);
    tcase_add_test(tc, bounds_are_errors);
    tcase_add_loop_test(tc, an_invariant_becomes_its_filters, 0,
                        sizeof rights / sizeof *rights);
    tcase_add_test(tc, names_groups_and_comments_are_read);
    tcase_add_test(tc, without_a_network_every_name_is_a_switch);
    tcase_add_loop_test(tc, filters_find_exactly_the_paths_that_break_it, 0,
                        sizeof paths / sizeof *paths);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
