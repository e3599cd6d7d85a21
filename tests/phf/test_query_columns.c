/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that a stored packet of a trajectory matches just what its history
 * matches live, whatever the dictionary decides. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/query.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/flow_fixture.h"
#include "tests/lib/random_history.h"

#define N_FLOWS   40
#define N_PACKETS 1500

static char *dir;
static struct archive_writer *writer;
static struct archive_reader *reader;
static struct history *all[N_PACKETS]; /* Owned. */
static bool is_given[N_PACKETS];
static size_t n_given, n_rows;

static void
give(void *aux, const struct history *h)
{
    for (size_t i = 0; i < N_PACKETS; i++) {
        if (!is_given[i] && all[i]->packet_id == h->packet_id &&
            history_first_ns(all[i]) == history_first_ns(h)) {
            ck_assert(history_is_same(all[i], h));
            is_given[i] = true;
            n_given++;
            return;
        }
    }
    ck_abort_msg("a history that was never stored, or is given twice");
}

static bool
is_busy(void *aux)
{
    return false;
}

static void
set_up(void)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct flow *flows = lh_alloc_zero(N_FLOWS * sizeof *flows);
    uint64_t seed = 77;

    dir = fixture_dir();
    writer = fixture_writer(dir, NULL);
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_init(&flows[i], &seed, FIXTURE_NOW_NS);
    }
    for (size_t i = 0; i < N_PACKETS; i++) {
        struct flow *flow = &flows[random_u32(&seed) % N_FLOWS];
        struct history *h = flow_next(flow, &seed, 1, &config);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = flow_trajectory(flow, h, &packet, times_ns);

        if (t) {
            archive_writer_add_packet(writer, t, &packet);
            n_rows++;
        } else {
            archive_writer_add(writer, h);
        }
        all[i] = h;
        if (i % 400 == 399) {
            archive_writer_round(writer, FIXTURE_NOW_NS);
        }
    }
    for (size_t i = 0; i < N_FLOWS; i++) {
        flow_uninit(&flows[i]);
    }
    free(flows);
    reader = fixture_reader(dir);
    ck_assert_uint_gt(n_rows, N_PACKETS / 2);
}

static void
tear_down(void)
{
    for (size_t i = 0; i < N_PACKETS; i++) {
        history_destroy(all[i]);
    }
    archive_reader_close(reader);
    archive_writer_close(writer);
    fixture_remove(dir);
}

static const char *const filters[] = {
    ".",
    "{{--dpid 2}}",
    "^{{--dpid 1}}.*{{--outport 2}}$",
    "{{--version 9}}{{--version 10}}",
    "{{--verdict dropped}}",
    "{{--bpf tcp}}",
    "{{--bpf not udp}}",
    "{{--bpf not \"host 10.0.0.7 or port 80\"}}",
    "{{--bpf \"src net 10.0.0.0/26\"}}",
    "{{--bpf \"src port 443 or dst port 80\"}}.{{--bpf vlan}}",
    "{{--bpf \"ip[8] < 63\"}}$",
    "{{--bpf \"ip6\"}}*{{--bpf \"ip6[7] < 62\"}}",
    "{{--bpf \"tcp[tcpflags] & tcp-syn != 0\"}}",
    "{{--bpf \"tcp[tcpflags] & tcp-syn != 0 and host 10.0.0.3\"}}",
    "{{--bpf not \"tcp[4:4] > 0x7fffffff\"}}",
    "{{--bpf \"less 200\"}}",
    "{{--bpf \"ip[4:2] & 1 = 1\"}}{{--bpf \"ether[0] & 1 = 0\"}}",
    "{{--bpf \"icmp[icmptype] = icmp-echo\"}}",
    "{{--bpf \"ip proto 50\"}}|{{--bpf \"sctp\"}}",
    "[^{{--bpf \"udp[4:2] > 100\"}}]{2}",
    "(.).*\\1",
    "{{--bpf \"udp[8] = 0x78\"}}",
};

