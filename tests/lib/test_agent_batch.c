/* SPDX-License-Identifier: Apache-2.0 */
/* Packed postcards: what is put in comes out, in order. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/agent_batch.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"

/* A network of so many bridges, which packets cross in turn. */
#define N_BRIDGES 3
#define SNAP      96

struct sample {
    struct hop_template *templates[N_BRIDGES];
    struct agent_postcard *postcards;
    uint8_t (*headers)[SNAP];
    size_t n, allocated;
    uint32_t random;
};

static uint32_t
next_random(struct sample *s)
{
    s->random = s->random * 1664525 + 1013904223;
    return s->random >> 8;
}

static void
sample_init(struct sample *s, size_t max)
{
    memset(s, 0, sizeof *s);
    s->random = 1;
    s->allocated = max;
    s->postcards = lh_alloc_zero((max + 1) * sizeof *s->postcards);
    s->headers = lh_alloc_zero((max + 1) * sizeof *s->headers);
    for (unsigned int i = 0; i < N_BRIDGES; i++) {
        union hop_template_buf buf;
        struct hop_output output = {.port = (uint16_t) (i + 2)};
        struct hop_trail trail = {.version = i + 7,
                                  .flags = HOP_TRAIL_VERSION};

        hop_template_make(&buf,
                          &(struct hop_template_parts){.dpid = 0xa0 + i,
                                                       .in_port = 1,
                                                       .bridge = "br",
                                                       .bridge_len = 2,
                                                       .outputs = &output,
                                                       .n_outputs = 1,
                                                       .trail = &trail,
                                                       .n_trail = 1});
        s->templates[i] = hop_template_clone(&buf.t);
    }
}

static void
sample_uninit(struct sample *s)
{
    for (unsigned int i = 0; i < N_BRIDGES; i++) {
        free(s->templates[i]);
    }
    free(s->postcards);
    free(s->headers);
}

static void
sample_add(struct sample *s, unsigned int bridge, uint64_t time_ns,
           const uint8_t *header, uint16_t caplen, uint32_t packet_len)
{
    size_t i = s->n++;

    ck_assert_uint_lt(i, s->allocated);
    memcpy(s->headers[i], header, caplen);
    s->postcards[i] = (struct agent_postcard){.template = s->templates[bridge],
                                              .time_ns = time_ns,
                                              .packet_len = packet_len,
                                              .caplen = caplen,
                                              .header = s->headers[i]};
}

/* Packet 'i' of flow 'flow', TCP or UDP over IPv4, as bridge 'hop' sees it. */
static uint16_t
make_packet(uint8_t *p, uint32_t flow, uint32_t i, unsigned int hop,
            uint32_t *packet_len)
{
    bool is_tcp = flow % 3 != 0;
    uint16_t len = (uint16_t) (is_tcp ? 1500 : 40 + flow % 80);

    memset(p, 0, SNAP);
    p[5] = (uint8_t) (hop + 1);
    p[11] = (uint8_t) hop;
    bytes_put_be16(p + 12, 0x0800);
    p[14] = 0x45;
    bytes_put_be16(p + 16, len);
    bytes_put_be16(p + 18, (uint16_t) (flow * 77 + i));
    p[22] = (uint8_t) (64 - hop);
    p[23] = is_tcp ? 6 : 17;
    bytes_put_be32(p + 26, 0x0a000000 + flow);
    bytes_put_be32(p + 30, 0x0a010000 + flow);
    bytes_put_be16(p + 34, (uint16_t) (40000 + flow));
    bytes_put_be16(p + 36, 80);
    if (is_tcp) {
        bytes_put_be32(p + 38, 1000 * flow + 1460 * i);
        bytes_put_be32(p + 42, 17);
        p[46] = 0x50;
        p[47] = 0x10;
        bytes_put_be16(p + 48, 512);
        bytes_put_be16(p + 50, (uint16_t) (flow * 31 + i * 7919));
    } else {
        bytes_put_be16(p + 38, (uint16_t) (len - 20));
        bytes_put_be16(p + 40, (uint16_t) (i & 1 ? 0 : flow * 31 + i));
    }
    for (size_t at = is_tcp ? 54 : 42; at < SNAP; at++) {
        p[at] = (uint8_t) (flow * 13 + i * at);
    }
    bytes_put_be16(p + 24, inet_sum(p + 14, 20));
    *packet_len = 14u + len;
    return *packet_len < SNAP ? (uint16_t) *packet_len : SNAP;
}

