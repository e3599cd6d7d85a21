/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_fan - what two servers answer is one answer in order of time,
 * or it is said what it lacks, whatever they send; the servers are made up. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/history_codec.h"
#include "server/cluster_fan.h"
#include "server/cluster_leg.h"
#include "server/cluster_rpc.h"
#include "server/cluster_setup.h"
#include "tests/lib/nats_fixture.h"
#include "tests/lib/random_history.h"

#define T0       UINT64_C(1700000000000000000)
#define MAX_SEEN 16

/* A server that is asked. */
struct server {
    const char *name;
    struct shard_lease *lease;
    struct cluster_rpc *rpc;
    char inbox[128]; /* Of the query; "": it was not asked yet. */
    uint32_t n_sent;
    bool is_cancelled;
};

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct cluster_members *members;
static struct server y = {.name = "y"}, z = {.name = "z"};
static struct cluster_fan *fan;
static uint64_t seen[MAX_SEEN]; /* Times of histories, after T0. */
static size_t n_seen;
static json_t *over; /* The event `end`. */

static void
on_lease(void *aux, enum shard_event event, uint32_t shard, uint64_t epoch)
{
}

static void
on_asked(void *server_, struct cluster_rpc_call *call, const char *op,
         const json_t *request)
{
    struct server *server = server_;

    if (!strcmp(op, "start")) {
        ck_assert_str_eq(json_string_value(json_object_get(request, "phf")),
                         ". *");
        strcpy(server->inbox,
               json_string_value(json_object_get(request, "inbox")));
    }
    server->is_cancelled |= !strcmp(op, "cancel");
    cluster_rpc_answer(call, NULL);
}

static void
start(struct server *server)
{
    const struct shard_lease_options options = {.bucket = "leases",
                                                .name = server->name,
                                                .n_shards = 1,
                                                .lease_ms = 30000,
                                                .on_event = on_lease};
    char subject[64];
    struct lh_error error;

    *server = (struct server){.name = server->name};
    snprintf(subject, sizeof subject, CLUSTER_LEG_SUBJECT "%s", server->name);
    ck_assert_int_eq(shard_lease_create(bus, &options, &server->lease, &error),
                     0);
    server->rpc = cluster_rpc_create(bus, subject, on_asked, server);
}

static bool
is_alone(void *aux)
{
    return shard_lease_n_servers(y.lease) < 2;
}

static void
give(void *aux, const struct history *h)
{
    ck_assert_uint_lt(n_seen, MAX_SEEN);
    seen[n_seen++] = history_first_ns(h) - T0;
}

static bool
is_busy(void *aux)
{
    return false;
}

static void
on_progress(void *aux, json_t *progress)
{
    json_decref(progress);
}

static void
on_end(void *aux, json_t *end)
{
    over = end;
    cluster_fan_destroy(fan);
    fan = NULL;
}

static bool
is_one_unasked(void *aux)
{
    return !*y.inbox || !*z.inbox;
}

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, CLUSTER_BUCKET_META);
    members = cluster_members_create(bus, NULL, NULL);
    start(&y);
    start(&z);
    nats_loop_while(base, is_alone, NULL);

    const struct cluster_fan_config config = {
        .cluster = {.bus = bus,
                    .members = members,
                    .lease = y.lease,
                    .n_stores = 1,
                    .n_copies = 1},
        .phf = ". *",
        .until_ns = UINT64_MAX,
        .give = give,
        .is_busy = is_busy,
        .progress = on_progress,
        .end = on_end,
    };

    n_seen = 0;
    over = NULL;
    fan = cluster_fan_create(&config);
    nats_loop_while(base, is_one_unasked, NULL);
}

static void
tear_down(void)
{
    cluster_fan_destroy(fan);
    json_decref(over);
    for (struct server *s = &y; s; s = s == &y ? &z : NULL) {
        cluster_rpc_destroy(s->rpc);
        shard_lease_destroy(s->lease);
    }
    cluster_members_destroy(members);
    nats_tear_down(&nats, base, bus);
}

/* --- What servers send --------------------------------------------------- */

