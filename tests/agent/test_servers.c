/* SPDX-License-Identifier: Apache-2.0 */
/* test_servers - an agent with two servers: it ships to its own, to the other
 * while that is away, stalls or is busy, and comes back; all that was not
 * acknowledged is sent again. */
#include <config.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/agent_impl.h"
#include "agent/server_choice.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "tests/agent/fake_ring.h"
#include "tests/agent/fake_server.h"
#include "tests/agent/run_until.h"

#define RING_SIZE (1u << 20)

static struct event_base *base;
static struct fake_server *own, *other;
static struct fake_ring *ring;
static struct options options;
static struct agent *agent;
static const struct server_link_counters *link_counters;
static char addresses[80], process[16];
static union hop_template_buf template;
static uint64_t n_written;

/* Whether the agent ships to 's', or is about to. */
static bool
is_at(const struct fake_server *s)
{
    const char *port = strrchr(server_link_server(agent->link), ':') + 1;

    return strtoul(port, NULL, 10) == s->port;
}

/* Which of the two is the agent's own. */
static void
find_own(void)
{
    struct server_choice *choice;
    struct lh_error error;

    ck_assert_int_eq(
        server_choice_create(addresses, options.name, &choice, &error), 0);
    if (server_choice_get(choice, 0)->at.port != own->port) {
        struct fake_server *swap = own;

        own = other;
        other = swap;
    }
    ck_assert_uint_eq(server_choice_get(choice, 0)->at.port, own->port);
    server_choice_destroy(choice);
}

static void
set_up(void)
{
    struct lh_error error;

    snprintf(process, sizeof process, "lhsrvs%d", (int) getpid());
    prctl(PR_SET_NAME, process);
    say_set_level(SAY_ERROR);
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    own = fake_server_create(base);
    other = fake_server_create(base);
    ring = fake_ring_create(RING_SIZE);
    hop_template_make(
        &template, &(struct hop_template_parts){.dpid = 0xa0, .in_port = 1});
    snprintf(addresses, sizeof addresses, "127.0.0.1:%u,or=127.0.0.1:%u",
             own->port, other->port);
    options = (struct options){.server = addresses,
                               .memory_bytes = 64 << 20,
                               .snap = 96,
                               .id_config = PACKET_ID_CONFIG_INIT,
                               .process = process,
                               .name = "host",
                               .flush_ns = 10000000,
                               .poll_ns = 1000000};
    find_own();
    ck_assert_msg(!agent_open(base, &options, &agent, &error), "%s",
                  error.text);
    link_counters = server_link_counters(agent->link);
}

static void
tear_down(void)
{
    agent_close(agent);
    fake_server_destroy(own);
    fake_server_destroy(other);
    fake_ring_destroy(ring);
    event_base_free(base);
}

static void
put_many(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t header[64] = {0};

        bytes_put_be64(header, n_written);
        ck_assert(fake_ring_put(ring, &template.t, 1000 + n_written, header,
                                sizeof header, 64, false));
        n_written++;
    }
    fake_ring_publish(ring);
}

/* Whether each number below 'n_written' came to one of both; how many came
 * twice. */
static size_t
check_each(void)
{
    uint8_t *seen = calloc(n_written, 1);
    size_t n_twice = 0;

    for (size_t i = 0; i < own->n_postcards; i++) {
        ck_assert_uint_eq(seen[own->postcards[i]]++, 0);
    }
    for (size_t i = 0; i < other->n_postcards; i++) {
        n_twice += seen[other->postcards[i]]++;
    }
    for (size_t i = 0; i < n_written; i++) {
        ck_assert_uint_gt(seen[i], 0);
    }
    free(seen);
    return n_twice;
}

/* Until all was taken, and the agent knows. */
static void
wait_taken(void)
{
    RUN_UNTIL(own->n_postcards + other->n_postcards >= n_written &&
              !outbox_counters(agent->outbox).n_waiting);
}

START_TEST(its_own_dies_and_comes_back)
{
    put_many(300);
    wait_taken();
    ck_assert_uint_eq(other->n_hellos, 0);

    fake_server_stop(own);
    put_many(200);
    wait_taken();
    ck_assert_uint_eq(link_counters->n_moves, 1);
    ck_assert(is_at(other));
    /* What its own took is not asked for again. */
    ck_assert_uint_gt(other->told_seq, 0);

    fake_server_start(own);
    RUN_UNTIL(link_counters->n_moves == 2);
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(own->n_postcards, 400);
    ck_assert_uint_ge(own->told_seq, other->told_seq);
    ck_assert_uint_eq(check_each(), 0);
}
END_TEST

START_TEST(what_was_not_acknowledged_goes_to_the_other)
{
    own->withholds_acks = true;
    put_many(500);
    RUN_UNTIL(own->n_postcards == n_written);
    fake_server_stop(own);
    RUN_UNTIL(other->n_postcards == n_written);
    ck_assert_uint_eq(check_each(), 500);
    ck_assert_uint_eq(other->told_seq, 0);
}
END_TEST

