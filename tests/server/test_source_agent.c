/* SPDX-License-Identifier: Apache-2.0 */
/* test_source_agent - what agents send becomes histories, once, whatever
 * breaks in between; what makes no sense harms nobody. */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/agent_batch.h"
#include "lib/agent_frame.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "tests/server/live.h"

#define KNOWLEDGE                                                             \
    "--topology=@/topology.json", "--rules=@/rules.jsonl", "--recorder=none"

static struct live live;
static uint16_t port;
static char *where; /* Of --agents. */

/* An agent's end of a connection. */
struct talk {
    int fd;
    uint8_t id;
    size_t len;
    uint8_t buf[65536];
};

static void
set_up(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &address, &len), 0);
    close(fd);
    port = ntohs(address.sin_port);
    where = lh_asprintf("--agents=127.0.0.1:%u", port);
}

static void
tear_down(void)
{
    if (live.dir) {
        live_uninit(&live);
        live.dir = NULL;
    }
    free(where);
}

static void
send_frame(struct talk *talk, struct byte_buf *out)
{
    ck_assert_int_eq(send(talk->fd, out->data, out->len, MSG_NOSIGNAL),
                     (ssize_t) out->len);
    byte_buf_uninit(out);
    *out = (struct byte_buf) BYTE_BUF_INIT;
}

/* Waits for the next frame that is not of 'skip'; false when the server hung
 * up. */
static bool
next_frame(struct talk *talk, struct agent_frame *frame, int skip)
{
    static uint8_t kept[65536];

    for (;;) {
        struct pollfd p = {.fd = talk->fd, .events = POLLIN};
        struct lh_error error;
        size_t used;
        ssize_t n;

        while (!agent_frame_read(talk->buf, talk->len, AGENT_FRAME_MAX, &used,
                                 frame, &error)) {
            memcpy(kept, talk->buf, used);
            memmove(talk->buf, talk->buf + used, talk->len - used);
            talk->len -= used;
            if ((int) frame->type != skip) {
                agent_frame_read(kept, used, AGENT_FRAME_MAX, &used, frame,
                                 &error);
                return true;
            }
        }
        ck_assert_int_eq(poll(&p, 1, LIVE_DEADLINE_MS), 1);
        n = recv(talk->fd, talk->buf + talk->len, sizeof talk->buf - talk->len,
                 0);
        if (n <= 0) {
            return false;
        }
        talk->len += (size_t) n;
    }
}

static void
open_talk(struct talk *talk)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    talk->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    talk->len = 0;
    ck_assert_int_eq(connect(talk->fd, (struct sockaddr *) &to, sizeof to), 0);
}

static void
say_hello(struct talk *talk, uint8_t id)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_hello hello = {.protocol_min = 1,
                                .protocol_max = 1,
                                .id = {id},
                                .start_ns = 1,
                                .id_seed = UINT64_C(0x6c617374686f70),
                                .id_bytes = 70,
                                .snap = 96,
                                .name = (const uint8_t *) "host-a",
                                .name_len = 6};

    talk->id = id;
    agent_frame_put_hello(&out, &hello);
    send_frame(talk, &out);
}

