/* SPDX-License-Identifier: Apache-2.0 */
/* The agent between rings and a server: everything arrives once, or is counted
 * where it was lost. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/agent.h"
#include "agent/agent_impl.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "tests/agent/fake_ring.h"
#include "tests/agent/fake_server.h"
#include "tests/agent/run_until.h"

#define RING_SIZE (1u << 20)

/* Postcards that were written and have not come, while agents are killed. */
#define MAX_ON_WAY 20000

static struct event_base *base;
static struct fake_server *server;
static struct fake_ring *ring;
static struct options options;
static struct agent *agent;
static char spool[] = "/tmp/lasthop-spool-XXXXXX";
static char address[32];
static char process[16];
static union hop_template_buf templates[3];
static uint64_t n_written; /* And taken by the ring. */

static void
set_up(void)
{
    /* Rings of this very process are looked for. */
    snprintf(process, sizeof process, "lhtest%d", (int) getpid());
    prctl(PR_SET_NAME, process);
    say_set_level(SAY_ERROR);
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    server = fake_server_create(base);
    ring = fake_ring_create(RING_SIZE);
    for (unsigned int i = 0; i < 3; i++) {
        hop_template_make(&templates[i], &(struct hop_template_parts){
                                             .dpid = 0xa0 + i, .in_port = 1});
    }
    snprintf(address, sizeof address, "127.0.0.1:%u", server->port);
    ck_assert_ptr_nonnull(mkdtemp(spool));
    options = (struct options){.server = address,
                               .spool = spool,
                               .spool_bytes = 64 << 20,
                               .memory_bytes = 64 << 20,
                               .snap = 96,
                               .id_config = PACKET_ID_CONFIG_INIT,
                               .process = process,
                               .flush_ns = 10000000,
                               .poll_ns = 1000000};
}

static void
tear_down(void)
{
    char *command = lh_asprintf("rm -rf %s", spool);

    agent_close(agent);
    fake_server_destroy(server);
    fake_ring_destroy(ring);
    event_base_free(base);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static void
open_agent(void)
{
    struct lh_error error;

    ck_assert_msg(!agent_open(base, &options, &agent, &error), "%s",
                  error.text);
}

/* Writes the next postcard of 'r', which has its number; false when the ring
 * is full. */
static bool
put(struct fake_ring *r)
{
    uint8_t header[64] = {0};

    bytes_put_be64(header, n_written);
    if (!fake_ring_put(r, &templates[n_written % 3].t, 1000 + n_written,
                       header, sizeof header, 64, false)) {
        return false;
    }
    n_written++;
    return true;
}

static void
put_many(struct fake_ring *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ck_assert(put(r));
    }
    fake_ring_publish(r);
}

START_TEST(all_of_two_rings_arrive_once)
{
    struct fake_ring *second = fake_ring_create(RING_SIZE);

    open_agent();
    for (unsigned int i = 0; i < 20; i++) {
        put_many(ring, 500);
        put_many(second, 300);
        RUN_UNTIL(server->n_postcards == n_written);
    }
    ck_assert(fake_server_has_each(server, n_written));
    RUN_UNTIL(outbox_counters(agent->outbox).n_waiting == 0);
    ck_assert_uint_eq(server->n_repeated, 0);
    ck_assert_uint_eq(server->n_hellos, 1);
    agent_close(agent);
    agent = NULL;
    fake_ring_destroy(second);
}
END_TEST

static void
check_waiting(void)
{
    open_agent();
    put_many(ring, 100);
    RUN_UNTIL(server->n_postcards == n_written);
    fake_server_stop(server);
    for (unsigned int i = 0; i < 10; i++) {
        put_many(ring, 1000);
        RUN_UNTIL(agent->n_postcards == n_written);
    }
    ck_assert_uint_eq(server->n_postcards, 100);
    fake_server_start(server);
    RUN_UNTIL(server->n_postcards == n_written);
    ck_assert(fake_server_has_each(server, n_written));
}

START_TEST(what_waits_for_the_server_arrives_when_it_is_back)
{
    check_waiting();
}
END_TEST

