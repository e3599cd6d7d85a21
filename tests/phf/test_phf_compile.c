/* SPDX-License-Identifier: Apache-2.0 */
/* What is a filter and what is not, and how errors are shown. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "phf/phf.h"

static const char *const good[] = {
    /* The letters. */
    ".",
    "{{--dpid 1}}",
    "{{ --dpid 1 }}",
    "{{--dpid\t1\n--inport 2}}",
    "[{{--dpid 1}}{{--dpid 2}}]",
    "[ {{--dpid 1}} {{--dpid 2}} ]",
    "[^{{--dpid 1}}]",
    "[^ {{--dpid 1}} ]",
    /* Putting together. */
    "^..",
    "..$",
    "^.$",
    "^",
    "$",
    "^$",
    ". . .",
    " . ",
    ".|.",
    "(.)",
    "(?:.)",
    "((.))",
    "(.|..)|...",
    ".^.",
    "(^.|.$)",
    "^*.",
    /* Quantifiers. */
    ".*",
    ".+",
    ".?",
    ".*?",
    ".+?",
    ".??",
    ".{2}",
    ".{2,}",
    ".{2,3}",
    ".{0}",
    ".{0,0}",
    ".{2,3}?",
    ".{1000}",
    ". *",
    "{{--dpid 1}} {2}",
    "{{--dpid 1}}{2}{{--dpid 2}}",
    "(.*)*{{--dpid 1}}",
    "(.|.)*{{--dpid 1}}",
    /* Back-references. */
    "(.)\\1",
    "(.).*\\1",
    "(.)(?:.)(.)\\2\\1",
    "((.)(.))\\1\\2\\3",
    "(.)|\\1",
    /* Terms. */
    "{{--dpid not 1}}",
    "{{--dpid 0x1}}",
    "{{--dpid 0X00ab}}",
    "{{--dpid 0000000000000001}}",
    "{{--dpid 00:00:00:00:00:00:00:01}}",
    "{{--dpid 18446744073709551615}}",
    "{{--dpid s1}}",
    "{{--dpid \"s 1\"}}",
    "{{--dpid 's1'}}",
    "{{--dpid not \"not\"}}",
    "{{--inport 1}}",
    "{{--inport 65535}}",
    "{{--inport LOCAL}}",
    "{{--inport eth0}}",
    "{{--outport DROP}}",
    "{{--outport NONE}}",
    "{{--outport controller}}",
    "{{--outport FLOOD --outport not ALL --outport IN_PORT}}",
    "{{--outport NORMAL}}",
    "{{--outport \"DROP\"}}",
    "{{--version 0}}",
    "{{--version 4294967295}}",
    "{{--version not 0x10}}",
    "{{--verdict delivered}}",
    "{{--verdict not lost}}",
    "{{--verdict looped --verdict not open --verdict controller}}",
    "{{--dpid 1 --dpid 1}}",
    /* BPF. */
    "{{--bpf ip}}",
    "{{--bpf \"ip\"}}",
    "{{--bpf 'ip'}}",
    "{{--bpf not ip}}",
    "{{--bpf not \"ip\"}}",
    "{{--bpf \"not ip\"}}",
    "{{--bpf tcp port 80 --dpid 1}}",
    "{{--bpf tcp[tcpflags] & (tcp-syn|tcp-fin) != 0}}",
    "{{--bpf ip[2:2] > 500 and tcp}}",
    "{{--bpf host 10.0.0.1 and not host fe80::1}}",
    "{{--bpf net 10.0.0.0/8 and ether host aa:bb:cc:dd:ee:ff}}",
    "{{--bpf tcp port http or domain}}",
    "{{--bpf portrange 1-1024}}",
    "{{--bpf ip proto \\tcp}}",
    "{{--bpf vlan 5 and ip}}",
    "{{--bpf len > 100 or greater 60}}",
};

START_TEST(accepts)
{
    struct lh_error error;
    struct phf *phf;

    error.text[0] = '\0';
    ck_assert_msg(!phf_compile(good[_i], NULL, &phf, &error), "%s: %s",
                  good[_i], error.text);
    ck_assert_str_eq(phf_text(phf), good[_i]);
    phf_destroy(phf);
}
END_TEST

