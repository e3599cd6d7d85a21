/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns - many histories as columns: payloads in memory. */
#include <config.h>

#include "lib/history_columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

struct memory {
    const uint8_t *data;
    size_t len;
};

static int
read_memory(void *memory, uint64_t offset, uint8_t *data, size_t n)
{
    const struct memory *m = memory;

    if (offset > m->len || n > m->len - offset) {
        return ENODATA;
    }
    if (n) {
        memcpy(data, m->data + offset, n);
    }
    return 0;
}

int
column_decoder_open(const uint8_t *payload, size_t len, size_t table_len,
                    struct column_decoder **dp, struct lh_error *error)
{
    if (!len || table_len > len) {
        *dp = NULL;
        lh_error_set(error, "the table of sections is broken");
        return EBADMSG;
    }

    struct memory *memory = lh_alloc(sizeof *memory);
    struct column_source source = {read_memory, free, memory};

    *memory = (struct memory){payload + table_len, len - table_len};
    return column_decoder_create(payload, table_len, &source, dp, error);
}
