/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_events - every match that one server tells another comes there,
 * or it is said since when some may be missing. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/history_codec.h"
#include "lib/time_spec.h"
#include "server/cluster_events.h"
#include "tests/lib/nats_fixture.h"
#include "tests/lib/random_history.h"

#define SECOND UINT64_C(1000000000)

/* A server. */
struct side {
    struct cluster_events *events;
    uint32_t ids[CLUSTER_EVENTS_MAX_IDS];
    size_t n_ids, n_matches, n_missed;
    uint64_t packet_id; /* Of the last match. */
    uint64_t since_ns, until_ns;
};

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct side a, b;
static size_t n_wanted;

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, "unused");
}

static void
tear_down(void)
{
    cluster_events_destroy(a.events);
    cluster_events_destroy(b.events);
    nats_tear_down(&nats, base, bus);
}

static void
on_match(void *side_, const uint32_t *ids, size_t n, struct history *h)
{
    struct side *side = side_;

    memcpy(side->ids, ids, n * sizeof *ids);
    side->n_ids = n;
    side->n_matches++;
    side->packet_id = h->packet_id;
    history_destroy(h);
}

static void
on_missed(void *side_, uint64_t since_ns, uint64_t until_ns)
{
    struct side *side = side_;

    side->n_missed++;
    side->since_ns = since_ns;
    side->until_ns = until_ns;
}

static void
start(struct side *side, const char *name)
{
    const struct cluster_events_config config = {.bus = bus,
                                                 .name = name,
                                                 .on_match = on_match,
                                                 .on_missed = on_missed,
                                                 .aux = side};

    cluster_events_destroy(side->events);
    *side = (struct side){.events = cluster_events_create(&config)};
}

/* 'a' tells 'b' of a match of filters 5 and 6; 'n_bytes' of it are cut off. */
static void
tell(uint64_t packet_id, size_t n_cut)
{
    struct history_encoder *encoder = history_encoder_create();
    struct history *h = line_history(packet_id, 3, time_spec_now(), 64);
    struct byte_buf payload = BYTE_BUF_INIT;
    const uint32_t ids[] = {5, 6};

    ck_assert_int_eq(history_encoder_add(encoder, h), 0);
    history_encoder_finish(encoder, &payload);
    payload.len -= n_cut < payload.len ? n_cut : payload.len;
    cluster_events_send(a.events, "b", cluster_events_session(b.events), ids,
                        2, &payload);
    byte_buf_uninit(&payload);
    history_destroy(h);
    history_encoder_destroy(encoder);
}

static bool
lacks_matches(void *side)
{
    return ((struct side *) side)->n_matches < n_wanted;
}

static bool
lacks_missed(void *side)
{
    return ((struct side *) side)->n_missed < n_wanted;
}

static void
wait_matches(size_t n)
{
    n_wanted = n;
    nats_loop_while(base, lacks_matches, &b);
}

static void
wait_missed(size_t n)
{
    n_wanted = n;
    nats_loop_while(base, lacks_missed, &b);
}

START_TEST(every_match_comes)
{
    start(&a, "a");
    start(&b, "b");
    for (uint64_t id = 1; id <= 100; id++) {
        tell(id, 0);
    }
    cluster_events_tick(a.events);
    wait_matches(100);
    ck_assert_uint_eq(b.packet_id, 100);
    ck_assert_uint_eq(b.n_ids, 2);
    ck_assert_uint_eq(b.ids[0], 5);
    ck_assert_uint_eq(b.ids[1], 6);
    cluster_events_tick(a.events);
    tell(101, 0);
    wait_matches(101);
    ck_assert_uint_eq(b.n_missed, 0);
    ck_assert_uint_eq(a.n_matches + a.n_missed, 0);
}
END_TEST

/* One that is too large has no history in its letter; one that cannot be read
 * is no better. */
START_TEST(what_cannot_be_read_is_missed)
{
    static const size_t cuts[] = {SIZE_MAX, 1, 100};
    uint64_t begun_ns = time_spec_now();

    start(&a, "a");
    start(&b, "b");
    tell(1, 0);
    for (size_t i = 0; i < 3; i++) {
        tell(2, cuts[i]);
        wait_missed(i + 1);
        ck_assert_uint_lt(b.since_ns, begun_ns);
        ck_assert_uint_ge(b.until_ns, begun_ns);
    }
    tell(3, 0);
    wait_matches(2);
    ck_assert_uint_eq(b.packet_id, 3);
    ck_assert_uint_eq(b.n_missed, 3);
}
END_TEST

/* Letters to a server that does not listen go nowhere. */
START_TEST(what_did_not_come_is_missed)
{
    char session[CLUSTER_EVENTS_SESSION_SIZE];
    uint64_t before_ns;

    start(&a, "a");
    start(&b, "b");
    tell(1, 0);
    wait_matches(1);
    /* Another one of that name is spoken to. */
    strcpy(session, cluster_events_session(b.events));
    start(&b, "b");
    ck_assert_str_ne(session, cluster_events_session(b.events));
    tell(2, 0);
    wait_matches(1);
    ck_assert_uint_eq(b.packet_id, 2);
    ck_assert_uint_eq(b.n_missed, 0);
    nats_kill(&nats);
    before_ns = time_spec_now();
    nats_start(&nats, NULL);
    cluster_events_connected(b.events);
    ck_assert_uint_eq(b.n_missed, 1);
    ck_assert_uint_lt(b.since_ns, before_ns - 9 * SECOND);
    ck_assert_uint_ge(b.until_ns, before_ns);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_events");
    TCase *tcase = tcase_create("cluster_events");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, every_match_comes);
    tcase_add_test(tcase, what_cannot_be_read_is_missed);
    tcase_add_test(tcase, what_did_not_come_is_missed);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