static const struct {
    const char *text;
    int pos;
    const char *reason; /* Part of the message. */
} bad[] = {
    {"", 0, "empty"},
    {"   ", 0, "empty"},
    {"\n\t", 0, "empty"},
    {"X", 0, "expected a hop"},
    {".X", 1, "expected a hop"},
    {"--dpid 1", 0, "double braces"},
    {"dpid", 0, "expected a hop"},
    {"tcp", 0, "{{--bpf \"udp port 53\"}} asks for packets"},
    /* Braces. */
    {"{{--dpid 1", 0, "never closed"},
    {"..{{--dpid 1}", 2, "never closed"},
    {"{{--dpid 1}}.{{", 13, "never closed"},
    {"{{--bpf \"ip}}", 8, "never closed"},
    {"{{--bpf \"ip}} }}\"", 9, "BPF:"},
    {"{{--bpf \"ip\" --dpid '}}'", 0, "never closed"},
    {"{--dpid 1}", 0, "nothing stands before \"{\""},
    {"{{--dpid 1}}}", 12, "closes nothing"},
    {"}}", 0, "closes nothing"},
    {"{{}}", 0, "no term"},
    {".{{ }}", 1, "no term"},
    {"{{dpid 1}}", 2, "expected a term"},
    {"{{-dpid 1}}", 2, "expected a term"},
    {"{{--dpid}}", 8, "a switch"},
    {"{{--dpid }}", 9, "a switch"},
    {"{{--dpid not}}", 12, "a switch"},
    {"{{--dpid --inport 1}}", 9, "a switch"},
    {"{{--dpid 1 2}}", 11, "expected a term"},
    {"{{--dpid \"\"}}", 9, "between the quotes"},
    {"{{--dpid \"s1}}", 9, "quote is never closed"},
    {"{{--dpid \"s1\"x}}", 13, "blank after"},
    {"{{--dpid1}}", 8, "blank before"},
    {"{{--doid 1}}", 2, "no such term"},
    {"{{-- 1}}", 2, "no such term"},
    {"{{--DPID 1}}", 2, "no such term"},
    {"{{--dpid 1 --dp 1}}", 11, "no such term"},
    /* Values. */
    {"{{--dpid 18446744073709551616}}", 9, "64 bits"},
    {"{{--dpid 0x12345678901234567}}", 9, "64 bits"},
    {"{{--inport 65536}}", 11, "65535"},
    {"{{--outport not 99999999999999999999}}", 16, "65535"},
    {"{{--version 4294967296}}", 12, "4294967295"},
    {"{{--version x}}", 12, "number"},
    {"{{--version -1}}", 12, "number"},
    {"{{--verdict gone}}", 12, "verdicts are"},
    {"{{--verdict DROPPED}}", 12, "verdicts are"},
    {"{{--verdict deliveredandthenlost}}", 12, "verdicts are"},
    /* BPF. */
    {"{{--bpf}}", 7, "a BPF expression"},
    {"{{--bpf not}}", 11, "a BPF expression"},
    {"{{--bpf \"\"}}", 8, "between the quotes"},
    {"{{--bpf tcp port}}", 8, "BPF:"},
    {"{{--bpf ip and}}", 8, "BPF:"},
    {"..{{--dpid 1 --bpf ip)}}", 19, "BPF:"},
    {"{{--bpf ip) or (tcp}}", 8, "BPF:"},
    {"{{--bpf foo}}", 8, "\"foo\""},
    {"{{--bpf not host example.com}}", 17, "\"example.com\""},
    {"{{--bpf \"tcp and host a-b\"}}", 22, "\"a-b\""},
    {"{{--bpf port 80 or dst foo}}", 23, "\"foo\""},
    {"{{--bpf gateway snup}}", 16, "\"snup\""},
    {"{{--bpf ip \"x\"}}", 12, "\"x\""},
    {"{{--bpf \"ip\"--dpid 1}}", 12, "blank after"},
    {"{{--bpf \"ip\" and tcp}}", 13, "expected a term"},
    /* Brackets. */
    {"[", 0, "never closed"},
    {"[{{--dpid 1}}", 0, "never closed"},
    {"[]", 1, "only postcard filters"},
    {"[^]", 2, "only postcard filters"},
    {"[.]", 1, "only postcard filters"},
    {"[{{--dpid 1}}.]", 13, "only postcard filters"},
    {"[{{--dpid 1]", 1, "never closed"},
    {".]", 1, "closes nothing"},
    /* Parentheses and alternatives. */
    {"(.", 0, "never closed"},
    {".((.)", 1, "never closed"},
    {".)", 1, "closes nothing"},
    {"()", 1, "nothing stands here"},
    {"(?:)", 3, "nothing stands here"},
    {"(|.)", 1, "nothing stands here"},
    {"(.|)", 3, "nothing stands here"},
    {".|", 2, "nothing stands here"},
    {"|.", 0, "nothing stands here"},
    {".||.", 2, "nothing stands here"},
    {"(?.)", 1, "nothing stands before \"?\""},
    /* Quantifiers. */
    {"*", 0, "nothing stands before \"*\""},
    {"+.", 0, "nothing stands before \"+\""},
    {".**", 2, "nothing stands before \"*\""},
    {".*??", 3, "nothing stands before \"?\""},
    {".|*", 2, "nothing stands before \"*\""},
    {"(*)", 1, "nothing stands before \"*\""},
    {".{}", 1, "a count is"},
    {".{,2}", 1, "a count is"},
    {".{x}", 1, "a count is"},
    {".{2", 1, "a count is"},
    {".{2,3", 1, "a count is"},
    {".{2;3}", 1, "a count is"},
    {".{-1}", 1, "a count is"},
    {".{3,2}", 1, "smaller"},
    {".{1001}", 2, "counts go to 1000"},
    {".{1,1001}", 4, "counts go to 1000"},
    {".{99999999999999999999}", 2, "counts go to 1000"},
    {"((.{100}){100}){100}", 9, "2000 states"},
    {"(.{1000})..{1000}", 11, "2000 states"},
    /* Back-references. */
    {"\\1", 0, "no group 1"},
    {"(.\\1)", 2, "no group 1"},
    {"(.)\\2", 3, "no group 2"},
    {"(?:.)\\1", 5, "no group 1"},
    {"\\1(.)", 0, "no group 1"},
    {".\\0", 1, "number of a group"},
    {".\\x", 1, "number of a group"},
    {".\\", 1, "number of a group"},
};

