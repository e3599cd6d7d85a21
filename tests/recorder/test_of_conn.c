/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/of_conn on a pair of sockets: all that is sent arrives, in
 * order, also when the other side reads slowly or we let go at once. */
#include <config.h>
#include "recorder/of_conn.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

struct side {
    struct event_base *base;
    struct of_conn *conn;
    int peer;
    uint32_t n_answers; /* To each message that comes. */
    uint32_t n_sent, n_messages, n_drained, n_closed;
    bool ends; /* With the first message. */
};

/* Messages are numbered by their transaction IDs. */
static void
put(struct side *side, size_t len)
{
    uint8_t *msg = lh_alloc_zero(len);

    of_wire_put_header(msg, OF_WIRE_13, OF_WIRE_HELLO, (uint16_t) len,
                       ++side->n_sent);
    of_conn_send(side->conn, msg, len);
    free(msg);
}

static bool
on_message(void *side_, const uint8_t *msg, size_t len)
{
    struct side *side = side_;

    side->n_messages++;
    for (uint32_t i = 0; i < side->n_answers; i++) {
        put(side, 24);
    }
    if (side->ends) {
        of_conn_finish(side->conn);
        side->conn = NULL;
    }
    return true;
}

static void
on_drained(void *side_)
{
    struct side *side = side_;

    side->n_drained++;
}

static void
on_closed(void *side_, const char *reason)
{
    struct side *side = side_;

    side->n_closed++;
}

static const struct of_conn_callbacks callbacks = {on_message, on_drained,
                                                   on_closed};

static void
open_side(struct side *side)
{
    int fds[2];

    memset(side, 0, sizeof *side);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    side->base = event_base_new();
    side->conn = of_conn_accept(side->base, fds[0], NULL, &callbacks, side);
    side->peer = fds[1];
    ck_assert_ptr_nonnull(side->conn);
}

static void
close_side(struct side *side)
{
    of_conn_destroy(side->conn);
    event_base_free(side->base);
    close(side->peer);
}

/* Reads what has come up to now at the far end, where messages are whole and
 * in order; the number of the last one. */
static uint32_t
read_numbers(struct side *side, uint8_t *buf, size_t *len, uint32_t last)
{
    ssize_t n;

    while ((n = read(side->peer, buf + *len, 65536)) > 0) {
        size_t ofs = 0;
        int msg_len;

        *len += (size_t) n;
        while ((msg_len = of_wire_frame(buf + ofs, *len - ofs)) > 0) {
            ck_assert_uint_eq(of_wire_xid(buf + ofs), last + 1);
            last++;
            ofs += (size_t) msg_len;
        }
        memmove(buf, buf + ofs, *len - ofs);
        *len -= ofs;
    }
    return last;
}

static void
say_hello(struct side *side)
{
    uint8_t hello[8];

    of_wire_put_header(hello, OF_WIRE_13, OF_WIRE_HELLO, 8, 1);
    ck_assert_int_eq(write(side->peer, hello, 8), 8);
}

START_TEST(answers_leave_in_the_turn_of_the_question)
{
    struct side side;
    uint8_t *buf = lh_alloc(1 << 17);
    size_t len = 0;

    open_side(&side);
    side.n_answers = 100;
    say_hello(&side);
    event_base_loop(side.base, EVLOOP_ONCE);
    ck_assert_uint_eq(side.n_messages, 1);
    ck_assert_uint_eq(read_numbers(&side, buf, &len, 0), 100);
    close_side(&side);
    free(buf);
}
END_TEST

