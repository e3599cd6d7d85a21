/* SPDX-License-Identifier: Apache-2.0 */
/* test_three_nodes - three NATS servers as one: what was acknowledged is there
 * when one of them is killed, and everything goes on; what was removed is all
 * that is gone when one is started again. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/bus_pull.h"
#include "lib/bus_stream.h"
#include "lib/bus_sweep.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/shard_commit.h"
#include "server/shard_lease.h"
#include "tests/lib/nats_fixture.h"

#define N_NODES    3
#define N_SHARDS   4
#define N_MESSAGES 400 /* Before a node is killed, and after. */
#define LEASE_MS   1800

static struct nats_cluster cluster;
static struct event_base *base;
static struct bus *bus;

static struct outcome {
    bool is_done;
    int error_number;
    char text[256];
} outcome;

static void
take_done(void *aux, int error_number, const char *why)
{
    outcome.is_done = true;
    outcome.error_number = error_number;
    snprintf(outcome.text, sizeof outcome.text, "%s", why ? why : "");
}

/* The leaders have yet to be elected, so requests may fail at first. */
static void
try_again(int retval)
{
    ck_assert_int_eq(retval, 0);
    nats_loop_until(base, &outcome.is_done);
    outcome.is_done = false;
    if (outcome.error_number) {
        poll(NULL, 0, 20);
    }
}

static void
make_stream_and_buckets(void)
{
    const struct bus_stream_config stream = {.name = "S",
                                             .subjects = "s.*",
                                             .max_bytes = 64u << 20,
                                             .replicas = N_NODES,
                                             .discards_new = true};
    const struct bus_kv_config bucket = {
        .bucket = "commit", .max_bytes = 1u << 20, .replicas = N_NODES};
    int64_t deadline_ms = monotonic_ms() + 60000;

    do {
        ck_assert_msg(monotonic_ms() < deadline_ms, "%s", outcome.text);
        try_again(
            bus_stream_create(bus, &stream, 5000, take_done, NULL, NULL));
    } while (outcome.error_number);
    do {
        ck_assert_msg(monotonic_ms() < deadline_ms, "%s", outcome.text);
        try_again(bus_kv_create(bus, &bucket, 5000, take_done, NULL, NULL));
    } while (outcome.error_number);
}

static void
set_up(void)
{
    base = event_base_new();
    nats_cluster_start(&cluster, N_NODES);
    const struct bus_options options = {.urls = cluster.urls};

    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    make_stream_and_buckets();
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_cluster_end(&cluster);
    event_base_free(base);
}

/* --- Who leads. ---------------------------------------------------------- */

static unsigned int leader; /* N_NODES: nobody. */

static void
take_info(void *aux, int error_number, const char *why,
          const struct bus_message *message)
{
    static const char key[] = "\"leader\":\"n";
    char *text = lh_alloc_zero(message ? message->size + 1 : 1), *at;

    if (message) {
        memcpy(text, message->data, message->size);
    }
    at = strstr(text, key);
    leader = at ? (unsigned int) atoi(at + strlen(key)) : N_NODES;
    free(text);
    outcome.is_done = true;
    outcome.error_number = error_number;
}

/* The node that leads the stream. */
static unsigned int
find_leader(const char *stream)
{
    char *subject = lh_asprintf("$JS.API.STREAM.INFO.%s", stream);
    const struct bus_letter letter = {.subject = subject};
    int64_t deadline_ms = monotonic_ms() + 60000;

    do {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        try_again(bus_request(bus, &letter, 2000, take_info, NULL, NULL));
    } while (outcome.error_number || leader == N_NODES);
    free(subject);
    return leader;
}

/* --- Messages. ----------------------------------------------------------- */

static const char *const subjects[] = {"s.1", "s.2"};
static uint32_t n_subjects = 1; /* A number's is that of the remainder. */
static uint32_t n_kept, n_wanted;
static uint64_t seqs[2 * N_MESSAGES]; /* Of each number, where it is kept. */

static void send_number(uint32_t);

/* What is not known to be kept is sent again, with the same ID. */
static void
take_kept(void *number, int error_number, const char *why, uint64_t seq,
          bool was_there)
{
    if (error_number) {
        send_number((uint32_t) (uintptr_t) number);
    } else {
        n_kept++;
        seqs[(uintptr_t) number] = seq;
    }
}

