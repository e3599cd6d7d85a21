/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the index of a block: whatever it holds, asking it ends, reads
 * nothing but the index, and answers the same each time. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/block_index.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "tests/fuzz/fuzz.h"

/* Asks for values that are in the input. */
static unsigned int
ask(const struct block_index *index, const uint8_t *data, size_t size)
{
    unsigned int n = 0;

    for (size_t at = 0; at + 16 < size && at < 512; at += 16) {
        enum block_index_hop what =
            (enum block_index_hop)(1 + data[at] % BLOCK_INDEX_VERDICT);
        struct flow_key mask, value;

        n += block_index_has_hop(index, what, bytes_be64(data + at),
                                 bytes_be32(data + at + 8));
        memset(&mask, 0, sizeof mask);
        memset(&value, 0, sizeof value);
        memset(mask.bytes, 0xff, data[at + 1] % sizeof mask.bytes);
        memcpy(value.bytes, data + at, 16);
        for (unsigned int kind = 0; kind < N_HEADER_FORMS; kind++) {
            n += block_index_has_key(index, (enum header_kind) kind, &mask,
                                     &value);
        }
    }
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_index index;
    uint8_t *raw = lh_alloc(size);

    if (size) {
        memcpy(raw, data, size);
    }
    if (!block_index_parse(&index, raw, size, NULL)) {
        if (ask(&index, data, size) != ask(&index, data, size)) {
            abort();
        }
        block_index_uninit(&index);
    }
    return 0;
}
