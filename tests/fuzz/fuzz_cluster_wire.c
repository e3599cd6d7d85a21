/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in front of postcards on the bus: what is read and written again
 * is read the same. */
#include <config.h>

#include <stdlib.h>

#include "lib/card_batch.h"
#include "server/cluster_wire.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cluster_run runs[CARD_BATCH_MAX];
    struct cluster_cards_head head, again;
    struct byte_buf out = BYTE_BUF_INIT;
    struct cluster_run run;
    struct lh_error error;
    const uint8_t *batch;
    size_t len, n = 0;

    if (cluster_wire_get_cards(data, size, &head, &batch, &len, &error)) {
        return 0;
    }
    if (batch + len != data + size) {
        abort();
    }
    while (cluster_wire_next_run(&head.runs, &runs[n])) {
        n++;
    }
    cluster_wire_put_cards(&out, &head, runs, n);
    if (cluster_wire_get_cards(out.data, out.len, &again, &batch, &len,
                               &error) ||
        len || again.door != head.door || again.number != head.number ||
        again.watermark_ns != head.watermark_ns ||
        again.left_out != head.left_out) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        if (!cluster_wire_next_run(&again.runs, &run) ||
            run.agent != runs[i].agent || run.frame != runs[i].frame ||
            run.first != runs[i].first || run.n != runs[i].n) {
            abort();
        }
    }
    byte_buf_uninit(&out);
    return 0;
}
