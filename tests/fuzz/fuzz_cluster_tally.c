/* SPDX-License-Identifier: Apache-2.0 */
/* What doors tell of switches and agents, and stores of what they lack:
 * anything is taken, or refused. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "server/cluster_book.h"
#include "server/cluster_sent.h"
#include "server/cluster_tally.h"
#include "server/cluster_wants.h"
#include "server/loss_ledger.h"
#include "tests/fuzz/fuzz.h"

static void
on_change(void *aux, uint32_t others)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cluster_tally *tally = cluster_tally_create(NULL);
    struct cluster_wants *wants = cluster_wants_create(NULL, on_change, NULL);
    struct cluster_book *book = cluster_book_create(NULL, NULL);
    struct cluster_sent_wanted wanted;
    enum agent_place place;
    struct byte_buf out = BYTE_BUF_INIT;
    struct lh_error error;
    uint64_t min, max;

    cluster_tally_take(tally, data, size, 1, &error);
    cluster_tally_take(tally, data, size, 2, &error);
    loss_ledger_ask(cluster_tally_ledger(tally), 1, 1, 2, 3);
    loss_ledger_sum(cluster_tally_ledger(tally), UINT64_MAX, &min, &max);
    cluster_tally_put(tally, 0, 3, &out);
    cluster_book_take(book, data, size, &error);
    cluster_book_ask(book, 7, 1, 2, 3, &place);
    cluster_book_destroy(book);
    cluster_wants_take(wants, data, size, 1, &error);
    cluster_wants_run(wants, 1, UINT64_MAX);
    cluster_wants_destroy(wants);
    if (cluster_sent_read(data, size, &wanted)) {
        byte_buf_clear(&out);
        cluster_sent_put(&wanted, &out);
        if (out.len != size || memcmp(out.data, data, size)) {
            abort();
        }
    }
    byte_buf_uninit(&out);
    cluster_tally_destroy(tally);
    return 0;
}
