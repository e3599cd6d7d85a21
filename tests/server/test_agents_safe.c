/* SPDX-License-Identifier: Apache-2.0 */
/* test_agents_safe - where postcards are not safe when they were taken, agents
 * are told later, and what they send again meanwhile is taken once. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/monotonic.h"
#include "server/source_agent.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

/* What the test and the process that takes postcards share. */
static struct shared {
    atomic_bool is_open, is_busy;
    atomic_ulong begun;       /* Number of the frame that came last. */
    atomic_ulong taken, safe; /* Postcards. */
} * shared;

static pid_t pid;
static uint16_t port;
static char where[32];

static uint64_t
get_taken(void *aux)
{
    (void) aux;
    return shared->taken;
}

static uint64_t
get_safe(void *aux)
{
    (void) aux;
    return shared->safe;
}

static void
take(void *aux, const struct postcard *p)
{
    (void) aux;
    (void) p;
    atomic_fetch_add(&shared->taken, 1);
}

static bool
has_room(void *aux)
{
    (void) aux;
    return true;
}

static void
before(void *aux, uint64_t now_ns)
{
    (void) aux;
    (void) now_ns;
}

static void
after(void *aux)
{
    (void) aux;
}

static void
begin(void *aux, const uint8_t id[AGENT_ID_LEN], uint64_t seq)
{
    ck_assert_uint_eq(id[0], 1);
    shared->begun = seq;
}

static const char *
get_busy(void *aux)
{
    return shared->is_busy ? "it is busy" : NULL;
}

/* The process that takes them. */
static void
serve(void)
{
    const struct ingest_config ingest = {.id_config = PACKET_ID_CONFIG_INIT,
                                         .give = take};
    const struct source_agent_config config = {
        .listen = where,
        .id_config = PACKET_ID_CONFIG_INIT,
        .book = agent_book_create(),
        .gate = sample_gate_create(1),
        .catch_up = catch_up_create(),
        .ingest = ingest_create(&ingest),
        .before = before,
        .has_room = has_room,
        .after = after,
        .taken = get_taken,
        .safe = get_safe,
        .begin = begin,
        .busy = get_busy};
    struct event_base *base = event_base_new();
    struct source_agent *source;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (source_agent_open(base, &config, &source, NULL)) {
        _exit(1);
    }
    shared->is_open = true;
    event_base_dispatch(base);
    _exit(0);
}

static void
wait_for(const atomic_ulong *value, unsigned long wanted)
{
    int64_t deadline_ms = monotonic_ms() + LIVE_DEADLINE_MS;

    while (*value != wanted) {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        usleep(1000);
    }
}

static void
setup(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    port = agent_talk_free_port();
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        serve();
    }
    while (!shared->is_open) {
        ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
        usleep(1000);
    }
}

static void
teardown(void)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    munmap(shared, sizeof *shared);
}

/* Two batches of ten postcards each: the first is acknowledged when it is
 * safe, the second is not before that. */
START_TEST(test_acknowledged_when_safe)
{
    struct agent_talk talk;

    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 0);
    agent_talk_batch(&talk, 1, 0, 10, 1, 1, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&talk, 2, 10, 10, 1, 1, AGENT_THRESHOLD_ALL);
    wait_for(&shared->taken, 20);
    shared->safe = 19;
    agent_talk_wait_ack(&talk, 1);
    shared->safe = 20;
    agent_talk_wait_ack(&talk, 2);
    close(talk.fd);
}
END_TEST

/* It goes before it was told, and comes again. */
START_TEST(test_comes_again)
{
    struct agent_talk talk;

    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 0);
    agent_talk_batch(&talk, 1, 0, 10, 1, 1, AGENT_THRESHOLD_ALL);
    wait_for(&shared->taken, 10);
    close(talk.fd);

    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 0);
    agent_talk_batch(&talk, 1, 0, 10, 1, 1, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&talk, 2, 10, 10, 1, 1, AGENT_THRESHOLD_ALL);
    wait_for(&shared->taken, 20);
    shared->safe = 10;
    agent_talk_wait_ack(&talk, 1);
    shared->safe = 20;
    agent_talk_wait_ack(&talk, 2);
    ck_assert_uint_eq(shared->taken, 20);
    close(talk.fd);
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 2);
    close(talk.fd);
}
END_TEST

/* What other servers have taken of it is not asked for, and does not count as
 * missing when it does not come. */
START_TEST(test_others_took_some)
{
    struct agent_talk talk;
    struct agent_frame frame;

    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 0);
    agent_talk_batch(&talk, 1, 0, 10, 1, 1, AGENT_THRESHOLD_ALL);
    wait_for(&shared->taken, 10);
    ck_assert_uint_eq(shared->begun, 1);
    close(talk.fd);

    agent_talk_open(&talk, port);
    talk.taken_seq = 5;
    agent_talk_hello(&talk, 1);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_WELCOME);
    ck_assert_uint_eq(frame.welcome.last_seq, 5);
    agent_talk_batch(&talk, 6, 10, 10, 1, 1, AGENT_THRESHOLD_ALL);
    wait_for(&shared->taken, 20);
    ck_assert_uint_eq(shared->begun, 6);
    shared->safe = 20;
    agent_talk_wait_ack(&talk, 6);
    close(talk.fd);
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 6);
    close(talk.fd);
}
END_TEST

/* Those that could go elsewhere are sent there, others are not. */
START_TEST(test_busy)
{
    struct agent_talk talk, other;
    struct agent_frame frame;

    agent_talk_open(&talk, port);
    talk.has_others = true;
    agent_talk_hello(&talk, 1);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_WELCOME);
    shared->is_busy = true;
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);

    agent_talk_open(&talk, port);
    talk.has_others = true;
    agent_talk_hello(&talk, 1);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);

    ck_assert_uint_eq(agent_talk_greet(&other, port, 1), 0);
    agent_talk_batch(&other, 1, 0, 10, 1, 1, AGENT_THRESHOLD_ALL);
    wait_for(&shared->taken, 10);
    shared->safe = 10;
    agent_talk_wait_ack(&other, 1);
    close(other.fd);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agents_safe");
    TCase *tcase = tcase_create("agents_safe");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_acknowledged_when_safe);
    tcase_add_test(tcase, test_comes_again);
    tcase_add_test(tcase, test_others_took_some);
    tcase_add_test(tcase, test_busy);
    tcase_set_timeout(tcase, 100);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
