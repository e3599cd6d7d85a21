/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand triggers of fifty clients, good, slow and dead ones, with a
 * running lasthop-server: the good ones get all, the others are told what they
 * missed. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <lasthop/client.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "tests/server/live.h"

#define N_CLIENTS  50
#define N_TRIGGERS 20 /* Of each. */
#define N_GOOD     25
#define N_SLOW     15 /* Read nothing until all was sent. */
#define N_PACKETS  UINT32_C(4000)
#define BATCH      100

static struct live live;

static void
set_up(void)
{
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", NULL);
    live_start(&live);
    ck_assert_int_eq(setenv("LASTHOP_RUNDIR", live.dir, 1), 0);
}

static void
tear_down(void)
{
    live_uninit(&live);
}

struct one {
    struct lasthop_client *client;
    uint64_t n, n_missed;
    struct lasthop_history *last; /* Reference. */
};

static void
on_history(struct lasthop_request *r, struct lasthop_history *h, void *one_)
{
    struct one *one = one_;

    one->n++;
    lasthop_history_unref(one->last);
    one->last = lasthop_history_ref(h);
}

static void
on_missed(struct lasthop_request *r, uint64_t n, uint64_t since_ns,
          uint64_t until_ns, void *one_)
{
    struct one *one = one_;

    ck_assert_uint_gt(n, 0);
    one->n_missed += n;
}

/* One trigger for all, one for each number of hops, the rest for packets that
 * do not come. */
static void
open_one(struct one *one, int number, bool is_json)
{
    struct lasthop_request *r;
    char phf[64], name[64];

    snprintf(name, sizeof name, "client %d", number);

    one->client = lasthop_client_create(NULL);
    lasthop_client_set_timeout(one->client, LIVE_DEADLINE_MS);
    lasthop_client_set_json(one->client, is_json);
    ck_assert_int_eq(lasthop_client_connect(one->client), 0);
    ck_assert(lasthop_client_has_feature(one->client, "binary"));
    for (int i = 0; i < N_TRIGGERS; i++) {
        snprintf(phf, sizeof phf, i ? "^.{%d}$" : ".*", i);
        r = lasthop_request_create(one->client, "trigger.add");
        lasthop_request_set_text(r, "phf", phf);
        lasthop_request_set_text(r, "name", name);
        lasthop_request_on_history(r, on_history, one);
        lasthop_request_on_missed(r, on_missed, one);
        ck_assert_int_eq(lasthop_request_start(r), 0);
    }
    ck_assert_int_eq(lasthop_request_wait_answer(r, LIVE_DEADLINE_MS), 0);
}

/* Reads until 'one' has had or missed 'value' events. */
static void
read_until(struct one *one, uint64_t value)
{
    while (one->n + one->n_missed < value) {
        ck_assert_int_eq(lasthop_client_process(one->client, LIVE_DEADLINE_MS),
                         0);
    }
}

/* How many matches of client 'number' the server says were not sent. */
static uint64_t
count_missed(const json_t *triggers, int number)
{
    char name[64];
    uint64_t n = 0;
    size_t i;
    const json_t *trigger;

    snprintf(name, sizeof name, "client %d", number);
    json_array_foreach(triggers, i, trigger)
    {
        if (!strcmp(json_string_value(json_object_get(trigger, "name")),
                    name)) {
            n += (uint64_t) json_integer_value(
                json_object_get(trigger, "missed"));
        }
    }
    return n;
}

