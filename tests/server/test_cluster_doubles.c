/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_doubles - whatever agents send again to other doors, and
 * whichever door is late: each postcard is given once, also by owners that
 * come one after the other. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "lib/card_batch.h"
#include "lib/lh_alloc.h"
#include "server/cluster_reach.h"
#include "server/cluster_merge.h"
#include "server/cluster_wire.h"

#define MS        UINT64_C(1000000)
#define T0        UINT64_C(1700000000000000000)
#define N_DOORS   3
#define N_FRAMES  60 /* Of each agent. */
#define N_AGENTS  2
#define MAX_CARDS 6 /* Of a frame, of this shard. */
#define ALL       100000

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

/* A postcard on its way. */
struct card {
    uint32_t agent, frame, ordinal;
};

/* What a door has taken and not published. */
struct door {
    struct card cards[N_AGENTS * N_FRAMES * MAX_CARDS * 4];
    size_t n, n_sent;
    uint32_t taken[N_AGENTS]; /* Last frame. */
    uint64_t number;
};

struct agent {
    uint32_t n_cards[N_FRAMES + 1]; /* Of each frame, from 1 on. */
    uint32_t acked, sent;
    size_t door;
};

static struct gen_random r;
static struct door doors[N_DOORS];
static struct agent agents[N_AGENTS];
static uint32_t n_given[N_AGENTS][N_FRAMES + 1][MAX_CARDS];
static struct byte_buf stream[4096]; /* All messages, from 1 on. */
static size_t n_stream;

static uint64_t
id_of(const struct card *c)
{
    return 1 + c->ordinal + MAX_CARDS * (c->frame + N_FRAMES * 2 * c->agent);
}

static bool
on_card(void *aux, const struct postcard *p, uint64_t time_ns)
{
    uint64_t id = p->packet_id - 1;
    uint32_t frame = (uint32_t) (id / MAX_CARDS);

    n_given[frame / (N_FRAMES * 2)][frame % (N_FRAMES * 2)][id % MAX_CARDS]++;
    return true;
}

static void
on_inner(void *aux, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
}

static struct cluster_merge *
create(void)
{
    return cluster_merge_create(&(struct cluster_merge_config){
        .id_config = id_config, .on_card = on_card, .on_inner = on_inner});
}

/* --- Agents and doors. ----------------------------------------------------
 */

static bool
is_published(const struct door *d, uint32_t agent, uint32_t frame)
{
    for (size_t i = d->n_sent; i < d->n; i++) {
        if (d->cards[i].agent == agent && d->cards[i].frame <= frame) {
            return false;
        }
    }
    return true;
}

/* The door tells the agent what is safe. */
static void
acknowledge(struct agent *a)
{
    uint32_t agent = (uint32_t) (a - agents);
    const struct door *d = &doors[a->door];

    while (a->acked < d->taken[agent] &&
           is_published(d, agent, a->acked + 1)) {
        a->acked++;
    }
}

/* The agent sends its next frame, or only a part before it goes elsewhere. */
static void
send_frame(struct agent *a, bool is_cut)
{
    uint32_t agent = (uint32_t) (a - agents);
    struct door *d = &doors[a->door];
    uint32_t frame = a->sent + 1;
    uint32_t n = a->n_cards[frame];

    if (d->taken[agent] < a->acked) {
        d->taken[agent] = a->acked; /* As it said. */
    }
    if (frame > d->taken[agent]) {
        n = is_cut ? gen_random_pick(&r, n + 1) : n;
        for (uint32_t i = 0; i < n; i++) {
            d->cards[d->n++] = (struct card){agent, frame, i};
        }
        d->taken[agent] = is_cut ? d->taken[agent] : frame;
    }
    a->sent = frame;
}

static void
move(struct agent *a)
{
    a->door = gen_random_pick(&r, N_DOORS);
    a->sent = a->acked;
}

