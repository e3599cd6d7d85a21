/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_accept: whatever owners of a stage-1 shard do, and
 * whenever who reads begins again, each committed checkpoint is accepted
 * exactly once, and no other. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "server/cluster_accept.h"
#include "tests/lib/random_history.h"

#define N_SHARDS  3
#define N_OWNERS  6 /* Of each shard, one after the other. */
#define N_STEPS   6000
#define MAX_LOG   30000
#define MAX_PARTS 3

/* The subject: all messages in the order in which NATS took them. */
static struct {
    struct store_message m;
    uint64_t id; /* Of the histories in it; 0: a marker. */
} stream[MAX_LOG];
static size_t n_stream;

/* What is committed: the record of each stage-1 shard. */
static struct {
    uint64_t c, e_c, epoch;
} records[N_SHARDS];

/* Every owner that there ever was goes on as if it were one. */
struct owner {
    uint32_t k;
    uint64_t epoch;
    bool is_fenced;
    uint64_t c;          /* That it committed last, or found. */
    unsigned int n_sent; /* Of the parts of the next one. */
    unsigned int n_parts;
    uint64_t ids[MAX_PARTS];
    unsigned int n_due_markers; /* Not published yet. */
    struct store_message due[2];
};

static uint64_t *committed; /* IDs that have to be accepted, each once. */
static size_t n_committed, allocated;
static uint64_t next_id;
static unsigned int n_accepted[MAX_LOG * 2];

static void
publish(const struct store_message *m, uint64_t id)
{
    ck_assert_uint_lt(n_stream, MAX_LOG);
    stream[n_stream].m = *m;
    stream[n_stream].id = id;
    n_stream++;
}

static void
take_over(struct owner *o, uint32_t k, uint64_t epoch)
{
    *o = (struct owner){.k = k, .epoch = epoch, .c = records[k].c};
    records[k].epoch = epoch;
    o->due[0] = (struct store_message){.kind = STORE_MARKER,
                                       .k = k,
                                       .e = records[k].e_c,
                                       .c = records[k].c,
                                       .e_now = epoch};
    o->n_due_markers = 1;
}

/* One thing that an owner does next: publish a marker that is due, a part of
 * its next checkpoint, or commit it.  Sometimes a message goes twice. */
static void
step(struct owner *o, uint64_t *seed)
{
    if (o->is_fenced) {
        return;
    }
    if (o->n_due_markers) {
        publish(&o->due[0], 0);
        if (random_u32(seed) % 4) {
            o->n_due_markers = 0;
        }
        return;
    }
    if (!o->n_parts) {
        o->n_parts = random_u32(seed) % (MAX_PARTS + 1);
        o->n_sent = 0;
        for (unsigned int i = 0; i < o->n_parts; i++) {
            o->ids[i] = ++next_id;
        }
    }
    if (o->n_sent < o->n_parts) {
        struct store_message m = {.kind = STORE_TENTATIVE,
                                  .k = o->k,
                                  .e = o->epoch,
                                  .c = o->c + 1,
                                  .part = o->n_sent};

        publish(&m, o->ids[o->n_sent]);
        o->n_sent += random_u32(seed) % 5 != 0;
        return;
    }
    /* Compare and set. */
    if (records[o->k].epoch != o->epoch) {
        o->is_fenced = true;
        return;
    }
    o->c++;
    records[o->k].c = o->c;
    records[o->k].e_c = o->epoch;
    for (unsigned int i = 0; i < o->n_parts; i++) {
        committed = lh_alloc_grow(committed, n_committed, &allocated,
                                  sizeof *committed);
        committed[n_committed++] = o->ids[i];
    }
    if (o->n_parts) {
        o->due[0] = (struct store_message){.kind = STORE_MARKER,
                                           .k = o->k,
                                           .e = o->epoch,
                                           .c = o->c,
                                           .e_now = o->epoch};
        o->n_due_markers = 1;
    }
    o->n_parts = 0;
}

static void
on_accept(void *round, const struct store_message *m)
{
    uint64_t id;

    ck_assert_uint_eq(m->size, sizeof id);
    memcpy(&id, m->data, sizeof id);
    (*(size_t *) round)++;
    n_accepted[id]++;
}

