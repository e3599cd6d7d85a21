/* SPDX-License-Identifier: Apache-2.0 */
/* bench_bus - what a message on the bus of a cluster costs whoever sends and
 * reads it, and NATS, by its length.
 *
 * As doors and owners of packets do: 64 subjects of a stream, of each one
 * message is on its way until it is acknowledged, and each is read by a
 * consumer of its own (lib/bus_pull); all of it on one connection of this
 * process, with a real nats-server.  Bytes are random.
 *
 * Reported for each length: CPU of a message, user and system, here and in
 * NATS.
 *
 * usage: bench_bus [MEGABYTES]   (of each length, and 6,400 messages at most
 *                                 of the short ones; default 64) */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench_done.h"
#include "bench/bench_frames.h"
#include "lib/bus_pull.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "tests/lib/nats_fixture.h"

#define N_SUBJECTS 64
#define MEGABYTES  64
#define MAX_SENT   6400
#define LONGEST    (512u << 10)

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static uint8_t *bytes;
static size_t length, n_left, n_on_way, n_read, n_wanted, n_numbers;
static size_t megabytes = MEGABYTES;

static void send_next(size_t subject);

static size_t subjects[N_SUBJECTS];

static void
on_kept(void *subject, int error_number, const char *why, uint64_t seq,
        bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    n_on_way--;
    send_next(*(size_t *) subject);
}

static void
send_next(size_t subject)
{
    struct bus_letter letter = {.data = bytes, .size = length};
    char *name, *id;

    if (!n_left) {
        return;
    }
    n_left--;
    n_on_way++;
    name = lh_asprintf("b.%zu", subject);
    id = lh_asprintf("door.%zu.%zu", subject, n_numbers++);
    letter.subject = name;
    ck_assert_int_eq(bus_stream_publish(bus, &letter, id, BUS_ANY_SEQ, 60000,
                                        on_kept, &subjects[subject], NULL),
                     0);
    free(name);
    free(id);
}

static void
on_message(void *aux, const struct bus_pull_message *m)
{
    ck_assert_uint_eq(m->size, length);
    n_read++;
}

static bool
is_under_way(void *aux)
{
    return n_on_way || n_read < n_wanted;
}

static void
print(const char *metric, double value, const char *unit)
{
    printf("{\"bench\":\"bus\",\"metric\":\"%s, %zu bytes\",\"value\":%.2f,"
           "\"unit\":\"%s\",\"runs\":1,\"min\":%.2f,\"max\":%.2f}\n",
           metric, length, value, unit, value, value);
    fflush(stdout);
}

static void
measure(size_t len)
{
    double before, nats_before, n;

    length = len;
    n_wanted = (megabytes << 20) / len;
    n_wanted = n_wanted < MAX_SENT ? n_wanted : MAX_SENT;
    n_left = n_wanted;
    n_read = 0;
    before = bench_process_s();
    nats_before = bench_child_s(nats.pid);
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        send_next(i);
    }
    nats_loop_while(base, is_under_way, NULL);
    n = (double) n_wanted;
    print("CPU of a message", (bench_process_s() - before) * 1e6 / n, "us");
    print("CPU of NATS for it",
          (bench_child_s(nats.pid) - nats_before) * 1e6 / n, "us");
}

START_TEST(all)
{
    static const size_t lengths[] = {100, 1024, 4096, 16384, 32768, 131072};
    const struct bus_stream_config stream = {.name = "B",
                                             .subjects = "b.*",
                                             .max_bytes = 1u << 30,
                                             .discards_new = true};
    struct bus_pull *pulls[N_SUBJECTS];
    size_t n = 1;

    bytes = lh_alloc(LONGEST);
    for (size_t i = 0; i < LONGEST; i++) {
        bytes[i] = (uint8_t) rand();
    }
    base = event_base_new();
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
    ck_assert_int_eq(
        bus_stream_create(bus, &stream, 20000, bench_done_take, &n, NULL), 0);
    bench_done_wait(base, &n);
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        char *subject = lh_asprintf("b.%zu", i);

        subjects[i] = i;
        pulls[i] = bus_pull_open(
            bus, &(struct bus_pull_options){.stream = "B",
                                            .subject = subject,
                                            .name = "bench",
                                            .on_message = on_message});
        free(subject);
    }
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        measure(lengths[i]);
    }
    for (size_t i = 0; i < N_SUBJECTS; i++) {
        bus_pull_close(pulls[i]);
    }
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
    free(bytes);
}
END_TEST

int
main(int argc, char *argv[])
{
    Suite *suite = suite_create("bench_bus");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    if (argc > 1) {
        megabytes = strtoul(argv[1], NULL, 10);
    }
    tcase_add_test(tcase, all);
    tcase_set_timeout(tcase, 0);
    suite_add_tcase(suite, tcase);
    /* The fixture of NATS speaks Check. */
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    n_failed = srunner_ntests_failed(runner);
    if (n_failed) {
        srunner_print(runner, CK_NORMAL);
    }
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