START_TEST(stored_and_live_agree)
{
    const char *text = filters[_i];
    struct query_config config = {
        .reader = reader,
        .until_ns = UINT64_MAX,
        .give = give,
        .is_busy = is_busy,
        .is_desc = _i % 2,
    };
    struct lh_error error = {.text = "-"};
    size_t n = 0;

    ck_assert_msg(!phf_compile(text, NULL, &config.phf, &error), "%s: %s",
                  text, error.text);
    memset(is_given, 0, sizeof is_given);
    n_given = 0;
    for (size_t i = 0; i < N_PACKETS; i++) {
        n += phf_match(config.phf, all[i], NULL) == PHF_MATCH;
    }
    config.pending = lh_alloc_zero(sizeof *config.pending);
    config.n_pending = 1;
    archive_writer_pending(writer, config.pending);

    struct query *q = query_create(&config);

    while (query_step(q) != QUERY_DONE) {
    }
    ck_assert_uint_eq(query_totals(q)->damaged, 0);
    ck_assert_uint_eq(query_totals(q)->scanned, N_PACKETS);
    query_destroy(q);
    ck_assert_msg(n == n_given, "%s: %zu live, %zu stored", text, n, n_given);
}
END_TEST

/* Asks for what is, or is not, in any block. */
START_TEST(blocks_that_have_nothing_of_it_are_not_read)
{
    static const struct {
        const char *text;
        bool is_skipped; /* All of them are. */
    } rows[] = {
        {"{{--dpid 4711}}", true},
        {"{{--dpid 1 --outport 4711}}", true},
        {".*{{--dpid 4711}}.*{{--dpid 1}}", true},
        {"{{--inport 4711}}|{{--version 4711000}}", true},
        {"[{{--dpid 4711}}{{--dpid 4712}}]", true},
        {"{{--dpid 4711}}*", false},
        {"{{--dpid 1}}|{{--dpid 4711}}", false},
        {"[^{{--dpid 4711}}]", false},
        {"{{--dpid not 4711}}", false},
        {".", false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct query_config config = {.reader = reader,
                                      .until_ns = UINT64_MAX,
                                      .give = give,
                                      .is_busy = is_busy};

        memset(is_given, 0, sizeof is_given);
        ck_assert(!phf_compile(rows[i].text, NULL, &config.phf, NULL));

        struct query *q = query_create(&config);
        const struct query_totals *t = query_totals(q);

        while (query_step(q) != QUERY_DONE) {
        }
        ck_assert_uint_gt(t->n_blocks, 1);
        ck_assert_uint_eq(t->n_read, t->n_blocks);
        ck_assert_msg(t->n_skipped == (rows[i].is_skipped ? t->n_blocks : 0),
                      "%s: %d", rows[i].text, (int) t->n_skipped);
        query_destroy(q);
    }
}
END_TEST

/* Which filters the dictionary decides, for a flow of TCP. */
START_TEST(what_is_constant_is_decided_once)
{
    static const struct {
        const char *text;
        bool varies;
    } rows[] = {
        {"{{--bpf tcp}}", false},
        {"{{--bpf \"host 10.0.0.1 and dst port 80\"}}", false},
        {"{{--bpf \"ip[8] < 63\"}}", false},
        {"{{--bpf vlan}}", false},
        {"{{--bpf \"tcp[tcpflags] & tcp-syn != 0\"}}", true},
        {"{{--bpf \"udp and udp[8] = 1\"}}", false},
        {"{{--bpf \"less 100\"}}", true},
        {"{{--bpf \"ip[4:2] = 7\"}}", true},
    };
    struct flow flow;
    uint64_t seed = 5;

    flow_init(&flow, &seed, FIXTURE_NOW_NS);
    while (flow.is_ip6 || flow.proto != 6) {
        flow_uninit(&flow);
        flow_init(&flow, &seed, FIXTURE_NOW_NS);
    }

    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct history *h = flow_next(&flow, &seed, 1, &config);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct phf *phf;
        bool varies;

        ck_assert(!phf_compile(rows[i].text, NULL, &phf, NULL));
        phf_match_model(phf, h, NULL, &varies);
        ck_assert_msg(varies == rows[i].varies, "%s", rows[i].text);
        phf_destroy(phf);
    }
    history_destroy(h);
    flow_uninit(&flow);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("query_columns");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, stored_and_live_agree, 0,
                        (int) (sizeof filters / sizeof filters[0]));
    tcase_add_test(tc, blocks_that_have_nothing_of_it_are_not_read);
    tcase_add_test(tc, what_is_constant_is_decided_once);
    tcase_set_timeout(tc, 30);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
