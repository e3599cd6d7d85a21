/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_copies - what the owner of one copy of a shard does by what the
 * record of the other says: from where it reads, what may be removed, when the
 * other is not waited for, and what is fetched. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "server/shard_commit.h"
#include "server/store_copies.h"
#include "server/store_refill.h"
#include "tests/lib/nats_fixture.h"

#define BUCKET  "commit"
#define SHARD   3
#define SHARDS  16
#define OTHER   (SHARD + SHARDS) /* The slot of the other copy. */
#define OWN     7u               /* Disks. */
#define ANOTHER 8u

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct shard_commit *record;
static bool is_done;
static unsigned int n_looks;

static bool is_waiting;                    /* For the other copy. */
static enum store_disk_state of_the_other; /* Its disk. */
static unsigned int n_pieces;
static struct store_span piece;
static const char *why_ended;

/* --- What the store and the cluster say. --------------------------------- */

static enum store_disk_state
disk_state(void *aux, uint64_t disk, const char **server)
{
    *server = disk == ANOTHER ? "nobody" : "me";
    return disk == ANOTHER ? of_the_other : STORE_DISK_THERE;
}

static bool
is_waited_for(void *aux, uint32_t slot, uint64_t position)
{
    ck_assert_uint_eq(slot, OTHER);
    return is_waiting;
}

static void
on_look(void *aux)
{
    n_looks++;
}

static bool
has_stored(void *aux, uint64_t seq)
{
    return true;
}

static bool
has_room(void *aux)
{
    return true;
}

static void
add(void *aux, const struct history *h)
{
    ck_abort_msg("nobody has told of a history");
}

static void
on_piece(void *aux, const struct store_span *fetched)
{
    n_pieces++;
    piece = *fetched;
}

static struct store_team team = {.n_shards = SHARDS,
                                 .n_copies = 2,
                                 .disk = OWN,
                                 .disk_state = disk_state,
                                 .is_waited_for = is_waited_for};

static struct store_copies *
open_copies(void)
{
    const struct store_copies_config config = {.bus = bus,
                                               .bucket = BUCKET,
                                               .subject = "lh.2.3",
                                               .shard = SHARD,
                                               .slot = SHARD,
                                               .team = &team,
                                               .on_look = on_look,
                                               .has_stored = has_stored,
                                               .has_room = has_room,
                                               .add = add,
                                               .on_piece = on_piece};

    return store_copies_create(&config);
}

/* --- The other copy's record. -------------------------------------------- */

static void
on_commit(void *aux, enum shard_commit_outcome outcome, uint64_t position,
          const uint8_t *note, size_t n_note, uint64_t note_epoch)
{
    ck_assert_int_ne(outcome, SHARD_COMMIT_FENCED);
    is_done = true;
}

/* The other copy commits 'position' with this note. */
static void
commit(uint64_t position, const struct store_note *note)
{
    struct byte_buf bytes = BYTE_BUF_INIT;

    is_done = false;
    if (!record) {
        record = shard_commit_claim(bus, BUCKET, OTHER, 1, on_commit, NULL);
        nats_loop_until(base, &is_done);
        is_done = false;
    }
    store_note_put(note, &bytes);
    ck_assert_int_eq(
        shard_commit_advance(record, position, bytes.data, bytes.len), 0);
    nats_loop_until(base, &is_done);
    byte_buf_uninit(&bytes);
}

static bool
is_before_look(void *n)
{
    return n_looks < *(unsigned int *) n;
}

/* Until the record was looked at once more, after what it says now. */
static void
wait_for_look(void)
{
    unsigned int n = n_looks + 2;

    nats_loop_while(base, is_before_look, &n);
}

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, BUCKET);
}

static void
tear_down(void)
{
    shard_commit_destroy(record);
    nats_tear_down(&nats, base, bus);
}

/* --- Tests. -------------------------------------------------------------- */

START_TEST(messages_stay_for_the_other_or_are_forced)
{
    struct store_note note = {.has_copies = true};
    struct store_copies *copies = open_copies();
    uint64_t force;

    /* Nothing is known of it yet: nothing goes. */
    ck_assert_uint_eq(store_copies_floor(copies, 100, 0, &force), 0);
    ck_assert_uint_eq(force, 0);
    wait_for_look();

    /* It has no record. */
    is_waiting = true;
    ck_assert_uint_eq(store_copies_floor(copies, 100, 0, &force), 0);
    ck_assert_uint_eq(force, 0);
    is_waiting = false;
    ck_assert_uint_eq(store_copies_floor(copies, 100, 0, &force), 0);
    ck_assert_uint_eq(force, 100); /* Once that is committed */
    ck_assert_uint_eq(store_copies_floor(copies, 100, 90, &force), 90);

    /* It lags. */
    commit(50, &note);
    wait_for_look();
    is_waiting = true;
    ck_assert_uint_eq(store_copies_floor(copies, 100, 0, &force), 50);
    ck_assert_uint_eq(force, 0);
    is_waiting = false;
    ck_assert_uint_eq(store_copies_floor(copies, 100, 0, &force), 50);
    ck_assert_uint_eq(force, 100);
    ck_assert_uint_eq(store_copies_floor(copies, 100, 80, &force), 80);

    /* It is as far, or further. */
    commit(100, &note);
    wait_for_look();
    ck_assert_uint_eq(store_copies_floor(copies, 100, 0, &force), 100);
    ck_assert_uint_eq(force, 0);
    store_copies_destroy(copies);
}
END_TEST

