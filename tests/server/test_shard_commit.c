/* SPDX-License-Identifier: Apache-2.0 */
/* test_shard_commit - one owner commits, and one that was stopped does not. */
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

#include "server/shard_commit.h"
#include "tests/lib/nats_fixture.h"

#define N_ROUNDS 8

static struct nats nats;
static struct event_base *base;
static struct bus *bus;

struct owner {
    struct shard_commit *commit;
    bool is_done;
    enum shard_commit_outcome outcome;
    uint64_t position, note_epoch;
    size_t n_note;
    uint8_t note[SHARD_COMMIT_MAX_NOTE];
};

static void
on_done(void *owner_, enum shard_commit_outcome outcome, uint64_t position,
        const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    struct owner *owner = owner_;

    owner->note_epoch = note_epoch;
    owner->n_note = n_note;
    if (n_note) {
        memcpy(owner->note, note, n_note);
    }

    owner->is_done = true;
    owner->outcome = outcome;
    owner->position = position;
}

static void
claim(struct owner *owner, uint64_t epoch)
{
    *owner = (struct owner){.is_done = false};
    owner->commit = shard_commit_claim(bus, "b", 7, epoch, on_done, owner);
    nats_loop_until(base, &owner->is_done);
}

static void
advance(struct owner *owner, uint64_t position)
{
    owner->is_done = false;
    ck_assert_int_eq(shard_commit_advance(owner->commit, position, NULL, 0),
                     0);
    nats_loop_until(base, &owner->is_done);
}

static void
advance_with(struct owner *owner, uint64_t position, const void *note,
             size_t n_note)
{
    owner->is_done = false;
    ck_assert_int_eq(
        shard_commit_advance(owner->commit, position, note, n_note), 0);
    nats_loop_until(base, &owner->is_done);
    ck_assert_int_eq(owner->outcome, SHARD_COMMIT_DONE);
}

static void
set_up(void)
{
    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
    nats_create_bucket(bus, base, "b");
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
}

START_TEST(a_former_owner_is_fenced)
{
    static struct owner first, second, late;

    claim(&first, 3);
    ck_assert_int_eq(first.outcome, SHARD_COMMIT_CLAIMED);
    ck_assert_uint_eq(first.position, 0);
    advance(&first, 10);
    ck_assert_int_eq(first.outcome, SHARD_COMMIT_DONE);

    claim(&second, 4);
    ck_assert_int_eq(second.outcome, SHARD_COMMIT_CLAIMED);
    ck_assert_uint_eq(second.position, 10);
    advance(&first, 20);
    ck_assert_int_eq(first.outcome, SHARD_COMMIT_FENCED);
    ck_assert_uint_eq(first.position, 10);
    ck_assert_int_eq(shard_commit_advance(first.commit, 30, NULL, 0), EPERM);
    advance(&second, 15);
    ck_assert_int_eq(second.outcome, SHARD_COMMIT_DONE);
    ck_assert_uint_eq(second.position, 15);

    /* Who comes too late with an old epoch gets nothing. */
    claim(&late, 3);
    ck_assert_int_eq(late.outcome, SHARD_COMMIT_FENCED);
    shard_commit_destroy(first.commit);
    shard_commit_destroy(second.commit);
    shard_commit_destroy(late.commit);
}
END_TEST

/* Bytes are bytes, and who claimed and committed nothing is not named. */
START_TEST(the_note_is_that_of_the_last_who_committed)
{
    static struct owner first, second, third;
    static uint8_t bytes[SHARD_COMMIT_MAX_NOTE + 1];

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) (i * 7 + (i >> 8));
    }
    claim(&first, 3);
    ck_assert_uint_eq(first.n_note, 0);
    ck_assert_uint_eq(first.note_epoch, 0);
    advance_with(&first, 1, "\0one", 4);
    ck_assert_uint_eq(first.note_epoch, 3);
    ck_assert_int_eq(
        shard_commit_advance(first.commit, 2, bytes, sizeof bytes), EMSGSIZE);
    /* The position may stay where it is. */
    advance_with(&first, 1, bytes, sizeof bytes - 1);

    claim(&second, 4);
    ck_assert_int_eq(second.outcome, SHARD_COMMIT_CLAIMED);
    ck_assert_uint_eq(second.note_epoch, 3);
    claim(&third, 5);
    ck_assert_uint_eq(third.position, 1);
    ck_assert_uint_eq(third.note_epoch, 3);
    ck_assert_uint_eq(third.n_note, SHARD_COMMIT_MAX_NOTE);
    ck_assert_mem_eq(third.note, bytes, SHARD_COMMIT_MAX_NOTE);
    advance_with(&third, 1, "x", 1);
    ck_assert_uint_eq(third.note_epoch, 5);
    ck_assert_mem_eq(third.note, "x", 1);
    advance(&second, 9);
    ck_assert_int_eq(second.outcome, SHARD_COMMIT_FENCED);
    shard_commit_destroy(first.commit);
    shard_commit_destroy(second.commit);
    shard_commit_destroy(third.commit);
}
END_TEST