static void
send_as(const struct server *server, const char *name, unsigned int version,
        unsigned int kind, uint32_t number, const void *body, size_t len)
{
    struct byte_buf buf = BYTE_BUF_INIT;
    struct bus_letter letter = {.subject = server->inbox};

    byte_buf_put_u8(&buf, (uint8_t) version);
    byte_buf_put_u8(&buf, (uint8_t) kind);
    byte_buf_put_u8(&buf, (uint8_t) strlen(name));
    byte_buf_put(&buf, name, strlen(name));
    byte_buf_put_u32(&buf, number);
    if (len) {
        byte_buf_put(&buf, body, len);
    }
    letter.data = buf.data;
    letter.size = buf.len;
    ck_assert_int_eq(bus_send(bus, &letter, NULL, 5000, NULL), 0);
    byte_buf_uninit(&buf);
}

/* A batch of histories of these times after T0, ended by 0. */
static void
send_batch(struct server *server, const uint64_t *times)
{
    struct history_encoder *encoder = history_encoder_create();
    struct byte_buf payload = BYTE_BUF_INIT;

    for (; *times; times++) {
        struct history *h = line_history(*times, 1, T0 + *times, 64);

        ck_assert_int_eq(history_encoder_add(encoder, h), 0);
        history_destroy(h);
    }
    history_encoder_finish(encoder, &payload);
    send_as(server, server->name, CLUSTER_LEG_VERSION, CLUSTER_LEG_BATCH_OF,
            ++server->n_sent, payload.data, payload.len);
    byte_buf_uninit(&payload);
    history_encoder_destroy(encoder);
}

static void
send_end(struct server *server, const char *totals)
{
    send_as(server, server->name, CLUSTER_LEG_VERSION, CLUSTER_LEG_END,
            ++server->n_sent, totals, strlen(totals));
}

static bool
is_going(void *aux)
{
    return !over;
}

/* Waits for the end, and checks what was given. */
static void
check_end(const uint64_t *times, bool is_truncated, const char *why)
{
    const json_t *missing;
    size_t n = 0;

    nats_loop_while(base, is_going, NULL);
    while (times[n]) {
        ck_assert_uint_lt(n, n_seen);
        ck_assert_uint_eq(seen[n], times[n]);
        n++;
    }
    ck_assert_uint_eq(n_seen, n);
    ck_assert_int_eq(json_integer_value(json_object_get(over, "n")), (int) n);
    ck_assert_int_eq(json_is_true(json_object_get(over, "truncated")),
                     is_truncated);
    missing = json_object_get(over, "missing");
    ck_assert_uint_eq(json_array_size(missing), why != NULL);
    if (why) {
        ck_assert_str_eq(json_string_value(json_object_get(
                             json_array_get(missing, 0), "why")),
                         why);
    }
}

static bool
is_not_cancelled(void *server)
{
    return !((struct server *) server)->is_cancelled;
}

#define TIMES(...) ((const uint64_t[]){__VA_ARGS__, 0})

START_TEST(answers_are_merged_in_order)
{
    send_batch(&z, TIMES(20, 40));
    send_batch(&y, TIMES(10, 30));
    send_batch(&y, TIMES(50));
    send_end(&y, "{\"n\":3,\"scanned\":7}");
    send_end(&z, "{\"n\":2,\"scanned\":8,\"damaged\":1,\"damage\":\"why\"}");
    check_end(TIMES(10, 20, 30, 40, 50), false, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(over, "scanned")), 15);
    ck_assert_int_eq(json_integer_value(json_object_get(over, "damaged")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(over, "damage")),
                     "why");
}
END_TEST

/* Where one had to end, because more waited than it has room for, the whole
 * answer ends: what is later would hide that something is missing. */
START_TEST(where_one_ends_early_all_do)
{
    send_batch(&y, TIMES(10, 30));
    send_end(&y, "{\"n\":2,\"truncated\":true}");
    send_batch(&z, TIMES(20, 40, 50));
    check_end(TIMES(10, 20, 30), true, NULL);
    nats_loop_while(base, is_not_cancelled, &z);
    ck_assert(!y.is_cancelled);
}
END_TEST

