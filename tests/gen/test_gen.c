/* SPDX-License-Identifier: Apache-2.0 */
/* test_gen - a stream is what its config says, the same every time, in order
 * of time. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "gen/gen_options.h"
#include "gen/gen_topology.h"
#include "lib/hdr.h"
#include "lib/inet_sum.h"
#include "lib/of_port.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct gen_config config;
static struct gen_counters counters; /* Of the last stream. */
static uint64_t n_walks, n_cards;

static void
setup(void)
{
    gen_config_init(&config);
    config.n_packets = 2000;
}

static void
set_preset(const char *name)
{
    struct lh_error error;
    char *path;

    ck_assert_int_eq(gen_config_preset(&config, name, NULL, &path, &error), 0);
}

static void
count_walk(void *aux, const struct gen_walk *walk)
{
    n_walks++;
    for (size_t i = 0; i < walk->n_cards; i++) {
        n_cards += walk->cards[i].n_copies;
    }
}

static struct gen *
create(void)
{
    struct lh_error error;
    struct gen *gen;

    if (gen_create(&config, &gen, &error)) {
        ck_abort_msg("%s", error.text);
    }
    return gen;
}

/* Calls 'each' for all frames of the config's stream; returns the hash of
 * times and bytes. */
static uint64_t
run(size_t batch, void (*each)(struct gen *, const struct gen_frame *))
{
    struct gen *gen = create();
    XXH64_state_t *state = XXH64_createState();
    struct gen_frame frames[GEN_BATCH];
    struct lh_error error;
    uint64_t last_ns = 0, hash;
    size_t n;

    XXH64_reset(state, 0);
    gen_set_on_walk(gen, count_walk, NULL);
    n_walks = n_cards = 0;
    do {
        ck_assert_int_eq(gen_next(gen, frames, batch, &n, &error), 0);
        ck_assert_uint_le(n, batch);
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_ge(frames[i].time_ns, last_ns);
            last_ns = frames[i].time_ns;
            XXH64_update(state, &frames[i].time_ns, 8);
            XXH64_update(state, frames[i].data, frames[i].len);
            if (each) {
                each(gen, &frames[i]);
            }
        }
    } while (n);
    counters = *gen_get_counters(gen);
    ck_assert_uint_eq(counters.packets, n_walks);
    ck_assert_uint_eq(counters.postcards, n_cards);
    hash = XXH64_digest(state);
    XXH64_freeState(state);
    gen_destroy(gen);
    return hash;
}

/* What was made up once is made up for ever: who changes these changes what
 * figures were measured on, and says so. */
START_TEST(a_seed_always_gives_the_same)
{
    static const struct {
        const char *preset;
        uint64_t seed;
        uint64_t hash;
    } golden[] = {
        {"fabric", 1, UINT64_C(0x3140a6f223abdea3)},
        {"fabric", 2, UINT64_C(0x102c99619d7fad13)},
        {"trouble", 1, UINT64_C(0x5e9694a4271dc962)},
        {"faults", 1, UINT64_C(0xe9bec48eae005812)},
    };
    uint64_t hash;

    set_preset(golden[_i].preset);
    config.seed = golden[_i].seed;
    hash = run(GEN_BATCH, NULL);
    ck_assert_msg(hash == golden[_i].hash, "%s, seed %" PRIu64 ": %016" PRIx64,
                  golden[_i].preset, golden[_i].seed, hash);
}
END_TEST

START_TEST(batches_make_no_difference)
{
    uint64_t hash;

    set_preset("faults");
    hash = run(1, NULL);
    ck_assert_uint_eq(run(7, NULL), hash);
    ck_assert_uint_eq(run(GEN_BATCH, NULL), hash);
}
END_TEST

/* --- What frames hold. ----------------------------------------------------
 */

static uint64_t hop_ns[3]; /* Sum, least and most from hop to hop. */
static uint64_t n_hops, first_ns;

/* The packets come one after the other, so that hops follow each other. */
static void
measure_hop(struct gen *gen, const struct gen_frame *frame)
{
    struct hdr outer;
    struct postcard p;
    uint64_t ns;

    ck_assert_int_eq(
        postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p),
        POSTCARD_OK);
    if (topology_is_edge(gen_net_topology(gen_get_net(gen)), p.dpid,
                         p.in_port)) {
        first_ns = frame->time_ns;
        return;
    }
    ns = frame->time_ns - first_ns;
    first_ns = frame->time_ns;
    hop_ns[0] += ns;
    hop_ns[1] = n_hops && hop_ns[1] < ns ? hop_ns[1] : ns;
    hop_ns[2] = n_hops && hop_ns[2] > ns ? hop_ns[2] : ns;
    n_hops++;
}

