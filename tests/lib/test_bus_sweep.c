/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_sweep - what is not needed any more goes, and nothing else, also
 * when NATS is away meanwhile.  Where there are copies:
 * tests/server/test_three_nodes. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>

#include "lib/bus_stream.h"
#include "lib/bus_sweep.h"
#include "lib/monotonic.h"
#include "tests/lib/nats_fixture.h"

#define N 100 /* Messages of each of two subjects, by turns. */

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static bool is_done;
static struct bus_stream_state is;

static void
take_done(void *aux, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    is_done = true;
}

static void
take_kept(void *aux, int error_number, const char *why, uint64_t seq,
          bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    is_done = true;
}

static void
take_state(void *aux, int error_number, const char *why,
           const struct bus_stream_state *state)
{
    if (state) {
        is = *state;
    }
    is_done = true;
}

static void
wait(int retval)
{
    ck_assert_int_eq(retval, 0);
    nats_loop_until(base, &is_done);
}

#define WAIT(CALL) (is_done = false, wait(CALL))

static void
wait_for(uint64_t n_messages)
{
    int64_t deadline_ms = monotonic_ms() + 60000;

    do {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        WAIT(bus_stream_ask(bus, "S", 2000, take_state, NULL, NULL));
    } while (is.n_messages != n_messages);
}

static void
set_up(void)
{
    const struct bus_stream_config config = {.name = "S",
                                             .subjects = "s.*",
                                             .max_bytes = 1u << 20,
                                             .discards_new = true};

    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
    WAIT(bus_stream_create(bus, &config, 30000, take_done, NULL, NULL));
    for (int i = 0; i < 2 * N; i++) {
        const struct bus_letter letter = {.subject = i % 2 ? "s.2" : "s.1"};

        WAIT(bus_stream_publish(bus, &letter, NULL, BUS_ANY_SEQ, 30000,
                                take_kept, NULL, NULL));
    }
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
}

START_TEST(one_subject_below_a_number)
{
    struct bus_sweep *sweep = bus_sweep_open(bus, "S", "s.1", NULL, NULL);

    bus_sweep_below(sweep, 0);
    bus_sweep_below(sweep, 1);
    bus_sweep_below(sweep, 21); /* 1, 3 .. 19. */
    wait_for(2 * N - 10);
    ck_assert_uint_eq(is.first_seq, 2);
    ck_assert_uint_eq(is.n_replicas, 1);
    ck_assert(is.is_purge_safe);
    bus_sweep_below(sweep, 11); /* Nothing new. */
    bus_sweep_below(sweep, 41);
    wait_for(2 * N - 20);
    bus_sweep_close(sweep);
}
END_TEST

START_TEST(nats_is_away)
{
    struct bus_sweep *sweep = bus_sweep_open(bus, "S", "s.2", NULL, NULL);

    bus_sweep_below(sweep, 21); /* 2, 4 .. 20. */
    wait_for(2 * N - 10);
    nats_kill(&nats);
    bus_sweep_below(sweep, 41);
    nats_start(&nats, NULL);
    /* What comes next takes with it what was not done. */
    for (uint64_t seq = 42; is.n_messages == 2 * N - 10; seq++) {
        ck_assert_uint_le(seq, 2 * N);
        bus_sweep_below(sweep, seq);
        WAIT(bus_stream_ask(bus, "S", 30000, take_state, NULL, NULL));
    }
    ck_assert_uint_le(is.n_messages, 2 * N - 20);
    bus_sweep_close(sweep);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus_sweep");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, one_subject_below_a_number);
    tcase_add_test(tcase, nats_is_away);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
