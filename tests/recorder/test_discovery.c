/* SPDX-License-Identifier: Apache-2.0 */
/* test_discovery - links, edges and forgeries, under a clock of our own. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "recorder/discovery.h"
#include "recorder/lldp.h"

#define SECOND UINT64_C(1000000000)

static const uint8_t key[SIPHASH_KEY_LEN] = {0, 1, 2,  3,  4,  5,  6,  7,
                                             8, 9, 10, 11, 12, 13, 14, 15};

/* A network: frames that discovery sends come in where a cable says. */
struct cable {
    uint64_t a_dpid, b_dpid;
    uint16_t a_port, b_port;
    bool is_cut;
};

static struct discovery *d;
static uint64_t now_ns;
static struct cable cables[8];
static size_t n_cables;
static size_t n_changes, n_up, n_down, n_sent;
static uint8_t last_frame[LLDP_FRAME_LEN];

/* Frames on their way: delivered when send() has returned. */
static struct {
    uint64_t dpid;
    uint16_t port;
    uint8_t frame[LLDP_FRAME_LEN];
} on_way[64];
static size_t n_on_way;

static void
deliver_to(uint64_t dpid, uint16_t port, const uint8_t *frame)
{
    ck_assert_uint_lt(n_on_way, 64);
    on_way[n_on_way].dpid = dpid;
    on_way[n_on_way].port = port;
    memcpy(on_way[n_on_way].frame, frame, LLDP_FRAME_LEN);
    n_on_way++;
}

static void
on_send(void *aux, uint64_t dpid, uint16_t port, const uint8_t *frame,
        size_t len)
{
    ck_assert_uint_eq(len, LLDP_FRAME_LEN);
    n_sent++;
    memcpy(last_frame, frame, len);
    for (size_t i = 0; i < n_cables; i++) {
        const struct cable *c = &cables[i];

        if (c->is_cut) {
            continue;
        }
        if (c->a_dpid == dpid && c->a_port == port) {
            deliver_to(c->b_dpid, c->b_port, frame);
        } else if (c->b_dpid == dpid && c->b_port == port) {
            deliver_to(c->a_dpid, c->a_port, frame);
        }
    }
}

static void
on_changed(void *aux, const struct topology *topology)
{
    n_changes++;
    ck_assert_ptr_eq(topology, discovery_topology(d));
}

static void
on_link(void *aux, bool is_up, uint64_t a_dpid, uint16_t a_port,
        uint64_t b_dpid, uint16_t b_port)
{
    ++*(is_up ? &n_up : &n_down);
}

static const struct discovery_callbacks callbacks = {on_send, on_changed,
                                                     on_link};

/* Lets time pass. */
static void
run_for(uint64_t ns)
{
    uint64_t end_ns = now_ns + ns;

    for (;;) {
        uint64_t next_ns = discovery_next_ns(d);

        if (next_ns > end_ns) {
            now_ns = end_ns;
            discovery_run(d, now_ns);
            return;
        }
        if (next_ns > now_ns) {
            now_ns = next_ns;
        }
        discovery_run(d, now_ns);
        for (size_t i = 0; i < n_on_way; i++) {
            discovery_frame(d, on_way[i].dpid, on_way[i].port, on_way[i].frame,
                            LLDP_FRAME_LEN, now_ns);
        }
        n_on_way = 0;
    }
}

static struct discovery_port
port(uint16_t no, const char *name)
{
    return (struct discovery_port){.no = no, .name = name};
}

/* Switch 'dpid' with ports 1 to 3 and LOCAL connects. */
static void
connect_switch(uint64_t dpid)
{
    struct discovery_port ports[] = {port(1, "p1"), port(2, "p2"),
                                     port(3, "p3"), port(OF_PORT_LOCAL, "br")};

    discovery_connected(d, dpid, "br", (uint16_t) dpid, NULL, now_ns);
    discovery_ports(d, dpid, ports, 4, now_ns);
}

static void
add_cable(uint64_t a_dpid, uint16_t a_port, uint64_t b_dpid, uint16_t b_port)
{
    cables[n_cables++] = (struct cable){a_dpid, b_dpid, a_port, b_port, false};
}

static bool
is_linked(uint64_t a_dpid, uint16_t a_port, uint64_t b_dpid, uint16_t b_port)
{
    const struct topology *t = discovery_topology(d);
    uint64_t dpid;
    uint32_t no;
    bool forth = topology_peer(t, a_dpid, a_port, &dpid, &no) &&
                 dpid == b_dpid && no == b_port;
    bool back = topology_peer(t, b_dpid, b_port, &dpid, &no) &&
                dpid == a_dpid && no == a_port;

    ck_assert_int_eq(forth, back);
    return forth;
}

static bool
is_edge(uint64_t dpid, uint16_t no)
{
    return topology_is_edge(discovery_topology(d), dpid, no);
}

