/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of phf/flow_sieve and phf/flow_sieves: what a sieve says of a flow is
 * what phf_match() says of each of its packets, and remembering shapes from
 * block to block changes nothing. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/flow_sieves.h"
#include "tests/lib/flow_block.h"
#include "tests/lib/random_history.h"

#define N_FLOWS  64
#define N_BLOCKS 14
#define N_SHARED 8 /* The others have a flow each. */
#define NOW_NS   1700000000000000000ull

static struct flow flows[N_FLOWS];
static struct flow_block blocks[N_BLOCKS];

/* Blocks that share flows with their neighbours.  Half of the flows are like
 * the other half, over other switches, which have the same numbers in the
 * dictionary of a block of one flow. */
static void
set_up(void)
{
    uint64_t seed = 31;

    for (size_t i = 0; i < N_FLOWS; i++) {
        uint64_t seed_of_flow = 1000 + i % (N_FLOWS / 2);

        flow_init(&flows[i], &seed_of_flow, NOW_NS);
    }
    for (size_t i = 0; i < N_BLOCKS; i++) {
        size_t single = (i - N_SHARED) / 2 + i % 2 * (N_FLOWS / 2);

        if (i < N_SHARED) {
            flow_block_init(&blocks[i], flows, 5 * i, 5 * i + 25, 150, 0,
                            &seed);
        } else {
            flow_block_init(&blocks[i], flows, single, single + 1, 20, 0,
                            &seed);
        }
    }
}

