/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_totals - the end of a query says what all servers told. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "server/cluster_totals.h"

static json_t *
from_text(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    ck_assert_msg(json, "%s", text);
    return json;
}

static void
add(json_t *end, const char *part)
{
    json_t *json = part ? from_text(part) : NULL;

    cluster_totals_add(end, json);
    json_decref(json);
}

static void
expect(json_t *end, const char *wanted)
{
    json_t *json = from_text(wanted);

    ck_assert_msg(json_equal(end, json), "%s is not %s", json_dumps(end, 0),
                  wanted);
    json_decref(json);
    json_decref(end);
}

START_TEST(counts_add_up_and_one_is_enough_to_be_cut)
{
    json_t *end = from_text("{\"n\":5,\"truncated\":false}");

    add(end, "{\"n\":2,\"scanned\":10,\"damaged\":0,\"lost\":1,"
             "\"truncated\":false}");
    add(end, "{\"n\":3,\"scanned\":7,\"damaged\":2,\"lost\":0,"
             "\"truncated\":true,\"damage\":\"first\"}");
    add(end, "{\"n\":3,\"scanned\":1,\"damaged\":1,\"lost\":0,"
             "\"truncated\":false,\"damage\":\"second\"}");
    add(end, NULL); /* It did not answer. */
    expect(end, "{\"n\":5,\"scanned\":18,\"damaged\":3,\"lost\":1,"
                "\"truncated\":true,\"damage\":\"first\"}");
}
END_TEST

START_TEST(the_client_may_have_had_enough)
{
    json_t *end = from_text("{\"truncated\":true}");

    add(end, "{\"truncated\":false}");
    expect(end, "{\"scanned\":0,\"damaged\":0,\"lost\":0,"
                "\"truncated\":true}");
}
END_TEST

START_TEST(packets_were_left_out_from_the_first_to_the_last_time)
{
    json_t *end = from_text("{}");

    add(end, "{\"sampled_since\":50,\"sampled_until\":60}");
    add(end, "{\"scanned\":1}");
    add(end, "{\"sampled_since\":20,\"sampled_until\":55}");
    add(end, "{\"sampled_since\":30,\"sampled_until\":90}");
    expect(end, "{\"scanned\":1,\"damaged\":0,\"lost\":0,\"truncated\":false,"
                "\"sampled\":{\"since_ns\":20,\"until_ns\":90}}");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_totals");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tcase, counts_add_up_and_one_is_enough_to_be_cut);
    tcase_add_test(tcase, the_client_may_have_had_enough);
    tcase_add_test(tcase,
                   packets_were_left_out_from_the_first_to_the_last_time);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