static void
take_put(void *is_done, int error_number, const char *why, uint64_t seq,
         bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_done = true;
}

/* Of a later version, perhaps: nothing is written over it. */
START_TEST(a_record_that_is_not_understood_is_left)
{
    static struct owner owner;
    bool is_done = false;

    ck_assert_int_eq(bus_kv_put(bus, "b", "commit.7", "\2more", 5,
                                BUS_KV_ABSENT, 20000, take_put, &is_done,
                                NULL),
                     0);
    nats_loop_until(base, &is_done);
    claim(&owner, 1);
    ck_assert_int_eq(owner.outcome, SHARD_COMMIT_FENCED);
    shard_commit_destroy(owner.commit);
}
END_TEST

START_TEST(one_change_at_a_time)
{
    static struct owner owner;

    claim(&owner, 1);
    owner.is_done = false;
    ck_assert_int_eq(shard_commit_advance(owner.commit, 1, NULL, 0), 0);
    ck_assert_int_eq(shard_commit_advance(owner.commit, 2, NULL, 0), EBUSY);
    nats_loop_until(base, &owner.is_done);
    ck_assert_uint_eq(owner.position, 1);
    shard_commit_destroy(owner.commit);
}
END_TEST

/* The answer is lost with NATS; the change may be done or not. */
START_TEST(a_change_without_an_answer_is_looked_up)
{
    static struct owner owner;

    claim(&owner, 1);
    for (uint64_t i = 1; i <= 4; i++) {
        owner.is_done = false;
        ck_assert_int_eq(shard_commit_advance(owner.commit, i, NULL, 0), 0);
        if (i & 1) {
            event_base_loop(base, EVLOOP_NONBLOCK);
        } else {
            poll(NULL, 0, 2);
        }
        nats_kill(&nats);
        nats_start(&nats, NULL);
        nats_loop_until(base, &owner.is_done);
        ck_assert_int_eq(owner.outcome, SHARD_COMMIT_DONE);
        ck_assert_uint_eq(owner.position, i);
    }
    shard_commit_destroy(owner.commit);
}
END_TEST

/* NATS loses changes that it had acknowledged. */
START_TEST(a_record_that_fell_back_is_written_again)
{
    static struct owner owner, next, former;

    claim(&former, 1);
    advance_with(&former, 3, "former", 6);
    nats_kill(&nats);
    nats_keep_store(&nats);
    nats_start(&nats, NULL);
    claim(&owner, 2);
    advance_with(&owner, 5, "five", 4);
    nats_kill(&nats);
    nats_fall_back(&nats);
    nats_start(&nats, NULL);
    advance_with(&owner, 7, "seven", 5);
    nats_kill(&nats);
    nats_keep_store(&nats);
    nats_start(&nats, NULL);
    advance_with(&owner, 8, "eight", 5);
    nats_kill(&nats);
    nats_fall_back(&nats);
    nats_start(&nats, NULL);
    advance_with(&owner, 9, "nine", 4);

    claim(&next, 3);
    ck_assert_uint_eq(next.position, 9);
    ck_assert_uint_eq(next.note_epoch, 2);
    ck_assert_mem_eq(next.note, "nine", 4);
    advance(&owner, 10);
    ck_assert_int_eq(owner.outcome, SHARD_COMMIT_FENCED);
    shard_commit_destroy(former.commit);
    shard_commit_destroy(owner.commit);
    shard_commit_destroy(next.commit);
}
END_TEST

