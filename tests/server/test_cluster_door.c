/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_door - what goes in at the door is read once by the owners of
 * its packets. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/hop_template.h"
#include "lib/monotonic.h"
#include "server/cluster_lane.h"
#include "tests/lib/frame.h"
#include "tests/server/door_fixture.h"

START_TEST(test_all_arrive)
{
    door_fixture_open((struct cluster_door_config){.is_file = false});
    door_fixture_add(0, 3000);
    door_fixture_run_until_idle();
    door_fixture_add(3000, 3100);
    door_fixture_run_until_idle();
    ck_assert_uint_eq(door_fixture_counters().in, 3100 * N_HOPS);
    ck_assert_uint_eq(door_fixture_counters().acknowledged, 3100 * N_HOPS);
    door_fixture_check_all();
}
END_TEST

/* Without a flush or more postcards they leave after a while. */
static bool
is_waiting(void *aux)
{
    (void) aux;
    door_fixture_is_busy(NULL);
    return door_fixture_counters().waiting > 0;
}

START_TEST(test_few_do_not_wait)
{
    door_fixture_open((struct cluster_door_config){.is_file = false});
    door_fixture_add(0, 50);
    nats_loop_while(base, is_waiting, NULL);
    ck_assert_uint_eq(door_fixture_counters().acknowledged, 50 * N_HOPS);
    door_fixture_check_all();
}
END_TEST

static void
run_after_ms(uint64_t at_ns)
{
    uint64_t since_ns = monotonic_ns();

    while (monotonic_ns() - since_ns < 2000000) {
        /* A door looks at its shards once in a millisecond. */
    }
    cluster_door_run(door, at_ns);
}

/* When a shard's turn is over, all doors send what they have for it, however
 * short it has waited. */
START_TEST(test_shards_have_turns)
{
    const uint64_t turn_ns = CLUSTER_LANE_AGE_NS;
    uint64_t end_ns;

    door_fixture_open((struct cluster_door_config){.is_file = false});
    end_ns = (now_ns / turn_ns + 2) * turn_ns;
    cluster_door_run(door, end_ns - turn_ns / 2);
    now_ns = end_ns;
    door_fixture_add(0, 50);
    run_after_ms(end_ns);
    ck_assert_uint_gt(door_fixture_counters().packed_bytes, 0);
    ck_assert_uint_eq(door_fixture_counters().packed_bytes,
                      door_fixture_counters().waiting_bytes);
    door_fixture_run_until_idle();
    door_fixture_check_all();
}
END_TEST

/* Takes the messages that a door may send before the turn. */
static void
spend_burst(void)
{
    for (uint32_t i = 0; i * N_SHARDS < 2 * CLUSTER_LANE_BURST; i++) {
        door_fixture_add(0, 50);
        door_fixture_run_until_idle();
    }
}

static uint64_t
get_packed_bytes(void)
{
    return door_fixture_counters().packed_bytes;
}

/* Postcards of that many packets wait when the first of two turns ends.
 * Returns the time that this took. */
static uint64_t
fill_turn(uint64_t turn_ns, uint32_t n_packets)
{
    uint64_t since_ns, first_ns;

    spend_burst();
    since_ns = monotonic_ns();
    first_ns = (now_ns / (2 * turn_ns) + 1) * 2 * turn_ns;
    now_ns = first_ns + turn_ns / 2;
    run_after_ms(now_ns);
    door_fixture_add(0, n_packets);
    now_ns = first_ns + turn_ns;
    run_after_ms(now_ns);
    return monotonic_ns() - since_ns;
}

/* A shard with many postcards is told every other turn. */
START_TEST(test_many_wait_for_two_turns)
{
    const uint64_t turn_ns = CLUSTER_LANE_AGE_NS;
    const uint32_t n_many = N_SHARDS * CLUSTER_LANE_MANY * 5 / 4 / N_HOPS;
    uint64_t took_ns;

    door_fixture_open((struct cluster_door_config){.is_file = false});
    fill_turn(turn_ns, n_many / 2);
    ck_assert_uint_gt(get_packed_bytes(), 0);
    ck_assert_uint_eq(get_packed_bytes(),
                      door_fixture_counters().waiting_bytes);
    /* Where the machine stood still, the door may send again. */
    do {
        took_ns = fill_turn(turn_ns, n_many);
    } while (get_packed_bytes() && took_ns > turn_ns / 8);
    ck_assert_uint_eq(get_packed_bytes(), 0);
    run_after_ms(now_ns + turn_ns);
    ck_assert_uint_gt(get_packed_bytes(), 0);
    ck_assert_uint_eq(get_packed_bytes(),
                      door_fixture_counters().waiting_bytes);
    door_fixture_run_until_idle();
    door_fixture_check_all();
}
END_TEST

