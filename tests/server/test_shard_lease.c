/* SPDX-License-Identifier: Apache-2.0 */
/* test_shard_lease - shards among several processes, of which some are killed,
 * stopped and drained, over a real nats-server.
 *
 * Each member is a process that writes a line for each event of its lease;
 * the test reads them all and knows who says to hold what. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/monotonic.h"
#include "lib/rendezvous.h"
#include "server/shard_lease.h"
#include "tests/lib/nats_fixture.h"

#define N_SHARDS    24
#define N_OF_TWO    (N_SHARDS / 2) /* With two copies of each. */
#define MAX_MEMBERS 4
#define DEADLINE_MS 60000

static const char *const names[MAX_MEMBERS] = {"a", "b", "c", "d"};

static struct nats nats;
static uint32_t n_copies;

/* What the test knows of a process; 'pid' 0: there is none. */
static struct member {
    pid_t pid;
    int commands, events; /* Pipes. */
    char line[64];
    size_t len;
    uint64_t epochs[N_SHARDS]; /* Held, as it says; 0: not. */
    unsigned int n_lost;
    unsigned int n_known; /* As it last said. */
} members[MAX_MEMBERS];

static uint64_t highest[N_SHARDS]; /* Epoch that anybody had. */

/* --- In the process of a member. ----------------------------------------- */

static struct shard_lease *lease;
static int the_events;
static const char *the_name;

/* Strikes off who is dead, and tells how many are left. */
static void
forget_dead(int events)
{
    uint32_t n = 0;

    for (size_t i = 0; i < shard_lease_n_known(lease); i++) {
        struct shard_lease_server server;

        shard_lease_get_server(lease, i, &server);
        if (!server.is_alive && !server.is_forgotten) {
            shard_lease_forget(lease, server.name);
        }
        n += !server.is_forgotten;
    }
    dprintf(events, "N %" PRIu32 " 1\n", n);
}

static void
on_event(void *events, enum shard_event event, uint32_t shard, uint64_t epoch)
{
    dprintf(*(int *) events, "%c %" PRIu32 " %" PRIu64 "\n",
            event == SHARD_TAKEN      ? 'T'
            : event == SHARD_UNWANTED ? 'U'
                                      : 'L',
            shard, epoch);
    if (event == SHARD_UNWANTED) {
        shard_lease_release(lease, shard);
    }
}

static void
on_command(int fd, short events, void *base)
{
    char command;

    if (read(fd, &command, 1) != 1) {
        event_base_loopbreak(base);
    } else if (command == 'd') {
        shard_lease_drain(lease);
    } else if (command == 'f') {
        forget_dead(the_events);
    } else if (command == 'l' && shard_lease_forget(lease, the_name)) {
        _exit(1);
    }
}

static void
be_member(const char *name, int commands, int events)
{
    struct event_base *base = event_base_new();
    struct bus *bus = nats_open(&nats, base);
    struct event *event =
        event_new(base, commands, EV_READ | EV_PERSIST, on_command, base);
    const struct shard_lease_options options = {.bucket = "leases",
                                                .name = name,
                                                .n_shards = N_SHARDS,
                                                .n_copies = n_copies,
                                                .lease_ms = 2400,
                                                .on_event = on_event,
                                                .aux = &events};
    struct lh_error error;

    the_events = events;
    the_name = name;
    event_add(event, NULL);
    if (shard_lease_create(bus, &options, &lease, &error)) {
        _exit(1);
    }
    event_base_dispatch(base);
    shard_lease_destroy(lease);
    bus_close(bus);
    event_free(event);
    event_base_free(base);
}

/* --- The test. ----------------------------------------------------------- */