/* --- A process that is stopped. ------------------------------------------ */

struct loop {
    struct shard_commit *commit;
    int fd;
};

/* In that process: tells each position that is committed, and goes on. */
static void
go_on(void *loop_, enum shard_commit_outcome outcome, uint64_t position,
      const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    struct loop *loop = loop_;

    if (outcome == SHARD_COMMIT_FENCED) {
        position = UINT64_MAX;
    } else if (shard_commit_advance(loop->commit, position + 1, NULL, 0)) {
        _exit(1);
    }
    if (write(loop->fd, &position, sizeof position) != sizeof position) {
        _exit(1);
    }
}

/* What `test_shard_commit owner URL EPOCH FD` does. */
static int
be_owner(char *argv[])
{
    const struct bus_options options = {.urls = argv[2]};
    struct event_base *own = event_base_new();
    struct loop loop = {.fd = atoi(argv[4])};
    struct bus *own_bus;

    if (bus_open(own, &options, &own_bus, NULL)) {
        return 1;
    }
    loop.commit = shard_commit_claim(
        own_bus, "b", 7, strtoull(argv[3], NULL, 10), go_on, &loop);
    event_base_dispatch(own);
    return 1;
}

/* libnats has threads, so that a child that uses it must be a new program. */
static pid_t
run_owner(uint64_t epoch, int *fd)
{
    int fds[2];
    pid_t pid, self = getpid();
    char epoch_text[24], fd_text[16];

    ck_assert_int_eq(pipe(fds), 0);
    snprintf(epoch_text, sizeof epoch_text, "%" PRIu64, epoch);
    snprintf(fd_text, sizeof fd_text, "%d", fds[1]);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == self) {
            execl("/proc/self/exe", "test_shard_commit", "owner", nats.url,
                  epoch_text, fd_text, NULL);
        }
        _exit(1);
    }
    close(fds[1]);
    *fd = fds[0];
    return pid;
}

static uint64_t
next_position(int fd)
{
    uint64_t position;
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    ck_assert_int_eq(poll(&pollfd, 1, 60000), 1);
    ck_assert_int_eq(read(fd, &position, sizeof position), sizeof position);
    return position;
}

START_TEST(a_stopped_owner_commits_nothing_more)
{
    static struct owner after;
    uint64_t last = 0;

    for (uint64_t round = 0; round < N_ROUNDS; round++) {
        int fd;
        pid_t pid = run_owner(2 * round + 1, &fd);
        uint64_t told = next_position(fd);

        ck_assert_uint_eq(told, last);
        for (uint64_t i = 0; i < 5 + 7 * round; i++) {
            told = next_position(fd);
        }
        kill(pid, SIGSTOP);
        claim(&after, 2 * round + 2);
        ck_assert_int_eq(after.outcome, SHARD_COMMIT_CLAIMED);
        last = after.position;
        kill(pid, SIGCONT);
        /* What it still says was done before it was stopped, and all of that
         * the new owner knows. */
        for (uint64_t position; (position = next_position(fd)) != UINT64_MAX;
             told = position) {
            ck_assert_uint_eq(position, told + 1);
        }
        ck_assert_uint_le(told, last);
        advance(&after, ++last);
        ck_assert_int_eq(after.outcome, SHARD_COMMIT_DONE);
        shard_commit_destroy(after.commit);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(fd);
    }
}
END_TEST

int
main(int argc, char *argv[])
{
    if (argc == 5 && !strcmp(argv[1], "owner")) {
        return be_owner(argv);
    }

    Suite *suite = suite_create("shard_commit");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, a_former_owner_is_fenced);
    tcase_add_test(tcase, the_note_is_that_of_the_last_who_committed);
    tcase_add_test(tcase, a_record_that_is_not_understood_is_left);
    tcase_add_test(tcase, one_change_at_a_time);
    tcase_add_test(tcase, a_change_without_an_answer_is_looked_up);
    tcase_add_test(tcase, a_record_that_fell_back_is_written_again);
    tcase_add_test(tcase, a_stopped_owner_commits_nothing_more);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