START_TEST(nothing_is_lost_but_by_who_is_slow_and_it_is_told)
{
    struct api_client *control = live_client(&live);
    struct one ones[N_CLIENTS] = {{.n = 0}};
    json_t *answer;

    for (int i = 0; i < N_CLIENTS; i++) {
        open_one(&ones[i], i, i % 2);
    }
    ck_assert_uint_eq(live_counter(control, "triggers"),
                      N_CLIENTS * N_TRIGGERS);
    for (uint32_t i = 0; i < N_PACKETS; i++) {
        live_send(&live, i, 1 + i % SCENE_SWITCHES, true);
        if (i % BATCH == BATCH - 1) {
            live_wait(control, "histories", i + 1);
            for (int j = 0; j < N_GOOD; j++) {
                read_until(&ones[j], 2 * (i + 1));
            }
        }
        if (i == N_PACKETS / 2) {
            /* A dead one: the server finds nobody there any more. */
            lasthop_client_destroy(ones[N_CLIENTS - 1].client);
            ones[N_CLIENTS - 1].client = NULL;
        }
    }
    ck_assert_uint_eq(live_counter(control, "clients_now"), N_CLIENTS);
    ck_assert_uint_ge(live_counter(control, "trigger_hits"),
                      2 * N_PACKETS * (N_CLIENTS - 1));

    for (int i = 0; i < N_GOOD; i++) {
        ck_assert_uint_eq(ones[i].n, 2 * N_PACKETS);
        ck_assert_uint_eq(ones[i].n_missed, 0);
    }
    /* As text and as bytes a history is the same. */
    char *text = lasthop_history_json(ones[0].last);
    char *other = lasthop_history_json(ones[1].last);

    ck_assert_str_eq(text, other);
    free(text);
    free(other);

    /* The slow ones wake up. */
    for (int i = N_GOOD; i < N_GOOD + N_SLOW; i++) {
        read_until(&ones[i], 2 * N_PACKETS);
        ck_assert_uint_eq(ones[i].n + ones[i].n_missed, 2 * N_PACKETS);
    }
    /* Each is told what the server knows that it missed.  Text is more than
     * the server keeps for a client. */
    ck_assert_int_eq(api_client_call(control, "trigger.list", NULL,
                                     LIVE_DEADLINE_MS, &answer, NULL),
                     0);
    for (int i = 0; i < N_CLIENTS - 1; i++) {
        uint64_t n = count_missed(json_object_get(answer, "triggers"), i);

        if (i < N_GOOD + N_SLOW) {
            ck_assert_uint_eq(n, ones[i].n_missed);
        }
        ck_assert(i < N_GOOD ? !n : n > 0 || i % 2 == 0);
    }
    json_decref(answer);
    /* The longest asleep are told as well, if they wake up after all. */
    for (int i = N_GOOD + N_SLOW; i < N_CLIENTS - 1; i++) {
        read_until(&ones[i], 2 * N_PACKETS);
        ck_assert_uint_eq(ones[i].n + ones[i].n_missed, 2 * N_PACKETS);
    }
    live_check_sums(control);
    for (int i = 0; i < N_CLIENTS; i++) {
        lasthop_history_unref(ones[i].last);
        lasthop_client_destroy(ones[i].client);
    }
    live_wait(control, "histories", N_PACKETS);
    api_client_close(control);
}
END_TEST

/* The events until the answer to `stats` that is asked now. */
struct told {
    uint64_t n, n_limited;
};

static void
count_history(struct lasthop_request *r, struct lasthop_history *h,
              void *told_)
{
    ((struct told *) told_)->n++;
}

static void
count_limited(struct lasthop_request *r, const char *json, void *told_)
{
    const char *n = strstr(json, "\"n\":");

    ck_assert_ptr_nonnull(strstr(json, "\"event\":\"limited\""));
    ck_assert_ptr_nonnull(n);
    ((struct told *) told_)->n_limited += strtoull(n + 4, NULL, 10);
}

START_TEST(a_trigger_pauses_and_keeps_its_rate)
{
    struct api_client *control = live_client(&live);
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct lasthop_request *r;
    struct told told = {0, 0};
    json_t *answer;
    int64_t number;

    ck_assert_int_eq(lasthop_client_connect(client), 0);
    r = lasthop_request_create(client, "trigger.add");
    lasthop_request_set_text(r, "phf", ".*");
    lasthop_request_set_bool(r, "paused", true);
    lasthop_request_set_number(r, "rate", 1);
    lasthop_request_on_history(r, count_history, &told);
    lasthop_request_on_event(r, count_limited, &told);
    ck_assert_int_eq(lasthop_request_start(r), 0);
    ck_assert_int_eq(lasthop_request_wait_answer(r, LIVE_DEADLINE_MS), 0);
    ck_assert(lasthop_request_number(r, "trigger", &number));
    live_send(&live, 1, 1, true);
    live_wait(control, "trigger_hits", 1);
    ck_assert_int_eq(
        api_client_call(control, "trigger.resume",
                        json_pack("{s:I}", "trigger", (json_int_t) number),
                        LIVE_DEADLINE_MS, NULL, NULL),
        0);
    /* One a second, or a few where the seconds change: the rest is told. */
    for (uint32_t i = 2; i < 52; i++) {
        live_send(&live, i, 1, true);
    }
    live_wait(control, "trigger_hits", 51);
    while (told.n + told.n_limited < 50) {
        ck_assert_int_eq(lasthop_client_process(client, LIVE_DEADLINE_MS), 0);
    }
    ck_assert_uint_eq(told.n + told.n_limited, 50);
    ck_assert_uint_ge(told.n, 1);
    ck_assert_uint_ge(told.n_limited, 1);

    /* It is in the list, and another client may delete it. */
    ck_assert_int_eq(api_client_call(control, "trigger.list", NULL,
                                     LIVE_DEADLINE_MS, &answer, NULL),
                     0);
    const json_t *one = json_array_get(json_object_get(answer, "triggers"), 0);

    ck_assert_int_eq(json_integer_value(json_object_get(one, "limited")),
                     (json_int_t) told.n_limited);
    ck_assert(json_is_false(json_object_get(one, "paused")));
    ck_assert_str_eq(json_string_value(json_object_get(one, "program")),
                     "liblasthop");
    json_decref(answer);
    lasthop_client_destroy(client);
    api_client_close(control);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("many_clients");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, nothing_is_lost_but_by_who_is_slow_and_it_is_told);
    tcase_add_test(tc, a_trigger_pauses_and_keeps_its_rate);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