static void
start(size_t i)
{
    struct member *member = &members[i];
    int commands[2], events[2];
    pid_t self = getpid();

    ck_assert_int_eq(pipe2(commands, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(events, O_CLOEXEC), 0);
    *member = (struct member){.commands = commands[1], .events = events[0]};
    member->pid = fork();
    ck_assert_int_ge(member->pid, 0);
    if (!member->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t j = 0; j < MAX_MEMBERS; j++) {
            close(members[j].commands);
            close(members[j].events);
        }
        if (getppid() == self) {
            be_member(names[i], commands[0], events[1]);
        }
        _exit(0);
    }
    close(commands[0]);
    close(events[1]);
}

static void
end(size_t i, int signal_number)
{
    struct member *member = &members[i];

    if (member->pid) {
        kill(member->pid, signal_number);
        waitpid(member->pid, NULL, 0);
        close(member->commands);
        close(member->events);
        *member = (struct member){.pid = 0};
    }
}

static void
take_line(struct member *member)
{
    char event;
    uint32_t shard;
    uint64_t epoch;

    ck_assert_int_eq(sscanf(member->line, "%c %" SCNu32 " %" SCNu64, &event,
                            &shard, &epoch),
                     3);
    ck_assert_uint_lt(shard, N_SHARDS);
    if (event == 'N') {
        member->n_known = shard;
    } else if (event == 'T') {
        ck_assert_uint_eq(member->epochs[shard], 0);
        member->epochs[shard] = epoch;
        if (epoch > highest[shard]) {
            highest[shard] = epoch;
        }
    } else {
        ck_assert_uint_eq(member->epochs[shard], epoch);
        member->epochs[shard] = 0;
        member->n_lost += event == 'L';
    }
}

/* Reads what members have written, waiting a moment. */
static void
read_events(void)
{
    struct pollfd fds[MAX_MEMBERS];

    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        fds[i] = (struct pollfd){.fd = members[i].pid ? members[i].events : -1,
                                 .events = POLLIN};
    }
    poll(fds, MAX_MEMBERS, 20);
    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        struct member *member = &members[i];

        while (member->pid && poll(&fds[i], 1, 0) == 1) {
            ck_assert_msg(
                read(member->events, member->line + member->len, 1) == 1,
                "member %s has ended", names[i]);
            if (member->line[member->len] == '\n') {
                member->line[member->len] = '\0';
                member->len = 0;
                take_line(member);
            } else {
                ck_assert_uint_lt(++member->len, sizeof member->line);
            }
        }
    }
}

/* Whether those in the mask, and nobody else in it, own all as they should. */
static bool
is_settled(unsigned int mask)
{
    const char *live[MAX_MEMBERS];
    size_t index[MAX_MEMBERS], n = 0;

    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        if (mask & 1u << i) {
            index[n] = i;
            live[n++] = names[i];
        }
    }
    for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
        size_t owner = index[rendezvous_owner(live, n, shard)];

        if (members[owner].epochs[shard] != highest[shard] ||
            !highest[shard]) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (index[i] != owner && members[index[i]].epochs[shard]) {
                return false;
            }
        }
    }
    return true;
}

static void
settle(unsigned int mask)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;

    while (!is_settled(mask)) {
        ck_assert_msg(monotonic_ms() < deadline_ms,
                      "shards do not settle on %x", mask);
        read_events();
    }
}

static void
set_up(void)
{
    nats = (struct nats){.pid = 0};
    n_copies = 1;
    memset(members, 0, sizeof members);
    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        members[i].commands = members[i].events = -1;
    }
    memset(highest, 0, sizeof highest);
    nats_start(&nats, NULL);
}

static void
tear_down(void)
{
    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        end(i, SIGKILL);
    }
    nats_end(&nats);
}

START_TEST(shards_move_when_servers_come_and_die)
{
    uint64_t before[N_SHARDS];
    struct member dead;

    start(0);
    settle(1);
    start(1);
    start(2);
    settle(7);
    /* Handed over, not lost. */
    ck_assert_uint_eq(members[0].n_lost, 0);

    memcpy(before, highest, sizeof before);
    dead = members[1];
    end(1, SIGKILL);
    settle(5);
    for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
        /* What it had has a new epoch, nothing else has moved. */
        ck_assert_int_eq(highest[shard] > before[shard],
                         dead.epochs[shard] != 0);
    }
    ck_assert_uint_eq(members[0].n_lost + members[2].n_lost, 0);
    /* It comes back under its name. */
    start(1);
    settle(7);
}
END_TEST