/* Bursts of packets, as a switch's thread works on them: all of a burst at
 * the first bridge, then all at the next. */
static void
sample_bursts(struct sample *s, size_t n, uint32_t n_flows)
{
    uint64_t now = 1700000000000000000;
    uint32_t *count = lh_alloc_zero(n_flows * sizeof *count);

    while (s->n + 32 * N_BRIDGES <= n) {
        uint32_t flows[32], first[32];

        for (unsigned int k = 0; k < 32; k++) {
            flows[k] = next_random(s) % n_flows;
            first[k] = count[flows[k]]++;
        }
        for (unsigned int hop = 0; hop < N_BRIDGES; hop++) {
            now += next_random(s) % 3000;
            for (unsigned int k = 0; k < 32; k++) {
                uint8_t p[SNAP];
                uint32_t packet_len;
                uint16_t caplen =
                    make_packet(p, flows[k], first[k], hop, &packet_len);

                sample_add(s, hop, now, p, caplen, packet_len);
            }
        }
    }
    free(count);
}

static void
check_same(const struct agent_postcard *a, const struct agent_postcard *b)
{
    ck_assert(hop_template_equal(a->template, b->template));
    ck_assert_uint_eq(a->time_ns, b->time_ns);
    ck_assert_uint_eq(a->packet_len, b->packet_len);
    ck_assert_uint_eq(a->caplen, b->caplen);
    ck_assert_uint_eq(a->kind, b->kind);
    ck_assert_uint_eq(a->reason, b->reason);
    ck_assert(!memcmp(a->header, b->header, a->caplen));
}

/* Writes all of the sample, reads it, and returns the bytes on the wire. */
static size_t
there_and_back(const struct sample *s)
{
    struct agent_batch_writer *w = agent_batch_writer_create();
    struct agent_batch_reader *r = agent_batch_reader_create();
    struct byte_buf out = BYTE_BUF_INIT;
    size_t done = 0, n_wire = 0;

    for (size_t i = 0; i <= s->n; i++) {
        if (i < s->n && agent_batch_writer_add(w, &s->postcards[i])) {
            continue;
        }

        struct agent_batch_stats stats;
        struct agent_postcard p;
        struct lh_error error;
        uint32_t n = agent_batch_writer_n(w);

        byte_buf_clear(&out);
        agent_batch_writer_finish(w, &out, &stats);
        ck_assert_uint_eq(stats.n, n);
        ck_assert_msg(
            !agent_batch_reader_open(r, out.data, out.len, n, &error), "%s",
            error.text);
        for (uint32_t k = 0; k < n; k++) {
            ck_assert(agent_batch_reader_next(r, &p));
            check_same(&s->postcards[done], &p);
            ck_assert(agent_batch_reader_template(r, p.template_no) ==
                      p.template);
            ck_assert_uint_le(stats.first_ns, p.time_ns);
            ck_assert_uint_ge(stats.last_ns, p.time_ns);
            done++;
        }
        ck_assert(!agent_batch_reader_next(r, &p));
        n_wire += out.len;
        if (i < s->n) {
            ck_assert(agent_batch_writer_add(w, &s->postcards[i]));
        }
    }
    ck_assert_uint_eq(done, s->n);
    byte_buf_uninit(&out);
    agent_batch_writer_destroy(w);
    agent_batch_reader_destroy(r);
    return n_wire;
}

