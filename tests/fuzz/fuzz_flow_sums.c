/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the sums of a file: whatever its sections hold, reading them ends,
 * ways that were let in can be followed, and what a reader of less takes for
 * sound has as many packets as one of more found.
 *
 * The input is the sections, in the order of their IDs: two bytes of length,
 * then the bytes. */
#include <config.h>

#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/flow_sums.h"
#include "lib/flow_sums_impl.h"
#include "tests/fuzz/fuzz.h"

/* Follows all rows; returns their packets. */
static uint64_t
follow(struct flow_sums_view *view)
{
    uint64_t packets = 0;

    for (size_t i = 0; i < view->n; i++) {
        struct way_view way;

        way_table_get(view->ways, view->rows[i].way, &way);
        packets += view->rows[i].packets;
        for (size_t k = 0; k < way.h->n_hops; k++) {
            packets += way.more[2 * k] == INT64_MAX;
            if (way.h->hops[k].parent >= (int) k) {
                abort();
            }
        }
    }
    return packets;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes_reader r = bytes_reader(data, size);
    struct compressor *compressor = compressor_create();
    struct byte_buf bytes = BYTE_BUF_INIT, all = BYTE_BUF_INIT;
    struct section_list list = {.n = 0};
    struct flow_sums_view view;
    uint64_t packets = 0;
    bool is_sound = false;
    size_t table_len;

    for (uint8_t i = 1; i < N_FLOW_SUMS_SECTIONS; i++) {
        size_t len = bytes_get_u16(&r);
        const uint8_t *section;

        len = len < bytes_left(&r) ? len : bytes_left(&r);
        section = bytes_get(&r, len);
        if (section) {
            section_list_add(&list, i, section, len, 0, compressor, &bytes);
        }
    }
    table_len = section_list_put_table(&list, &all);
    byte_buf_put(&all, bytes.data, bytes.len);
    for (int depth = FLOW_SUMS_FLOWS; depth >= FLOW_SUMS_WAYS; depth--) {
        if (!flow_sums_read(all.data, all.len, table_len,
                            (enum flow_sums_depth) depth, &view, NULL)) {
            uint64_t found = follow(&view);

            if (is_sound && found != packets) {
                abort();
            }
            is_sound = true;
            packets = found;
            flow_sums_view_uninit(&view);
        }
    }
    byte_buf_uninit(&bytes);
    byte_buf_uninit(&all);
    compressor_destroy(compressor);
    return 0;
}