static void
send_number(uint32_t number)
{
    char id[16];
    struct bus_letter letter = {.subject = subjects[number % n_subjects],
                                .data = &number,
                                .size = sizeof number};

    snprintf(id, sizeof id, "%" PRIu32, number);
    ck_assert_int_eq(bus_stream_publish(bus, &letter, id, BUS_ANY_SEQ, 1000,
                                        take_kept, (void *) (uintptr_t) number,
                                        NULL),
                     0);
}

static bool
is_keeping(void *aux)
{
    return n_kept < n_wanted;
}

static struct reader {
    uint8_t seen[2 * N_MESSAGES];
    uint32_t n;
} reader;

static void
on_message(void *aux, const struct bus_pull_message *message)
{
    uint32_t number;

    ck_assert_uint_eq(message->size, sizeof number);
    memcpy(&number, message->data, sizeof number);
    ck_assert_uint_lt(number, 2 * N_MESSAGES);
    ck_assert_uint_eq(reader.seen[number], 0);
    reader.seen[number] = 1;
    reader.n++;
}

static bool
is_reading(void *aux)
{
    return reader.n < n_wanted;
}

/* --- Ownership. ---------------------------------------------------------- */

static struct owner {
    struct shard_commit *commit;
    bool is_done, is_held;
    enum shard_commit_outcome result;
    uint64_t position, epoch;
} owners[N_SHARDS];

static void
on_commit(void *owner_, enum shard_commit_outcome result, uint64_t position,
          const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    struct owner *owner = owner_;

    owner->is_done = true;
    owner->result = result;
    owner->position = position;
}

static void
on_lease(void *aux, enum shard_event event, uint32_t shard, uint64_t epoch)
{
    struct owner *owner = &owners[shard];

    owner->is_held = event == SHARD_TAKEN;
    if (event == SHARD_TAKEN) {
        shard_commit_destroy(owner->commit);
        owner->is_done = false;
        owner->epoch = epoch;
        owner->commit =
            shard_commit_claim(bus, "commit", shard, epoch, on_commit, owner);
    }
}

/* Whether a shard is not both held and claimed. */
static bool
is_claiming(void *aux)
{
    for (unsigned int i = 0; i < N_SHARDS; i++) {
        if (!owners[i].is_held || !owners[i].is_done ||
            owners[i].result == SHARD_COMMIT_FENCED) {
            return true;
        }
    }
    return false;
}

/* All shards commit 'position', those of them that are not lost meanwhile. */
static void
commit_all(uint64_t position)
{
    nats_loop_while(base, is_claiming, NULL);
    for (unsigned int i = 0; i < N_SHARDS; i++) {
        owners[i].is_done = false;
        ck_assert_int_eq(
            shard_commit_advance(owners[i].commit, position, "note", 4), 0);
    }
    nats_loop_while(base, is_claiming, NULL);
}

static void
expect_positions(uint64_t least, uint64_t most)
{
    for (unsigned int i = 0; i < N_SHARDS; i++) {
        ck_assert_uint_ge(owners[i].position, least);
        ck_assert_uint_le(owners[i].position, most);
    }
}

/* --- One node less. ------------------------------------------------------ */

/* Has 'stream' led by 'node'. */
static void
give_lead(const char *stream, unsigned int node)
{
    char *subject = lh_asprintf("$JS.API.STREAM.LEADER.STEPDOWN.%s", stream);
    const struct bus_letter letter = {.subject = subject};
    int64_t deadline_ms = monotonic_ms() + 60000;

    while (find_leader(stream) != node) {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        try_again(bus_request(bus, &letter, 2000, take_info, NULL, NULL));
    }
    free(subject);
}

/* The node that leads everything is killed: messages, readers, leases and
 * commits go on, with what was acknowledged. */