/* Connects, says hello, and tells what the server took last. */
static uint64_t
greet(struct talk *talk, uint8_t id)
{
    struct agent_frame frame;

    open_talk(talk);
    say_hello(talk, id);
    ck_assert(next_frame(talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_WELCOME);
    ck_assert_uint_eq(frame.welcome.id_bytes, 70);
    return frame.welcome.last_seq;
}

/* The visits of packets 'first' to 'first' + 'n' - 1 at the switches from
 * 'from' to 'to', as a batch. */
static void
send_batch(struct talk *talk, uint64_t seq, uint32_t first, uint32_t n,
           uint64_t from, uint64_t to, uint32_t threshold)
{
    struct agent_batch_writer *w = agent_batch_writer_create();
    union hop_template_buf visits[SCENE_SWITCHES + 1];
    struct byte_buf packed = BYTE_BUF_INIT, out = BYTE_BUF_INIT;
    struct agent_batch_frame frame = {.seq = seq, .threshold = threshold};
    struct agent_batch_stats stats;
    uint64_t now_ns = time_spec_now();

    for (uint64_t dpid = from; dpid <= to; dpid++) {
        struct hop_output output = {2, 0};
        struct hop_trail trail[2] = {
            {(uint32_t) (10 + dpid), 0, HOP_TRAIL_VERSION, 0},
            {(uint32_t) (90 + dpid), 1, HOP_TRAIL_VERSION, 0}};

        hop_template_make(&visits[dpid],
                          &(struct hop_template_parts){.dpid = dpid,
                                                       .in_port = 1,
                                                       .bridge = "br",
                                                       .bridge_len = 2,
                                                       .outputs = &output,
                                                       .n_outputs = 1,
                                                       .trail = trail,
                                                       .n_trail = 2});
    }
    for (uint32_t i = first; i < first + n; i++) {
        for (uint64_t dpid = from; dpid <= to; dpid++) {
            struct scene_card card;

            scene_card(&card, i, dpid, false, now_ns + dpid * 1000);
            ck_assert(agent_batch_writer_add(
                w, &(struct agent_postcard){.template = &visits[dpid].t,
                                            .time_ns = card.postcard.time_ns,
                                            .packet_len = card.postcard.caplen,
                                            .caplen = card.postcard.caplen,
                                            .header = card.postcard.header}));
        }
    }
    agent_batch_writer_finish(w, &packed, &stats);
    frame.first_ns = stats.first_ns;
    frame.last_ns = stats.last_ns;
    frame.n = stats.n;
    frame.data = packed.data;
    frame.len = packed.len;
    agent_frame_put_batch(&out, &frame);
    send_frame(talk, &out);
    byte_buf_uninit(&packed);
    agent_batch_writer_destroy(w);
}

static void
wait_ack(struct talk *talk, uint64_t seq)
{
    struct agent_frame frame;

    do {
        ck_assert(next_frame(talk, &frame, -1));
    } while (frame.type != AGENT_ACK || frame.ack.seq < seq);
    ck_assert_uint_eq(frame.ack.seq, seq);
}

static void
start(void)
{
    live_init(&live, KNOWLEDGE, "--accept=127.0.0.1", where, NULL);
    live_start(&live);
}

START_TEST(batches_become_histories)
{
    struct api_client *client;
    struct talk talk;
    struct lh_error error;
    json_t *history, *hop;

    start();
    client = live_client(&live);
    ck_assert_int_eq(api_client_call(client, "trigger.add",
                                     json_pack("{s:s, s:s}", "phf", "^.{4}$",
                                               "name", "all"),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     0);
    ck_assert_uint_eq(greet(&talk, 1), 0);
    send_batch(&talk, 1, 0, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    wait_ack(&talk, 1);
    history = live_next(client);
    hop = json_array_get(json_object_get(history, "hops"), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(hop, "versions")), 2);
    ck_assert_int_eq(json_integer_value(
                         json_array_get(json_object_get(hop, "out_ports"), 0)),
                     2);
    json_decref(history);
    live_wait(client, "delivered", 10);
    ck_assert_uint_eq(live_counter(client, "closed_early"), 10);
    ck_assert_uint_eq(live_counter(client, "agents"), 1);
    ck_assert_uint_eq(live_counter(client, "agent_batches"), 1);
    ck_assert_uint_eq(live_counter(client, "unknown_switch"), 0);
    live_check_sums(client);
    close(talk.fd);
    live_wait(client, "agent_connections", 1);
    api_client_close(client);
}
END_TEST

/* Hosts send their share when they can; what belongs together is joined. */
START_TEST(several_agents_tell_of_one_packet)
{
    struct api_client *client;
    struct lh_error error;
    json_t *status, *agents;
    struct talk a, b;

    start();
    client = live_client(&live);
    greet(&a, 1);
    greet(&b, 2);
    send_batch(&b, 1, 0, 20, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    wait_ack(&b, 1);
    send_batch(&a, 1, 0, 20, 1, 2, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 20);
    ck_assert_uint_eq(live_counter(client, "lost"), 0);

    /* Nothing came back yet: how far clocks are apart is not known. */
    ck_assert_int_eq(api_client_call(client, "status", NULL, LIVE_DEADLINE_MS,
                                     &status, &error),
                     0);
    agents = json_object_get(json_object_get(status, "status"), "agents");
    ck_assert_uint_eq(json_array_size(agents), 2);
    ck_assert_int_eq(
        json_integer_value(json_object_get(
            json_object_get(json_array_get(agents, 0), "clock"), "offset_ns")),
        0);
    ck_assert(
        json_is_null(json_object_get(json_array_get(agents, 1), "clock")));
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(agents, 1), "name")),
        "host-a");
    json_decref(status);

    /* So it stands in the topology, for who shows times. */
    ck_assert_int_eq(api_client_call(client, "topology", NULL,
                                     LIVE_DEADLINE_MS, &status, &error),
                     0);
    agents = json_object_get(json_object_get(status, "topology"), "switches");
    for (size_t i = 0; i < SCENE_SWITCHES; i++) {
        json_t *clock = json_object_get(json_array_get(agents, i), "clock");

        ck_assert_int_eq(json_integer_value(json_object_get(clock, "host")),
                         i >= 2);
        ck_assert_int_eq(json_object_get(clock, "offset_ns") != NULL, i < 2);
    }
    json_decref(status);
    close(a.fd);
    close(b.fd);
    api_client_close(client);
}
END_TEST