/* The system's clock was an hour ahead, and is put right. */
START_TEST(test_watermarks_go_back_with_the_clock)
{
    door_fixture_open((struct cluster_door_config){.is_file = false});
    cluster_door_run(door, now_ns + 3600 * UINT64_C(1000000000));
    cluster_door_run(door, now_ns);
    door_fixture_add(0, 100);
    door_fixture_run_until_idle();
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.number = 0};

        door_fixture_read(&owner, k);
        ck_assert_uint_gt(owner.watermark_ns, 0);
        ck_assert_uint_le(owner.watermark_ns, now_ns);
    }
    door_fixture_forget();
}
END_TEST

static bool
has_no_watermarks(void *aux)
{
    (void) aux;
    door_fixture_is_busy(NULL);
    return door_fixture_counters().empty < 3 * N_SHARDS;
}

START_TEST(test_watermarks_go_on)
{
    door_fixture_open((struct cluster_door_config){.is_file = false});
    door_fixture_add(0, 500);
    door_fixture_run_until_idle();
    nats_loop_while(base, has_no_watermarks, NULL);
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        /* Long after the last postcard. */
        ck_assert_uint_gt(owner.watermark_ns,
                          added[k].cards[added[k].n - 1]->time_ns);
        ck_assert_uint_ne(owner.watermark_ns, CLUSTER_WATERMARK_END);
    }
    door_fixture_forget();
}
END_TEST

/* Each owner hears of the door before there are postcards, and of its end,
 * whether or not there were some. */
START_TEST(test_announced)
{
    door_fixture_open((struct cluster_door_config){.is_file = true});
    cluster_door_announce(door);
    cluster_door_announce(door);
    nats_loop_while(base, door_fixture_is_busy, NULL);
    ck_assert_uint_eq(door_fixture_counters().empty, N_SHARDS);
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        ck_assert_uint_eq(owner.number, 1);
        ck_assert_uint_eq(owner.watermark_ns, 0);
    }
    door_fixture_add(0, 1);
    cluster_door_end(door);
    nats_loop_while(base, door_fixture_is_busy, NULL);
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        ck_assert_uint_eq(owner.watermark_ns, CLUSTER_WATERMARK_END);
        ck_assert_uint_eq(added[k].n_read, added[k].n);
    }
    door_fixture_forget();
}
END_TEST

START_TEST(test_file_ends)
{
    door_fixture_open((struct cluster_door_config){.is_file = true});
    door_fixture_add(0, 2000);
    cluster_door_end(door);
    nats_loop_while(base, door_fixture_is_busy, NULL);
    ck_assert_uint_eq(door_fixture_counters().acknowledged, 2000 * N_HOPS);
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        ck_assert_uint_eq(owner.watermark_ns, CLUSTER_WATERMARK_END);
        ck_assert_uint_eq(added[k].n_read, added[k].n);
    }
    door_fixture_forget();
}
END_TEST

START_TEST(test_visits)
{
    union hop_template_buf buf;
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct postcard p = {.time_ns = 5, .header = f.data};

    frame_ip4(&f, HDR_IP_UDP, 64, "10.0.0.1", "10.0.0.2");
    frame_udp(&f, 1, 2);
    frame_text(&f, "a packet with at least seventy bytes, which is not "
                   "so short as others");
    frame_finish(&f);
    p.caplen = (uint16_t) f.len;
    door_fixture_name(&p);
    door_fixture_open((struct cluster_door_config){.is_file = false});
    for (uint64_t dpid = 1; dpid < 300; dpid++) {
        if (dpid % 50 == 1) {
            cluster_door_begin(door, 7, dpid);
        }

        struct hop_output output = {.port = (uint16_t) dpid};

        hop_template_make(&buf,
                          &(struct hop_template_parts){.dpid = dpid,
                                                       .in_port = 1,
                                                       .outputs = &output,
                                                       .n_outputs = 1});
        postcard_set_visit(&p, &buf.t, dpid % 3 == 0);
        door_fixture_keep(&p);
        cluster_door_add(door, &p);
    }
    door_fixture_run_until_idle();
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        ck_assert_uint_eq(added[k].n_read, added[k].n);
        ck_assert_uint_eq(owner.n_of_agents, added[k].n);
    }
    door_fixture_forget();
}
END_TEST

