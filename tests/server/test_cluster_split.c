/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_split - a stage-1 shard makes of its postcards the histories
 * that one process makes, each once, whoever dies or sleeps meanwhile.
 *
 * LASTHOP_SPLIT_ROUNDS says how many rounds of deaths, LASTHOP_SPLIT_SEED
 * which is the first. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_split_impl.h"
#include "tests/server/split_lab.h"

#define N_PACKETS    120
#define N_ROUNDS     6
#define MAX_SLEEPERS 16
#define DEADLINE_MS  60000

static struct nats nats;
static uint32_t next_shard;

static void
start_nats(void)
{
    nats_start(&nats, NULL);
}

static void
end_nats(void)
{
    nats_end(&nats);
}

/* --- Owners. --------------------------------------------------------------
 */

struct owner {
    struct event_base *base;     /* Owned. */
    struct bus *bus;             /* Owned. */
    struct cluster_split *split; /* Owned; NULL: it has ended. */
    bool is_open, is_drained, is_fenced;
};

static void
on_event(void *owner_, struct cluster_split *split,
         enum cluster_split_event event)
{
    struct owner *owner = owner_;

    switch (event) {
    case CLUSTER_SPLIT_OPEN:
        owner->is_open = true;
        break;
    case CLUSTER_SPLIT_DRAINED:
        owner->is_drained = true;
        break;
    case CLUSTER_SPLIT_FENCED:
        owner->is_fenced = true;
        break;
    }
    if (event != CLUSTER_SPLIT_OPEN) {
        cluster_split_destroy(split);
        owner->split = NULL;
    }
}

static struct owner *
take(struct split_lab *lab, uint64_t epoch)
{
    struct cluster_split_config config = split_lab_config(lab);
    struct owner *owner = lh_alloc_zero(sizeof *owner);

    owner->base = event_base_new();
    owner->bus = nats_open(&nats, owner->base);
    config.bus = owner->bus;
    config.epoch = epoch;
    config.on_event = on_event;
    config.aux = owner;
    owner->split = cluster_split_create(&config);
    cluster_split_set_topology(owner->split, lab->topology, 0);
    return owner;
}

static void
die(struct owner *owner)
{
    cluster_split_destroy(owner->split);
    bus_close(owner->bus);
    event_base_free(owner->base);
    free(owner);
}

static struct cluster_split_counters
counters(const struct owner *owner)
{
    struct cluster_split_counters n;

    cluster_split_get_counters(owner->split, &n);
    ck_assert_uint_eq(n.broken, 0);
    ck_assert_uint_eq(n.snapshots_lost, 0);
    ck_assert_uint_eq(n.too_large, 0);
    ck_assert_uint_eq(n.histories, n.committed + n.waiting);
    return n;
}

/* Whether all that was published has become histories. */
static bool
has_all(const struct owner *owner, const struct split_lab *lab)
{
    struct cluster_split_counters n = counters(owner);

    return lab->has_ended && owner->is_open && !n.n_pending && !n.paths.held &&
           !n.held_bytes && !n.waiting &&
           n.clock_ns > lab->cards[lab->n_cards - 1]->time_ns;
}

/* Those who were replaced and do not know it. */
static struct owner *sleepers[MAX_SLEEPERS];
static size_t n_sleepers;
static uint64_t n_fenced;

static void
wake_some(struct split_lab *lab)
{
    for (size_t i = 0; i < n_sleepers; i++) {
        if (!gen_random_pick(&lab->random, 4)) {
            split_lab_turn(sleepers[i]->base);
        }
        if (sleepers[i]->is_fenced) {
            n_fenced++;
            die(sleepers[i]);
            sleepers[i] = sleepers[--n_sleepers];
        }
    }
}

static void
tell(const struct owner *owner, const struct split_lab *lab)
{
    struct cluster_split_counters n = counters(owner);
    const char *why = cluster_split_trouble(owner->split);

    ck_abort_msg(
        "it does not end (%s): state %d, checkpoint %d, %zu of %zu postcards "
        "published%s, %" PRIu64 " pending, %" PRIu64 " held, %" PRIu64
        " bytes held, %" PRIu64 " waiting, %" PRIu64
        " messages, clock %" PRIu64,
        why ? why : "no trouble", (int) owner->split->state,
        (int) cluster_checkpoint_state(owner->split->checkpoint), lab->n_fed,
        lab->n_cards, lab->has_ended ? ", ended" : "", n.n_pending,
        n.paths.held, n.held_bytes, n.waiting, n.messages, n.clock_ns);
}

/* The most histories that waited for counters. */
static uint64_t most_awaiting;

static void
note_awaiting(const struct owner *owner)
{
    struct cluster_split_counters n;

    if (owner->split) {
        cluster_split_get_counters(owner->split, &n);
        most_awaiting =
            n.awaiting > most_awaiting ? n.awaiting : most_awaiting;
    }
}

/* Lets the owner do all, and go. */
static void
finish(struct owner *owner, struct split_lab *lab)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;
    bool is_over = false;

    while (!owner->is_drained) {
        ck_assert(!owner->is_fenced);
        if (monotonic_ms() > deadline_ms) {
            tell(owner, lab);
        }
        split_lab_feed(lab);
        split_lab_turn(lab->base);
        split_lab_turn(owner->base);
        wake_some(lab);
        note_awaiting(owner);
        if (!is_over && owner->split && !split_lab_feed(lab) &&
            has_all(owner, lab)) {
            is_over = true;
            cluster_split_drain(owner->split);
        }
    }
    die(owner);
}

/* --- Without deaths. ------------------------------------------------------
 */