START_TEST(a_drained_server_hands_over)
{
    start(0);
    start(1);
    settle(3);
    ck_assert_int_eq(write(members[0].commands, "d", 1), 1);
    settle(2);
    for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
        ck_assert_uint_eq(members[0].epochs[shard], 0);
    }
    ck_assert_uint_eq(members[0].n_lost, 0);
}
END_TEST

static void
forget_until_known(size_t i, unsigned int n)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;

    while (members[i].n_known != n) {
        ck_assert_msg(monotonic_ms() < deadline_ms, "%u are known, not %u",
                      members[i].n_known, n);
        ck_assert_int_eq(write(members[i].commands, "f", 1), 1);
        read_events();
    }
}

START_TEST(who_is_dead_or_has_left_is_forgotten)
{
    start(0);
    start(1);
    start(2);
    settle(7);
    end(1, SIGKILL);
    settle(5);
    forget_until_known(0, 2);
    ck_assert_int_eq(write(members[2].commands, "d", 1), 1);
    settle(1);
    ck_assert_int_eq(write(members[2].commands, "l", 1), 1);
    forget_until_known(0, 1);
    end(2, SIGKILL);
    /* Both come back as if they had never been. */
    start(1);
    start(2);
    settle(7);
    ck_assert_uint_eq(members[0].n_lost, 0);
}
END_TEST

START_TEST(a_stopped_server_learns_what_it_lost)
{
    uint64_t before[N_SHARDS];
    unsigned int n_had = 0;

    start(0);
    start(1);
    settle(3);
    memcpy(before, members[0].epochs, sizeof before);
    for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
        n_had += before[shard] != 0;
    }
    ck_assert_uint_gt(n_had, 0);
    kill(members[0].pid, SIGSTOP);
    settle(2);
    kill(members[0].pid, SIGCONT);
    settle(3);
    ck_assert_uint_eq(members[0].n_lost, n_had);
    for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
        /* Twice in other hands since. */
        ck_assert(!before[shard] || members[0].epochs[shard] > before[shard]);
    }
}
END_TEST

START_TEST(all_comes_back_when_nats_does)
{
    start(0);
    start(1);
    settle(3);
    nats_kill(&nats);
    /* Nobody can renew, so everybody stops. */
    while (members[0].n_lost + members[1].n_lost < N_SHARDS) {
        read_events();
    }
    nats_start(&nats, NULL);
    settle(3);
}
END_TEST

/* NATS loses what it had acknowledged, and numbers from below what servers
 * know: they take it as it is. */
START_TEST(all_comes_back_when_nats_has_lost_the_end)
{
    start(0);
    settle(1);
    nats_kill(&nats);
    nats_keep_store(&nats);
    nats_start(&nats, NULL);
    start(1);
    settle(3);
    start(2);
    settle(7);
    end(2, SIGKILL);
    settle(3);
    nats_kill(&nats);
    members[0].n_lost = members[1].n_lost = 0;
    while (members[0].n_lost + members[1].n_lost < N_SHARDS) {
        read_events();
    }
    nats_fall_back(&nats);
    memset(highest, 0, sizeof highest);
    nats_start(&nats, NULL);
    settle(3);
}
END_TEST

/* --- Two copies of each shard. ------------------------------------------- */

/* Who of those in the mask has it; MAX_MEMBERS: nobody, or more than one. */
static size_t
find_holder(unsigned int mask, uint32_t slot)
{
    size_t holder = MAX_MEMBERS, n = 0;

    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        if (mask & 1u << i && members[i].epochs[slot]) {
            holder = i;
            n++;
        }
    }
    return n == 1 && members[holder].epochs[slot] == highest[slot]
               ? holder
               : MAX_MEMBERS;
}