static void
setup(void)
{
    now_ns = 100 * SECOND;
    n_cables = n_changes = n_up = n_down = n_sent = n_on_way = 0;
    d = discovery_create(key, NULL, &callbacks, NULL);
}

static void
teardown(void)
{
    discovery_destroy(d);
}

START_TEST(links_and_edges_are_known_within_a_second)
{
    add_cable(1, 2, 2, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);
    ck_assert(is_linked(1, 2, 2, 1));
    ck_assert(is_edge(1, 1) && is_edge(1, 3) && is_edge(2, 2) &&
              is_edge(2, 3));
    ck_assert(is_edge(1, OF_PORT_LOCAL));
    ck_assert(!is_edge(1, 2) && !is_edge(2, 1));
    ck_assert_uint_eq(n_up, 1);
}
END_TEST

START_TEST(epoch_rises_only_with_a_change)
{
    uint64_t epoch;

    add_cable(1, 2, 2, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);
    epoch = topology_epoch(discovery_topology(d));
    ck_assert_uint_eq(epoch, n_changes);
    run_for(60 * SECOND);
    connect_switch(1);
    ck_assert_uint_eq(topology_epoch(discovery_topology(d)), epoch);
    ck_assert_uint_eq(n_changes, epoch);
}
END_TEST

START_TEST(silent_link_times_out_and_its_ports_become_edges)
{
    add_cable(1, 2, 2, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(10 * SECOND);
    cables[0].is_cut = true;
    run_for(DISCOVERY_TIMEOUT_NS / 2);
    ck_assert(is_linked(1, 2, 2, 1));
    run_for(DISCOVERY_TIMEOUT_NS);
    ck_assert(!is_linked(1, 2, 2, 1));
    ck_assert_uint_eq(n_down, 1);
    run_for(DISCOVERY_ROUND_NS + SECOND);
    ck_assert(is_edge(1, 2) && is_edge(2, 1));
    cables[0].is_cut = false;
    run_for(DISCOVERY_ROUND_NS);
    ck_assert(is_linked(1, 2, 2, 1));
    ck_assert(!is_edge(1, 2));
}
END_TEST

START_TEST(port_that_goes_down_or_away_ends_its_link_at_once)
{
    struct discovery_port ports[] = {port(1, "p1"), port(2, "p2")};

    add_cable(1, 2, 2, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);
    ports[1].is_down = true;
    discovery_ports(d, 1, ports, 2, now_ns);
    ck_assert(!is_linked(1, 2, 2, 1));
    ck_assert(topology_port(discovery_topology(d), 1, 2)->down);
    ports[1].is_down = false;
    discovery_ports(d, 1, ports, 2, now_ns);
    run_for(SECOND);
    ck_assert(is_linked(1, 2, 2, 1));
    discovery_ports(d, 1, ports, 1, now_ns);
    ck_assert(!is_linked(1, 2, 2, 1));
    ck_assert_ptr_null(topology_port(discovery_topology(d), 1, 2));
}
END_TEST

START_TEST(link_of_a_switch_that_is_away_stays)
{
    add_cable(1, 2, 2, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);
    discovery_disconnected(d, 2);
    run_for(10 * DISCOVERY_TIMEOUT_NS);
    ck_assert(is_linked(1, 2, 2, 1));
    connect_switch(2);
    run_for(SECOND);
    ck_assert(is_linked(1, 2, 2, 1));
    ck_assert_uint_eq(n_down, 0);
}
END_TEST

START_TEST(restart_begins_with_what_was_known)
{
    struct topology *known;
    uint64_t epoch;

    add_cable(1, 2, 2, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);

    json_t *json = topology_to_json(discovery_topology(d));

    ck_assert_int_eq(topology_from_json(json, &known, NULL), 0);
    json_decref(json);
    discovery_destroy(d);
    epoch = topology_epoch(known);
    now_ns = 5 * SECOND; /* Another clock. */
    d = discovery_create(key, known, &callbacks, NULL);
    topology_unref(known);
    ck_assert(is_linked(1, 2, 2, 1));
    ck_assert(is_edge(1, 1));
    connect_switch(1);
    connect_switch(2);
    run_for(60 * SECOND);
    ck_assert(is_linked(1, 2, 2, 1));
    ck_assert_uint_eq(topology_epoch(discovery_topology(d)), epoch);
}
END_TEST

START_TEST(forged_replayed_and_foreign_frames_make_no_link)
{
    uint8_t frame[LLDP_FRAME_LEN];
    struct lldp lldp = {1, 3, now_ns};
    uint8_t other_key[SIPHASH_KEY_LEN] = {1};

    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);

    lldp_encode(&lldp, (const uint8_t *) "\2\0\0\0\0\1", other_key, frame);
    discovery_frame(d, 2, 3, frame, sizeof frame, now_ns);
    ck_assert_uint_eq(discovery_counters(d)->forged, 1);

    lldp_encode(&lldp, (const uint8_t *) "\2\0\0\0\0\1", key, frame);
    discovery_frame(d, 2, 3, frame, sizeof frame,
                    now_ns + DISCOVERY_MAX_AGE_NS + 1);
    ck_assert_uint_eq(discovery_counters(d)->late, 1);

    for (size_t len = 0; len < 70; len++) {
        discovery_frame(d, 2, 3, frame, len, now_ns);
    }
    ck_assert_uint_eq(discovery_counters(d)->malformed, 70);

    lldp.dpid = 77;
    lldp_encode(&lldp, (const uint8_t *) "\2\0\0\0\0\1", key, frame);
    discovery_frame(d, 2, 3, frame, sizeof frame, now_ns);
    ck_assert_uint_eq(discovery_counters(d)->unknown, 1);
    ck_assert_uint_eq(n_up, 0);
}
END_TEST