/* Reads all of the stream, beginning again now and then at what was written
 * down last, or, as that makes no difference, at the stream's beginning: what
 * was accepted since is then taken back, as an archive's round is. */
static void
read_stream(uint64_t *seed)
{
    struct cluster_accept *a = cluster_accept_create();
    struct byte_buf note = BYTE_BUF_INIT;
    uint64_t floor = 1, seq = 1;
    unsigned int *saved = lh_alloc_zero(sizeof n_accepted);
    size_t n = 0, n_restarts = 0;

    memset(n_accepted, 0, sizeof n_accepted);
    while (seq <= n_stream) {
        uint64_t id = stream[seq - 1].id;
        struct store_message m = stream[seq - 1].m;

        if (m.kind == STORE_TENTATIVE) {
            m.data = (const uint8_t *) &id;
            m.size = sizeof id;
        }
        cluster_accept_take(a, seq, &m, on_accept, &n);
        seq++;
        if (random_u32(seed) % 40 == 0) {
            byte_buf_clear(&note);
            cluster_accept_put(a, &note);
            uint64_t next = seq > floor ? seq : floor;

            ck_assert_uint_ge(cluster_accept_floor(a, next), floor);
            floor = cluster_accept_floor(a, next);
            memcpy(saved, n_accepted, sizeof n_accepted);
        } else if (random_u32(seed) % 60 == 0) {
            struct bytes_reader r = bytes_reader(note.data, note.len);

            cluster_accept_destroy(a);
            a = cluster_accept_create();
            if (note.len) {
                ck_assert_int_eq(cluster_accept_read(a, &r), 0);
            }
            seq = random_u32(seed) % 2 ? floor : 1;
            memcpy(n_accepted, saved, sizeof n_accepted);
            n_restarts++;
        }
    }
    ck_assert_uint_gt(n_restarts, 5);

    /* What owners that are none any more sent holds nobody up. */
    floor = cluster_accept_floor(a, seq);
    if (floor <= n_stream) {
        const struct store_message *m = &stream[floor - 1].m;

        ck_assert_uint_eq(m->e, records[m->k].epoch);
    }

    struct cluster_accept_counters counters;

    cluster_accept_get_counters(a, &counters);
    ck_assert_uint_eq(counters.tentative, counters.accepted + counters.had +
                                              counters.dropped +
                                              counters.waiting);
    cluster_accept_destroy(a);
    byte_buf_uninit(&note);
    free(saved);
}

START_TEST(each_committed_checkpoint_is_accepted_once)
{
    struct owner owners[N_SHARDS * N_OWNERS];
    uint64_t seed = (uint64_t) _i + 1, epoch = 0;
    size_t n_owners = 0;

    n_stream = n_committed = 0;
    next_id = 0;
    memset(records, 0, sizeof records);
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        take_over(&owners[n_owners++], k, ++epoch);
    }
    for (size_t i = 0; i < N_STEPS; i++) {
        if (n_owners < N_SHARDS * N_OWNERS && random_u32(&seed) % 60 == 0) {
            take_over(&owners[n_owners++], random_u32(&seed) % N_SHARDS,
                      ++epoch);
        }
        step(&owners[random_u32(&seed) % n_owners], &seed);
    }
    /* The last owners tell what they have committed. */
    for (size_t i = 0; i < n_owners; i++) {
        struct owner *o = &owners[i];

        while (o->n_due_markers && records[o->k].epoch == o->epoch) {
            step(o, &seed);
        }
    }
    read_stream(&seed);
    ck_assert_uint_gt(n_committed, 50);
    for (size_t i = 0; i < n_committed; i++) {
        ck_assert_msg(n_accepted[committed[i]] == 1, "%u times",
                      n_accepted[committed[i]]);
        n_accepted[committed[i]] = 0;
    }
    for (uint64_t id = 1; id <= next_id; id++) {
        ck_assert_msg(!n_accepted[id], "accepted and never committed");
    }
}
END_TEST