/* The door publishes some of what it has. */
static void
publish(struct door *d)
{
    size_t n = 1 + gen_random_pick(&r, 12);
    struct cluster_cards_head head = {
        .door = (uint64_t) (d - doors) + 1,
        .number = ++d->number,
        .watermark_ns = T0 + n_stream * 10 * MS,
    };
    struct byte_buf *out = &stream[n_stream++];
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct cluster_run runs[12];
    size_t n_runs = 0;

    *out = (struct byte_buf) BYTE_BUF_INIT;
    n = n < d->n - d->n_sent ? n : d->n - d->n_sent;
    for (size_t i = 0; i < n; i++) {
        const struct card *c = &d->cards[d->n_sent + i];
        const struct postcard p = {
            .dpid = 1,
            .packet_id = id_of(c),
            .has_id = true,
            .time_ns = T0 + n_stream * 10 * MS,
            .version_bits = 32,
        };
        struct cluster_run *last = n_runs ? &runs[n_runs - 1] : NULL;

        ck_assert(card_batch_writer_add(w, &p));
        if (last && last->agent == c->agent + 1u && last->frame == c->frame &&
            last->first + last->n == c->ordinal) {
            last->n++;
        } else {
            runs[n_runs++] =
                (struct cluster_run){c->agent + 1u, c->frame, c->ordinal, 1};
        }
    }
    cluster_wire_put_cards(out, &head, runs, n_runs);
    if (n) {
        card_batch_writer_finish(w, out);
    }
    card_batch_writer_destroy(w);
    d->n_sent += n;
    ck_assert_uint_lt(n_stream, sizeof stream / sizeof *stream);
}

/* Doors stall for long, and agents go from one to another. */
static void
make_stream(void)
{
    bool is_over = false;

    while (!is_over) {
        struct agent *a = &agents[gen_random_pick(&r, N_AGENTS)];
        struct door *d = &doors[gen_random_pick(&r, N_DOORS)];

        if (gen_random_pick(&r, 4) && a->sent < N_FRAMES) {
            send_frame(a, false);
        }
        if (!gen_random_pick(&r, 9)) {
            if (a->sent < N_FRAMES && gen_random_pick(&r, 2)) {
                send_frame(a, true);
            }
            move(a);
        }
        if (d->n_sent < d->n && gen_random_pick(&r, d == doors ? 8 : 3) == 0) {
            publish(d);
        }
        acknowledge(a);
        is_over = true;
        for (size_t i = 0; i < N_AGENTS; i++) {
            is_over &= agents[i].acked == N_FRAMES;
        }
    }
    for (size_t i = 0; i < N_DOORS; i++) {
        while (doors[i].n_sent < doors[i].n) {
            publish(&doors[i]);
        }
    }
}

static void
set_up(void)
{
    r = (struct gen_random){0};
    memset(doors, 0, sizeof doors);
    memset(agents, 0, sizeof agents);
    memset(n_given, 0, sizeof n_given);
    n_stream = 0;
}

static void
tear_down(void)
{
    for (size_t i = 0; i < n_stream; i++) {
        byte_buf_uninit(&stream[i]);
    }
}

static struct cluster_merge *
succeed(struct cluster_merge *merge, uint64_t *seq)
{
    struct byte_buf state = BYTE_BUF_INIT;
    struct bytes_reader in;
    struct cluster_merge *next = create();

    *seq = cluster_merge_floor(merge, *seq);
    cluster_merge_put(merge, &state);
    cluster_merge_put_reach(merge, &state);
    in = bytes_reader(state.data, state.len);
    ck_assert_int_eq(cluster_merge_read(next, &in), 0);
    ck_assert_int_eq(cluster_merge_read_reach(next, &in), 0);
    ck_assert_uint_eq(bytes_left(&in), 0);
    byte_buf_uninit(&state);
    cluster_merge_destroy(merge);
    return next;
}

START_TEST(each_postcard_is_given_once)
{
    struct cluster_merge *merge = create();
    uint64_t seq = 1;
    size_t n_sent = 0, n_all = 0;

    r = (struct gen_random){(uint64_t) _i};
    for (size_t a = 0; a < N_AGENTS; a++) {
        for (size_t f = 1; f <= N_FRAMES; f++) {
            agents[a].n_cards[f] = gen_random_pick(&r, MAX_CARDS + 1);
            n_all += agents[a].n_cards[f];
        }
    }
    make_stream();
    while (seq <= n_stream) {
        const struct byte_buf *bytes = &stream[seq - 1];
        const struct cluster_merge_message m = {seq, T0 + seq * MS,
                                                bytes->data, bytes->len};
        struct lh_error error;

        ck_assert_int_eq(cluster_merge_take(merge, &m, 1, &error), 0);
        seq++;
        cluster_merge_run(merge, 1, false, 1 + gen_random_pick(&r, 10));
        if (!gen_random_pick(&r, 9)) {
            merge = succeed(merge, &seq);
        }
    }
    /* Nothing more comes. */
    cluster_merge_run(merge, 1, true, ALL);
    while (cluster_merge_run(merge, 1 + CLUSTER_MERGE_QUIET_NS, true, ALL)) {
    }
    for (size_t i = 0; i < N_DOORS; i++) {
        n_sent += doors[i].n;
    }
    ck_assert_uint_gt(n_sent, n_all); /* Some went twice. */
    for (size_t a = 0; a < N_AGENTS; a++) {
        for (size_t f = 1; f <= N_FRAMES; f++) {
            for (size_t i = 0; i < agents[a].n_cards[f]; i++) {
                ck_assert_uint_eq(n_given[a][f][i], 1);
            }
        }
    }
    cluster_merge_destroy(merge);
}
END_TEST

