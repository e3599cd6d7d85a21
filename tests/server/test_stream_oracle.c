/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream_oracle - what the path table makes of a stream of postcards,
 * with everything that may befall packets and every fault of postcards, is
 * true as far as it goes.
 *
 * LASTHOP_STREAM_PACKETS says how many packets, LASTHOP_ORACLE_SEED which. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "server/path_table.h"
#include "tests/server/oracle.h"
#include "tests/server/oracle_check.h"

#define N_PACKETS 50000
#define N_STREAM  50000 /* Packets of one stream; more are several. */
#define N_BUCKETS 65536

/* All that is known of one packet ID. */
struct known {
    struct known *next;
    uint64_t packet_id;
    bool has_blind_rounds;
    bool is_open; /* Nothing tells its packets apart. */
    bool links_changed;
    size_t n_packets, allocated_packets;
    struct oracle_packet **packets; /* Owned. */
    size_t n_histories, allocated_histories;
    struct history **histories; /* Owned. */
};

struct stream {
    struct gen *gen; /* Owned. */
    struct gen_config config;
    struct path_table *paths; /* Owned. */
    struct known *buckets[N_BUCKETS];
    size_t n_false, n_open;
    size_t n_known, n_right; /* IDs, and of how many all is known and true. */
    size_t n_changed;        /* IDs with links that changed. */
};

static struct {
    size_t n_known, n_right, n_changed;
} total; /* Of all streams of a preset. */

static struct known *
find_known(struct stream *s, uint64_t packet_id)
{
    struct known **bucket = &s->buckets[packet_id % N_BUCKETS];
    struct known *known = *bucket;

    while (known && known->packet_id != packet_id) {
        known = known->next;
    }
    if (!known) {
        known = lh_alloc_zero(sizeof *known);
        known->packet_id = packet_id;
        known->next = *bucket;
        *bucket = known;
    }
    return known;
}

/* A group is judged at the end of its window at the latest. */
#define BEFORE_NS 1200000000u
#define AFTER_NS  400000000u

static bool
has_changes(const struct stream *s, const struct gen_walk *walk)
{
    const struct gen_links *links = gen_get_links(s->gen);
    uint64_t time_ns = walk->visits[0].time_ns;

    for (size_t i = 0; links && i < gen_links_n_changes(links); i++) {
        uint64_t change_ns = gen_links_change(links, i)->time_ns;

        if (change_ns < time_ns + BEFORE_NS &&
            time_ns < change_ns + AFTER_NS) {
            return true;
        }
    }
    return false;
}

/* Links have changed and nobody knows it yet: branches that are alike are then
 * told by links that were. */
static bool
is_before_news(const struct stream *s, const struct gen_walk *walk)
{
    const struct gen_links *links = gen_get_links(s->gen);
    uint64_t time_ns = walk->visits[0].time_ns;

    for (size_t i = 0; links && i < gen_links_n_changes(links); i++) {
        const struct gen_links_change *change = gen_links_change(links, i);

        if (change->time_ns < time_ns + 2000000 &&
            time_ns < change->news_ns + 2000000) {
            return true;
        }
    }
    return false;
}

/* Links that changed may lead round where nothing tells the rounds apart. */
static bool
has_loop(const struct gen_walk *walk)
{
    for (size_t i = 0; i < walk->n_visits; i++) {
        for (int k = walk->visits[i].parent; k >= 0;
             k = walk->visits[k].parent) {
            if (walk->visits[k].sw == walk->visits[i].sw &&
                walk->visits[k].in_port == walk->visits[i].in_port) {
                return true;
            }
        }
    }
    return false;
}

static void
on_topology(void *s_, const struct topology *topology, uint64_t time_ns)
{
    struct stream *s = s_;

    path_table_change_topology(s->paths, topology, time_ns);
}

static void
on_walk(void *s_, const struct gen_walk *walk)
{
    struct stream *s = s_;
    struct oracle_packet *packet =
        oracle_packet_of_walk(walk, &s->config.id_config, s->config.snap);
    struct known *known = find_known(s, packet->truth->packet_id);
    bool has_table = walk->route->spec.kind == GEN_PACKET_OUT_TABLE;

    known->packets =
        lh_alloc_grow(known->packets, known->n_packets,
                      &known->allocated_packets, sizeof *known->packets);
    known->packets[known->n_packets++] = packet;
    /* Of several packets what remains may fit together; and some things are
     * told by time alone, which says little here. */
    known->has_blind_rounds = known->has_blind_rounds ||
                              walk->route->is_blind || has_table ||
                              known->n_packets > 1;
    known->links_changed = known->links_changed || has_changes(s, walk);
    known->has_blind_rounds = known->has_blind_rounds ||
                              (s->config.link_change_ns &&
                               (has_loop(walk) || is_before_news(s, walk)));
    known->is_open = known->is_open || (has_table && known->n_packets > 1);
}

static void
emit(void *s_, struct history *h)
{
    struct stream *s = s_;
    struct known *known = find_known(s, h->packet_id);

    ck_assert(h->has_packet_id);
    known->histories =
        lh_alloc_grow(known->histories, known->n_histories,
                      &known->allocated_histories, sizeof *known->histories);
    known->histories[known->n_histories++] = h;
}

static const struct rule *
find_rule(void *s_, uint64_t dpid, uint32_t version)
{
    struct stream *s = s_;

    return gen_net_find_rule(gen_get_net(s->gen), dpid, version);
}