START_TEST(so_it_does_from_memory)
{
    options.spool = NULL;
    check_waiting();
}
END_TEST

START_TEST(what_was_not_acknowledged_is_sent_again)
{
    open_agent();
    server->withholds_acks = true;
    put_many(ring, 3000);
    RUN_UNTIL(server->n_postcards == n_written);
    fake_server_stop(server);
    server->last_seq = 0; /* It forgot, too. */
    server->n_postcards = 0;
    server->withholds_acks = false;
    fake_server_start(server);
    RUN_UNTIL(server->n_postcards == n_written);
    ck_assert(fake_server_has_each(server, n_written));
    ck_assert_uint_gt(server_link_counters(agent->link)->n_resent, 0);
    RUN_UNTIL(outbox_counters(agent->outbox).n_waiting == 0);
}
END_TEST

START_TEST(a_new_agent_ships_what_the_old_one_left)
{
    uint8_t id[AGENT_ID_LEN];

    fake_server_stop(server);
    open_agent();
    put_many(ring, 2000);
    RUN_UNTIL(agent->n_postcards == n_written);
    memcpy(id, outbox_agent_id(agent->outbox), sizeof id);
    agent_close(agent);
    put_many(ring, 500); /* While no agent is there. */
    fake_server_start(server);
    open_agent();
    RUN_UNTIL(server->n_postcards == n_written);
    ck_assert(fake_server_has_each(server, n_written));
    ck_assert_mem_eq(server->id, id, sizeof id);
}
END_TEST

START_TEST(a_full_spool_loses_what_is_new_and_says_so)
{
    uint64_t n_lost;

    options.spool_bytes = 64 << 10;
    fake_server_stop(server);
    open_agent();
    do {
        put_many(ring, 500);
        RUN_UNTIL(agent->n_postcards +
                      losses_total(agent->losses, AGENT_PLACE_SPOOL) ==
                  n_written);
    } while (losses_total(agent->losses, AGENT_PLACE_SPOOL) < 3000);
    n_lost = losses_total(agent->losses, AGENT_PLACE_SPOOL);
    fake_server_start(server);
    RUN_UNTIL(server->lost[AGENT_PLACE_SPOOL] == n_lost &&
              server->n_postcards + n_lost == n_written);
    ck_assert_uint_ge(3 * server->lost_of_a0[AGENT_PLACE_SPOOL] + 3, n_lost);
    ck_assert_uint_le(3 * server->lost_of_a0[AGENT_PLACE_SPOOL], n_lost + 3);
    /* What was spooled is the oldest, and all of it. */
    for (uint64_t i = 0; i < 500; i++) {
        ck_assert_uint_eq(server->postcards[i], i);
    }
    /* And it goes on. */
    put_many(ring, 100);
    RUN_UNTIL(server->n_postcards + n_lost == n_written);
}
END_TEST

START_TEST(a_full_ring_is_told_to_the_server)
{
    uint64_t n_dropped = 0;

    open_agent();
    put_many(ring, 1);
    RUN_UNTIL(server->n_postcards == 1);
    while (put(ring)) {
    }
    for (n_dropped = 1; n_dropped < 100; n_dropped++) {
        ck_assert(!put(ring));
    }
    fake_ring_publish(ring);
    RUN_UNTIL(server->n_postcards == n_written);
    fake_ring_idle(ring);
    RUN_UNTIL(server->lost[AGENT_PLACE_RING] == n_dropped);
    ck_assert(fake_server_has_each(server, n_written));
}
END_TEST

/* A switch in a process of its own, which fills its ring, tells how many
 * postcards are in it, and hangs. */
static void
be_a_switch(int fd)
{
    struct fake_ring *own;

    close(ring->fd); /* That one is not its. */
    prctl(PR_SET_NAME, "lhswitch");
    own = fake_ring_create(65536);
    while (!atomic_load(&own->page->epoch)) {
        usleep(1000);
    }
    while (put(own)) {
    }
    fake_ring_publish(own);
    if (write(fd, &n_written, sizeof n_written) != sizeof n_written) {
        _exit(1);
    }
    pause();
    _exit(0);
}

