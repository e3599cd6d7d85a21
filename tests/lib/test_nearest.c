/* SPDX-License-Identifier: Apache-2.0 */
/* test_nearest - the name that was meant is found, and none where none is
 * near. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

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

int
main(void)
{
    Suite *suite = suite_create("nearest");
    TCase *tcase = tcase_create("nearest");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tcase, what_was_meant_is_found);
    tcase_add_test(tcase, very_long_texts_are_near_to_nothing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
