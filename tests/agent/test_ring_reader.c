/* SPDX-License-Identifier: Apache-2.0 */
/* Rings: what a switch wrote is read once, in order, and what it lost or wrote
 * wrongly is counted. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/ring_reader.h"
#include "agent/template_log.h"
#include "tests/agent/fake_ring.h"

#define SIZE 65536

static struct fake_ring *ring;
static union hop_template_buf templates[3];

static void
set_up(void)
{
    ring = fake_ring_create(SIZE);
    for (unsigned int i = 0; i < 3; i++) {
        struct hop_output output = {.port = (uint16_t) (2 + i)};

        hop_template_make(&templates[i],
                          &(struct hop_template_parts){.dpid = 0xa0 + i,
                                                       .in_port = 1,
                                                       .outputs = &output,
                                                       .n_outputs = 1});
    }
}

static void
tear_down(void)
{
    fake_ring_destroy(ring);
}

static struct ring_reader *
attach(const struct ring_position *position, struct template_log *log)
{
    struct ring_reader *reader;
    struct lh_error error;

    ck_assert_msg(!ring_reader_open(fake_ring_open(ring), &reader, &error),
                  "%s", error.text);
    ring_reader_attach(reader, position, log);
    return reader;
}

/* Postcard 'i' has its number as header and length. */
static bool
put(uint64_t i)
{
    uint8_t header[80] = {0};

    bytes_put_be64(header, i);
    return fake_ring_put(ring, &templates[i % 3].t, 5000 + i, header,
                         (uint16_t) (8 + i % 70), 100, false);
}

static void
check_postcard(const struct ring_item *item, uint64_t i)
{
    const struct agent_postcard *p = &item->postcard;

    ck_assert_uint_eq(p->caplen, 8 + i % 70);
    ck_assert_uint_eq(bytes_be64(p->header), i);
    ck_assert_uint_eq(p->time_ns, 5000 + i);
    ck_assert_uint_eq(p->packet_len, 100);
    ck_assert_int_eq(p->kind, AGENT_POSTCARD_VISIT);
    ck_assert(hop_template_equal(p->template, &templates[i % 3].t));
}

START_TEST(postcards_come_out_in_order_over_many_rounds)
{
    struct ring_reader *reader = attach(NULL, NULL);
    struct ring_item item;
    uint64_t n_in = 0, n_out = 0;

    while (n_out < 20000) {
        for (unsigned int k = 0; k < n_out % 97 + 1; k++) {
            ck_assert(put(n_in));
            n_in++;
        }
        fake_ring_publish(ring);
        while (ring_reader_next(reader, &item) == RING_ITEM_POSTCARD) {
            check_postcard(&item, n_out++);
        }
        ck_assert_int_eq(item.type, RING_ITEM_NONE);
        ck_assert_uint_eq(n_in, n_out);
        ring_reader_publish(reader, 1);
    }
    ck_assert_uint_eq(ring_reader_counters(reader)->n_postcards, n_out);
    ck_assert_uint_eq(ring_reader_counters(reader)->n_lost, 0);
    ck_assert_uint_eq(ring_reader_fill(reader), 0);
    ring_reader_close(reader);
}
END_TEST

START_TEST(nothing_is_recorded_before_a_reader_came)
{
    ck_assert(!put(0));
    ck_assert_uint_eq(ring->header->counters[RING_N_UNREAD], 1);

    struct ring_reader *reader = attach(NULL, NULL);

    ck_assert(put(0));
    ring_reader_close(reader);
}
END_TEST

START_TEST(a_meter_drop_has_its_reason)
{
    struct ring_reader *reader = attach(NULL, NULL);
    struct ring_item item;

    ck_assert(
        fake_ring_put(ring, &templates[0].t, 7, "12345678", 8, 60, true));
    fake_ring_publish(ring);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    ck_assert_int_eq(item.postcard.kind, AGENT_POSTCARD_DROPPED);
    ck_assert_uint_eq(item.postcard.reason, AGENT_DROP_METER);
    ring_reader_close(reader);
}
END_TEST

/* The switch reads its clock once for a batch. */
START_TEST(equal_times_keep_their_order)
{
    static const uint64_t in[] = {7, 7, 7, 50, 50, 51, 40};
    static const uint64_t out[] = {7, 8, 9, 50, 51, 51, 40};
    struct ring_reader *reader = attach(NULL, NULL);
    struct ring_item item;

    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        ck_assert(fake_ring_put(ring, &templates[i % 2].t, in[i], "12345678",
                                8, 60, false));
    }
    fake_ring_publish(ring);
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
        ck_assert_uint_eq(item.postcard.time_ns, out[i]);
    }
    ring_reader_close(reader);
}
END_TEST

/* Puts postcards of one size until one does not fit; returns its number.  A
 * GAP is longer than they are, so there is no room for one either. */