static void
add_frame(struct stream *s, const struct gen_frame *frame)
{
    struct postcard p;
    struct hdr outer, h;

    ck_assert_int_eq(
        postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p),
        POSTCARD_OK);
    p.time_ns = frame->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(&s->config.id_config, p.header, p.caplen, &h,
                         &p.packet_id) != PACKET_ID_SHORT;
    path_table_add(s->paths, &p);
    path_table_run(s->paths, p.time_ns);
}

/* Checks what is known of one ID, and forgets it. */
static void
settle(struct stream *s, struct known *known)
{
    struct oracle_check c = {
        .packets = known->packets,
        .n_packets = known->n_packets,
        .histories = known->histories,
        .n_histories = known->n_histories,
        .has_blind_rounds = known->has_blind_rounds,
        .links_changed = known->links_changed,
    };
    struct lh_error error;
    int exact = oracle_check_exact(&c, &error);
    int result = s->config.loss || known->n_packets > 1 || c.links_changed
                     ? oracle_check_lossy(&c, &error)
                     : exact;

    s->n_known++;
    s->n_right += !exact;
    s->n_changed += known->links_changed;

    if (result && known->is_open) {
        s->n_open++;
    } else if (result && s->n_false++ < 5) {
        fprintf(stderr, "%016" PRIx64 ": %s\n", known->packet_id, error.text);
        oracle_check_dump(&c);
    }
    for (size_t i = 0; i < known->n_packets; i++) {
        oracle_packet_destroy(known->packets[i]);
    }
    for (size_t i = 0; i < known->n_histories; i++) {
        history_destroy(known->histories[i]);
    }
    free(known->packets);
    free(known->histories);
    free(known);
}

static void
run(const char *preset, size_t n_packets, uint64_t seed)
{
    struct stream *s = lh_alloc_zero(sizeof *s);
    struct path_table_config paths = {
        .emit = emit,
        .find_rule = find_rule,
        .aux = s,
        .max_plain = seed & 2 ? 0 : 100, /* Some with folded postcards. */
    };
    struct path_table_counters counters;
    struct gen_frame frames[256];
    struct lh_error error;
    char *path;
    size_t n;

    gen_config_init(&s->config);
    if (!strcmp(preset, "all")) {
        gen_config_set_all(&s->config);
        s->config.traffic.has_zero_ids = seed & 1;
    } else {
        ck_assert_int_eq(
            gen_config_preset(&s->config, preset, NULL, &path, &error), 0);
    }
    s->config.seed = seed;
    s->config.n_packets = n_packets;
    ck_assert_int_eq(gen_create(&s->config, &s->gen, &error), 0);
    gen_set_on_walk(s->gen, on_walk, s);
    gen_set_on_topology(s->gen, on_topology, s);
    paths.id_config = s->config.id_config;
    s->paths = path_table_create(&paths);
    path_table_change_topology(s->paths, gen_net_topology(gen_get_net(s->gen)),
                               1);
    do {
        ck_assert_int_eq(gen_next(s->gen, frames, 256, &n, &error), 0);
        for (size_t i = 0; i < n; i++) {
            add_frame(s, &frames[i]);
        }
    } while (n);
    path_table_flush(s->paths);
    path_table_get_counters(s->paths, &counters);
    ck_assert_uint_eq(counters.in, gen_get_counters(s->gen)->postcards);
    ck_assert_uint_eq(counters.out + counters.duplicates + counters.ambiguous,
                      counters.in);
    for (size_t i = 0; i < N_BUCKETS; i++) {
        while (s->buckets[i]) {
            struct known *known = s->buckets[i];

            s->buckets[i] = known->next;
            settle(s, known);
        }
    }
    ck_assert_msg(!s->n_false,
                  "%zu packet IDs of which something false is "
                  "said",
                  s->n_false);
    ck_assert_uint_le(s->n_open, n_packets / 10000);
    total.n_known += s->n_known;
    total.n_right += s->n_right;
    total.n_changed += s->n_changed;
    path_table_destroy(s->paths);
    gen_destroy(s->gen);
    free(s);
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* In streams of N_STREAM, each with a seed of its own. */
static void
run_all(const char *preset)
{
    uint64_t n = setting("LASTHOP_STREAM_PACKETS", N_PACKETS);
    uint64_t seed = setting("LASTHOP_ORACLE_SEED", 1) * 1000;

    for (; n > N_STREAM; n -= N_STREAM) {
        run(preset, N_STREAM, seed++);
    }
    run(preset, n, seed);
    printf("%s: of %zu packet IDs all is known and true of %zu (%.2f %%), "
           "links changed by %zu\n",
           preset, total.n_known, total.n_right,
           100.0 * (double) total.n_right / (double) total.n_known,
           total.n_changed);
}

START_TEST(a_stream_comes_out_as_it_was)
{
    run_all("trouble");
}
END_TEST

START_TEST(nothing_false_is_said_of_a_stream_with_faults)
{
    run_all("faults");
}
END_TEST

START_TEST(nothing_false_is_said_while_links_change_too)
{
    run_all("all");
    ck_assert_uint_gt(total.n_changed, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stream_oracle");
    TCase *tc = tcase_create("stream");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 3600);
    tcase_add_test(tc, a_stream_comes_out_as_it_was);
    tcase_add_test(tc, nothing_false_is_said_of_a_stream_with_faults);
    suite_add_tcase(suite, tc);
    tc = tcase_create("links");
    tcase_set_timeout(tc, 3600);
    tcase_add_test(tc, nothing_false_is_said_while_links_change_too);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