START_TEST(what_is_strange_is_left_out)
{
    send_as(&y, "y", CLUSTER_LEG_VERSION + 1, CLUSTER_LEG_END, 1, "{}", 2);
    send_as(&y, "y", CLUSTER_LEG_VERSION, 9, 1, "{}", 2);
    send_as(&y, "x", CLUSTER_LEG_VERSION, CLUSTER_LEG_END, 1, "{}", 2);
    send_as(&y, "yy", CLUSTER_LEG_VERSION, CLUSTER_LEG_END, 1, "{}", 2);
    send_batch(&y, TIMES(10, 30));
    send_end(&y, "[");
    send_end(&z, "{\"n\":-1,\"scanned\":\"many\"}");
    check_end(TIMES(10, 30), false, NULL);
}
END_TEST

START_TEST(what_was_lost_on_the_way_is_said)
{
    send_batch(&y, TIMES(10));
    send_batch(&z, TIMES(20));
    z.n_sent++;
    send_batch(&z, TIMES(30));
    send_end(&y, "{}");
    check_end(TIMES(10), false, "a part of its answer was lost on the way");
}
END_TEST

START_TEST(what_cannot_be_read_is_said)
{
    send_batch(&y, TIMES(10));
    send_as(&z, "z", CLUSTER_LEG_VERSION, CLUSTER_LEG_BATCH_OF, 1,
            "\1nonsense", 9);
    send_end(&y, "{}");
    check_end(TIMES(10), false, "a part of its answer was lost on the way");
}
END_TEST

/* A batch of which the history cannot be read, though there is one. */
static void
put_unreadable(struct byte_buf *payload)
{
    struct history_encoder *encoder = history_encoder_create();
    struct history *h = line_history(20, 1, T0 + 20, 64);
    bool is_found = false;

    ck_assert_int_eq(history_encoder_add(encoder, h), 0);
    history_encoder_finish(encoder, payload);
    history_destroy(h);
    history_encoder_destroy(encoder);
    for (size_t i = payload->len; i-- > 0 && !is_found;) {
        struct history_decoder *decoder = NULL;
        struct history_record record;

        payload->data[i] ^= 0xff;
        h = NULL;
        is_found = !history_decoder_create(payload->data, payload->len,
                                           &decoder, NULL) &&
                   !history_decoder_next(decoder, &record, NULL) &&
                   record.first_ns == T0 + 20 &&
                   history_decoder_read(decoder, record.offset, &h, NULL) != 0;
        history_destroy(h);
        history_decoder_destroy(decoder);
        payload->data[i] ^= is_found ? 0 : 0xff;
    }
    ck_assert(is_found);
}

/* Also where its server has told its end before. */
START_TEST(a_history_that_cannot_be_read_is_said)
{
    struct byte_buf payload = BYTE_BUF_INIT;

    put_unreadable(&payload);
    send_as(&z, "z", CLUSTER_LEG_VERSION, CLUSTER_LEG_BATCH_OF, ++z.n_sent,
            payload.data, payload.len);
    byte_buf_uninit(&payload);
    send_end(&z, "{}");
    send_batch(&y, TIMES(10, 30));
    send_end(&y, "{}");
    check_end(TIMES(10, 30), false, "its answer cannot be read");
}
END_TEST

START_TEST(who_falls_silent_is_named)
{
    send_batch(&y, TIMES(10));
    send_end(&y, "{}");
    check_end(TIMES(10), false, "it has fallen silent");
    nats_loop_while(base, is_not_cancelled, &z);
}
END_TEST

START_TEST(who_cancels_cancels_all)
{
    send_batch(&y, TIMES(10));
    over = cluster_fan_cancelled(fan);
    cluster_fan_destroy(fan);
    fan = NULL;
    nats_loop_while(base, is_not_cancelled, &y);
    nats_loop_while(base, is_not_cancelled, &z);
    ck_assert(json_is_true(json_object_get(over, "cancelled")));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_fan");
    TCase *tcase = tcase_create("cluster_fan");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, answers_are_merged_in_order);
    tcase_add_test(tcase, where_one_ends_early_all_do);
    tcase_add_test(tcase, what_is_strange_is_left_out);
    tcase_add_test(tcase, what_was_lost_on_the_way_is_said);
    tcase_add_test(tcase, what_cannot_be_read_is_said);
    tcase_add_test(tcase, a_history_that_cannot_be_read_is_said);
    tcase_add_test(tcase, who_falls_silent_is_named);
    tcase_add_test(tcase, who_cancels_cancels_all);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