static uint64_t
fill(void)
{
    uint64_t i = 0;

    while (put(i)) {
        i += 70;
    }
    fake_ring_publish(ring);
    return i;
}

START_TEST(a_full_ring_tells_what_it_lost)
{
    struct ring_reader *reader = attach(NULL, NULL);
    struct ring_item item;
    uint64_t end = fill();

    ck_assert(!put(end + 3));
    ck_assert(!put(end + 6));
    for (uint64_t i = 0; i < end; i += 70) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
        check_postcard(&item, i);
    }
    ck_assert(ring_reader_must_publish(reader));
    ck_assert(!ring_reader_next(reader, &item));
    ring_reader_publish(reader, 1);
    ck_assert(!ring_reader_must_publish(reader));
    fake_ring_idle(ring);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_LOSS);
    ck_assert_int_eq(item.loss.place, AGENT_PLACE_RING);
    ck_assert_uint_eq(item.loss.count, 3);
    ck_assert_uint_eq(item.loss.n, 1);
    ck_assert_uint_eq(item.switches[0].dpid, templates[end % 3].t.dpid);
    ck_assert_uint_eq(item.switches[0].count, 3);
    ck_assert_uint_eq(item.loss.first_ns, 5000 + end);
    ck_assert_uint_eq(item.loss.last_ns, 5000 + end + 6);
    ck_assert(put(end));
    fake_ring_publish(ring);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    check_postcard(&item, end);
    ck_assert(!ring_reader_last_loss(reader, &item));
    ck_assert_uint_eq(ring_reader_counters(reader)->n_lost, 3);
    ring_reader_close(reader);
}
END_TEST

START_TEST(what_a_dead_switch_did_not_come_to_tell_is_counted)
{
    struct ring_reader *reader = attach(NULL, NULL);
    struct ring_item item;
    uint64_t end = fill();

    ck_assert(!put(end));
    while (ring_reader_next(reader, &item)) {
        ck_assert_int_eq(item.type, RING_ITEM_POSTCARD);
    }
    ck_assert(ring_reader_last_loss(reader, &item));
    ck_assert_uint_eq(item.loss.count, 2);
    ck_assert(!ring_reader_last_loss(reader, &item));
    ring_reader_close(reader);
}
END_TEST

START_TEST(what_was_not_published_is_read_again)
{
    char path[] = "/tmp/lasthop-templates-XXXXXX";
    struct template_log *log;
    struct ring_reader *reader;
    struct ring_item item;
    struct ring_position position;

    close(mkstemp(path));
    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(NULL, log);
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert(put(i));
    }
    fake_ring_publish(ring);
    for (uint64_t i = 0; i < 30; i++) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    }
    ring_reader_publish(reader, 1);
    for (uint64_t i = 30; i < 60; i++) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    }
    position = ring_reader_position(reader);
    ring_reader_close(reader);
    template_log_close(log);

    /* Killed: the next one goes on at the tail, and knows templates that were
     * told before. */
    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(NULL, log);
    for (uint64_t i = 30; i < 40; i++) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
        check_postcard(&item, i);
    }
    ring_reader_close(reader);
    template_log_close(log);

    /* Killed between the spool and the ring: at the position. */
    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(&position, log);
    put(100);
    fake_ring_publish(ring);
    for (uint64_t i = 60; i <= 100; i++) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
        check_postcard(&item, i);
    }
    ring_reader_close(reader);

    /* Without the log nothing is known of them: lost, one by one. */
    reader = attach(&position, NULL);
    for (uint64_t i = 60; i < 100; i++) {
        ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_LOSS);
        ck_assert_uint_eq(item.loss.count, 1);
    }
    ck_assert_uint_eq(ring_reader_counters(reader)->n_blind, 40);
    ring_reader_close(reader);
    template_log_remove(log);
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(an_old_log_does_not_say_what_slots_mean_later)
{
    char path[] = "/tmp/lasthop-templates-XXXXXX";
    struct template_log *log;
    struct ring_reader *reader;
    struct ring_item item;
    union hop_template_buf other;

    close(mkstemp(path));
    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(NULL, log);
    ck_assert(put(0));
    fake_ring_publish(ring);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    ring_reader_publish(reader, 1);
    ck_assert(put(3));
    /* The same slot means another one from here on. */
    other = templates[0];
    other.t.hash += RING_N_SLOTS;
    other.t.dpid = 0xbb;
    ck_assert(fake_ring_put(ring, &other.t, 9, "12345678", 8, 60, false));
    fake_ring_publish(ring);
    while (ring_reader_next(reader, &item)) {
    }
    ring_reader_close(reader);
    template_log_close(log);

    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(NULL, log);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    check_postcard(&item, 3);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    ck_assert_uint_eq(item.postcard.template->dpid, 0xbb);
    ring_reader_close(reader);
    template_log_remove(log);
}
END_TEST