/* In the first version nothing is told of agents. */
START_TEST(test_the_version_that_is_spoken)
{
    uint32_t wire = 1;

    door_fixture_open((struct cluster_door_config){.wire = &wire});
    door_fixture_add(0, 100);
    door_fixture_run_until_idle();
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.version = 1};

        door_fixture_read(&owner, k);
        ck_assert_uint_eq(added[k].n_read, added[k].n);
    }
    door_fixture_forget();
}
END_TEST

/* The owner of a packet that crossed a tunnel is told, though that of the
 * tunnel's packet is another. */
START_TEST(test_tunnels)
{
    size_t n_told = 0, n_own = 0;

    door_fixture_open((struct cluster_door_config){.is_file = false});
    for (uint32_t i = 0; i < 40; i++) {
        static const uint8_t vxlan[8] = {8, 0, 0, 0, 0, 0, 1, 0};
        struct frame in = frame_eth(HDR_ETH_IP4);
        struct frame out = frame_eth(HDR_ETH_IP4);
        struct postcard p = {.dpid = 1, .time_ns = ++now_ns};
        uint64_t inner;

        frame_ip4(&in, HDR_IP_TCP, 64, "10.0.0.1", "10.0.0.2");
        frame_tcp(&in, 1, 80, i, i, 0x18);
        frame_finish(&in);
        frame_ip4(&out, HDR_IP_UDP, 64, "172.16.0.1", "172.16.0.2");
        frame_udp(&out, (uint16_t) (5000 + i), 4789);
        frame_bytes(&out, vxlan, sizeof vxlan);
        frame_bytes(&out, in.data, in.len);
        frame_finish(&out);
        p.header = out.data;
        p.caplen = (uint16_t) out.len;
        door_fixture_name(&p);
        inner = packet_id_inner(&id_config, p.header, p.caplen);
        ck_assert_uint_ne(inner, 0);
        n_own += cluster_wire_shard(&p, N_SHARDS) ==
                 cluster_wire_shard_of_id(inner, N_SHARDS);
        door_fixture_keep(&p);
        cluster_door_add(door, &p);
        door_fixture_keep(&p);
        cluster_door_add(door, &p); /* Told once. */
    }
    door_fixture_run_until_idle();
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.is_idle = false};

        door_fixture_read(&owner, k);
        n_told += owner.n_inner;
        if (owner.n_inner) {
            ck_assert_uint_eq(
                cluster_wire_shard_of_id(owner.inner.inner, N_SHARDS), k);
        }
    }
    ck_assert_uint_eq(n_told, 40 - n_own);
    ck_assert_uint_gt(n_told, 20);
    ck_assert_uint_eq(door_fixture_counters().inner, n_told);
    door_fixture_forget();
}
END_TEST

START_TEST(test_wire)
{
    struct cluster_cards_head head = {.door = 0x0123456789abcdef,
                                      .number = 77,
                                      .is_file = true,
                                      .watermark_ns = 99},
                              got;
    struct byte_buf buf = BYTE_BUF_INIT;
    struct lh_error error;
    const uint8_t *batch;
    size_t len;

    head.version = CLUSTER_WIRE_FIRST;
    cluster_wire_put_cards(&buf, &head, NULL, 0);
    ck_assert_uint_eq(buf.len, 26);
    byte_buf_put(&buf, "rest", 4);
    ck_assert(!cluster_wire_get_cards(buf.data, buf.len, &got, &batch, &len,
                                      &error));
    ck_assert_uint_eq(got.door, head.door);
    ck_assert_uint_eq(got.number, 77);
    ck_assert(got.is_file);
    ck_assert_uint_eq(got.watermark_ns, 99);
    ck_assert_uint_eq(len, 4);
    ck_assert(!memcmp(batch, "rest", 4));
    for (size_t n = 0; n < 26; n++) {
        ck_assert_int_eq(
            cluster_wire_get_cards(buf.data, n, &got, &batch, &len, &error),
            EBADMSG);
    }
    buf.data[0] = CLUSTER_WIRE_VERSION + 1;
    ck_assert_int_eq(
        cluster_wire_get_cards(buf.data, buf.len, &got, &batch, &len, &error),
        ENOTSUP);
    byte_buf_uninit(&buf);

    /* For ever the same. */
    ck_assert_uint_eq(cluster_wire_shard_of_id(1, 64), 39);
    ck_assert_uint_eq(
        cluster_wire_shard_of_id(UINT64_C(0xef231900d1277b5e), 64), 0);
}
END_TEST

