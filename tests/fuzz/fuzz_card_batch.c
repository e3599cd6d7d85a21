/* SPDX-License-Identifier: Apache-2.0 */
/* Packed postcards of a cluster: what is read is written and read the same. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/card_batch.h"
#include "lib/hop_template.h"
#include "tests/fuzz/fuzz.h"

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

static bool
is_equal(const struct postcard *a, const struct postcard *b)
{
    return a->dpid == b->dpid && a->packet_id == b->packet_id &&
           a->time_ns == b->time_ns && a->version == b->version &&
           a->in_port == b->in_port && a->out_port == b->out_port &&
           a->flags == b->flags && a->version_bits == b->version_bits &&
           a->has_id == b->has_id && a->caplen == b->caplen &&
           (!a->caplen || !memcmp(a->header, b->header, a->caplen)) &&
           hop_template_equal(a->visit, b->visit);
}

static void
check_again(struct card_batch_reader *r)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *again = card_batch_reader_create(&id_config);
    uint32_t n = card_batch_reader_n(r), n_in = 0;
    struct postcard *all = calloc(n + 1, sizeof *all), p;
    struct byte_buf out = BYTE_BUF_INIT;
    struct card_batch_inner inner;

    while (card_batch_reader_next_inner(r, &inner)) {
        card_batch_writer_add_inner(w, &inner);
    }
    while (card_batch_reader_next(r, &all[n_in])) {
        if (!card_batch_writer_add(w, &all[n_in])) {
            break; /* Visits that are equal may have been told once. */
        }
        n_in++;
    }
    card_batch_writer_finish(w, &out);
    if (out.len > CARD_BATCH_MAX_SIZE ||
        card_batch_reader_open(again, out.data, out.len, NULL) ||
        card_batch_reader_n(again) != n_in) {
        abort();
    }
    for (uint32_t i = 0; i < n_in; i++) {
        if (!card_batch_reader_next(again, &p) || !is_equal(&p, &all[i])) {
            abort();
        }
    }
    free(all);
    byte_buf_uninit(&out);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct card_batch_reader *r = card_batch_reader_create(&id_config);

    if (!card_batch_reader_open(r, data, size, NULL)) {
        check_again(r);
    }
    card_batch_reader_destroy(r);
    return 0;
}
