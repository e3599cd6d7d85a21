/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between agent and server: what is written is read, and nothing
 * else. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "lib/agent_frame.h"
#include "tests/lib/golden.h"

static const uint8_t id[AGENT_ID_LEN] = {0, 1, 2,  3,  4,  5,  6,  7,
                                         8, 9, 10, 11, 12, 13, 14, 15};

static void
put_all(struct byte_buf *out)
{
    static const struct agent_loss_switch switches[2] = {{0xa1, 7}, {0xa2, 3}};
    static const struct agent_server servers[2] = {
        {false, (const uint8_t *) "192.0.2.1:6082", 14},
        {true, (const uint8_t *) "[2001:db8::1]:6083", 18}};

    agent_frame_put_hello(
        out, &(struct agent_hello){
                 .protocol_min = 1,
                 .protocol_max = 1,
                 .id = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                 .start_ns = 0x1122334455667788,
                 .id_seed = 0x6c617374686f70,
                 .id_bytes = 70,
                 .snap = 96,
                 .name = (const uint8_t *) "host-1",
                 .name_len = 6,
                 .taken_seq = 40,
                 .has_others = true});
    agent_frame_put_welcome(
        out, &(struct agent_welcome){.protocol = 1,
                                     .last_seq = 41,
                                     .threshold = AGENT_THRESHOLD_ALL,
                                     .id_seed = 0x6c617374686f70,
                                     .id_bytes = 70,
                                     .now_ns = 1700000000000000000});
    agent_frame_put_refused(out, "no agents\nhere");
    agent_frame_put_batch(
        out, &(struct agent_batch_frame){.seq = 42,
                                         .threshold = 0x7fffffff,
                                         .first_ns = 1,
                                         .last_ns = 2,
                                         .n = 3,
                                         .data = (const uint8_t *) "batch",
                                         .len = 5});
    agent_frame_put_loss(out,
                         &(struct agent_loss){.seq = 43,
                                              .place = AGENT_PLACE_RING,
                                              .first_ns = 5,
                                              .last_ns = 9,
                                              .count = 11,
                                              .n = 2},
                         switches);
    agent_frame_put_ack(out, 43);
    agent_frame_put_threshold(out, AGENT_THRESHOLD, 0x3fffffff);
    agent_frame_put_threshold(out, AGENT_WANT, 0x1fffffff);
    agent_frame_put_ping(out, AGENT_PING, &(struct agent_ping){5, 5});
    agent_frame_put_ping(out, AGENT_PONG, &(struct agent_ping){5, 6});
    agent_frame_put_servers(out, servers, 2);
}

