/* SPDX-License-Identifier: Apache-2.0 */
/* flow_block - a block of columns in memory. */
#include <config.h>

#include "tests/lib/flow_block.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "tests/lib/random_history.h"

#define NOW_NS 1700000000000000000ull

/* Sends the packet over the switches of the flow of that number. */
static void
send_over(struct history *h, size_t number)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        struct history_hop *hop = &h->hops[i];

        hop->dpid = 1 + (5 * number + 3 * i) % FLOW_BLOCK_SWITCHES;
        hop->versions[0] += (uint32_t) number % 4;
        if (hop->verdict.name != VERDICT_NONE) {
            hop->verdict.dpid = hop->dpid;
        }
    }
    history_settle(h);
}

void
flow_block_init(struct flow_block *b, struct flow *flows, size_t first,
                size_t last, size_t n, uint32_t plain_in, uint64_t *seed)
{
    struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct column_encoder *e = column_encoder_create(&config, COLUMN_UNIT_NS);

    memset(b, 0, sizeof *b);
    b->all = lh_alloc_array(NULL, n, sizeof(struct history *));
    while (b->n < n) {
        size_t number = first + random_u32(seed) % (last - first);
        struct trajectory_packet packet;
        uint64_t times_ns[FLOW_MAX_HOPS];
        struct trajectory *t = NULL;
        struct history *h;

        if (plain_in && random_u32(seed) % plain_in == 0) {
            h = random_history(seed, 6, NOW_NS);
        } else {
            h = flow_next(&flows[number], seed, 1, &config);
            send_over(h, number);
            t = flow_trajectory(&flows[number], h, &packet, times_ns);
        }
        if (t) {
            column_encoder_add(e, t, &packet);
        } else {
            ck_assert(!column_encoder_add_history(e, h));
        }
        b->all[b->n++] = h;
    }
    b->n_plain = n - column_encoder_totals(e)->n_rows;
    b->table_len = column_encoder_finish(e, 1, &b->payload);
    column_encoder_destroy(e);
}

void
flow_block_uninit(struct flow_block *b)
{
    for (size_t i = 0; i < b->n; i++) {
        history_destroy(b->all[i]);
    }
    free(b->all);
    byte_buf_uninit(&b->payload);
}

struct column_decoder *
flow_block_open(const struct flow_block *b)
{
    struct column_decoder *d;

    ck_assert(!column_decoder_open(b->payload.data, b->payload.len,
                                   b->table_len, &d, NULL));
    return d;
}