START_TEST(every_changed_bit_of_a_frame_is_noticed)
{
    uint8_t frame[LLDP_FRAME_LEN];
    struct lldp lldp = {0x0102030405060708, 513, 99}, back;

    lldp_encode(&lldp, (const uint8_t *) "\2\0\0\0\0\1", key, frame);
    ck_assert_int_eq(lldp_decode(frame, sizeof frame, key, &back), LLDP_OK);
    ck_assert_uint_eq(back.dpid, lldp.dpid);
    ck_assert_uint_eq(back.port, lldp.port);
    ck_assert_uint_eq(back.time_ns, 99);
    for (size_t bit = 0; bit < 30 * 8; bit++) {
        uint8_t bad[LLDP_FRAME_LEN];

        memcpy(bad, frame, sizeof bad);
        bad[47 + bit / 8] ^= (uint8_t) (1 << bit % 8);
        ck_assert_int_ne(lldp_decode(bad, sizeof bad, key, &back), LLDP_OK);
    }
}
END_TEST

START_TEST(shared_segment_keeps_its_first_link)
{
    add_cable(1, 2, 2, 1);
    add_cable(1, 2, 3, 1);
    connect_switch(1);
    connect_switch(2);
    run_for(SECOND);
    connect_switch(3);
    run_for(2 * SECOND);
    ck_assert(is_linked(1, 2, 2, 1));
    ck_assert(!is_linked(1, 2, 3, 1));
    ck_assert_uint_gt(discovery_counters(d)->ambiguous, 0);
}
END_TEST

START_TEST(ports_that_are_down_or_away_are_sent_nothing)
{
    struct discovery_port ports[] = {port(1, "p1"), port(OF_PORT_LOCAL, "b")};

    ports[0].is_down = true;
    discovery_connected(d, 1, NULL, 1, NULL, now_ns);
    discovery_ports(d, 1, ports, 2, now_ns);
    run_for(20 * SECOND);
    ck_assert_uint_eq(n_sent, 0);
    ck_assert_uint_eq(discovery_next_ns(d), UINT64_MAX);
    ports[0].is_down = false;
    discovery_ports(d, 1, ports, 2, now_ns);
    run_for(DISCOVERY_ROUND_NS - 1);
    ck_assert_uint_eq(n_sent, 3); /* The quick rounds. */
    discovery_disconnected(d, 1);
    run_for(20 * SECOND);
    ck_assert_uint_eq(n_sent, 3);
}
END_TEST

START_TEST(siphash_gives_its_authors_vectors)
{
    uint8_t message[64];

    for (int i = 0; i < 64; i++) {
        message[i] = (uint8_t) i;
    }
    /* From the reference implementation: lengths 0, 1, 8, 15 and 63. */
    ck_assert_uint_eq(siphash(key, message, 0), 0x726fdb47dd0e0e31ULL);
    ck_assert_uint_eq(siphash(key, message, 1), 0x74f839c593dc67fdULL);
    ck_assert_uint_eq(siphash(key, message, 8), 0x93f5f5799a932462ULL);
    ck_assert_uint_eq(siphash(key, message, 15), 0xa129ca6149be45e5ULL);
    ck_assert_uint_eq(siphash(key, message, 63), 0x958a324ceb064572ULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("discovery");
    TCase *tc = tcase_create("discovery");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, links_and_edges_are_known_within_a_second);
    tcase_add_test(tc, epoch_rises_only_with_a_change);
    tcase_add_test(tc, silent_link_times_out_and_its_ports_become_edges);
    tcase_add_test(tc, port_that_goes_down_or_away_ends_its_link_at_once);
    tcase_add_test(tc, link_of_a_switch_that_is_away_stays);
    tcase_add_test(tc, restart_begins_with_what_was_known);
    tcase_add_test(tc, forged_replayed_and_foreign_frames_make_no_link);
    tcase_add_test(tc, every_changed_bit_of_a_frame_is_noticed);
    tcase_add_test(tc, shared_segment_keeps_its_first_link);
    tcase_add_test(tc, ports_that_are_down_or_away_are_sent_nothing);
    tcase_add_test(tc, siphash_gives_its_authors_vectors);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