START_TEST(messages_are_read_as_written)
{
    const struct store_message tentative = {.kind = STORE_TENTATIVE,
                                            .k = 63,
                                            .e = 1ull << 40,
                                            .c = 7,
                                            .part = 3},
                               marker = {.kind = STORE_MARKER,
                                         .k = 5,
                                         .e = 8,
                                         .c = 9,
                                         .e_now = 10};
    struct byte_buf out = BYTE_BUF_INIT;
    struct store_message m;
    struct lh_error error;

    store_message_put(&tentative, &out);
    ck_assert_uint_eq(out.len, STORE_MESSAGE_HEADER);
    byte_buf_put(&out, "abc", 3);
    ck_assert_int_eq(store_message_read(out.data, out.len, &m, &error), 0);
    ck_assert(m.kind == STORE_TENTATIVE && m.k == 63 && m.e == 1ull << 40 &&
              m.c == 7 && m.part == 3 && m.size == 3 &&
              !memcmp(m.data, "abc", 3));
    out.data[0] = 2;
    ck_assert_int_eq(store_message_read(out.data, out.len, &m, &error),
                     EPROTONOSUPPORT);
    byte_buf_clear(&out);
    store_message_put(&marker, &out);
    ck_assert_int_eq(store_message_read(out.data, out.len, &m, &error), 0);
    ck_assert(m.kind == STORE_MARKER && m.k == 5 && m.e == 8 && m.c == 9 &&
              m.e_now == 10);
    for (size_t n = 0; n < out.len; n++) {
        ck_assert_int_eq(store_message_read(out.data, n, &m, &error), EBADMSG);
    }
    byte_buf_put_u8(&out, 0);
    ck_assert_int_eq(store_message_read(out.data, out.len, &m, &error),
                     EBADMSG);
    out.len--;
    out.data[1] = 3;
    ck_assert_int_eq(store_message_read(out.data, out.len, &m, &error),
                     EBADMSG);
    out.data[1] = STORE_MARKER;
    out.data[2] = 1; /* No such shard. */
    ck_assert_int_eq(store_message_read(out.data, out.len, &m, &error),
                     EBADMSG);
    byte_buf_uninit(&out);
}
END_TEST

START_TEST(a_damaged_state_is_refused)
{
    struct cluster_accept *a = cluster_accept_create();
    const uint8_t bytes[] = {3, 1, 1, 2};
    struct bytes_reader r = bytes_reader(bytes, sizeof bytes);

    ck_assert_int_eq(cluster_accept_read(a, &r), EBADMSG);
    cluster_accept_destroy(a);
}
END_TEST

/* --- What markers tell of. ----------------------------------------------- */

static char order[64]; /* Of what was accepted: a digit for each checkpoint. */

static void
on_order(void *aux, const struct store_message *m)
{
    size_t n = strlen(order);

    ck_assert_uint_lt(n + 1, sizeof order);
    order[n] = (char) ('0' + m->c);
    order[n + 1] = '\0';
}

static void
take_part(struct cluster_accept *a, uint64_t seq, uint64_t e, uint64_t c,
          uint32_t part)
{
    const struct store_message m = {.kind = STORE_TENTATIVE,
                                    .k = 1,
                                    .e = e,
                                    .c = c,
                                    .part = part,
                                    .stored_ns = 1000 * seq,
                                    .data = (const uint8_t *) "x",
                                    .size = 1};

    cluster_accept_take(a, seq, &m, on_order, NULL);
}

static void
mark(struct cluster_accept *a, uint64_t seq, uint64_t e, uint64_t c,
     const char *parts)
{
    struct store_message m = {
        .kind = STORE_MARKER, .k = 1, .e = e, .c = c, .e_now = e};
    char text[STORE_PARTS_SIZE];

    m.stored_ns = 1000 * seq;
    m.has_parts = store_parts_read(parts, &m.parts);
    if (m.has_parts) {
        store_parts_put(&m.parts, text);
        ck_assert_str_eq(text, parts);
    }
    cluster_accept_take(a, seq, &m, on_order, NULL);
}

static struct cluster_accept_counters
counters(const struct cluster_accept *a)
{
    struct cluster_accept_counters n;

    cluster_accept_get_counters(a, &n);
    return n;
}