START_TEST(refuses)
{
    struct lh_error error;
    struct phf *phf = (struct phf *) &error;

    ck_assert_msg(phf_compile(bad[_i].text, NULL, &phf, &error), "%s",
                  bad[_i].text);
    ck_assert_ptr_null(phf);
    ck_assert_msg(error.pos == bad[_i].pos, "%s: at %d: %s", bad[_i].text,
                  error.pos, error.text);
    ck_assert_msg(strstr(error.text, bad[_i].reason), "%s: %s", bad[_i].text,
                  error.text);
    ck_assert_int_ne(phf_compile(bad[_i].text, NULL, &phf, NULL), 0);
}
END_TEST

/* 'n' times 'unit', with 'before' and 'after' around. */
static char *
repeated(const char *before, const char *unit, size_t n, const char *after)
{
    size_t len = strlen(unit);
    char *text = calloc(1, strlen(before) + n * len + strlen(after) + 1);
    char *p = text + strlen(before);

    memcpy(text, before, strlen(before));
    for (size_t i = 0; i < n; i++, p += len) {
        memcpy(p, unit, len);
    }
    memcpy(p, after, strlen(after));
    return text;
}

static void
check_limit(char *text, const char *reason)
{
    struct lh_error error = {"", 0};
    struct phf *phf;

    ck_assert_int_eq(phf_compile(text, NULL, &phf, &error), reason ? 22 : 0);
    if (reason) {
        ck_assert_msg(strstr(error.text, reason), "%s", error.text);
        ck_assert_int_ge(error.pos, 0);
    }
    phf_destroy(phf);
    free(text);
}