START_TEST(test_wire_tells_of_agents)
{
    static const struct cluster_run runs[] = {
        {0, 0, 0, 3},
        {UINT64_C(0x1122334455667788), 900, 4, 40},
        {UINT64_C(0x1122334455667788), 901, 0, 7},
        {5, 2, 1000000, 1},
        {0, 0, 0, 1},
        {5, 3, 0, 4044},
    };
    const struct cluster_cards_head head = {.door = 1,
                                            .number = 2,
                                            .watermark_ns = 3,
                                            .left_out = 0xf0000000,
                                            .is_catching_up = true};
    struct cluster_cards_head got;
    struct byte_buf buf = BYTE_BUF_INIT;
    struct cluster_run run;
    struct lh_error error;
    const uint8_t *batch;
    size_t len, n_head;

    cluster_wire_put_cards(&buf, &head, runs, 6);
    n_head = buf.len;
    byte_buf_put(&buf, "rest", 4);
    ck_assert(!cluster_wire_get_cards(buf.data, buf.len, &got, &batch, &len,
                                      &error));
    ck_assert_uint_eq(got.left_out, 0xf0000000);
    ck_assert(got.is_catching_up && !got.is_file);
    ck_assert_uint_eq(len, 4);
    for (size_t i = 0; i < 6; i++) {
        ck_assert(cluster_wire_next_run(&got.runs, &run));
        ck_assert_uint_eq(run.agent, runs[i].agent);
        ck_assert_uint_eq(run.frame, runs[i].frame);
        ck_assert_uint_eq(run.first, runs[i].first);
        ck_assert_uint_eq(run.n, runs[i].n);
    }
    ck_assert(!cluster_wire_next_run(&got.runs, &run));
    for (size_t n = 0; n < n_head; n++) {
        ck_assert_int_eq(
            cluster_wire_get_cards(buf.data, n, &got, &batch, &len, &error),
            EBADMSG);
    }
    /* More postcards than a batch can have. */
    byte_buf_clear(&buf);
    cluster_wire_put_cards(
        &buf, &head,
        (const struct cluster_run[]){{5, 1, 0, 4096}, {0, 0, 0, 1}}, 2);
    ck_assert_int_eq(
        cluster_wire_get_cards(buf.data, buf.len, &got, &batch, &len, &error),
        EBADMSG);
    byte_buf_uninit(&buf);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_door");
    TCase *plain = tcase_create("wire"), *tcase = tcase_create("door");
    SRunner *runner;
    int n_failed;

    tcase_add_test(plain, test_wire);
    tcase_add_test(plain, test_wire_tells_of_agents);
    tcase_add_checked_fixture(tcase, door_fixture_setup,
                              door_fixture_teardown);
    tcase_add_test(tcase, test_all_arrive);
    tcase_add_test(tcase, test_few_do_not_wait);
    tcase_add_test(tcase, test_shards_have_turns);
    tcase_add_test(tcase, test_many_wait_for_two_turns);
    tcase_add_test(tcase, test_watermarks_go_on);
    tcase_add_test(tcase, test_watermarks_go_back_with_the_clock);
    tcase_add_test(tcase, test_announced);
    tcase_add_test(tcase, test_file_ends);
    tcase_add_test(tcase, test_visits);
    tcase_add_test(tcase, test_the_version_that_is_spoken);
    tcase_add_test(tcase, test_tunnels);
    tcase_set_timeout(tcase, 100);
    suite_add_tcase(suite, plain);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