/* What is missing is waited for, in whatever order it comes. */
START_TEST(markers_wait_for_their_messages)
{
    struct cluster_accept *a = cluster_accept_create();
    uint64_t e;

    order[0] = '\0';
    take_part(a, 10, 7, 1, 0);
    mark(a, 11, 7, 1, "0 0 0 1 1");
    ck_assert_str_eq(order, "1");
    take_part(a, 12, 7, 2, 0); /* Part 1 and the marker are lost, */
    take_part(a, 20, 7, 3, 0);
    mark(a, 21, 7, 3, "0 1 1 2 2"); /* with what came next of others. */
    take_part(a, 22, 7, 4, 0);
    mark(a, 23, 7, 4, "1 2 2 4 1");
    ck_assert_str_eq(order, "1");
    ck_assert_uint_eq(counters(a).held, 2);
    ck_assert_uint_eq(cluster_accept_floor(a, 24), 12);
    ck_assert_uint_eq(cluster_accept_known(a, 1, &e), 1);
    /* All comes again, and this time part 1 of 2 is there. */
    take_part(a, 10, 7, 1, 0);
    mark(a, 11, 7, 1, "0 0 0 1 1");
    take_part(a, 12, 7, 2, 0);
    ck_assert_str_eq(order, "1");
    take_part(a, 13, 7, 2, 1);
    ck_assert_str_eq(order, "12324");
    mark(a, 21, 7, 3, "0 1 1 2 2");
    mark(a, 23, 7, 4, "1 2 2 4 1");
    ck_assert_uint_eq(counters(a).held, 0);
    ck_assert_uint_eq(counters(a).missing, 0);
    ck_assert_uint_eq(cluster_accept_known(a, 1, &e), 4);
    ck_assert_uint_eq(cluster_accept_floor(a, 24), 24);
    cluster_accept_destroy(a);
}
END_TEST

static struct {
    uint64_t c, n, since_ns, until_ns;
} lost[4];
static size_t n_lost;

static void
on_lost(void *aux, const struct store_message *marker, uint32_t n,
        uint64_t since_ns)
{
    ck_assert_uint_lt(n_lost, 4);
    lost[n_lost].c = marker->c;
    lost[n_lost].n = n;
    lost[n_lost].since_ns = since_ns;
    lost[n_lost++].until_ns = marker->stored_ns;
}

START_TEST(what_does_not_come_is_given_up)
{
    struct cluster_accept *a = cluster_accept_create();
    uint64_t e;

    order[0] = '\0';
    take_part(a, 1, 7, 1, 0);
    mark(a, 2, 7, 1, "0 0 0 1 3");
    take_part(a, 3, 7, 2, 0);
    mark(a, 4, 7, 2, "0 1 3 2 1");
    ck_assert_str_eq(order, "");
    cluster_accept_give_up(a, on_order, on_lost, NULL);
    ck_assert_str_eq(order, "12");
    /* Nothing tells how long before the first message they were sent. */
    ck_assert_uint_eq(n_lost, 1);
    ck_assert_uint_eq(lost[0].c, 1);
    ck_assert_uint_eq(lost[0].n, 2);
    ck_assert_uint_eq(lost[0].since_ns, 1000);
    ck_assert_uint_eq(lost[0].until_ns, 2000);
    ck_assert_uint_eq(counters(a).missing, 2);
    ck_assert_uint_eq(counters(a).held, 0);
    /* A marker that is missing itself shows too, but not where what is before
     * may have been left out. */
    mark(a, 9, 7, 9, "4 5 1 9 0");
    ck_assert_uint_eq(counters(a).held, 1);
    cluster_accept_skips(a);
    mark(a, 10, 7, 10, "5 9 1 10 0");
    ck_assert_uint_eq(cluster_accept_known(a, 1, &e), 10);
    ck_assert_uint_eq(n_lost, 1);
    /* They were sent after the marker before. */
    mark(a, 12, 7, 12, "9 10 0 12 3");
    cluster_accept_give_up(a, on_order, on_lost, NULL);
    ck_assert_uint_eq(n_lost, 2);
    ck_assert_uint_eq(lost[1].n, 3);
    ck_assert_uint_eq(lost[1].since_ns, 10000);
    ck_assert_uint_eq(lost[1].until_ns, 12000);
    ck_assert_uint_eq(counters(a).held, 0);
    cluster_accept_destroy(a);
}
END_TEST

/* Of an older version nothing is told, and a new owner speaks for the one
 * before. */