START_TEST(what_is_written_is_read)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_frame f[N_AGENT_FRAME_TYPES];
    size_t ofs = 0;

    put_all(&out);
    for (unsigned int i = 1; i < N_AGENT_FRAME_TYPES; i++) {
        size_t used;
        struct lh_error error;

        ck_assert_msg(!agent_frame_read(out.data + ofs, out.len - ofs,
                                        AGENT_FRAME_MAX, &used, &f[i], &error),
                      "%u: %s", i, error.text);
        ck_assert_uint_eq(f[i].type, i);
        ofs += used;
    }
    ck_assert_uint_eq(ofs, out.len);

    const struct agent_hello *hello = &f[AGENT_HELLO].hello;

    ck_assert_uint_eq(hello->protocol_min, 1);
    ck_assert_uint_eq(hello->protocol_max, 1);
    ck_assert_mem_eq(hello->id, id, sizeof id);
    ck_assert_uint_eq(hello->start_ns, 0x1122334455667788);
    ck_assert_uint_eq(hello->id_seed, 0x6c617374686f70);
    ck_assert_uint_eq(hello->id_bytes, 70);
    ck_assert_uint_eq(hello->snap, 96);
    ck_assert_uint_eq(hello->name_len, 6);
    ck_assert_mem_eq(hello->name, "host-1", 6);
    ck_assert_uint_eq(hello->taken_seq, 40);
    ck_assert(hello->has_others);
    ck_assert(!hello->wants_servers);

    const struct agent_welcome *welcome = &f[AGENT_WELCOME].welcome;

    ck_assert_uint_eq(welcome->protocol, 1);
    ck_assert_uint_eq(welcome->last_seq, 41);
    ck_assert_uint_eq(welcome->threshold, AGENT_THRESHOLD_ALL);
    ck_assert_uint_eq(welcome->id_seed, 0x6c617374686f70);
    ck_assert_uint_eq(welcome->id_bytes, 70);
    ck_assert_uint_eq(welcome->now_ns, 1700000000000000000);

    ck_assert_uint_eq(f[AGENT_REFUSED].refused.len, 14);
    ck_assert_mem_eq(f[AGENT_REFUSED].refused.text, "no agents?here", 14);

    const struct agent_batch_frame *batch = &f[AGENT_BATCH].batch;

    ck_assert_uint_eq(batch->seq, 42);
    ck_assert_uint_eq(batch->threshold, 0x7fffffff);
    ck_assert_uint_eq(batch->first_ns, 1);
    ck_assert_uint_eq(batch->last_ns, 2);
    ck_assert_uint_eq(batch->n, 3);
    ck_assert_uint_eq(batch->len, 5);
    ck_assert_mem_eq(batch->data, "batch", 5);

    const struct agent_loss *loss = &f[AGENT_LOSS].loss;

    ck_assert_uint_eq(loss->seq, 43);
    ck_assert_uint_eq(loss->place, AGENT_PLACE_RING);
    ck_assert_uint_eq(loss->first_ns, 5);
    ck_assert_uint_eq(loss->last_ns, 9);
    ck_assert_uint_eq(loss->count, 11);
    ck_assert_uint_eq(loss->n, 2);
    ck_assert_uint_eq(agent_loss_switch(loss, 1).dpid, 0xa2);
    ck_assert_uint_eq(agent_loss_switch(loss, 1).count, 3);

    ck_assert_uint_eq(f[AGENT_ACK].ack.seq, 43);
    ck_assert_uint_eq(f[AGENT_THRESHOLD].threshold.threshold, 0x3fffffff);
    ck_assert_uint_eq(f[AGENT_WANT].threshold.threshold, 0x1fffffff);
    ck_assert_uint_eq(f[AGENT_PONG].ping.sent_ns, 5);
    ck_assert_uint_eq(f[AGENT_PONG].ping.now_ns, 6);

    struct agent_server servers[AGENT_SERVERS_MAX];

    ck_assert_uint_eq(f[AGENT_SERVERS].servers.n, 2);
    agent_servers_get(&f[AGENT_SERVERS].servers, servers);
    ck_assert(!servers[0].is_self);
    ck_assert_uint_eq(servers[0].len, 14);
    ck_assert_mem_eq(servers[0].text, "192.0.2.1:6082", 14);
    ck_assert(servers[1].is_self);
    ck_assert_mem_eq(servers[1].text, "[2001:db8::1]:6083", 18);
    byte_buf_uninit(&out);
}
END_TEST

START_TEST(the_bytes_are_those_of_the_document)
{
    struct byte_buf out = BYTE_BUF_INIT;
    char *text;

    put_all(&out);
    text = malloc(2 * out.len + 2);
    bytes_to_hex(out.data, out.len, text);
    memcpy(text + 2 * out.len, "\n", 2);
    golden_check("agent-frames.hex", text);
    free(text);
    byte_buf_uninit(&out);
}
END_TEST

START_TEST(a_part_of_a_frame_waits_for_the_rest)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_frame frame;
    size_t used;

    agent_frame_put_batch(
        &out, &(struct agent_batch_frame){
                  .seq = 1, .data = (const uint8_t *) "x", .len = 1});
    for (size_t n = 0; n < out.len; n++) {
        uint8_t *part = malloc(n + 1);

        memcpy(part, out.data, n);
        ck_assert_int_eq(
            agent_frame_read(part, n, AGENT_FRAME_MAX, &used, &frame, NULL),
            EAGAIN);
        free(part);
    }
    byte_buf_uninit(&out);
}
END_TEST

/* The frame at 'ofs' .. is refused after byte 'at' became 'value'. */
static void
check_refused(const struct byte_buf *good, size_t at, uint8_t value)
{
    struct agent_frame frame;
    size_t used;
    struct lh_error error;
    uint8_t *bad = malloc(good->len);

    memcpy(bad, good->data, good->len);
    bad[at] = value;
    ck_assert_int_eq(agent_frame_read(bad, good->len, AGENT_FRAME_MAX, &used,
                                      &frame, &error),
                     EBADMSG);
    ck_assert_int_gt(strlen(error.text), 0);
    free(bad);
}