START_TEST(one_owner_says_what_one_process_says)
{
    struct split_lab lab;
    struct owner *owner;

    split_lab_init(&lab, (uint64_t) _i + 1, 8 * N_PACKETS);
    split_lab_open(&lab, &nats, next_shard++, (size_t) _i + 1);
    owner = take(&lab, 1);
    most_awaiting = 0;
    finish(owner, &lab);
    ck_assert_uint_eq(split_lab_check(&lab), 0);
    ck_assert_uint_gt(most_awaiting, 0);
    split_lab_close(&lab);
    split_lab_uninit(&lab);
}
END_TEST

/* --- With deaths. ---------------------------------------------------------
 */

/* When a life ends. */
enum fate {
    FATE_TURNS, /* After so many turns. */
    FATE_CLAIMING,
    FATE_RESTORING,
    FATE_ANNOUNCING,
    FATE_PUBLISHING, /* Of the checkpoint of that number. */
    FATE_COMMITTING,
    FATE_COMMITTED,
    N_FATES
};

static bool
is_time(const struct owner *owner, enum fate fate, uint64_t n,
        uint64_t n_turns)
{
    const struct cluster_split *s = owner->split;
    enum cluster_checkpoint_state state =
        cluster_checkpoint_state(s->checkpoint);
    struct cluster_checkpoint_counters checkpoint;

    cluster_checkpoint_get_counters(s->checkpoint, &checkpoint);
    switch (fate) {
    case FATE_CLAIMING:
        return state == CHECKPOINT_CLAIMING;
    case FATE_RESTORING:
        return s->state == SPLIT_RESTORING;
    case FATE_ANNOUNCING:
        return state == CHECKPOINT_ANNOUNCING;
    case FATE_PUBLISHING:
        return state == CHECKPOINT_PUBLISHING && checkpoint.n >= n;
    case FATE_COMMITTING:
        return state == CHECKPOINT_COMMITTING && checkpoint.n >= n;
    case FATE_COMMITTED:
        return checkpoint.n > n;
    case FATE_TURNS:
    case N_FATES:
        break;
    }
    return n_turns >= 4 * n;
}

static void
restart_nats(void)
{
    nats_kill(&nats);
    nats_start(&nats, NULL);
}

/* A life, until it is time, or all is done. */
static void
live(struct owner *owner, struct split_lab *lab, bool may_kill_nats)
{
    enum fate fate = (enum fate) gen_random_pick(&lab->random, N_FATES);
    uint64_t n = gen_random_pick(&lab->random, 6);
    uint64_t kill_at = may_kill_nats && !gen_random_pick(&lab->random, 3)
                           ? gen_random_pick(&lab->random, 30)
                           : UINT64_MAX;
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;

    for (uint64_t turn = 0; turn < 80; turn++) {
        ck_assert_msg(monotonic_ms() < deadline_ms, "it does not live");
        /* One event at a time, so that no state is missed. */
        for (int i = 0; i < 20; i++) {
            event_base_loop(owner->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
            if (is_time(owner, fate, n, turn)) {
                return;
            }
        }
        split_lab_turn(owner->base);
        counters(owner);
        split_lab_feed(lab);
        split_lab_turn(lab->base);
        wake_some(lab);
        if (turn == kill_at) {
            restart_nats();
        }
    }
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Returns how many histories were told in vain. */
static uint64_t
run_round(uint64_t seed)
{
    struct split_lab lab;
    struct owner *owner;
    bool may_kill_nats;
    size_t n_doors, n_lives;
    uint64_t n_refused, epoch = 0;

    split_lab_init(&lab, seed, N_PACKETS);
    may_kill_nats = !gen_random_pick(&lab.random, 6);
    /* Doors that are silent for long are not waited for. */
    n_doors = may_kill_nats
                  ? 1
                  : 1 + gen_random_pick(&lab.random, SPLIT_LAB_MAX_DOORS);
    n_lives = 2 + gen_random_pick(&lab.random, 8);
    split_lab_open(&lab, &nats, next_shard++ % 4096, n_doors);
    for (size_t i = 0; i < n_lives; i++) {
        owner = take(&lab, ++epoch);
        live(owner, &lab, may_kill_nats);
        if (n_sleepers < MAX_SLEEPERS && gen_random_pick(&lab.random, 2)) {
            sleepers[n_sleepers++] = owner;
        } else {
            die(owner);
        }
    }
    owner = take(&lab, ++epoch);
    finish(owner, &lab);
    while (n_sleepers) {
        die(sleepers[--n_sleepers]);
    }
    n_refused = split_lab_check(&lab);
    split_lab_close(&lab);
    split_lab_uninit(&lab);
    return n_refused;
}

START_TEST(nothing_is_lost_or_doubled_when_owners_die_or_sleep)
{
    uint64_t n = setting("LASTHOP_SPLIT_ROUNDS", N_ROUNDS);
    uint64_t first = setting("LASTHOP_SPLIT_SEED", 1), n_refused = 0;

    for (uint64_t seed = first; seed < first + n; seed++) {
        printf("seed %" PRIu64 "\n", seed);
        fflush(stdout);
        n_refused += run_round(seed);
    }
    printf("%" PRIu64 " messages of histories refused, %" PRIu64
           " owners found that they were replaced\n",
           n_refused, n_fenced);
    ck_assert_uint_gt(n_refused, 0);
    ck_assert_uint_gt(n_fenced, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_split");
    TCase *tcase = tcase_create("alone");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tcase, 3600);
    tcase_add_checked_fixture(tcase, start_nats, end_nats);
    tcase_add_loop_test(tcase, one_owner_says_what_one_process_says, 0,
                        SPLIT_LAB_MAX_DOORS);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("deaths");
    tcase_set_timeout(tcase, 3600);
    tcase_add_checked_fixture(tcase, start_nats, end_nats);
    tcase_add_test(tcase, nothing_is_lost_or_doubled_when_owners_die_or_sleep);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
