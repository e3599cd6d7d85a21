/* SPDX-License-Identifier: Apache-2.0 */
/* Packed postcards: what is read is written and read the same.  The first two
 * bytes say how many postcards there should be. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/agent_batch.h"
#include "tests/fuzz/fuzz.h"

static void
check_again(struct agent_batch_reader *r, uint32_t n)
{
    struct agent_batch_writer *w = agent_batch_writer_create();
    struct agent_batch_reader *again = agent_batch_reader_create();
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_postcard *all = calloc(n + 1, sizeof *all), p;
    struct agent_batch_stats stats;
    uint32_t n_in = 0;

    while (agent_batch_reader_next(r, &p)) {
        all[n_in] = p;
        if (!agent_batch_writer_add(w, &p)) {
            break; /* Those that do not fit are not looked at. */
        }
        n_in++;
    }
    agent_batch_writer_finish(w, &out, &stats);
    if (stats.n != n_in ||
        agent_batch_reader_open(again, out.data, out.len, n_in, NULL)) {
        abort();
    }
    for (uint32_t i = 0; i < n_in; i++) {
        if (!agent_batch_reader_next(again, &p) ||
            p.time_ns != all[i].time_ns || p.caplen != all[i].caplen ||
            p.packet_len != all[i].packet_len || p.kind != all[i].kind ||
            p.reason != all[i].reason ||
            !hop_template_equal(p.template, all[i].template) ||
            memcmp(p.header, all[i].header, p.caplen) != 0) {
            abort();
        }
    }
    free(all);
    byte_buf_uninit(&out);
    agent_batch_writer_destroy(w);
    agent_batch_reader_destroy(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2) {
        struct agent_batch_reader *r = agent_batch_reader_create();
        uint32_t n = bytes_be16(data);

        if (!agent_batch_reader_open(r, data + 2, size - 2, n, NULL)) {
            check_again(r, n);
        }
        agent_batch_reader_destroy(r);
    }
    return 0;
}