START_TEST(markers_that_tell_nothing_do_not_wait)
{
    struct cluster_accept *a = cluster_accept_create();
    struct store_parts parts;

    order[0] = '\0';
    take_part(a, 1, 7, 1, 0);
    mark(a, 2, 7, 1, NULL);
    ck_assert_str_eq(order, "1");
    take_part(a, 3, 7, 2, 0);
    mark(a, 4, 8, 5, "2 3 1 5 1"); /* The one before it is lost. */
    ck_assert_str_eq(order, "1");
    mark(a, 5, 7, 3, NULL);
    ck_assert_str_eq(order, "12");
    take_part(a, 6, 8, 5, 0);
    ck_assert_str_eq(order, "125");
    ck_assert(!store_parts_read("1 2 3", &parts));
    cluster_accept_destroy(a);
}
END_TEST

static void
announce(struct cluster_accept *a, uint64_t seq, uint64_t e, uint64_t c,
         uint64_t e_now)
{
    const struct store_message m = {
        .kind = STORE_MARKER, .k = 1, .e = e, .c = c, .e_now = e_now};

    cluster_accept_take(a, seq, &m, on_order, NULL);
}

/* A new owner goes on from a record of before: NATS has lost the newer one.
 * What it commits is not taken for what was committed once. */
START_TEST(a_record_that_fell_back_is_followed)
{
    struct cluster_accept *a = cluster_accept_create();
    uint64_t e;

    order[0] = '\0';
    take_part(a, 1, 7, 1, 0);
    mark(a, 2, 7, 1, NULL);
    for (uint64_t c = 2; c <= 5; c++) {
        take_part(a, 2 * c - 1, 7, c, 0);
        mark(a, 2 * c, 7, c, NULL);
    }
    take_part(a, 11, 7, 6, 0);
    ck_assert_str_eq(order, "12345");
    announce(a, 12, 7, 2, 9);
    ck_assert_uint_eq(counters(a).set_back, 1);
    ck_assert_uint_eq(cluster_accept_known(a, 1, &e), 2);
    take_part(a, 13, 9, 3, 0);
    mark(a, 14, 9, 3, NULL);
    ck_assert_str_eq(order, "123453");
    /* What the owner before sent is nobody's, also when it comes again. */
    take_part(a, 15, 7, 4, 0);
    mark(a, 16, 7, 5, NULL);
    take_part(a, 17, 9, 4, 0);
    mark(a, 18, 9, 4, NULL);
    ck_assert_str_eq(order, "1234534");
    announce(a, 12, 7, 2, 9);
    ck_assert_uint_eq(cluster_accept_known(a, 1, &e), 4);
    ck_assert_uint_eq(counters(a).set_back, 1);
    ck_assert_uint_eq(cluster_accept_floor(a, 19), 19);
    cluster_accept_destroy(a);
}
END_TEST

/* Epochs fell back, too, and were given again: what cannot be told apart is
 * counted. */
START_TEST(other_contents_of_the_same_part_are_counted)
{
    static const uint8_t one[] = {1, 2, 3}, other[] = {1, 2, 4};
    struct store_message m = {
        .kind = STORE_TENTATIVE, .k = 1, .e = 7, .c = 1, .size = sizeof one};
    struct cluster_accept *a = cluster_accept_create();

    m.data = one;
    cluster_accept_take(a, 1, &m, on_order, NULL);
    cluster_accept_take(a, 2, &m, on_order, NULL);
    ck_assert_uint_eq(counters(a).had, 1);
    ck_assert_uint_eq(counters(a).unlike, 0);
    m.data = other;
    cluster_accept_take(a, 3, &m, on_order, NULL);
    ck_assert_uint_eq(counters(a).had, 2);
    ck_assert_uint_eq(counters(a).unlike, 1);
    m.size--;
    cluster_accept_take(a, 4, &m, on_order, NULL);
    ck_assert_uint_eq(counters(a).unlike, 2);
    cluster_accept_destroy(a);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_accept");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, each_committed_checkpoint_is_accepted_once, 0, 60);
    tcase_add_test(tc, messages_are_read_as_written);
    tcase_add_test(tc, a_damaged_state_is_refused);
    tcase_add_test(tc, markers_wait_for_their_messages);
    tcase_add_test(tc, what_does_not_come_is_given_up);
    tcase_add_test(tc, markers_that_tell_nothing_do_not_wait);
    tcase_add_test(tc, a_record_that_fell_back_is_followed);
    tcase_add_test(tc, other_contents_of_the_same_part_are_counted);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