START_TEST(limits)
{
    char nested[200];

    memset(nested, '(', PHF_MAX_NESTING + 1);
    nested[PHF_MAX_NESTING + 1] = '\0';
    check_limit(repeated(nested + 1, ".", 1,
                         "))))))))))))))))))))))))))))))))"
                         "))))))))))))))))))))))))))))))))"),
                NULL);
    check_limit(repeated(nested, ".", 1, ""), "nested deeper than 64");
    check_limit(repeated("", "(", 16000, ""), "nested deeper than 64");
    check_limit(repeated("", " ", PHF_MAX_TEXT - 1, "."), NULL);
    check_limit(repeated("", " ", PHF_MAX_TEXT, "."), "at most 16384 bytes");
    check_limit(repeated("", ".", PHF_MAX_STATES - 1, ""), NULL);
    check_limit(repeated("", ".", PHF_MAX_STATES, ""), "2000 states");
    check_limit(repeated("", ".|", 8000, "."), "2000 states");
    check_limit(repeated("{{--bpf ip", " ", 0, "}}"), NULL);
    check_limit(repeated("{{--bpf ip", " or ip", 500, "}}"), "2048 bytes");
    check_limit(repeated("{{--dpid ", "s", 255, "}}"), NULL);
    check_limit(repeated("{{--dpid ", "s", 256, "}}"), "255 bytes");
    check_limit(repeated("{{--dpid 1 ", "--inport 1 ", 1000, "}}"), NULL);
}
END_TEST

static struct topology *
small_topology(void)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_switch(b, 1, "s1", 0, NULL);
    topology_builder_add_switch(b, 2, "s2", 0, NULL);
    topology_builder_add_port(b, 1, 1, "s1-eth1", true);
    return topology_build(b, 1);
}

START_TEST(a_name_that_the_topology_lacks_is_an_error)
{
    struct topology *topology = small_topology();
    struct lh_error error;
    struct phf *phf;

    ck_assert(!phf_compile("{{--dpid s1 --inport s1-eth1}}", topology, &phf,
                           &error));
    phf_destroy(phf);
    ck_assert(phf_compile("{{--dpid s3}}", topology, &phf, &error));
    ck_assert_int_eq(error.pos, 9);
    ck_assert_str_eq(error.text,
                     "no switch is called \"s3\"; there is s1, s2");
    ck_assert(
        phf_compile("{{--dpid s1 --outport DORP}}", topology, &phf, &error));
    ck_assert_int_eq(error.pos, 22);
    ck_assert_ptr_nonnull(strstr(error.text, "no port is called \"DORP\""));
    /* A number needs no topology to have it. */
    ck_assert(
        !phf_compile("{{--dpid 77 --inport 8}}", topology, &phf, &error));
    phf_destroy(phf);
    topology_unref(topology);
}
END_TEST

static void
check_underline(const char *text, int pos, const char *expected)
{
    struct lh_error error = {"reason", pos};
    char *underlined = phf_underline(text, &error);

    ck_assert_str_eq(underlined, expected);
    free(underlined);
}

START_TEST(underlines)
{
    struct lh_error no_place = {"reason", -1};
    char *text = repeated("", "x", 200, "y");

    check_underline("{{--dpid 1}}.*{{--doid 2}}", 16,
                    "{{--dpid 1}}.*{{--doid 2}}\n"
                    "                ^~~~~~");
    check_underline("{{--dpid 1", 0, "{{--dpid 1\n^~");
    check_underline(".|", 2, ".|\n  ^");
    check_underline("", 0, "\n^");
    check_underline(".\n.\t*{{x\n.", 5, ". *{{x\n   ^~");
    /* Columns are characters, not bytes. */
    check_underline("\xc3\xa4\xc3\xb6 x\xc3\xbcz", 5,
                    "\xc3\xa4\xc3\xb6 x\xc3\xbcz\n   ^~~");
    /* The place stays in sight, wherever it is. */
    check_underline(text, 200,
                    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy\n"
                    "                                        ^");
    /* A position past the end is the end. */
    check_underline("..", 99, "..\n  ^");
    ck_assert_ptr_null(phf_underline("x", &no_place));
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("phf_compile");
    TCase *tcase = tcase_create("phf_compile");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_loop_test(tcase, accepts, 0, sizeof good / sizeof *good);
    tcase_add_loop_test(tcase, refuses, 0, sizeof bad / sizeof *bad);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, a_name_that_the_topology_lacks_is_an_error);
    tcase_add_test(tcase, underlines);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