START_TEST(what_the_other_did_not_wait_for_is_skipped)
{
    struct store_note note = {
        .has_copies = true, .forced = 40, .forced_read = 45};
    struct store_copies *copies;
    uint64_t position = 10, read = 12;

    commit(60, &note);
    copies = open_copies();
    ck_assert(!store_copies_start(copies, &position, &read));
    wait_for_look();
    ck_assert(store_copies_start(copies, &position, &read));
    ck_assert_uint_eq(position, 40);
    ck_assert_uint_eq(read, 45);

    /* Further than that nothing is skipped. */
    position = 41;
    read = 43;
    ck_assert(store_copies_start(copies, &position, &read));
    ck_assert_uint_eq(position, 41);
    ck_assert_uint_eq(read, 43);
    store_copies_destroy(copies);
}
END_TEST

START_TEST(what_is_missing_here_is_fetched_from_there)
{
    const struct store_span empty = {.disk = ANOTHER,
                                     .from = 5,
                                     .to = 9,
                                     .min_ns = UINT64_MAX,
                                     .max_ns = 0};
    const struct store_span full = {
        .disk = ANOTHER, .from = 9, .to = 20, .min_ns = 100, .max_ns = 200};
    struct store_note own = {.has_copies = true, .read = 20};
    struct store_note note = {.has_copies = true, .read = 20};
    struct store_copies *copies;
    struct store_copies_status status;

    store_spans_add(&note.spans, &empty);
    store_spans_add(&note.spans, &full);
    commit(20, &note);
    copies = open_copies();
    wait_for_look();

    of_the_other = STORE_DISK_AWAY;
    store_copies_refill(copies, &own);
    store_copies_get_status(copies, &status);
    ck_assert(!status.is_refilling && !n_pieces);

    /* A piece without histories needs no asking. */
    of_the_other = STORE_DISK_THERE;
    store_copies_refill(copies, &own);
    ck_assert_uint_eq(n_pieces, 1);
    ck_assert_uint_eq(piece.from, 5);
    ck_assert_uint_eq(piece.to, 9);
    piece.disk = OWN;
    store_spans_add(&own.spans, &piece);

    /* The server of the next one does not answer. */
    store_copies_refill(copies, &own);
    store_copies_get_status(copies, &status);
    ck_assert(status.is_refilling && status.is_short);
    ck_assert_uint_eq(team.n_refills, 1);
    while (team.n_refills) {
        wait_for_look();
    }
    store_copies_get_status(copies, &status);
    ck_assert(!status.is_refilling);
    ck_assert_str_eq(status.trouble, "the other server does not answer");
    ck_assert_uint_eq(n_pieces, 1);

    /* It is tried again. */
    store_copies_refill(copies, &own);
    ck_assert_uint_eq(team.n_refills, 1);
    store_copies_destroy(copies);
    ck_assert_uint_eq(team.n_refills, 0);
}
END_TEST

static void
on_end(void *aux, const char *why)
{
    why_ended = why;
    is_done = true;
}

START_TEST(who_is_asked_and_not_there_is_said)
{
    const struct store_refill_config config = {.bus = bus,
                                               .server = "nobody",
                                               .subject = "lh.2.3",
                                               .shard = SHARD,
                                               .min_ns = 100,
                                               .max_ns = 200,
                                               .has_stored = has_stored,
                                               .has_room = has_room,
                                               .add = add,
                                               .on_end = on_end};
    struct store_refill *refill = store_refill_create(&config);

    is_done = false;
    ck_assert_uint_eq(store_refill_time_ns(refill), 100);
    nats_loop_until(base, &is_done);
    ck_assert_str_eq(why_ended, "the other server does not answer");
    store_refill_destroy(refill);
    store_refill_destroy(NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store_copies");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, messages_stay_for_the_other_or_are_forced);
    tcase_add_test(tcase, what_the_other_did_not_wait_for_is_skipped);
    tcase_add_test(tcase, what_is_missing_here_is_fetched_from_there);
    tcase_add_test(tcase, who_is_asked_and_not_there_is_said);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
