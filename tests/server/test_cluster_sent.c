/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_sent, with the checkpoints that keep and the stores
 * that ask, on a real nats-server: what NATS acknowledged and lost is sent
 * again and archived, once. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "lib/monotonic.h"
#include "server/cluster_checkpoint.h"
#include "server/cluster_codecs.h"
#include "server/cluster_outbox.h"
#include "server/cluster_sent.h"
#include "server/store_message.h"
#include "tests/lib/nats_fixture.h"
#include "tests/lib/random_history.h"
#include "tests/server/store_fixture.h"
#include "tests/server/store_owner.h"

#define NOW_NS   UINT64_C(1700000000000000000)
#define SECOND   UINT64_C(1000000000)
#define PLENTY   (1u << 20)
#define N_STORES 4

static void
set_up(void)
{
    store_set_up();
    open_bus();
}

static void
tear_down(void)
{
    close_bus();
    store_tear_down();
}

static void
on_ready(void *is_ready, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_ready = true;
}

static void
make_stream(const char *name, const char *subjects)
{
    const struct bus_stream_config stream = {.name = name,
                                             .subjects = subjects,
                                             .max_bytes = 16u << 20,
                                             .discards_new = true};
    bool is_ready = false;

    ck_assert_int_eq(
        bus_stream_create(bus, &stream, 5000, on_ready, &is_ready, NULL), 0);
    nats_loop_until(base, &is_ready);
}

static struct cluster_sent_counters
count(const struct cluster_sent *sent)
{
    struct cluster_sent_counters n;

    cluster_sent_get_counters(sent, &n);
    return n;
}

/* --- What is kept. -------------------------------------------------------
 */

/* Keeps a message of 1,000 bytes. */
static void
keep(struct cluster_sent *sent, uint32_t m, uint32_t k, uint64_t c,
     uint64_t now_ns)
{
    const struct store_message head = {
        .kind = STORE_TENTATIVE, .k = k, .e = 1, .c = c};
    struct byte_buf data = BYTE_BUF_INIT;

    store_message_put(&head, &data);
    memset(byte_buf_extend(&data, 1000 - data.len), 1, 1000 - data.len);
    cluster_sent_keep(sent, m, &data, NULL, now_ns);
    ck_assert_uint_eq(data.len, 0);
}

START_TEST(the_oldest_go_first)
{
    struct cluster_sent *sent = cluster_sent_create(bus, 10500);
    struct cluster_sent_wanted wanted = {.m = 3, .k = 5, .last = UINT64_MAX};

    for (uint64_t c = 1; c <= 30; c++) {
        keep(sent, 3, 5, c, c * SECOND);
        ck_assert_uint_le(count(sent).bytes, 10500);
    }
    ck_assert_uint_ge(count(sent).kept, 8);
    ck_assert_uint_le(count(sent).kept, 10);

    /* Those that are there are the last ones. */
    wanted.last = 30 - count(sent).kept;
    cluster_sent_answer(sent, &wanted, 31 * SECOND);
    ck_assert_uint_eq(count(sent).sent_again, 0);
    wanted.last++;
    cluster_sent_answer(sent, &wanted, 31 * SECOND);
    ck_assert_uint_eq(count(sent).sent_again, 1);

    cluster_sent_run(sent, 29 * SECOND + CLUSTER_SENT_NS + 1);
    ck_assert_uint_eq(count(sent).kept, 1);
    cluster_sent_run(sent, 30 * SECOND + CLUSTER_SENT_NS + 1);
    ck_assert_uint_eq(count(sent).kept, 0);
    ck_assert_uint_eq(count(sent).bytes, 0);
    cluster_sent_destroy(sent);
}
END_TEST

START_TEST(only_what_is_wanted_comes_again)
{
    struct cluster_sent *sent = cluster_sent_create(bus, PLENTY);
    struct cluster_sent_wanted wanted = {3, 5, 11, 12};

    make_streams();
    for (uint64_t c = 10; c <= 13; c++) {
        keep(sent, 3, 5, c, SECOND);
        keep(sent, 3, 5, c, SECOND);
        keep(sent, 2, 5, c, SECOND);
        keep(sent, 3, 4, c, SECOND);
    }
    cluster_sent_answer(sent, &wanted, SECOND);
    ck_assert_uint_eq(count(sent).sent_again, 4);
    /* Who asks at once again has not seen it yet. */
    cluster_sent_answer(sent, &wanted, SECOND + CLUSTER_SENT_AGAIN_NS);
    ck_assert_uint_eq(count(sent).sent_again, 4);
    cluster_sent_answer(sent, &wanted, SECOND + CLUSTER_SENT_AGAIN_NS + 1);
    ck_assert_uint_eq(count(sent).sent_again, 8);
    cluster_sent_destroy(sent);
}
END_TEST

START_TEST(a_question_is_read_or_refused)
{
    const struct cluster_sent_wanted wanted = {3, 4095, 7, UINT64_MAX};
    struct cluster_sent_wanted read;
    struct byte_buf out = BYTE_BUF_INIT;

    cluster_sent_put(&wanted, &out);
    ck_assert_uint_eq(out.len, CLUSTER_SENT_SIZE);
    ck_assert(cluster_sent_read(out.data, out.len, &read));
    ck_assert_mem_eq(&read, &wanted, sizeof read);
    for (size_t len = 0; len < out.len; len++) {
        ck_assert(!cluster_sent_read(out.data, len, &read));
    }
    out.data[0] = 2; /* Version. */
    ck_assert(!cluster_sent_read(out.data, out.len, &read));
    out.data[0] = 1;
    out.data[8] = 0x10; /* Shard 8191. */
    ck_assert(!cluster_sent_read(out.data, out.len, &read));
    byte_buf_uninit(&out);
}
END_TEST

