/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of how received packets are shared out (server/ingest, server/sieve):
 * each is taken once, all postcards of a packet by the same, and what the
 * sieve leaves out nobody misses. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "gen/gen_config.h"
#include "lib/lh_alloc.h"
#include "server/ingest.h"
#include "server/sieve.h"

#define N_PACKETS  3000
#define MAX_SHARES 5

static struct gen *gen;
static struct ingest_packet *packets;
static size_t n_packets;

static void
make(const char *preset, enum gen_encap encap, uint16_t snap)
{
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    size_t n, allocated = 0;
    char *path;

    gen_config_init(&config);
    ck_assert_int_eq(gen_config_preset(&config, preset, NULL, &path, &error),
                     0);
    config.n_packets = N_PACKETS;
    config.encap = encap;
    config.snap = snap;
    ck_assert_int_eq(gen_create(&config, &gen, &error), 0);
    packets = NULL;
    n_packets = 0;
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            /* Every hundredth is cut, every other one spoilt. */
            bool is_cut = n_packets % 100 == 7;
            uint8_t *data = lh_memdup(batch[i].data, batch[i].len);

            if (n_packets % 100 == 57) {
                data[n_packets % batch[i].len] ^= 0x55;
            }
            packets =
                lh_alloc_grow(packets, n_packets, &allocated, sizeof *packets);
            packets[n_packets++] = (struct ingest_packet){
                .data = data,
                .time_ns = batch[i].time_ns,
                .len = is_cut ? batch[i].len / 2 : batch[i].len,
            };
        }
    }
    free(path);
}

static void
destroy(void)
{
    for (size_t i = 0; i < n_packets; i++) {
        free((uint8_t *) packets[i].data);
    }
    free(packets);
    gen_destroy(gen);
}

/* One share, and what was given to it. */
struct taker {
    struct ingest *ingest;
    struct rule_cache *rules;
    size_t n_given;
    uint64_t sum; /* Of all that is in the postcards. */
    uint64_t *ids;
    size_t n_ids, allocated;
};

static void
give(void *taker_, const struct postcard *p)
{
    struct taker *taker = taker_;

    taker->n_given++;
    taker->sum += (p->packet_id ^ p->dpid ^ p->time_ns << 1) *
                  UINT64_C(0x9e3779b97f4a7c15);
    if (p->has_id) {
        taker->ids = lh_alloc_grow(taker->ids, taker->n_ids, &taker->allocated,
                                   sizeof *taker->ids);
        taker->ids[taker->n_ids++] = p->packet_id;
    }
}

/* Moves what the sieve leaves to a share to the front; returns how many. */
static size_t
run_sieve(uint32_t n_shares, uint32_t share, uint32_t id_bytes,
          struct ingest_packet *left)
{
    struct sieve sieve = {n_shares, id_bytes};
    size_t n = 0;

    for (size_t i = 0; i < n_packets; i++) {
        uint32_t found = sieve_share(&sieve, &packets[i]);

        ck_assert(found < n_shares || found == SIEVE_ANY);
        if (found == share || found == SIEVE_ANY) {
            left[n] = packets[i];
            left[n++].is_mine = found == share;
        }
    }
    return n;
}

static void
take_all(struct taker *taker, uint32_t n_shares, uint32_t share,
         bool has_sieve, uint16_t id_bytes)
{
    struct packet_id_config id = PACKET_ID_CONFIG_INIT;
    struct ingest_config config = {
        .n_shares = n_shares,
        .share = share,
        .mac_vlan = 4094,
        .give = give,
        .aux = taker,
    };
    struct rule_cache_config rules = {0};
    struct ingest_packet *left =
        lh_memdup(packets, n_packets * sizeof *packets);
    size_t n = n_packets;

    id.n_bytes = id_bytes;
    memset(taker, 0, sizeof *taker);
    taker->rules = rule_cache_create(&rules);
    config.id_config = id;
    config.rules = taker->rules;
    taker->ingest = ingest_create(&config);
    ingest_set_topology(taker->ingest, gen_net_topology(gen_get_net(gen)));
    if (has_sieve) {
        n = run_sieve(n_shares, share, id_bytes, left);
    }
    for (size_t i = 0; i < n; i++) {
        ingest_take(taker->ingest, &left[i]);
    }
    free(left);
}

static void
release(struct taker *taker)
{
    ingest_destroy(taker->ingest);
    rule_cache_destroy(taker->rules);
    free(taker->ids);
}

static int
compare(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* No packet ID is in both. */
static void
check_apart(struct taker *a, struct taker *b)
{
    for (size_t i = 0; i < a->n_ids; i++) {
        ck_assert(
            !bsearch(&a->ids[i], b->ids, b->n_ids, sizeof *b->ids, compare));
    }
}

static void
check_shares(uint32_t n_shares, bool has_sieve, uint16_t id_bytes)
{
    struct taker all, part[MAX_SHARES];
    struct counters one, sum;
    uint64_t total = 0;

    take_all(&all, 0, 0, false, id_bytes);
    memset(&one, 0, sizeof one);
    memset(&sum, 0, sizeof sum);
    ingest_collect(all.ingest, &one);
    ck_assert_uint_eq(one.received, n_packets);
    for (uint32_t i = 0; i < n_shares; i++) {
        take_all(&part[i], n_shares, i, has_sieve, id_bytes);
        qsort(part[i].ids, part[i].n_ids, sizeof *part[i].ids, compare);
        ingest_collect(part[i].ingest, &sum);
        total += part[i].sum;
        /* None has much more than its share. */
        ck_assert_uint_lt(part[i].n_given * n_shares, all.n_given * 5 / 4);
    }
    ck_assert_int_eq(memcmp(&one, &sum, sizeof one), 0);
    ck_assert_uint_eq(total, all.sum);
    for (uint32_t i = 0; i < n_shares; i++) {
        for (uint32_t j = 0; j < i; j++) {
            check_apart(&part[i], &part[j]);
        }
    }
    for (uint32_t i = 0; i < n_shares; i++) {
        release(&part[i]);
    }
    release(&all);
}

START_TEST(each_packet_is_of_one_share)
{
    static const struct {
        const char *preset;
        enum gen_encap encap;
        uint16_t snap, id_bytes;
    } runs[] = {
        {"faults", GEN_GENEVE, 96, 70},
        {"faults", GEN_GENEVE, 64, 40},
        {"fabric", GEN_GENEVE, 96, 70},
        {"trouble", GEN_MAC, 96, 70},
    };

    make(runs[_i].preset, runs[_i].encap, runs[_i].snap);
    for (uint32_t n = 2; n <= MAX_SHARES; n++) {
        check_shares(n, false, runs[_i].id_bytes);
        check_shares(n, true, runs[_i].id_bytes);
    }
    destroy();
}
END_TEST

/* The sieve takes away nearly all that is another's, or it is of no use. */
START_TEST(the_sieve_knows_most_of_others)
{
    struct ingest_packet *left;

    make("fabric", GEN_GENEVE, 96);
    left = lh_memdup(packets, n_packets * sizeof *packets);
    ck_assert_uint_lt(run_sieve(2, 0, 70, left), n_packets * 6 / 10);
    free(left);
    destroy();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shares");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, each_packet_is_of_one_share, 0, 4);
    tcase_add_test(tc, the_sieve_knows_most_of_others);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