START_TEST(hops_take_as_long_as_is_said)
{
    static const struct {
        const char *text;
        double mean, min, max; /* In us. */
    } delays[] = {
        {"10us", 10, 10, 10.1},
        {"uniform:5us-50us", 27.5, 5, 50.1},
        {"normal:20us,2us", 20, 5, 35},
        {"exp:20us", 20, 0, 400},
    };
    struct lh_error error;
    double mean;

    ck_assert_int_eq(
        gen_delay_parse(delays[_i].text, &config.hop_delay, &error), 0);
    config.rate = 1;
    config.n_packets = 500;
    config.n_hops = 5;
    n_hops = 0;
    hop_ns[0] = 0;
    run(GEN_BATCH, measure_hop);
    ck_assert_uint_eq(n_hops, 4 * config.n_packets);
    mean = (double) hop_ns[0] / (double) n_hops / 1000;
    ck_assert_double_lt(fabs(mean - delays[_i].mean), delays[_i].mean * 0.05);
    ck_assert_double_ge((double) hop_ns[1] / 1000, delays[_i].min);
    ck_assert_double_le((double) hop_ns[2] / 1000, delays[_i].max);
}
END_TEST

static void
check_stamp(struct gen *gen, const struct gen_frame *frame)
{
    ck_assert_uint_eq(frame->time_ns % 1000, 0);
}

START_TEST(stamps_are_whole_microseconds)
{
    set_preset("faults");
    config.is_micro = true;
    run(GEN_BATCH, check_stamp);
}
END_TEST

/* A captured checksum is right when the rest of the packet is zeros. */
static void
check_sums(struct gen *gen, const struct gen_frame *frame)
{
    struct hdr outer, h;
    struct postcard p;
    uint8_t ip[20];

    postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p);
    ck_assert_uint_le(p.caplen, config.snap);
    ck_assert_int_eq(hdr_parse(p.header, p.caplen, &h), HDR_OK);
    if (h.is_ip4) {
        memcpy(ip, p.header + h.l3_ofs, sizeof ip);
        ip[10] = ip[11] = 0;
        ck_assert_uint_eq(inet_sum(ip, sizeof ip),
                          p.header[h.l3_ofs + 10] << 8 |
                              p.header[h.l3_ofs + 11]);
    }
}

START_TEST(packets_are_well_formed_at_every_hop)
{
    set_preset("fabric");
    config.snap = (uint16_t) (96 + _i * 100);
    run(GEN_BATCH, check_sums);
}
END_TEST

static bool
find_switch(void *aux, uint16_t index, uint64_t *dpid)
{
    *dpid = index;
    return true;
}

static void
check_mac(struct gen *gen, const struct gen_frame *frame)
{
    struct postcard_mac_config mac = {.vlan = 100, .find_switch = find_switch};
    struct postcard p;
    uint8_t buf[200];

    ck_assert_int_eq(postcard_mac_decode(&mac, frame->data, frame->len, buf,
                                         sizeof buf, &p),
                     POSTCARD_OK);
    ck_assert_ptr_nonnull(
        gen_net_find_rule(gen_get_net(gen), p.dpid, p.version));
}

START_TEST(mac_postcards_name_switch_and_rule)
{
    set_preset("trouble");
    config.encap = GEN_MAC;
    config.mac_vlan = 100;
    run(GEN_BATCH, check_mac);
}
END_TEST

/* --- What befalls. --------------------------------------------------------
 */

START_TEST(shares_are_kept)
{
    set_preset("faults");
    config.n_packets = 20000;
    config.traffic.n_flows = 20000;
    run(GEN_BATCH, NULL);
    for (enum gen_kind kind = GEN_MIXED; kind < GEN_TUNNEL; kind++) {
        /* 3 of 100 flows, of which few have many packets. */
        ck_assert_msg(counters.kinds[kind] > 200, "%s: %" PRIu64,
                      gen_kind_name(kind), counters.kinds[kind]);
    }
    ck_assert_uint_gt(counters.lost, counters.postcards / 60);
    ck_assert_uint_lt(counters.lost, counters.postcards / 40);
    ck_assert_uint_gt(counters.doubled, counters.postcards / 120);
    ck_assert_uint_lt(counters.doubled, counters.postcards / 80);
    ck_assert_uint_gt(counters.renewed, 0);
    ck_assert_uint_gt(counters.packets, config.n_packets - 5);
}
END_TEST

/* --- Networks. ------------------------------------------------------------
 */

