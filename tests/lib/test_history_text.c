/* SPDX-License-Identifier: Apache-2.0 */
/* test_history_text - the backtrace says what the history holds, as wide as
 * it may and in colours when asked. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history.h"
#include "lib/lh_alloc.h"
#include "lib/text_line.h"
#include "tests/lib/golden.h"
#include "tests/lib/sample_history.h"

static struct topology *topology;

static void
set_up(void)
{
    topology = sample_topology();
}

static void
tear_down(void)
{
    topology_unref(topology);
}

/* Knows all rules but number 5. */
static char *
rule_text(void *aux, uint64_t dpid, uint32_t version)
{
    return version == 5
               ? NULL
               : lh_asprintf("table 0 priority %" PRIu32 "\nactions=drop",
                             version);
}

/* The text of 'h' (taken), for free(). */
static char *
text_of(struct history *h, const struct history_text_options *options)
{
    size_t size;
    char *text;
    FILE *stream = open_memstream(&text, &size);

    history_to_text(h, options, stream);
    fclose(stream);
    history_destroy(h);
    return text;
}

static void
check(const char *golden, struct history *h,
      const struct history_text_options *options)
{
    char *text = text_of(h, options);

    golden_check(golden, text);
    free(text);
}

/* s1 and s2 have clocks that are 5 us apart, or of which that is not known. */
static struct topology *
with_clocks(bool is_known, uint64_t error_ns, uint64_t at_ns)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_set_clock(
        b, 1, &(struct topology_clock){true, 0, true, 0, 0, at_ns});
    topology_builder_set_clock(
        b, 2,
        &(struct topology_clock){true, 1, is_known, 5000, error_ns, at_ns});
    return topology_build(b, 1);
}

START_TEST(times_by_another_clock_are_corrected_or_marked)
{
    static const struct {
        bool is_known;
        uint64_t error_ns, age_ns;
        const char *text, *json;
    } tries[] = {
        {true, 1000, 0, "  +7.3 us +-1 us\n",
         "\"after_ns\":7300,\"after_error_ns\":1000"},
        {true, 9000, 0, "  +7.3 us +-9 us (not sure)\n",
         "\"after_ns\":7300,\"after_error_ns\":9000"},
        /* An hour drifts by 2 * 100 ppm of 59 minutes. */
        {true, 1000, UINT64_C(3600000000000),
         "  +7.3 us +-708 ms (not sure)\n",
         "\"after_ns\":7300,\"after_error_ns\":708001000"},
        {false, 0, 0, "  +12.3 us by another clock\n",
         "\"after_ns\":12300,\"after_error_ns\":null"},
    };

    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct history *h = history_create(1);
        struct history_text_options options = {.utc = true, .current = -1};
        struct topology *t;
        char *text, *dump;
        json_t *json;

        for (int n = 0; n < 2; n++) {
            struct history_hop *hop = history_add_hop(h);

            hop->parent = n - 1;
            hop->dpid = (uint64_t) n + 1;
            hop->time_ns =
                UINT64_C(1700000000000000000) + 12300 * (uint64_t) n;
        }
        t = with_clocks(tries[i].is_known, tries[i].error_ns,
                        h->hops[0].time_ns + 20000 + tries[i].age_ns);
        options.topology = t;
        text = text_of(history_clone(h), &options);
        ck_assert_msg(strstr(text, tries[i].text) != NULL, "%zu: %s", i, text);
        json = history_to_json(h, t);
        dump = json_dumps(json, JSON_COMPACT);
        ck_assert_msg(strstr(dump, tries[i].json) != NULL, "%zu: %s", i, dump);
        free(dump);
        json_decref(json);
        free(text);
        history_destroy(h);
        topology_unref(t);
    }
}
END_TEST

START_TEST(an_edited_and_delivered_packet)
{
    check("history-nat.txt", sample_history_nat(),
          &(struct history_text_options){
              .topology = topology,
              .utc = true,
              .current = -1,
              .rule_text = rule_text,
          });
}
END_TEST

START_TEST(a_dropped_packet_with_bytes_and_a_current_hop)
{
    check("history-dropped.txt", sample_history_dropped(),
          &(struct history_text_options){
              .topology = topology,
              .utc = true,
              .full = true,
              .current = 1,
              .rule_text = rule_text,
          });
}
END_TEST