/* Whether the copies of each shard are on the servers of the highest weights,
 * one on each, and the second nowhere where there is one server only. */
static bool
are_copies_settled(unsigned int mask)
{
    const char *live[MAX_MEMBERS];
    size_t index[MAX_MEMBERS], owners[2], n = 0;

    for (size_t i = 0; i < MAX_MEMBERS; i++) {
        if (mask & 1u << i) {
            index[n] = i;
            live[n++] = names[i];
        }
    }
    for (uint32_t shard = 0; shard < N_OF_TWO; shard++) {
        size_t n_owners = rendezvous_owners(live, n, shard, owners, 2);
        size_t first = find_holder(mask, shard);
        size_t second = find_holder(mask, shard + N_OF_TWO);
        bool is_right =
            n_owners == 2
                ? (first == index[owners[0]] && second == index[owners[1]]) ||
                      (first == index[owners[1]] && second == index[owners[0]])
                : first == index[owners[0]] && second == MAX_MEMBERS;

        if (!is_right) {
            return false;
        }
    }
    return true;
}

static void
settle_copies(unsigned int mask)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;

    while (!are_copies_settled(mask)) {
        ck_assert_msg(monotonic_ms() < deadline_ms,
                      "copies do not settle on %x", mask);
        read_events();
    }
}

START_TEST(copies_are_on_different_servers)
{
    struct member before[MAX_MEMBERS];

    n_copies = 2;
    start(0);
    settle_copies(1);
    start(1);
    start(2);
    settle_copies(7);
    memcpy(before, members, sizeof before);
    end(1, SIGKILL);
    settle_copies(5);
    for (uint32_t slot = 0; slot < N_SHARDS; slot++) {
        /* Who had one keeps that one; what the dead one had is elsewhere. */
        for (size_t i = 0; i < 3; i += 2) {
            ck_assert(!before[i].epochs[slot] ||
                      members[i].epochs[slot] == before[i].epochs[slot]);
        }
        ck_assert(!before[1].epochs[slot] ||
                  highest[slot] > before[1].epochs[slot]);
    }
    ck_assert_uint_eq(members[0].n_lost + members[2].n_lost, 0);
    end(2, SIGKILL);
    settle_copies(1);
    start(1);
    settle_copies(3);
    ck_assert_uint_eq(members[0].n_lost, 0);
}
END_TEST

START_TEST(what_cannot_be_has_a_reason)
{
    struct event_base *base = event_base_new();
    struct bus *bus = nats_open(&nats, base);
    struct shard_lease_options options = {
        .bucket = "b", .name = "not a name", .n_shards = 1};
    struct lh_error error;

    ck_assert_int_eq(shard_lease_create(bus, &options, &lease, &error),
                     EINVAL);
    options.name = "a";
    options.n_shards = 100000;
    ck_assert_int_eq(shard_lease_create(bus, &options, &lease, &error),
                     EINVAL);
    options.n_shards = 1;
    options.lease_ms = 10;
    ck_assert_int_eq(shard_lease_create(bus, &options, &lease, &error),
                     EINVAL);
    ck_assert_ptr_null(lease);
    bus_close(bus);
    event_base_free(base);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shard_lease");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, shards_move_when_servers_come_and_die);
    tcase_add_test(tcase, a_drained_server_hands_over);
    tcase_add_test(tcase, who_is_dead_or_has_left_is_forgotten);
    tcase_add_test(tcase, a_stopped_server_learns_what_it_lost);
    tcase_add_test(tcase, all_comes_back_when_nats_does);
    tcase_add_test(tcase, all_comes_back_when_nats_has_lost_the_end);
    tcase_add_test(tcase, copies_are_on_different_servers);
    tcase_add_test(tcase, what_cannot_be_has_a_reason);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