/* Template logs in the spool. */
static size_t
count_logs(void)
{
    char *pattern = lh_asprintf("%s/*.templates", spool);
    glob_t found;
    size_t n = glob(pattern, 0, NULL, &found) ? 0 : found.gl_pathc;

    globfree(&found);
    free(pattern);
    return n;
}

START_TEST(logs_of_rings_that_are_no_more_go)
{
    char *stale =
        lh_asprintf("%s/0000000000000001-0000000000000002.templates", spool);
    FILE *file = fopen(stale, "w");

    ck_assert_ptr_nonnull(file);
    fclose(file);
    open_agent();
    RUN_UNTIL(ring_set_n(agent->rings) == 1);
    ck_assert_uint_eq(count_logs(), 1);
    ck_assert_int_eq(access(stale, F_OK), -1);
    free(stale);
}
END_TEST

START_TEST(a_switch_that_is_killed_is_read_to_its_end)
{
    int fds[2], status;
    pid_t pid;

    ck_assert(!pipe(fds));
    options.process = "lhswitch";
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        be_a_switch(fds[1]);
    }
    open_agent();
    RUN_UNTIL(ring_set_n(agent->rings) == 1);
    ck_assert_int_eq(read(fds[0], &n_written, sizeof n_written),
                     sizeof n_written);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    RUN_UNTIL(ring_set_n(agent->rings) == 0);
    ck_assert_uint_eq(count_logs(), 0);
    RUN_UNTIL(server->n_postcards == n_written &&
              server->lost[AGENT_PLACE_RING] == 1);
    ck_assert(fake_server_has_each(server, n_written));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(the_threshold_is_the_smaller_of_both)
{
    struct byte_buf out = BYTE_BUF_INIT;

    server->threshold = 0x7fffffff;
    open_agent();
    RUN_UNTIL(ring->page->threshold == 0x7fffffff);
    agent_frame_put_threshold(&out, AGENT_THRESHOLD, 0x3fffffff);
    fake_server_send(server, out.data, out.len);
    RUN_UNTIL(ring->page->threshold == 0x3fffffff);
    byte_buf_uninit(&out);
    fake_server_stop(server);
    RUN_UNTIL(ring->page->threshold == AGENT_THRESHOLD_ALL);
}
END_TEST

START_TEST(what_the_cpu_allows_is_told)
{
    options.cpu = 0.1;
    open_agent();
    RUN_UNTIL(server->n_wants > 0);
    ck_assert_uint_eq(server->want, AGENT_THRESHOLD_ALL);
}
END_TEST