/* Marks before a floor, whatever was taken after it. */
START_TEST(what_was_before_is_told)
{
    const struct cluster_run first = {7, 1, 0, 5}, second = {7, 1, 5, 5},
                             other = {8, 3, 2, 1};
    struct cluster_reach *reach = cluster_reach_create(),
                         *then = cluster_reach_create();
    struct byte_buf state = BYTE_BUF_INIT;
    struct bytes_reader in;

    ck_assert_uint_eq(cluster_reach_take(reach, 10, T0, &first), 0);
    ck_assert_uint_eq(cluster_reach_take(reach, 11, T0, &second), 0);
    ck_assert_uint_eq(cluster_reach_take(reach, 12, T0, &other), 0);
    ck_assert_uint_eq(cluster_reach_take(reach, 13, T0, &second), 5);
    cluster_reach_put(reach, 11, &state);
    for (size_t len = 0; len < state.len; len++) {
        struct cluster_reach *cut = cluster_reach_create();

        in = bytes_reader(state.data, len);
        ck_assert_int_ne(cluster_reach_read(cut, &in), 0);
        cluster_reach_destroy(cut);
    }
    in = bytes_reader(state.data, state.len);
    ck_assert_int_eq(cluster_reach_read(then, &in), 0);
    ck_assert_uint_eq(cluster_reach_n(then), 1);
    ck_assert_uint_eq(cluster_reach_take(then, 10, T0, &first), 5);
    ck_assert_uint_eq(cluster_reach_take(then, 11, T0, &second), 0);
    ck_assert_uint_eq(cluster_reach_take(then, 12, T0, &other), 0);
    /* One that was not heard of for hours is forgotten. */
    ck_assert_uint_eq(cluster_reach_take(then, 14, T0 + 2 * CLUSTER_REACH_NS,
                                         &(struct cluster_run){9, 1, 0, 1}),
                      0);
    byte_buf_clear(&state);
    cluster_reach_put(then, 15, &state);
    ck_assert_uint_eq(cluster_reach_n(then), 1);
    byte_buf_uninit(&state);
    cluster_reach_destroy(reach);
    cluster_reach_destroy(then);
}
END_TEST

/* Of more agents than are remembered the first goes. */
START_TEST(the_oldest_goes)
{
    struct cluster_reach *reach = cluster_reach_create();
    struct cluster_run run = {.frame = 1, .n = 1};

    for (uint64_t i = 1; i <= CLUSTER_REACH_MAX + 1; i++) {
        run.agent = i * UINT64_C(0x9e3779b97f4a7c15);
        ck_assert_uint_eq(cluster_reach_take(reach, i, T0 + i, &run), 0);
    }
    ck_assert_uint_eq(cluster_reach_n(reach), CLUSTER_REACH_MAX);
    ck_assert_uint_eq(cluster_reach_take(reach, 9999, T0 + 9999, &run), 1);
    run.agent = UINT64_C(0x9e3779b97f4a7c15);
    ck_assert_uint_eq(cluster_reach_take(reach, 9999, T0 + 9999, &run), 0);
    cluster_reach_destroy(reach);
}
END_TEST

/* --- Agents whose door goes. ----------------------------------------------
 */

static uint64_t missed_until_ns; /* The last time of which that was said. */
static uint32_t least_threshold;

static void
on_agents(void *aux, uint32_t threshold, bool is_catching_up, uint64_t time_ns)
{
    least_threshold =
        threshold < least_threshold ? threshold : least_threshold;
    if (is_catching_up && time_ns > missed_until_ns) {
        missed_until_ns = time_ns;
    }
}