START_TEST(a_damaged_log_is_cut)
{
    char path[] = "/tmp/lasthop-templates-XXXXXX";
    int fd = mkstemp(path);
    struct template_log *log;
    struct ring_reader *reader;
    struct ring_item item;

    ck_assert_int_eq(write(fd, "no log at all", 13), 13);
    close(fd);
    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(NULL, log);
    ck_assert_uint_eq(template_log_n_errors(log), 1);
    ck_assert(put(0));
    fake_ring_publish(ring);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    ring_reader_publish(reader, 1);
    ck_assert(put(3));
    fake_ring_publish(ring);
    ring_reader_close(reader);
    template_log_close(log);
    ck_assert(!template_log_open(path, &log, NULL));
    reader = attach(NULL, log);
    ck_assert_uint_eq(template_log_n_errors(log), 0);
    ck_assert_int_eq(ring_reader_next(reader, &item), RING_ITEM_POSTCARD);
    check_postcard(&item, 3);
    ring_reader_close(reader);
    template_log_remove(log);
}
END_TEST

START_TEST(what_is_no_ring_is_refused)
{
    struct ring_reader *reader, *second;
    struct lh_error error;
    int fd = memfd_create("lasthop-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    /* Whose size may change under the reader. */
    ck_assert(!ftruncate(fd, RING_RECORDS_OFFSET + SIZE));
    ck_assert_int_eq(ring_reader_open(fd, &reader, &error), EPERM);
    /* Two readers. */
    reader = attach(NULL, NULL);
    ck_assert_int_eq(ring_reader_open(fake_ring_open(ring), &second, &error),
                     EBUSY);
    ring_reader_close(reader);
    ring->header->version = 2;
    ck_assert_int_eq(ring_reader_open(fake_ring_open(ring), &reader, &error),
                     EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "version 2"));
    ring->header->version = 1;
    ring->header->size = 2 * SIZE;
    ck_assert_int_eq(ring_reader_open(fake_ring_open(ring), &reader, &error),
                     EINVAL);
    ring->header->size = SIZE;
    memset(ring->header->magic, 0, 8);
    ck_assert_int_eq(ring_reader_open(fake_ring_open(ring), &reader, &error),
                     EAGAIN);
    ring->header->magic[0] = 'X';
    ck_assert_int_eq(ring_reader_open(fake_ring_open(ring), &reader, &error),
                     EINVAL);
}
END_TEST

/* Whatever stands in the ring, reading ends and goes on afterwards. */
START_TEST(nonsense_is_skipped_and_counted)
{
    struct ring_reader *reader = attach(NULL, NULL);
    struct ring_item item;
    uint32_t random = 1;
    uint64_t n_broken = 0;

    for (unsigned int round = 0; round < 2000; round++) {
        uint64_t n = 0;

        for (uint64_t i = 0; i < 20; i++) {
            put(i);
        }
        for (unsigned int k = 0; k < 4; k++) {
            random = random * 1664525 + 1013904223;
            ring->records[(ring->head - random % 1024) & (SIZE - 1)] ^=
                (uint8_t) (random >> 24);
        }
        if (round % 10 == 9) {
            ring->head = random * 8ull;
        }
        fake_ring_publish(ring);
        while (ring_reader_next(reader, &item)) {
            ck_assert_uint_lt(n++, SIZE / 8);
        }
        ring_reader_publish(reader, 1);
        ring->head = atomic_load(&ring->page->tail);
        fake_ring_publish(ring);
        ring->epoch = 0; /* Templates are told again. */
    }
    n_broken = ring_reader_counters(reader)->n_broken;
    ck_assert_uint_gt(n_broken, 10);
    ck_assert_uint_gt(ring_reader_counters(reader)->n_postcards, 10000);

    memset(ring->hashes, 0, sizeof ring->hashes);
    ck_assert(put(0));
    fake_ring_publish(ring);
    do {
        ck_assert(ring_reader_next(reader, &item));
    } while (item.type == RING_ITEM_LOSS);
    check_postcard(&item, 0);
    ring_reader_close(reader);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ring_reader");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, postcards_come_out_in_order_over_many_rounds);
    tcase_add_test(tcase, nothing_is_recorded_before_a_reader_came);
    tcase_add_test(tcase, a_meter_drop_has_its_reason);
    tcase_add_test(tcase, equal_times_keep_their_order);
    tcase_add_test(tcase, a_full_ring_tells_what_it_lost);
    tcase_add_test(tcase, what_a_dead_switch_did_not_come_to_tell_is_counted);
    tcase_add_test(tcase, what_was_not_published_is_read_again);
    tcase_add_test(tcase, an_old_log_does_not_say_what_slots_mean_later);
    tcase_add_test(tcase, a_damaged_log_is_cut);
    tcase_add_test(tcase, what_is_no_ring_is_refused);
    tcase_add_test(tcase, nonsense_is_skipped_and_counted);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