START_TEST(one_that_stalls_is_left)
{
    put_many(100);
    wait_taken();
    own->is_silent = true;
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(other->n_postcards, 100);
    ck_assert_uint_eq(check_each(), 0);
    /* It answers connections, but does not welcome: nobody goes back. */
    RUN_UNTIL(own->n_hellos + other->n_pings > 3);
    ck_assert_uint_eq(link_counters->n_moves, 1);
    own->is_silent = false;
    fake_server_stop(own);
    fake_server_start(own);
    RUN_UNTIL(link_counters->n_moves == 2);
}
END_TEST

START_TEST(one_that_is_busy_is_left_and_comes_last)
{
    put_many(100);
    wait_taken();
    own->is_busy = true;
    fake_server_stop(own);
    fake_server_start(own);
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(other->n_postcards, 100);
    /* It is tried, and stays so. */
    RUN_UNTIL(own->n_refused > 1);
    ck_assert_uint_eq(link_counters->n_moves, 1);
    /* When no other takes it, one that is busy does. */
    other->is_busy = true;
    fake_server_stop(other);
    fake_server_start(other);
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(check_each(), 0);
    /* And its own when it has time again, wherever it is. */
    own->is_busy = false;
    RUN_UNTIL(link_counters->is_up && is_at(own));
    put_many(10);
    wait_taken();
    ck_assert_uint_eq(check_each(), 0);
}
END_TEST

/* The agent anew, as it is told of 'given' alone. */
static void
reopen(const struct fake_server *given, const char *spool)
{
    struct lh_error error;

    agent_close(agent);
    snprintf(addresses, sizeof addresses, "127.0.0.1:%u", given->port);
    options.spool = spool;
    options.spool_bytes = 64 << 20;
    ck_assert_msg(!agent_open(base, &options, &agent, &error), "%s",
                  error.text);
    link_counters = server_link_counters(agent->link);
    RUN_UNTIL(link_counters->is_up);
    ck_assert(is_at(given));
}

START_TEST(it_goes_to_one_that_it_was_only_told_of)
{
    const uint16_t ports[2] = {own->port, other->port};

    reopen(own, NULL);
    ck_assert(own->wants_servers);
    put_many(100);
    wait_taken();
    fake_server_tell(own, ports, 2);
    RUN_UNTIL(link_counters->n_told == 2);
    own->withholds_acks = true;
    put_many(100);
    RUN_UNTIL(own->n_postcards == n_written);
    fake_server_stop(own);
    wait_taken();
    ck_assert(is_at(other));
    ck_assert_uint_eq(check_each(), 100);

    /* Its own is found again, though nobody tells of it. */
    fake_server_tell(other, ports + 1, 1);
    RUN_UNTIL(link_counters->n_told == 1);
    fake_server_start(own);
    own->withholds_acks = false;
    fake_server_stop(other);
    RUN_UNTIL(link_counters->is_up && is_at(own));
    put_many(100);
    RUN_UNTIL(own->n_postcards == 300);
    ck_assert_uint_eq(check_each(), 100);
}
END_TEST

START_TEST(it_goes_to_its_own_when_that_joins)
{
    const uint16_t ports[2] = {other->port, own->port};

    reopen(other, NULL);
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(link_counters->n_moves, 0);
    fake_server_tell(other, ports, 2);
    put_many(100);
    RUN_UNTIL(link_counters->n_moves == 1);
    ck_assert(is_at(own));
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(check_each(), 0);
    /* And from one that is to be left. */
    fake_server_tell(own, ports, 1);
    RUN_UNTIL(link_counters->n_moves == 2);
    ck_assert(is_at(other));
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(check_each(), 0);
}
END_TEST

START_TEST(its_spool_knows_what_it_was_told)
{
    const uint16_t ports[2] = {own->port, other->port};
    char dir[] = "/tmp/lasthop-servers-XXXXXX";
    struct lh_error error;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    reopen(own, dir);
    fake_server_tell(own, ports, 2);
    RUN_UNTIL(link_counters->n_told == 2);
    agent_close(agent);
    fake_server_stop(own);
    ck_assert_int_eq(agent_open(base, &options, &agent, &error), 0);
    link_counters = server_link_counters(agent->link);
    put_many(100);
    wait_taken();
    ck_assert(is_at(other));

    /* A file that is damaged is none. */
    char *path = lh_asprintf("%s/servers", dir);

    ck_assert_int_eq(truncate(path, 9), 0);
    agent_close(agent);
    fake_server_start(own);
    ck_assert_int_eq(agent_open(base, &options, &agent, &error), 0);
    link_counters = server_link_counters(agent->link);
    RUN_UNTIL(link_counters->is_up);
    ck_assert(is_at(own));
    put_many(100);
    wait_taken();
    ck_assert_uint_eq(check_each(), 0);
    free(path);
    path = lh_asprintf("rm -r %s", dir);
    ck_assert_int_eq(system(path), 0);
    free(path);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("servers");
    TCase *tcase = tcase_create("servers");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, its_own_dies_and_comes_back);
    tcase_add_test(tcase, what_was_not_acknowledged_goes_to_the_other);
    tcase_add_test(tcase, one_that_stalls_is_left);
    tcase_add_test(tcase, one_that_is_busy_is_left_and_comes_last);
    tcase_add_test(tcase, it_goes_to_one_that_it_was_only_told_of);
    tcase_add_test(tcase, it_goes_to_its_own_when_that_joins);
    tcase_add_test(tcase, its_spool_knows_what_it_was_told);
    tcase_set_timeout(tcase, 200);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