START_TEST(networks_have_their_size)
{
    static const struct {
        const char *text;
        size_t n_switches, n_edges, n_hops;
    } nets[] = {
        {"line:1", 1, 2, 1},        {"line:5", 5, 10, 5},
        {"ring:6", 6, 12, 4},       {"fat-tree:4", 20, 16, 5},
        {"fat-tree:8", 80, 128, 5}, {"leaf-spine:8x2", 10, 16, 3},
    };
    struct gen_topology_options options = {0};
    struct topology *topology;
    struct lh_error error;
    struct gen_net *net;
    size_t n_hops_most = 0;

    ck_assert_int_eq(
        gen_topology_create(nets[_i].text, &options, &topology, &error), 0);
    net = gen_net_create(topology, false, 1);
    topology_unref(topology);
    ck_assert_uint_eq(gen_net_n_switches(net), nets[_i].n_switches);
    ck_assert_uint_eq(gen_net_n_edges(net), nets[_i].n_edges);
    for (size_t i = 0; i < gen_net_n_edges(net); i++) {
        size_t far = gen_net_distance(net, gen_net_edge(net, 0)->sw,
                                      gen_net_edge(net, i)->sw);

        n_hops_most = far + 1 > n_hops_most ? far + 1 : n_hops_most;
    }
    ck_assert_uint_eq(n_hops_most, nets[_i].n_hops);
    gen_net_destroy(net);
}
END_TEST

/* --- Bad input. -----------------------------------------------------------
 */

START_TEST(bad_options_are_explained)
{
    static const struct {
        const char *option, *value, *reason;
    } bad[] = {
        {"--topology", "mesh:4", "topology \"mesh:4\": give line:N"},
        {"--topology", "fat-tree:5", "k must be even"},
        {"--topology", "line:0", "from 1 to 500"},
        {"--topology", "line:5x", "give line:N"},
        {"--topology", "absent.json", "absent.json: No such file"},
        {"--hops", "9", "no two edge ports with 9 switches"},
        {"--hop-delay", "uniform:50us-5us", "is no delay"},
        {"--hop-delay", "gamma:1us", "is no delay"},
        {"--hop-delay", "5", "is no delay"},
        {"--nat", "5", "--nat 5: must be a share like 2%"},
        {"--nat", "101%", "must be a share"},
        {"--nat", ".%", "must be a share"},
        {"--reorder", "5%", "a share and a time like 5%:500us"},
        {"--skew", "1 us", "is no time"},
        {"--snap", "53", "from 54 to 9216"},
        {"--sizes", "fixed:20", "give imix, fixed:N"},
        {"--encap", "vxlan", "must be geneve or mac"},
        {"--preset", "best", "\"best\" is no preset"},
        {"--trace", "absent.pcap", "absent.pcap: No such file"},
        {"--trace", "/dev/null", "not a capture file"},
        {"--count", "0", "a number of packets"},
        {"--rate", "-1", "from 1 to 1000000000"},
        {"--colour", "red", "unknown option --colour"},
    };
    char *argv[] = {(char *) (uintptr_t) "lasthop-gen",
                    (char *) (uintptr_t) bad[_i].option,
                    (char *) (uintptr_t) bad[_i].value,
                    (char *) (uintptr_t) "/tmp", NULL};
    struct gen_options options;
    struct lh_error error;
    struct gen *gen;
    int retval = gen_options_parse(&options, 4, argv, &error);

    if (!retval) {
        retval = gen_create(&options.config, &gen, &error);
    }
    ck_assert_int_ne(retval, 0);
    ck_assert_msg(strstr(error.text, bad[_i].reason), "%s", error.text);
    gen_options_uninit(&options);
}
END_TEST

START_TEST(shares_above_all_are_refused)
{
    struct lh_error error;
    struct gen *gen;

    config.shares[GEN_NAT] = config.shares[GEN_DROP] = GEN_RANDOM_ALL;
    ck_assert_int_eq(gen_create(&config, &gen, &error), EINVAL);
    ck_assert_str_eq(error.text,
                     "the shares of flows are 200 % altogether: at most 100");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gen");
    TCase *tc = tcase_create("gen");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, a_seed_always_gives_the_same, 0, 4);
    tcase_add_test(tc, batches_make_no_difference);
    tcase_add_loop_test(tc, hops_take_as_long_as_is_said, 0, 4);
    tcase_add_test(tc, stamps_are_whole_microseconds);
    tcase_add_loop_test(tc, packets_are_well_formed_at_every_hop, 0, 3);
    tcase_add_test(tc, mac_postcards_name_switch_and_rule);
    tcase_add_test(tc, shares_are_kept);
    tcase_add_loop_test(tc, networks_have_their_size, 0, 6);
    tcase_add_loop_test(tc, bad_options_are_explained, 0, 23);
    tcase_add_test(tc, shares_above_all_are_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