static void
tear_down(void)
{
    for (size_t i = 0; i < N_BLOCKS; i++) {
        flow_block_uninit(&blocks[i]);
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
}

static struct phf *
compile(const char *text)
{
    struct lh_error error = {.text = "-"};
    struct phf *phf;

    ck_assert_msg(!phf_compile(text, NULL, &phf, &error), "%s: %s", text,
                  error.text);
    return phf;
}

static const char *const fixed[] = {
    ".{3}",
    "(.).*\\1",
    "{{--verdict delivered}}$",
    "^{{--dpid 4}}.*{{--dpid 1 --outport 2}}$",
    "{{--bpf tcp}}",
    "{{--bpf not \"host 10.0.0.7 or port 80\"}}",
    "{{--bpf \"src net 10.99.0.0/16\"}}",
    "{{--bpf \"src net 10.0.0.0/26 and dst port 80\"}}.{{--bpf vlan}}",
    "{{--bpf \"vlan and udp port 53\"}}{{--version 9}}",
    "{{--bpf \"ip6 host 2001:db8::7\"}}",
    "{{--bpf \"tcp[tcpflags] & tcp-syn != 0 and host 10.0.0.3\"}}",
    "{{--bpf \"icmp[icmptype] = icmp-echo\"}}",
    "[^{{--bpf \"udp[4:2] > 100\"}}]{2}",
};
#define N_FIXED  (sizeof fixed / sizeof fixed[0])
#define N_RANDOM 40

/* A filter on hops and addresses that flows may have. */
static char *
random_text(uint64_t seed)
{
    static const char *const forms[] = {
        "{{--dpid %u}}.{{--version %u}}",
        "{{--dpid %u --bpf \"src host 10.0.0.%u\"}}",
        "{{--dpid not %u --bpf \"dst port %u or udp\"}}{2}",
        "{{--version %u}}.*{{--bpf not \"net 10.0.0.%u/29\"}}$",
        "^({{--dpid %u}}|{{--bpf \"ip6 and src port %u\"}}).{1,3}$",
        "[^{{--dpid %u}}]*{{--bpf \"vlan and host 10.0.0.%u\"}}",
    };
    const char *form = forms[random_u32(&seed) % 6];
    unsigned int a = 1 + random_u32(&seed) % 15;
    unsigned int b = random_u32(&seed) % 100 & 0x78;

    return lh_asprintf(form, a, b);
}

static char *
filter_text(int i)
{
    return i < (int) N_FIXED ? lh_strdup(fixed[i]) : random_text((uint64_t) i);
}

/* What the sieve says of a flow; FLOW_SIEVE_ASK where it leaves it open. */
static enum flow_sieve_answer
answer_of(const struct flow_sieve *sieve, const struct column_decoder *d,
          size_t flow)
{
    struct column_key from = column_decoder_key(d, flow);
    size_t shape =
        column_decoder_shape_number(d, column_decoder_flow(d, flow)->shape);
    enum flow_sieve_answer answer = flow_sieve_shape(sieve, shape);
    struct flow_key key;

    if (answer == FLOW_SIEVE_SIFT) {
        memset(&key, 0, sizeof key);
        memcpy(key.bytes, from.src, from.n_addr);
        memcpy(key.bytes + from.n_addr, from.dst, from.n_addr);
        if (from.n_ports) {
            memcpy(key.bytes + 2 * from.n_addr, from.ports, from.n_ports);
        }
        answer = flow_sieve_sift(sieve, shape, &key);
        ck_assert_int_ne(answer, FLOW_SIEVE_SIFT);
    }
    return answer;
}

static void
check_packets(const struct phf *phf, struct column_decoder *d, size_t flow,
              enum flow_sieve_answer answer)
{
    for (size_t row = 0; row < column_decoder_flow(d, flow)->n_rows; row++) {
        const struct history *h;
        enum phf_result result;

        ck_assert(!column_decoder_history(d, flow, row, &h, NULL));
        result = phf_match(phf, h, NULL);
        ck_assert(answer == FLOW_SIEVE_ASK ||
                  (answer == FLOW_SIEVE_MATCH && result == PHF_MATCH) ||
                  (answer == FLOW_SIEVE_MISS && result == PHF_MISS) ||
                  (answer == FLOW_SIEVE_LIMIT && result == PHF_LIMIT));
    }
}

START_TEST(what_is_remembered_is_what_is_found)
{
    char *text = filter_text(_i);
    struct phf *phf = compile(text);
    struct flow_sieve *kept = flow_sieve_create(phf, NULL);
    size_t n_known = 0, n_met = 0, n_met_now = 0;

    for (size_t i = 0; i < N_BLOCKS; i++) {
        struct flow_sieve *fresh = flow_sieve_create(phf, NULL);
        struct column_decoder *of_kept = flow_block_open(&blocks[i]);
        struct column_decoder *d = flow_block_open(&blocks[i]);

        ck_assert(!flow_sieve_read(kept, of_kept, NULL, NULL, NULL));
        ck_assert(
            !column_decoder_need_shapes(d, flow_sieve_visit, fresh, NULL));
        ck_assert(!column_decoder_need_keys(d, NULL));
        ck_assert(!column_decoder_need_keys(of_kept, NULL));
        ck_assert(!column_decoder_need_times(d, NULL));
        ck_assert(!column_decoder_need_rows(d, NULL));
        ck_assert_uint_gt(column_decoder_n_flows(d), 0);
        ck_assert_uint_eq(column_decoder_n_flows(of_kept),
                          column_decoder_n_flows(d));
        for (size_t f = 0; f < column_decoder_n_flows(d); f++) {
            enum flow_sieve_answer answer = answer_of(fresh, d, f);

            ck_assert_msg(answer == answer_of(kept, of_kept, f), "%s", text);
            check_packets(phf, d, f, answer);
        }
        for (size_t s = 0; s < column_decoder_n_shapes(d); s++) {
            size_t number = column_decoder_shape_number(of_kept, s);

            ck_assert_uint_eq(column_decoder_shape_number(d, s), s);
            n_known += number < n_met;
            n_met_now = number < n_met_now ? n_met_now : number + 1;
        }
        n_met = n_met_now;
        column_decoder_destroy(of_kept);
        column_decoder_destroy(d);
        flow_sieve_destroy(fresh);
    }
    ck_assert_uint_gt(n_known, 0);
    flow_sieve_destroy(kept);
    phf_destroy(phf);
    free(text);
}
END_TEST

/* The rest of a block is read from shapes that were not decoded. */
START_TEST(histories_of_known_shapes_come_back)
{
    struct phf *phf = compile("{{--dpid 1}}");
    struct flow_sieve *sieve = flow_sieve_create(phf, NULL);

    for (int n = 0; n < 2; n++) {
        for (size_t i = 0; i < N_BLOCKS; i++) {
            struct column_decoder *d = flow_block_open(&blocks[i]);
            size_t n_found = 0;

            ck_assert(!flow_sieve_read(sieve, d, NULL, NULL, NULL));
            ck_assert(!column_decoder_need_times(d, NULL));
            ck_assert(!column_decoder_need_rows(d, NULL));
            for (size_t f = 0; f < column_decoder_n_flows(d); f++) {
                uint32_t n_rows = column_decoder_flow(d, f)->n_rows;

                for (uint32_t row = 0; row < n_rows; row++) {
                    const struct history *h;
                    size_t k = 0;

                    ck_assert(!column_decoder_history(d, f, row, &h, NULL));
                    while (k < blocks[i].n &&
                           history_first_ns(blocks[i].all[k]) !=
                               history_first_ns(h)) {
                        k++;
                    }
                    ck_assert_uint_lt(k, blocks[i].n);
                    ck_assert(history_is_same(h, blocks[i].all[k]));
                    n_found++;
                }
            }
            ck_assert_uint_eq(n_found, blocks[i].n - blocks[i].n_plain);
            column_decoder_destroy(d);
        }
    }
    flow_sieve_destroy(sieve);
    phf_destroy(phf);
}
END_TEST

/* A block of as many shapes, of which none is as one before. */
static struct column_decoder *
open_strange(uint32_t *number, size_t n, struct byte_buf *payload)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct column_encoder *e = column_encoder_create(&config, COLUMN_UNIT_NS);
    struct column_decoder *d;
    uint64_t seed = 4;
    size_t table_len;
    struct flow flow;

    flow_init(&flow, &seed, NOW_NS);
    for (size_t i = 0; i < n; i++) {
        struct history *h = flow_next(&flow, &seed, 1, &config);
        char reason[40];
        struct trajectory *t;
        uint64_t times_ns[FLOW_MAX_HOPS];

        memset(reason, 'x', sizeof reason);
        snprintf(reason + sizeof reason - 12, 12, "%u", ++*number);
        verdict_set(&h->hops[0].verdict, VERDICT_DROPPED, 1,
                    *number % 2 ? 3 : 4, reason);
        history_settle(h);
        t = trajectory_create(h);
        if (t) {
            struct trajectory_packet packet = {
                .packet_id = h->packet_id,
                .header = h->hops[trajectory_reference(t)].header,
                .caplen = h->hops[trajectory_reference(t)].caplen,
                .times_ns = times_ns,
            };

            for (size_t k = 0; k < h->n_hops; k++) {
                times_ns[k] = h->hops[k].time_ns;
            }
            column_encoder_add(e, t, &packet);
            trajectory_unref(t);
        }
        history_destroy(h);
    }
    flow_uninit(&flow);
    table_len = column_encoder_finish(e, 1, payload);
    column_encoder_destroy(e);
    ck_assert(!column_decoder_open(payload->data, payload->len, table_len, &d,
                                   NULL));
    return d;
}

