/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the decoder of blocks of columns: whatever the sections hold, it
 * reads all or refuses, and every history it gives can be written.
 *
 * The input is sections, each an ID, two bytes of length, and that many bytes;
 * checksums are made here. */
#include <config.h>

#include <stdlib.h>

#include "lib/history_columns.h"
#include "lib/section_list.h"
#include "tests/fuzz/fuzz.h"

static void
write_history(struct history_encoder *e, const struct history *h)
{
    if (history_encoder_add(e, h)) {
        abort();
    }
    history_encoder_reset(e);
}

static void
read_all(struct column_decoder *d)
{
    struct history_encoder *e = history_encoder_create();
    struct history_decoder *plain;

    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        const struct column_flow *flow = column_decoder_flow(d, i);

        write_history(e, column_decoder_model(d, i));
        for (size_t row = 0; row < flow->n_rows && row < 100; row++) {
            const struct history *h;

            if (column_decoder_first_ns(d, i, row) >
                column_decoder_last_ns(d, i, row)) {
                abort();
            }
            if (column_decoder_history(d, i, row, &h, NULL)) {
                break;
            }
            write_history(e, h);
        }
    }
    column_decoder_plain(d, &plain, NULL);
    history_encoder_destroy(e);
}

/* Sums that were read are put and read again. */
static void
read_sums(struct column_decoder *d)
{
    struct block_sums *sums = block_sums_create();
    struct block_sums *again = block_sums_create();
    struct byte_buf buf = BYTE_BUF_INIT;

    if (!column_decoder_sums(d, sums, NULL)) {
        block_sums_put(sums, &buf);
        if (block_sums_read(again, buf.data, buf.len, NULL) ||
            !block_sums_equal(sums, again)) {
            abort();
        }
    }
    if (!column_decoder_need_flow_bytes(d, NULL) &&
        column_decoder_n_flows(d)) {
        column_decoder_flow_bytes(d, column_decoder_n_flows(d) - 1);
    }
    byte_buf_uninit(&buf);
    block_sums_destroy(sums);
    block_sums_destroy(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes_reader r = bytes_reader(data, size);
    struct byte_buf payload = BYTE_BUF_INIT, sections = BYTE_BUF_INIT;
    struct section_list list = {.n = 0};
    struct compressor *compressor = compressor_create();
    struct column_decoder *d;

    while (bytes_left(&r) && list.n < SECTION_LIST_MAX) {
        uint8_t id = bytes_get_u8(&r);
        uint16_t len = bytes_get_u16(&r);
        size_t n = len < bytes_left(&r) ? len : bytes_left(&r);

        section_list_add(&list, id, bytes_get(&r, n), n, 0, compressor,
                         &sections);
    }

    size_t table_len = section_list_put_table(&list, &payload);

    byte_buf_put(&payload, sections.data, sections.len);
    if (!column_decoder_open(payload.data, payload.len, table_len, &d, NULL)) {
        read_sums(d);
        if (!column_decoder_need_times(d, NULL) &&
            !column_decoder_need_rows(d, NULL)) {
            read_all(d);
        }
        column_decoder_destroy(d);
    }
    compressor_destroy(compressor);
    byte_buf_uninit(&payload);
    byte_buf_uninit(&sections);
    return 0;
}
