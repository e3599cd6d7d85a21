/* SPDX-License-Identifier: Apache-2.0 */
/* test_nearest - the name that was meant is found, and none where none is
 * near. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/name_miss.h"
#include "lib/nearest.h"

static const char *const names[] = {"spine1",     "spine2", "leaf-north",
                                    "leaf-south", NULL,     "x"};

START_TEST(what_was_meant_is_found)
{
    static const struct {
        const char *text, *nearest;
    } cases[] = {
        {"spine1", "spine1"},
        {"SPINE2", "spine2"},
        {"spien2", "spine2"},
        {"sine1", "spine1"},
        {"spinee1", "spine1"},
        {"spine", "spine1"},
        {"leaf_south", "leaf-south"},
        {"laefnorth", "leaf-north"},
        {"core", NULL},
        {"sp", NULL},
        {"", NULL},
        {"leaf", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nearest nearest = nearest_init(cases[i].text);

        for (size_t j = 0; j < sizeof names / sizeof *names; j++) {
            nearest_try(&nearest, names[j]);
        }
        ck_assert_pstr_eq(nearest_name(&nearest), cases[i].nearest);
    }
}
END_TEST

START_TEST(very_long_texts_are_near_to_nothing)
{
    char text[200] = "";
    struct nearest nearest;

    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = 'a';
    }
    nearest = nearest_init(text);
    nearest_try(&nearest, text);
    ck_assert_ptr_null(nearest_name(&nearest));
    nearest = nearest_init("aaaa");
    nearest_try(&nearest, text);
    ck_assert_ptr_null(nearest_name(&nearest));
}
END_TEST

/* What there is, as far as it fits, and what is near. */
START_TEST(a_miss_says_what_there_is)
{
    static const char *const few[] = {"s1", NULL, "leaf1"};
    struct name_miss miss = name_miss_init("leaf2");
    struct lh_error error = {.text = "-", .pos = 3};
    const char *at;

    name_miss_set(&miss, "switch", &error);
    ck_assert_str_eq(error.text, "no switch is called \"leaf2\"; none has a "
                                 "name here, so give its number");
    ck_assert_int_eq(error.pos, -1);
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        name_miss_try(&miss, few[i]);
    }
    name_miss_set(&miss, "switch", &error);
    ck_assert_str_eq(error.text, "no switch is called \"leaf2\"; there is s1, "
                                 "leaf1; is \"leaf1\" meant?");
    name_miss_set(&miss, "switch", NULL);

    for (int i = 0; i < 1000; i++) {
        name_miss_try(&miss, "a-switch-of-many");
    }
    name_miss_set(&miss, "switch", &error);
    at = strstr(error.text, "a-switch-of-many, ...; is \"leaf1\" meant?");
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_lt(strlen(error.text), 300);
}
END_TEST

START_TEST(a_miss_of_long_names_has_room)
{
    char text[600];
    struct name_miss miss;
    struct lh_error error;

    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    miss = name_miss_init(text);
    name_miss_try(&miss, text + 1);
    name_miss_set(&miss, "port", &error);
    ck_assert_ptr_nonnull(strstr(error.text, "yyy\"; there is ..."));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("nearest");
    TCase *tcase = tcase_create("nearest");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tcase, what_was_meant_is_found);
    tcase_add_test(tcase, very_long_texts_are_near_to_nothing);
    tcase_add_test(tcase, a_miss_says_what_there_is);
    tcase_add_test(tcase, a_miss_of_long_names_has_room);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