START_TEST(what_is_malformed_is_refused)
{
    struct byte_buf out = BYTE_BUF_INIT;

    agent_frame_put_ack(&out, 1);
    check_refused(&out, 0, 0xff); /* Too long. */
    check_refused(&out, 3, 0);    /* Without a type. */
    check_refused(&out, 3, 8);    /* Ends too early. */
    check_refused(&out, 4, 0);    /* No such type. */
    check_refused(&out, 4, N_AGENT_FRAME_TYPES);
    check_refused(&out, 4, AGENT_WANT); /* Bytes are left. */
    byte_buf_clear(&out);
    agent_frame_put_batch(&out, &(struct agent_batch_frame){.seq = 1});
    check_refused(&out, 12, 0); /* Sequence numbers begin with 1. */
    check_refused(&out, 17, 1); /* Ends before it begins. */
    byte_buf_clear(&out);
    agent_frame_put_loss(
        &out, &(struct agent_loss){.seq = 1, .place = AGENT_PLACE_SPOOL},
        NULL);
    check_refused(&out, 13, 0); /* No such place. */
    check_refused(&out, 13, N_AGENT_PLACES);
    check_refused(&out, 38, 4); /* Switches that are not there. */
    byte_buf_clear(&out);
    agent_frame_put_refused(&out, "why");
    check_refused(&out, 6, '\n');
    byte_buf_clear(&out);
    agent_frame_put_hello(
        &out, &(struct agent_hello){.protocol_min = 1, .protocol_max = 1});
    check_refused(&out, 5, 'X');
    check_refused(&out, 10, 2);
    check_refused(&out, out.len - 10, 15); /* A name that is not there. */
    byte_buf_clear(&out);
    agent_frame_put_servers(
        &out, &(struct agent_server){false, (const uint8_t *) "a:1", 3}, 1);
    check_refused(&out, 5, 2); /* Servers that are not there, */
    check_refused(&out, 5, AGENT_SERVERS_MAX + 1);
    check_refused(&out, 7, 4);    /* a longer one, */
    check_refused(&out, 7, 0);    /* one without a name, */
    check_refused(&out, 9, '\n'); /* or with what is no text. */
    byte_buf_uninit(&out);
}
END_TEST

/* Older agents end their hello with the name. */
START_TEST(a_shorter_hello_is_read)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_frame frame;
    struct lh_error error;
    size_t used;

    put_all(&out);
    for (unsigned int n = 1; n <= 9; n++) {
        bytes_put_be32(out.data, 61 - n);
        ck_assert_int_eq(agent_frame_read(out.data, out.len, AGENT_FRAME_MAX,
                                          &used, &frame, &error),
                         0);
        ck_assert_mem_eq(frame.hello.name, "host-1", 6);
        ck_assert_uint_eq(frame.hello.taken_seq, 0);
        ck_assert(!frame.hello.has_others);
    }
    byte_buf_uninit(&out);
}
END_TEST

/* Who says in its hello that it knows them is told of servers, as many as
 * there may be, by a list to which later ones may add something. */
START_TEST(lists_of_servers_may_be_long_and_grow)
{
    struct agent_server all[AGENT_SERVERS_MAX], read[AGENT_SERVERS_MAX];
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_frame frame;
    uint8_t text[AGENT_SERVER_TEXT];
    struct lh_error error;
    size_t used;

    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < AGENT_SERVERS_MAX; i++) {
        all[i] = (struct agent_server){i == 9, text, sizeof text};
    }
    agent_frame_put_servers(&out, all, AGENT_SERVERS_MAX);
    byte_buf_put_u64(&out, 1);
    bytes_put_be32(out.data, (uint32_t) out.len - 4);
    ck_assert_int_eq(agent_frame_read(out.data, out.len,
                                      AGENT_FRAME_MAX_SERVER, &used, &frame,
                                      &error),
                     0);
    ck_assert_uint_eq(used, out.len);
    agent_servers_get(&frame.servers, read);
    ck_assert(read[9].is_self && !read[8].is_self);
    ck_assert_uint_eq(read[63].len, sizeof text);
    ck_assert_mem_eq(read[63].text, text, sizeof text);
    byte_buf_clear(&out);

    agent_frame_put_hello(&out, &(struct agent_hello){.protocol_min = 1,
                                                      .protocol_max = 1,
                                                      .wants_servers = true});
    ck_assert_int_eq(agent_frame_read(out.data, out.len, AGENT_FRAME_MAX,
                                      &used, &frame, &error),
                     0);
    ck_assert(frame.hello.wants_servers && !frame.hello.has_others);
    byte_buf_uninit(&out);
}
END_TEST

START_TEST(a_place_has_a_name)
{
    ck_assert_str_eq(agent_place_name(AGENT_PLACE_RING), "ring");
    ck_assert_str_eq(agent_place_name(AGENT_PLACE_SPOOL), "spool");
    ck_assert_str_eq(agent_place_name(AGENT_PLACE_MEMORY), "memory");
    ck_assert_str_eq(agent_place_name(AGENT_PLACE_CAPTURE), "capture");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent_frame");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_test(tcase, the_bytes_are_those_of_the_document);
    tcase_add_test(tcase, a_part_of_a_frame_waits_for_the_rest);
    tcase_add_test(tcase, what_is_malformed_is_refused);
    tcase_add_test(tcase, a_shorter_hello_is_read);
    tcase_add_test(tcase, lists_of_servers_may_be_long_and_grow);
    tcase_add_test(tcase, a_place_has_a_name);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
