/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_split - a stage-1 shard makes of its postcards the histories
 * that one process makes, each once. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/monotonic.h"
#include "tests/server/split_lab.h"

#define N_PACKETS   120
#define DEADLINE_MS 60000

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

static void
take(struct owner *owner, struct split_lab *lab, uint64_t epoch)
{
    struct cluster_split_config config = split_lab_config(lab);

    *owner = (struct owner){.base = event_base_new()};
    owner->bus = nats_open(&nats, owner->base);
    config.bus = owner->bus;
    config.epoch = epoch;
    config.on_event = on_event;
    config.aux = owner;
    owner->split = cluster_split_create(&config);
    cluster_split_set_topology(owner->split, lab->topology, 0);
}

static void
die(struct owner *owner)
{
    cluster_split_destroy(owner->split);
    bus_close(owner->bus);
    event_base_free(owner->base);
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
           !n.held_bytes && !n.waiting && n.messages &&
           n.clock_ns > lab->cards[lab->n_cards - 1]->time_ns;
}

/* Lets the owner do all, and go. */
static void
finish(struct owner *owner, struct split_lab *lab)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;
    bool is_over = false;

    while (!owner->is_drained) {
        ck_assert(!owner->is_fenced);
        ck_assert_msg(monotonic_ms() < deadline_ms, "it does not end: %s",
                      cluster_split_trouble(owner->split));
        split_lab_feed(lab);
        split_lab_turn(lab->base);
        split_lab_turn(owner->base);
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
    struct owner owner;

    split_lab_init(&lab, (uint64_t) _i + 1, 8 * N_PACKETS);
    split_lab_open(&lab, &nats, next_shard++, (size_t) _i + 1);
    take(&owner, &lab, 1);
    finish(&owner, &lab);
    ck_assert_uint_eq(split_lab_check(&lab), 0);
    split_lab_close(&lab);
    split_lab_uninit(&lab);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_split");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tcase, 3600);
    tcase_add_checked_fixture(tcase, start_nats, end_nats);
    tcase_add_loop_test(tcase, one_owner_says_what_one_process_says, 0,
                        SPLIT_LAB_MAX_DOORS);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
