/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns - many histories as columns: payloads in memory. */
#include <config.h>

#include "lib/history_columns.h"

#include <errno.h>

int
column_decoder_open(const uint8_t *payload, size_t len, size_t table_len,
                    struct column_decoder **dp, struct lh_error *error)
{
    struct column_source source = {.read = NULL};

    if (!len || table_len > len) {
        *dp = NULL;
        lh_error_set(error, "the table of sections is broken");
        return EBADMSG;
    }
    source.bytes = payload + table_len;
    source.n_bytes = len - table_len;
    return column_decoder_create(payload, table_len, &source, dp, error);
}