/* --- With a store. -------------------------------------------------------
 */

static void
open_store(struct owner *owner)
{
    own(owner, 1, dirs[0]);
    nats_loop_until(base, &owner->is_open);
}

static bool
is_not_archived(void *owner)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(((struct owner *) owner)->store, &c);
    ck_assert_uint_eq(c.accept.missing, 0);
    return is_uncommitted(owner);
}

START_TEST(what_a_store_lacks_comes_again)
{
    struct cluster_sent *sent = cluster_sent_create(bus, PLENTY);
    struct byte_buf lost = BYTE_BUF_INIT;
    struct owner owner;

    make_streams();
    open_store(&owner);
    send_without_last_part();
    make_last_part(&lost);
    cluster_sent_keep(sent, STORE_M, &lost, NULL, monotonic_ns());
    nats_loop_while(base, is_not_archived, &owner);
    ck_assert_uint_eq(count(sent).sent_again, 1);
    ck_assert_uint_eq(owner.n_shown, n_sent);
    drain(&owner);
    check_each_once();
    cluster_sent_destroy(sent);
}
END_TEST

/* --- With checkpoints. ---------------------------------------------------
 */

static void
on_claimed(void *aux, const struct cluster_checkpoint_past *past)
{
}

static void
on_committed(void *aux)
{
}

static void
on_fenced(void *aux)
{
    ck_abort();
}

static bool
is_under_way(void *checkpoint)
{
    return !cluster_checkpoint_is_done(checkpoint);
}

/* Gives it addresses with which it goes to STORE_M. */
static void
set_flow(struct history *h)
{
    uint8_t header[60] = {[12] = 8, [14] = 0x45, [17] = 46, [23] = 17};

    do {
        header[29]++; /* Of the sender's address. */
        for (size_t i = 0; i < h->n_hops; i++) {
            history_hop_set_header(&h->hops[i], header, sizeof header);
        }
    } while (cluster_outbox_store(h, N_STORES) != STORE_M);
}

/* A checkpoint with 'n' histories. */
static void
send_all(struct cluster_checkpoint *checkpoint, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t id = ++n_sent;
        struct history *h = line_history(id, 3, NOW_NS + id * 1000, 60);

        set_flow(h);
        cluster_outbox_add(cluster_checkpoint_box(checkpoint), h);
    }
    cluster_checkpoint_begin(checkpoint, 1, NULL, 0);
    nats_loop_while(base, is_under_way, checkpoint);
}

/* NATS loses the end of its streams: the last histories, and that they were
 * committed; and nothing comes after these. */
START_TEST(what_was_lost_at_the_end_comes_again)
{
    struct cluster_sent *sent = cluster_sent_create(bus, PLENTY);
    struct cluster_codecs *codecs =
        cluster_codecs_take(NULL, &store_id_config);
    const struct cluster_checkpoint_config config = {
        .bus = bus,
        .shard = STORE_K,
        .epoch = 10,
        .n_stores = N_STORES,
        .codecs = codecs,
        .sent = sent,
        .on_claimed = on_claimed,
        .on_committed = on_committed,
        .on_fenced = on_fenced,
    };
    struct cluster_checkpoint *checkpoint;
    struct owner owner;

    make_streams();
    make_stream("LH1", "lh.1.*");
    make_stream("LHS", "lh.s.*");
    nats_create_bucket(bus, base, "lh-commit-1");
    checkpoint = cluster_checkpoint_create(&config);
    nats_loop_while(base, is_under_way, checkpoint);
    cluster_checkpoint_run(checkpoint, 100 * SECOND);
    send_all(checkpoint, 20);
    nats_kill(&nats);
    nats_keep_store(&nats);
    nats_start(&nats, NULL);
    for (int i = 0; i < 5; i++) {
        send_all(checkpoint, 3); /* More than one marker tells of. */
    }
    nats_kill(&nats);
    nats_fall_back(&nats);
    nats_start(&nats, NULL);

    open_store(&owner);
    cluster_checkpoint_run(checkpoint, 110 * SECOND);
    ck_assert(cluster_checkpoint_is_done(checkpoint));
    cluster_checkpoint_run(checkpoint, 113 * SECOND);
    ck_assert(!cluster_checkpoint_is_done(checkpoint));
    nats_loop_while(base, is_not_archived, &owner);
    ck_assert_uint_ge(count(sent).sent_again, 5);
    ck_assert_uint_eq(owner.n_shown, n_sent);

    /* Once is enough. */
    cluster_checkpoint_run(checkpoint, 130 * SECOND);
    ck_assert(cluster_checkpoint_is_done(checkpoint));
    cluster_checkpoint_destroy(checkpoint);
    drain(&owner);
    check_each_once();
    cluster_sent_destroy(sent);
    cluster_codecs_unref(codecs);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_sent");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, the_oldest_go_first);
    tcase_add_test(tc, only_what_is_wanted_comes_again);
    tcase_add_test(tc, a_question_is_read_or_refused);
    tcase_add_test(tc, what_a_store_lacks_comes_again);
    tcase_add_test(tc, what_was_lost_at_the_end_comes_again);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
