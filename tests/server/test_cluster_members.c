/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_members - who is part of a cluster is known without a gap, also
 * when NATS was away and all is told anew. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/cluster_members.h"
#include "server/cluster_setup.h"
#include "tests/lib/nats_fixture.h"

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct cluster_members *members;
static size_t n_least, n_wanted;

static void
set_up(void)
{
    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
    nats_create_bucket(bus, base, CLUSTER_BUCKET_META);
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
}

/* Never fewer than 'n_least' are known until 'n_wanted' are; 'self' is told
 * until then, or NULL. */
static bool
is_waiting(void *self)
{
    size_t n = cluster_members_n(members);

    if (self) {
        cluster_members_tell(members, self);
    }
    ck_assert_uint_ge(n, n_least);
    return n != n_wanted;
}

static void
tell(const char *name)
{
    struct cluster_member self = {.wire_min = 1, .wire_max = 1};

    snprintf(self.name, sizeof self.name, "%s", name);
    snprintf(self.version, sizeof self.version, "%s", name);
    n_wanted = cluster_members_n(members) + 1;
    nats_loop_while(base, is_waiting, &self);
    ck_assert_ptr_nonnull(cluster_members_find(members, name));
}

START_TEST(nobody_is_forgotten_while_all_is_told_anew)
{
    members = cluster_members_create(bus, NULL, NULL);
    tell("a");
    tell("b");
    nats_kill(&nats);
    nats_start(&nats, NULL);
    n_least = 2;
    tell("c");
    n_least = 0;
    cluster_members_forget(members, "b");
    n_wanted = 2;
    nats_loop_while(base, is_waiting, NULL);
    ck_assert_ptr_null(cluster_members_find(members, "b"));
    cluster_members_destroy(members);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_members");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, nobody_is_forgotten_while_all_is_told_anew);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