START_TEST(bursts_over_three_bridges)
{
    struct sample s;

    sample_init(&s, 20000);
    sample_bursts(&s, 20000, 50);
    there_and_back(&s);
    sample_uninit(&s);
}
END_TEST

START_TEST(any_bytes_of_any_length)
{
    struct sample s;

    sample_init(&s, 3000);
    for (size_t i = 0; i < 3000; i++) {
        uint8_t p[SNAP];
        uint32_t packet_len;
        uint16_t caplen =
            make_packet(p, next_random(&s) % 20, next_random(&s) % 20,
                        next_random(&s) % 3, &packet_len);

        for (unsigned int k = next_random(&s) % 4; k > 0; k--) {
            p[next_random(&s) % SNAP] = (uint8_t) next_random(&s);
        }
        if (next_random(&s) % 4 == 0) {
            caplen = (uint16_t) (next_random(&s) % (caplen + 1u));
        }
        if (next_random(&s) % 8 == 0) {
            packet_len = next_random(&s);
        }
        sample_add(&s, next_random(&s) % N_BRIDGES, next_random(&s), p, caplen,
                   packet_len);
        s.postcards[i].time_ns ^= next_random(&s) % 16 ? 0 : UINT64_MAX;
        if (next_random(&s) % 16 == 0) {
            s.postcards[i].kind = AGENT_POSTCARD_DROPPED;
            s.postcards[i].reason = (uint16_t) next_random(&s);
        }
    }
    there_and_back(&s);
    sample_uninit(&s);
}
END_TEST

START_TEST(no_postcards_are_a_batch)
{
    struct sample s;

    sample_init(&s, 1);
    there_and_back(&s);
    sample_uninit(&s);
}
END_TEST

/* No cut and no changed byte is more than a batch that is refused or other
 * postcards; the sanitizers see what else it would be. */
START_TEST(broken_batches_do_no_harm)
{
    struct sample s;
    struct agent_batch_writer *w = agent_batch_writer_create();
    struct agent_batch_reader *r = agent_batch_reader_create();
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_batch_stats stats;
    struct agent_postcard p;

    sample_init(&s, 300);
    sample_bursts(&s, 300, 5);
    for (size_t i = 0; i < s.n; i++) {
        ck_assert(agent_batch_writer_add(w, &s.postcards[i]));
    }
    agent_batch_writer_finish(w, &out, &stats);
    ck_assert_int_eq(
        agent_batch_reader_open(r, out.data, out.len, stats.n + 1, NULL),
        EBADMSG);
    ck_assert(!agent_batch_reader_next(r, &p));
    ck_assert_int_eq(
        agent_batch_reader_open(r, out.data, out.len, stats.n - 1, NULL),
        EBADMSG);
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *part = lh_alloc(len);

        memcpy(part, out.data, len);
        ck_assert_int_eq(agent_batch_reader_open(r, part, len, stats.n, NULL),
                         EBADMSG);
        free(part);
    }
    for (size_t i = 0; i < 3000; i++) {
        uint8_t *bad = lh_memdup(out.data, out.len);

        bad[next_random(&s) % out.len] ^=
            (uint8_t) (1 + next_random(&s) % 255);
        if (!agent_batch_reader_open(r, bad, out.len, stats.n, NULL)) {
            while (agent_batch_reader_next(r, &p)) {
                ck_assert_ptr_nonnull(p.template);
            }
        }
        free(bad);
    }
    byte_buf_uninit(&out);
    agent_batch_writer_destroy(w);
    agent_batch_reader_destroy(r);
    sample_uninit(&s);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent_batch");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, bursts_over_three_bridges);
    tcase_add_test(tcase, any_bytes_of_any_length);
    tcase_add_test(tcase, no_postcards_are_a_batch);
    tcase_add_test(tcase, broken_batches_do_no_harm);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