START_TEST(what_comes_again_is_taken_once)
{
    struct api_client *client;
    struct talk talk;

    start();
    client = live_client(&live);
    greet(&talk, 1);
    send_batch(&talk, 1, 0, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    send_batch(&talk, 2, 10, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 20);
    close(talk.fd);
    ck_assert_uint_eq(greet(&talk, 1), 2);
    send_batch(&talk, 2, 10, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    send_batch(&talk, 3, 20, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    wait_ack(&talk, 3);
    live_wait(client, "delivered", 30);
    ck_assert_uint_eq(live_counter(client, "agent_duplicates"), 1);
    ck_assert_uint_eq(live_counter(client, "postcards"), 120);
    api_client_close(client);

    /* Over a restart too: what was acknowledged was written down. */
    ck_assert_int_eq(live_stop(&live, SIGKILL), 128 + SIGKILL);
    close(talk.fd);
    live_start(&live);
    client = live_client(&live);
    ck_assert_uint_eq(greet(&talk, 1), 3);
    ck_assert_uint_eq(greet(&talk, 7), 0);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

START_TEST(nonsense_harms_nobody)
{
    static const uint8_t rubbish[] = "GET / HTTP/1.0\r\n\r\n";
    struct byte_buf out = BYTE_BUF_INIT;
    struct api_client *client;
    struct agent_frame frame;
    struct talk talk, good;

    start();
    client = live_client(&live);
    greet(&good, 9);

    open_talk(&talk);
    send(talk.fd, rubbish, sizeof rubbish - 1, MSG_NOSIGNAL);
    ck_assert(next_frame(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);

    /* A batch before hello; a hello after it; a frame of servers. */
    open_talk(&talk);
    send_batch(&talk, 1, 0, 1, 1, 1, AGENT_THRESHOLD_ALL);
    ck_assert(next_frame(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);
    greet(&talk, 1);
    say_hello(&talk, 1);
    ck_assert(next_frame(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);
    greet(&talk, 1);
    agent_frame_put_ack(&out, 5);
    send_frame(&talk, &out);
    ck_assert(next_frame(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);

    /* A batch that is none is counted, and acknowledged: it would come
     * again. */
    greet(&talk, 1);
    agent_frame_put_batch(
        &out, &(struct agent_batch_frame){
                  .seq = 1, .n = 3, .data = rubbish, .len = sizeof rubbish});
    send_frame(&talk, &out);
    wait_ack(&talk, 1);
    ck_assert_uint_eq(live_counter(client, "agent_bad_batches"), 1);
    ck_assert_uint_eq(live_counter(client, "agent_garbage"), 4);

    send_batch(&good, 1, 0, 5, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 5);
    live_check_sums(client);
    close(talk.fd);
    close(good.fd);
    api_client_close(client);
}
END_TEST

START_TEST(strangers_are_told_so)
{
    struct agent_frame frame;
    struct talk talk;

    live_init(&live, KNOWLEDGE, where, NULL);
    live_start(&live);
    open_talk(&talk);
    say_hello(&talk, 1);
    ck_assert(next_frame(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    ck_assert(memmem(frame.refused.text, frame.refused.len, "--accept", 8));
    close(talk.fd);
}
END_TEST

/* The smallest that one of them can afford holds for all; what that leaves
 * incomplete is not shown as broken. */
START_TEST(all_agents_keep_the_same_packets)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct api_client *client;
    struct agent_frame frame;
    struct talk a, b;

    start();
    client = live_client(&live);
    greet(&a, 1);
    greet(&b, 2);
    agent_frame_put_threshold(&out, AGENT_WANT, 0);
    send_frame(&a, &out);
    ck_assert(next_frame(&b, &frame, AGENT_ACK));
    ck_assert_int_eq(frame.type, AGENT_THRESHOLD);
    ck_assert_uint_eq(frame.threshold.threshold, 0);
    ck_assert_uint_eq(live_counter(client, "sample_threshold"), 0);

    /* One has changed already, the other not yet. */
    send_batch(&b, 1, 0, 30, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "sampled_out", 60);
    ck_assert_uint_eq(live_counter(client, "histories"), 0);
    /* What is whole is shown all the same. */
    send_batch(&b, 2, 100, 3, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 3);
    live_check_sums(client);

    /* When it goes, all are kept again. */
    close(a.fd);
    ck_assert(next_frame(&b, &frame, AGENT_ACK));
    ck_assert_int_eq(frame.type, AGENT_THRESHOLD);
    ck_assert_uint_eq(frame.threshold.threshold, AGENT_THRESHOLD_ALL);
    close(b.fd);
    api_client_close(client);
}
END_TEST

/* A postcard that a ring had no room for is why the next hop was not seen. */
START_TEST(a_history_says_what_the_ring_dropped)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_loss_switch lost = {3, 1};
    struct api_client *client;
    struct lh_error error;
    struct talk talk;
    json_t *history;
    uint64_t now_ns = time_spec_now();

    start();
    client = live_client(&live);
    ck_assert_int_eq(
        api_client_call(client, "trigger.add",
                        json_pack("{s:s, s:s}", "phf", "..*", "name", "all"),
                        LIVE_DEADLINE_MS, NULL, &error),
        0);
    greet(&talk, 1);
    /* When its window has ended the topology is no news any more. */
    send_batch(&talk, 1, 50, 1, 1, 1, AGENT_THRESHOLD_ALL);
    json_decref(live_next(client));
    agent_frame_put_loss(
        &out,
        &(struct agent_loss){.seq = 2,
                             .place = AGENT_PLACE_RING,
                             .first_ns = now_ns,
                             .last_ns = now_ns + UINT64_C(60000000000),
                             .count = 1,
                             .n = 1},
        &lost);
    send_frame(&talk, &out);
    send_batch(&talk, 3, 0, 1, 1, 2, AGENT_THRESHOLD_ALL);
    history = live_next(client);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "name")),
                     "lost");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(
                   json_object_get(history, "verdict"), "reason")),
               "a postcard of that hop may have been dropped by the ring"));
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "evidence")),
                     "uncertain");
    json_decref(history);
    ck_assert_uint_eq(live_counter(client, "agent_lost_ring"), 1);

    /* So it is where the hop is known from its neighbours. */
    send_batch(&talk, 4, 1, 1, 1, 2, AGENT_THRESHOLD_ALL);
    send_batch(&talk, 5, 1, 1, 4, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    history = live_next(client);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "name")),
                     "delivered");
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "reason")),
                     "a postcard of switch 0000000000000003 may have been "
                     "dropped by the ring");
    json_decref(history);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

