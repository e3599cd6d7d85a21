/* SPDX-License-Identifier: Apache-2.0 */
/* test_port_choice - names and keys of Geneve ports, by what ovs-vsctl says.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/collector_address.h"
#include "recorder/port_choice.h"

#define COLLECTOR "192.0.2.1"
#define MARKED    "[\"map\",[[\"lasthop\",\"postcards\"]]]"
#define UNMARKED  "[\"map\",[]]"

static char collector[] = COLLECTOR;
static struct postcard_target targets[] = {
    {.address = collector, .udp_port = COLLECTOR_ADDRESS_PORT}};
static const struct postcard_port to_collector = {.targets = targets,
                                                  .n_targets = 1};

/* A row of a Geneve interface. */
#define TUNNEL(NAME, REMOTE, KEY, MARK)                                       \
    "[\"" NAME "\",\"geneve\",[\"map\",[[\"key\",\"" KEY                      \
    "\"],[\"remote_ip\",\"" REMOTE "\"]]]," MARK "]"

/* What ovs-vsctl prints: both tables, then the bridge's interfaces. */
static void
choose(const char *geneve, const char *named, const char *ifaces,
       const char *name, struct port_choice *choice)
{
    char output[4096];

#define HEADINGS                                                              \
    "\"headings\":[\"name\",\"type\",\"options\",\"external_ids\"]"
    snprintf(output, sizeof output,
             "{\"data\":[%s]," HEADINGS "}\n{\"data\":[%s]," HEADINGS "}\n%s",
             geneve, named, ifaces);
    ck_assert_int_eq(port_choice_make(output, name, &to_collector, 1, choice),
                     0);
}

static void
expect(const struct port_choice *choice, const char *name, uint32_t key)
{
    ck_assert_str_eq(choice->name, name);
    ck_assert_uint_eq(choice->key, key);
}

START_TEST(the_first_has_the_number_of_its_switch)
{
    struct port_choice choice;

    choose("", "", "p1\n", NULL, &choice);
    expect(&choice, "lhp-1", 1);
    ck_assert(!choice.is_there);
    port_choice_uninit(&choice);

    /* And keeps it: here another one has come. */
    choose(TUNNEL("lhp-1", COLLECTOR, "1",
                  MARKED) "," TUNNEL("lhp-4097", COLLECTOR, "4097", MARKED),
           TUNNEL("lhp-1", COLLECTOR, "1", MARKED), "p1\nlhp-1\n", NULL,
           &choice);
    expect(&choice, "lhp-1", 1);
    ck_assert(choice.is_there && choice.is_ours && choice.is_geneve);
    port_choice_uninit(&choice);
}
END_TEST

START_TEST(what_is_taken_is_passed_over)
{
    struct port_choice choice;

    /* The name is on another bridge, whoever made it and for what. */
    choose(TUNNEL("lhp-1", "192.0.2.9", "1", MARKED), "", "p1\nlhp-11\n", NULL,
           &choice);
    expect(&choice, "lhp-4097", 4097);
    ck_assert(!choice.is_there);
    port_choice_uninit(&choice);
    choose("", "[\"lhp-1\",\"internal\",[\"map\",[]],[\"map\",[]]]", "p1\n",
           NULL, &choice);
    expect(&choice, "lhp-4097", 4097);
    port_choice_uninit(&choice);

    /* Only the key is: of names that were chosen, too. */
    choose(TUNNEL("any", COLLECTOR, "1",
                  UNMARKED) "," TUNNEL("other", COLLECTOR, "4097", UNMARKED),
           "", "", NULL, &choice);
    expect(&choice, "lhp-8193", 8193);
    port_choice_uninit(&choice);
    choose(TUNNEL("any", COLLECTOR, "1", UNMARKED), "", "", "mine", &choice);
    expect(&choice, "mine", 4097);
    port_choice_uninit(&choice);
    choose(TUNNEL("any", "192.0.2.9", "1", UNMARKED), "", "", "mine", &choice);
    expect(&choice, "mine", 1);
    port_choice_uninit(&choice);
}
END_TEST

START_TEST(the_second_is_found_again_when_the_first_is_gone)
{
    struct port_choice choice;

    choose(TUNNEL("lhp-4097", COLLECTOR, "4097", MARKED), "", "lhp-4097\np1\n",
           NULL, &choice);
    expect(&choice, "lhp-4097", 4097);
    ck_assert(choice.is_there && choice.is_ours);
    port_choice_uninit(&choice);

    /* A port of that name that no recorder made is none of ours. */
    choose(TUNNEL("lhp-7", COLLECTOR, "7", UNMARKED), "", "lhp-7\n", NULL,
           &choice);
    expect(&choice, "lhp-1", 1);
    port_choice_uninit(&choice);
}
END_TEST

START_TEST(a_port_of_the_owner_is_known)
{
    struct port_choice choice;

    choose(TUNNEL("mine", COLLECTOR, "77", UNMARKED),
           TUNNEL("mine", COLLECTOR, "77", UNMARKED), "mine\n", "mine",
           &choice);
    expect(&choice, "mine", 77);
    ck_assert(choice.is_there && !choice.is_ours && choice.is_geneve);
    port_choice_uninit(&choice);
    choose(TUNNEL("mine", "192.0.2.9", "77", UNMARKED),
           TUNNEL("mine", "192.0.2.9", "77", UNMARKED), "mine\n", "mine",
           &choice);
    ck_assert(choice.is_there && !choice.is_ours && !choice.is_geneve);
    port_choice_uninit(&choice);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused)
{
    struct port_choice choice;

    ck_assert_int_eq(port_choice_make("", NULL, &to_collector, 1, &choice),
                     EPROTO);
    ck_assert_int_eq(
        port_choice_make("{}\np1\n", NULL, &to_collector, 1, &choice), EPROTO);
    /* Nothing in it: nothing is taken. */
    ck_assert_int_eq(port_choice_make("{}[]", NULL, &to_collector, 1, &choice),
                     0);
    expect(&choice, "lhp-1", 1);
    port_choice_uninit(&choice);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("port_choice");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, the_first_has_the_number_of_its_switch);
    tcase_add_test(tc, what_is_taken_is_passed_over);
    tcase_add_test(tc, the_second_is_found_again_when_the_first_is_gone);
    tcase_add_test(tc, a_port_of_the_owner_is_known);
    tcase_add_test(tc, what_cannot_be_read_is_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