/* A message of a door at 'at_ms', with a postcard of an agent if 'n' is 1. */
static void
say(struct cluster_merge *merge, struct cluster_cards_head head,
    uint64_t at_ms, uint32_t n)
{
    const struct postcard p = {.dpid = 1,
                               .packet_id = 1,
                               .has_id = true,
                               .time_ns = T0 + at_ms * MS,
                               .version_bits = 32};
    const struct cluster_run run = {head.door, head.number, 0, 1};
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct byte_buf *out = &stream[n_stream++];
    struct lh_error error;

    *out = (struct byte_buf) BYTE_BUF_INIT;
    head.watermark_ns = T0 + at_ms * MS;
    cluster_wire_put_cards(out, &head, &run, n);
    if (n) {
        ck_assert(card_batch_writer_add(w, &p));
        card_batch_writer_finish(w, out);
    }
    card_batch_writer_destroy(w);
    ck_assert_int_eq(
        cluster_merge_take(merge,
                           &(struct cluster_merge_message){
                               n_stream, T0 + at_ms * MS, out->data, out->len},
                           1, &error),
        0);
    cluster_merge_run(merge, 1, false, ALL);
}

#define SAY(DOOR, NUMBER, AT_MS, N)                                           \
    say(merge,                                                                \
        (struct cluster_cards_head){.door = (DOOR), .number = (NUMBER)},      \
        AT_MS, N)

/* Door 1 has an agent and goes without a word, right after postcards, or, with
 * 'is_idle', when it had nothing to say any more. */
static struct cluster_merge *
let_go(bool is_idle)
{
    const struct cluster_merge_config config = {.id_config = id_config,
                                                .on_card = on_card,
                                                .on_inner = on_inner,
                                                .on_agents = on_agents};
    struct cluster_merge *merge = cluster_merge_create(&config);
    uint64_t gone_ms = is_idle ? 3000 : 250;

    missed_until_ns = 0;
    SAY(1, 1, 0, 1);
    SAY(2, 1, 0, 0);
    for (uint64_t i = 1; i * 250 <= gone_ms; i++) {
        SAY(1, 1 + i, i * 250, 0);
    }
    for (uint64_t i = 1; i <= 120; i++) {
        SAY(2, 1 + i, i * 250, 0);
    }
    return merge;
}

START_TEST(a_door_that_goes_is_missed)
{
    uint64_t end_ns = CLUSTER_MERGE_SILENT_NS + CLUSTER_MERGE_MISSED_NS;

    cluster_merge_destroy(let_go(true));
    ck_assert_uint_eq(missed_until_ns, 0);
    cluster_merge_destroy(let_go(false));
    ck_assert_uint_gt(missed_until_ns, T0 + end_ns - 1000 * MS);
    ck_assert_uint_le(missed_until_ns, T0 + 250 * MS + end_ns);
}
END_TEST

START_TEST(what_doors_say_of_agents_is_passed_on)
{
    const struct cluster_merge_config config = {.id_config = id_config,
                                                .on_card = on_card,
                                                .on_inner = on_inner,
                                                .on_agents = on_agents};
    struct cluster_merge *merge = cluster_merge_create(&config);

    missed_until_ns = 0;
    least_threshold = UINT32_MAX;
    SAY(1, 1, 0, 0);
    ck_assert_uint_eq(missed_until_ns, 0);
    ck_assert_uint_eq(least_threshold, UINT32_MAX);
    say(merge,
        (struct cluster_cards_head){.door = 1,
                                    .number = 2,
                                    .left_out = UINT32_MAX - 1000,
                                    .is_catching_up = true},
        250, 1);
    ck_assert_uint_eq(missed_until_ns, T0 + 250 * MS);
    ck_assert_uint_eq(least_threshold, 1000);
    cluster_merge_destroy(merge);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_doubles");
    TCase *tcase = tcase_create("cluster_doubles");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, each_postcard_is_given_once, 1, 40);
    tcase_add_test(tcase, what_was_before_is_told);
    tcase_add_test(tcase, the_oldest_goes);
    tcase_add_test(tcase, a_door_that_goes_is_missed);
    tcase_add_test(tcase, what_doors_say_of_agents_is_passed_on);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