START_TEST(what_is_remembered_is_bounded)
{
    struct phf *phf = compile("{{--bpf \"src port 80\"}}|{{--dpid 4711}}");
    struct flow_sieve *sieve = flow_sieve_create(phf, NULL);
    uint32_t number = 0;
    size_t largest = 0, of_block = 0;
    bool was_forgotten = false;

    for (int i = 0; i < 400 && !was_forgotten; i++) {
        struct byte_buf payload = BYTE_BUF_INIT;
        struct column_decoder *d = open_strange(&number, 500, &payload);
        size_t before = flow_sieve_size(sieve);

        ck_assert(!flow_sieve_read(sieve, d, NULL, NULL, NULL));
        ck_assert_uint_gt(column_decoder_n_shapes(d), 250);
        was_forgotten = was_forgotten || flow_sieve_size(sieve) < before;
        largest = flow_sieve_size(sieve) > largest ? flow_sieve_size(sieve)
                                                   : largest;
        of_block = i ? of_block : 2 * flow_sieve_size(sieve);
        for (size_t s = 0; s < column_decoder_n_shapes(d); s++) {
            ck_assert_int_ne(
                flow_sieve_shape(sieve, column_decoder_shape_number(d, s)),
                FLOW_SIEVE_MATCH);
        }
        column_decoder_destroy(d);
        byte_buf_uninit(&payload);
    }
    ck_assert(was_forgotten);
    /* Memory grows by doubling. */
    ck_assert_uint_le(largest, 2 * FLOW_SIEVE_MAX_SIZE + of_block);
    flow_sieve_destroy(sieve);
    phf_destroy(phf);
}
END_TEST

START_TEST(each_thread_has_a_sieve_of_its_own)
{
    struct phf *phf = compile(".");
    struct flow_sieves *sieves = flow_sieves_create(phf, NULL);
    struct flow_sieve *a = flow_sieves_take(sieves);
    struct flow_sieve *b = flow_sieves_take(sieves);

    ck_assert_ptr_ne(a, b);
    flow_sieves_put(sieves, a);
    ck_assert_ptr_eq(flow_sieves_take(sieves), a);
    flow_sieves_put(sieves, b);
    flow_sieves_put(sieves, a);
    flow_sieves_destroy(sieves);
    phf_destroy(phf);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow_sieve");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, what_is_remembered_is_what_is_found, 0,
                        (int) N_FIXED + N_RANDOM);
    tcase_add_test(tc, histories_of_known_shapes_come_back);
    tcase_add_test(tc, what_is_remembered_is_bounded);
    tcase_add_test(tc, each_thread_has_a_sieve_of_its_own);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