/* Whatever the server says, the agent stays and ships when it is sane. */
START_TEST(a_server_that_talks_nonsense_does_no_harm)
{
    static const uint8_t garbage[64] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    static const uint8_t long_frame[] = {0xff, 0xff, 0xff, 0xff, 2};
    static const uint8_t early_ack[] = {0, 0, 0, 9, AGENT_ACK, 0, 0,
                                        0, 0, 0, 0, 0,         1};
    static const uint8_t half[] = {0, 0, 0, 9, AGENT_ACK, 0};
    struct byte_buf welcome = BYTE_BUF_INIT, refused = BYTE_BUF_INIT;
    struct {
        const uint8_t *data;
        size_t len;
    } speeches[7] = {{garbage, sizeof garbage},
                     {long_frame, sizeof long_frame},
                     {early_ack, sizeof early_ack}};
    const struct server_link_counters *c;

    /* Acknowledges what was never sent. */
    agent_frame_put_welcome(
        &welcome, &(struct agent_welcome){.protocol = 1,
                                          .threshold = AGENT_THRESHOLD_ALL,
                                          .id_seed = PACKET_ID_SEED,
                                          .id_bytes = PACKET_ID_BYTES});
    agent_frame_put_ack(&welcome, UINT64_MAX);
    speeches[3].data = welcome.data;
    speeches[3].len = welcome.len;
    agent_frame_put_refused(&refused, "not you");
    speeches[4].data = refused.data;
    speeches[4].len = refused.len;
    speeches[5].data = half;
    speeches[5].len = sizeof half;

    struct byte_buf other_ids = BYTE_BUF_INIT;

    agent_frame_put_welcome(
        &other_ids, &(struct agent_welcome){.protocol = 1,
                                            .threshold = 5,
                                            .id_seed = 1,
                                            .id_bytes = PACKET_ID_BYTES});
    speeches[6].data = other_ids.data;
    speeches[6].len = other_ids.len;

    open_agent();
    c = server_link_counters(agent->link);
    put_many(ring, 100);
    for (size_t i = 0; i < 7; i++) {
        uint64_t n_failures = c->n_failures;

        server->speech = speeches[i].data;
        server->speech_len = speeches[i].len;
        if (c->is_up) {
            fake_server_stop(server);
            fake_server_start(server);
        }
        if (i == 5) {
            size_t n_hellos = server->n_hellos;

            RUN_UNTIL(server->n_hellos > n_hellos);
            fake_server_stop(server);
            fake_server_start(server);
        }
        RUN_UNTIL(c->n_failures > n_failures);
    }
    ck_assert_uint_ge(c->n_malformed, 4);
    ck_assert_uint_ge(c->n_refused, 1);
    ck_assert_uint_eq(server->n_postcards, 0);
    server->speech = NULL;
    RUN_UNTIL(server->n_postcards == n_written);
    ck_assert(fake_server_has_each(server, n_written));
    byte_buf_uninit(&welcome);
    byte_buf_uninit(&refused);
    byte_buf_uninit(&other_ids);
}
END_TEST

/* An agent in a process of its own. */
static pid_t
start_process(void)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (!pid) {
        struct event_base *own = event_base_new();
        struct lh_error error;

        if (agent_open(own, &options, &agent, &error)) {
            fprintf(stderr, "%s\n", error.text);
            _exit(1);
        }
        event_base_dispatch(own);
        _exit(2);
    }
    return pid;
}

START_TEST(killed_agents_lose_nothing_and_repeat_nothing)
{
    uint32_t random = 12345;

    for (unsigned int round = 0; round < 12; round++) {
        pid_t pid = start_process();
        size_t had = server->n_postcards;
        int status;
        uint64_t until;

        random = random * 1664525 + 1013904223;
        until = had + random % 4000;
        while (server->n_postcards < until) {
            uint64_t target = n_written + 1 + random % 700;

            /* No more than the spool holds: what is more would be lost,
             * and counted. */
            while (n_written < target &&
                   n_written - server->n_postcards < MAX_ON_WAY && put(ring)) {
            }
            fake_ring_publish(ring);
            fake_ring_idle(ring);
            event_base_loop(base, EVLOOP_NONBLOCK);
            ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0);
        }
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    open_agent();
    RUN_UNTIL(server->n_postcards == n_written);
    ck_assert(fake_server_has_each(server, n_written));
    ck_assert_uint_eq(server->lost[AGENT_PLACE_SPOOL], 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tcase, 100);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, all_of_two_rings_arrive_once);
    tcase_add_test(tcase, what_waits_for_the_server_arrives_when_it_is_back);
    tcase_add_test(tcase, so_it_does_from_memory);
    tcase_add_test(tcase, what_was_not_acknowledged_is_sent_again);
    tcase_add_test(tcase, a_new_agent_ships_what_the_old_one_left);
    tcase_add_test(tcase, a_full_spool_loses_what_is_new_and_says_so);
    tcase_add_test(tcase, a_full_ring_is_told_to_the_server);
    tcase_add_test(tcase, logs_of_rings_that_are_no_more_go);
    tcase_add_test(tcase, a_switch_that_is_killed_is_read_to_its_end);
    tcase_add_test(tcase, the_threshold_is_the_smaller_of_both);
    tcase_add_test(tcase, what_the_cpu_allows_is_told);
    tcase_add_test(tcase, a_server_that_talks_nonsense_does_no_harm);
    tcase_add_test(tcase, killed_agents_lose_nothing_and_repeat_nothing);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