/* Nothing is dropped when agents send more than is worked on. */
START_TEST(agents_wait_for_room)
{
    enum { N_BATCHES = 40, N = 1000 };
    struct api_client *client;
    struct talk talk;

    live_init(&live, KNOWLEDGE, "--accept=127.0.0.1", "--threads=2", where,
              NULL);
    live_start(&live);
    client = live_client(&live);
    greet(&talk, 1);
    for (uint32_t i = 0; i < N_BATCHES; i++) {
        send_batch(&talk, i + 1, i * N, N, 1, SCENE_SWITCHES,
                   AGENT_THRESHOLD_ALL);
    }
    wait_ack(&talk, N_BATCHES);
    live_wait(client, "delivered", N_BATCHES * N);
    ck_assert_uint_eq(live_counter(client, "dropped_busy"), 0);
    live_check_sums(client);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("source_agent");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, batches_become_histories);
    tcase_add_test(tc, several_agents_tell_of_one_packet);
    tcase_add_test(tc, what_comes_again_is_taken_once);
    tcase_add_test(tc, nonsense_harms_nobody);
    tcase_add_test(tc, strangers_are_told_so);
    tcase_add_test(tc, all_agents_keep_the_same_packets);
    tcase_add_test(tc, a_history_says_what_the_ring_dropped);
    tcase_add_test(tc, agents_wait_for_room);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