START_TEST(a_slow_reader_gets_all_in_order)
{
    struct side side;
    uint8_t *buf = lh_alloc(1 << 17);
    uint32_t last = 0;
    size_t len = 0;

    open_side(&side);
    while (!of_conn_is_full(side.conn)) {
        put(&side, 60000);
        event_base_loop(side.base, EVLOOP_NONBLOCK);
    }
    ck_assert_uint_eq(side.n_drained, 0);
    put(&side, 8);
    for (int i = 0; last < side.n_sent && i < 10000; i++) {
        last = read_numbers(&side, buf, &len, last);
        event_base_loop(side.base, EVLOOP_NONBLOCK);
    }
    ck_assert_uint_eq(last, side.n_sent);
    ck_assert_uint_eq(side.n_drained, 1);
    ck_assert(!of_conn_is_full(side.conn));
    /* After it, the short way again. */
    put(&side, 8);
    event_base_loop(side.base, EVLOOP_ONCE);
    ck_assert_uint_eq(read_numbers(&side, buf, &len, last), side.n_sent);
    close_side(&side);
    free(buf);
}
END_TEST

/* Filled and drained within one turn, drained() is called all the same. */
START_TEST(what_is_full_is_told_when_it_is_not)
{
    struct side side;
    uint8_t *buf = lh_alloc(1 << 17);
    size_t len = 0;
    uint32_t last = 0;

    open_side(&side);
    for (int i = 0; i < 20; i++) {
        put(&side, 60000);
    }
    ck_assert(of_conn_is_full(side.conn));
    for (int i = 0; !side.n_drained && i < 10000; i++) {
        event_base_loop(side.base, EVLOOP_NONBLOCK);
        last = read_numbers(&side, buf, &len, last);
    }
    ck_assert_uint_eq(side.n_drained, 1);
    close_side(&side);
    free(buf);
}
END_TEST

START_TEST(what_was_sent_before_the_end_arrives)
{
    struct side side;
    uint8_t *buf = lh_alloc(1 << 17);
    uint32_t last = 0;
    size_t len = 0;

    open_side(&side);
    side.n_answers = 40000; /* More than the socket takes. */
    side.ends = true;
    say_hello(&side);
    for (int i = 0; last < side.n_answers && i < 10000; i++) {
        event_base_loop(side.base, EVLOOP_NONBLOCK);
        last = read_numbers(&side, buf, &len, last);
    }
    ck_assert_uint_eq(last, side.n_answers);
    ck_assert_uint_eq(side.n_closed, 0);
    close_side(&side);
    free(buf);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told_once)
{
    struct side side;

    open_side(&side);
    close(side.peer);
    side.peer = -1;
    put(&side, 60000);
    for (int i = 0; !side.n_closed && i < 10000; i++) {
        event_base_loop(side.base, EVLOOP_NONBLOCK);
    }
    put(&side, 8);
    event_base_loop(side.base, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(side.n_closed, 1);
    close_side(&side);
}
END_TEST

/* Who sends and hangs up gets no answers, but is heard to the end: more than
 * is read at a time is still in the socket when an answer finds it closed. */
START_TEST(who_hangs_up_is_heard_to_the_end)
{
    const uint32_t n = 1000;
    const size_t len = 100;
    struct side side;
    uint8_t *msgs = lh_alloc_zero(n * len);

    open_side(&side);
    side.n_answers = 1;
    for (uint32_t i = 0; i < n; i++) {
        of_wire_put_header(msgs + i * len, OF_WIRE_13, OF_WIRE_HELLO,
                           (uint16_t) len, i + 1);
    }
    ck_assert_int_eq(write(side.peer, msgs, n * len), n * len);
    free(msgs);
    close(side.peer);
    side.peer = -1;
    for (int i = 0; !side.n_closed && i < 10000; i++) {
        event_base_loop(side.base, EVLOOP_NONBLOCK);
    }
    ck_assert_uint_eq(side.n_messages, n);
    ck_assert_uint_eq(side.n_closed, 1);
    close_side(&side);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_conn");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    signal(SIGPIPE, SIG_IGN);
    tcase_add_test(tc, answers_leave_in_the_turn_of_the_question);
    tcase_add_test(tc, a_slow_reader_gets_all_in_order);
    tcase_add_test(tc, what_is_full_is_told_when_it_is_not);
    tcase_add_test(tc, what_was_sent_before_the_end_arrives);
    tcase_add_test(tc, a_peer_that_is_gone_is_told_once);
    tcase_add_test(tc, who_hangs_up_is_heard_to_the_end);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