START_TEST(the_leader_is_killed_and_nothing_is_lost)
{
    const struct bus_pull_options options = {.stream = "S",
                                             .subject = "s.1",
                                             .name = "reader",
                                             .on_message = on_message};
    const struct shard_lease_options lease_options = {.bucket = "lease",
                                                      .name = "one",
                                                      .n_shards = N_SHARDS,
                                                      .lease_ms = LEASE_MS,
                                                      .replicas = N_NODES,
                                                      .on_event = on_lease};
    struct bus_pull *pull = bus_pull_open(bus, &options);
    struct shard_lease *lease;
    unsigned int first = find_leader("S");

    ck_assert_int_eq(shard_lease_create(bus, &lease_options, &lease, NULL), 0);
    commit_all(10);
    expect_positions(10, 10);
    give_lead("KV_commit", first);
    give_lead("KV_lease", first);
    for (uint32_t i = 0; i < N_MESSAGES; i++) {
        send_number(i);
    }
    n_wanted = N_MESSAGES / 2;
    nats_loop_while(base, is_keeping, NULL);
    nats_kill(&cluster.nodes[first]);
    for (uint32_t i = N_MESSAGES; i < 2 * N_MESSAGES; i++) {
        send_number(i);
    }
    n_wanted = 2 * N_MESSAGES;
    nats_loop_while(base, is_keeping, NULL);
    nats_loop_while(base, is_reading, NULL);
    ck_assert_uint_ne(find_leader("S"), first);

    nats_loop_while(base, is_claiming, NULL);
    expect_positions(10, 10);
    commit_all(11);
    expect_positions(10, 11);
    for (unsigned int i = 0; i < N_SHARDS; i++) {
        shard_commit_destroy(owners[i].commit);
    }
    shard_lease_destroy(lease);
    bus_pull_close(pull);
}
END_TEST

/* --- A node that comes back. --------------------------------------------- */

static uint64_t n_left;

static void
take_state(void *aux, int error_number, const char *why,
           const struct bus_stream_state *state)
{
    outcome.is_done = true;
    outcome.error_number = error_number;
    n_left = state ? state->n_messages : 0;
}

/* Until the stream has so many messages. */
static void
wait_for_left(uint64_t n)
{
    int64_t deadline_ms = monotonic_ms() + 60000;

    do {
        ck_assert_msg(monotonic_ms() < deadline_ms,
                      "%" PRIu64 " messages left instead of %" PRIu64, n_left,
                      n);
        try_again(bus_stream_ask(bus, "S", 2000, take_state, NULL, NULL));
    } while (outcome.error_number || n_left != n);
}

static bool
is_not_at_end(void *is_idle)
{
    return !*(const bool *) is_idle;
}

static void
on_end(void *is_idle)
{
    *(bool *) is_idle = true;
}

/* Reads all there is. */
static void
read_all(void)
{
    bool is_idle = false;
    const struct bus_pull_options options = {.stream = "S",
                                             .subject = "s.*",
                                             .name = "reader",
                                             .on_message = on_message,
                                             .on_idle = on_end,
                                             .aux = &is_idle};
    struct bus_pull *pull = bus_pull_open(bus, &options);

    memset(&reader, 0, sizeof reader);
    nats_loop_while(base, is_not_at_end, &is_idle);
    bus_pull_close(pull);
}

/* Sends numbers up to 'end', which are kept then. */
static void
send_until(uint32_t end)
{
    for (uint32_t i = n_wanted; i < end; i++) {
        send_number(i);
    }
    n_wanted = end;
    nats_loop_while(base, is_keeping, NULL);
}

/* Messages of one subject are removed; a node that is started again later
 * still has those of the other, and leads with them. */
START_TEST(who_starts_again_has_what_was_not_removed)
{
    struct bus_sweep *sweep = bus_sweep_open(bus, "S", "s.1", NULL, NULL);
    unsigned int node = (find_leader("S") + 1) % N_NODES;
    const uint32_t n_removed = N_MESSAGES / 2;

    n_subjects = 2;
    send_until(N_MESSAGES * 3 / 2);
    bus_sweep_below(sweep, seqs[2 * n_removed]);
    wait_for_left(n_wanted - n_removed);
    send_until(N_MESSAGES * 2);
    nats_kill(&cluster.nodes[node]);
    nats_cluster_restart(&cluster, node);
    give_lead("S", node);
    read_all();
    for (uint32_t i = 0; i < n_wanted; i++) {
        ck_assert_msg(reader.seen[i] == (i % 2 || i >= 2 * n_removed),
                      "message %" PRIu32 " is %s", i,
                      reader.seen[i] ? "there" : "lost");
    }
    bus_sweep_close(sweep);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("three_nodes");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, the_leader_is_killed_and_nothing_is_lost);
    tcase_add_test(tcase, who_starts_again_has_what_was_not_removed);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
