/* SPDX-License-Identifier: Apache-2.0 */
/* Flows of packed postcards: who sends packets cannot make packing slow. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/bytes.h"
#include "lib/card_batch.h"
#include "lib/flow_words.h"
#include "lib/lh_alloc.h"

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

#define N_CHOSEN   CARD_BATCH_MAX
#define CHOSEN_LEN 54

/* What flows would be found by if that were no secret. */
static uint64_t
open_hash(const uint8_t *header)
{
    static const uint64_t factors[] = {
        UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf58476d1ce4e5b9),
        UINT64_C(0x94d049bb133111eb), UINT64_C(0xd6e8feb86659fd93),
        UINT64_C(0xc2b2ae3d27d4eb4f)};
    const struct header_split split = {
        .kind = HEADER_IP4_TCP, .l3_ofs = 14, .l4_ofs = 34};
    uint64_t words[FLOW_WORDS_MAX(14)], hash = 0;
    unsigned int n = flow_words_get(header, &split, words);

    for (unsigned int i = 0; i < n; i++) {
        uint64_t x = words[i] * factors[i];

        hash += x ^ x >> 32;
    }
    hash *= factors[0];
    return hash ^ hash >> 32;
}

/* Makes packets of as many flows; with 'is_chosen' such whose hashes end
 * alike. */
static void
choose_flows(uint8_t (*headers)[CHOSEN_LEN], bool is_chosen)
{
    uint32_t n_tried = 0;

    for (size_t n = 0; n < N_CHOSEN; n++) {
        uint8_t *h = headers[n];

        memset(h, 0, CHOSEN_LEN);
        bytes_put_be16(h + 12, 0x0800);
        h[14] = 0x45;
        bytes_put_be16(h + 16, CHOSEN_LEN - 14);
        h[22] = 64;
        h[23] = 6;
        h[46] = 0x50;
        do {
            bytes_put_be32(h + 26, n_tried >> 16);
            bytes_put_be16(h + 34, (uint16_t) n_tried++);
        } while (is_chosen && open_hash(h) % 8192 > 3);
    }
}

/* Processor time to add them all, at best. */
static double
time_flows(struct card_batch_writer *w, uint8_t (*headers)[CHOSEN_LEN])
{
    struct byte_buf out = BYTE_BUF_INIT;
    clock_t best = 0;

    for (int i = 0; i < 7; i++) {
        clock_t start = clock(), took;

        for (size_t n = 0; n < N_CHOSEN; n++) {
            card_batch_writer_add(w, &(struct postcard){.dpid = 7,
                                                        .time_ns = 1000 * n,
                                                        .header = headers[n],
                                                        .caplen = CHOSEN_LEN});
        }
        took = clock() - start;
        ck_assert_uint_eq(card_batch_writer_n(w), N_CHOSEN);
        best = !i || took < best ? took : best;
        byte_buf_clear(&out);
        card_batch_writer_finish(w, &out);
    }
    byte_buf_uninit(&out);
    return (double) best;
}

/* Who sends packets cannot make all of their flows hard to find. */
START_TEST(test_chosen_flows)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    uint8_t(*headers)[CHOSEN_LEN] = lh_alloc(N_CHOSEN * CHOSEN_LEN);
    double any, chosen;

    card_batch_writer_set_version(w, (unsigned int) _i);
    choose_flows(headers, false);
    any = time_flows(w, headers);
    choose_flows(headers, true);
    chosen = time_flows(w, headers);
    ck_assert_msg(chosen < 4 * any + CLOCKS_PER_SEC / 2000, "%g, not %g",
                  chosen, any);
    free(headers);
    card_batch_writer_destroy(w);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("card_flows");
    TCase *tcase = tcase_create("card_flows");
    SRunner *runner;
    int n_failed;

    tcase_add_loop_test(tcase, test_chosen_flows, 1, CARD_BATCH_VERSION + 1);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
