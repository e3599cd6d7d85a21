/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes rows of profiles: whatever a piece holds, reading it ends, and what
 * was let in can be written and read again.
 *
 * The input is whether rows have links, then the piece. */
#include <config.h>

#include <stdlib.h>

#include "phf/profile_rows.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct profile_table table = {.n = 0}, again = {.n = 0};

    if (size && !profile_rows_add(&table, data[0] & 1, data + 1, size - 1)) {
        struct byte_buf out = BYTE_BUF_INIT;
        size_t n = profile_rows_put(&table, 0, &out);

        /* Sums may be more than a row may tell. */
        if (n && !profile_rows_add(&again, data[0] & 1, out.data, out.len) &&
            again.n != n) {
            abort();
        }
        byte_buf_uninit(&out);
    }
    profile_table_uninit(&table);
    profile_table_uninit(&again);
    return 0;
}