START_TEST(a_flood_is_a_tree)
{
    check("history-flooded.txt", sample_history_flooded(),
          &(struct history_text_options){
              .topology = topology,
              .utc = true,
              .current = -1,
          });
}
END_TEST

START_TEST(gaps_and_deduced_hops_are_said)
{
    check("history-odd.txt", sample_history_odd(),
          &(struct history_text_options){
              .topology = topology,
              .utc = true,
              .current = -1,
              .rule_text = rule_text,
          });
}
END_TEST

START_TEST(without_a_topology_switches_are_numbers)
{
    char *text =
        text_of(sample_history_dropped(),
                &(struct history_text_options){.utc = true, .current = -1});

    ck_assert_ptr_nonnull(strstr(text, "dropped at 0000000000000003 by v9"));
    ck_assert_ptr_nonnull(strstr(text, "#0 0000000000000001  in 1  out 3"));
    free(text);
}
END_TEST

START_TEST(colours_are_there_when_asked)
{
    check("history-color.txt", sample_history_nat(),
          &(struct history_text_options){
              .topology = topology,
              .utc = true,
              .color = true,
              .width = 60,
              .current = -1,
          });
}
END_TEST

START_TEST(no_line_is_wider_than_allowed)
{
    for (int width = 1; width < 100; width++) {
        char *text =
            text_of(sample_history_flooded(), &(struct history_text_options){
                                                  .topology = topology,
                                                  .width = width,
                                                  .current = -1,
                                              });
        char *rest = text;

        for (char *line; (line = strsep(&rest, "\n"));) {
            ck_assert_msg(strlen(line) <= (size_t) width, "%d: %s", width,
                          line);
        }
        free(text);
    }
}
END_TEST

START_TEST(nothing_commands_the_terminal)
{
    struct history *h = sample_history_dropped();
    char *text;

    verdict_set(&h->hops[1].verdict, VERDICT_DROPPED, 3, 1,
                "\033[2J\a\x7f\xc2\x9b");
    history_settle(h);
    text = text_of(h, &(struct history_text_options){.current = -1});
    for (char *p = text; *p; p++) {
        ck_assert_msg(*p == '\n' || (unsigned char) *p >= 0x20, "%s", text);
    }
    ck_assert_ptr_nonnull(strstr(text, "?[2J"));
    ck_assert_ptr_null(strstr(text, "\xc2\x9b"));
    free(text);
}
END_TEST

START_TEST(a_history_without_hops_is_one_line)
{
    char *text = text_of(history_create(1),
                         &(struct history_text_options){.current = -1});

    ck_assert_str_eq(text, "packet 0000000000000001  no verdict\n");
    free(text);
}
END_TEST

START_TEST(a_line_is_cut_between_characters)
{
    size_t size;
    char *text;
    FILE *stream = open_memstream(&text, &size);
    struct text_line line = {.stream = stream, .width = 5};

    text_line_put(&line, TEXT_RED, "äöüäö");
    text_line_end(&line);
    text_line_put(&line, TEXT_RED, "äöü");
    text_line_put(&line, TEXT_PLAIN, "%s", "xyz");
    text_line_end(&line);
    text_line_uninit(&line);
    fclose(stream);
    ck_assert_str_eq(text, "äöüäö\näö...\n");
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("history_text");
    TCase *tc = tcase_create("history_text");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, times_by_another_clock_are_corrected_or_marked);
    tcase_add_test(tc, an_edited_and_delivered_packet);
    tcase_add_test(tc, a_dropped_packet_with_bytes_and_a_current_hop);
    tcase_add_test(tc, a_flood_is_a_tree);
    tcase_add_test(tc, gaps_and_deduced_hops_are_said);
    tcase_add_test(tc, without_a_topology_switches_are_numbers);
    tcase_add_test(tc, colours_are_there_when_asked);
    tcase_add_test(tc, no_line_is_wider_than_allowed);
    tcase_add_test(tc, nothing_commands_the_terminal);
    tcase_add_test(tc, a_history_without_hops_is_one_line);
    tcase_add_test(tc, a_line_is_cut_between_characters);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
