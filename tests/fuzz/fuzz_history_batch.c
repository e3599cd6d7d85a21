/* SPDX-License-Identifier: Apache-2.0 */
/* Histories packed for the bus: whatever the bytes are, they are read or
 * refused, and what is read can be packed and read again. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/bytes.h"
#include "lib/history_batch.h"
#include "tests/fuzz/fuzz.h"

static const struct packet_id_config config = {1234, 40};

static void
read_again(struct history_batch_writer *w, uint32_t n)
{
    struct history_batch_reader *r = history_batch_reader_create();
    struct byte_buf out = BYTE_BUF_INIT;
    struct history_batch_item item;

    if (!history_batch_writer_finish(w, &out, NULL)) {
        if (history_batch_reader_open(r, out.data, out.len, NULL)) {
            abort();
        }
        while (!history_batch_reader_next(r, &item, NULL)) {
            n--;
        }
        if (n) {
            abort();
        }
    }
    byte_buf_uninit(&out);
    history_batch_reader_destroy(r);
}

static void
try(const uint8_t *data, size_t size)
{
    struct history_batch_reader *r = history_batch_reader_create();
    struct history_batch_writer *w = history_batch_writer_create(&config);
    struct history_batch_item item;
    uint32_t n = 0;

    if (!history_batch_reader_open(r, data, size, NULL)) {
        while (!history_batch_reader_next(r, &item, NULL)) {
            n += !history_batch_writer_add(
                w, history_batch_reader_history(r, &item));
        }
        read_again(w, n);
    }
    history_batch_reader_destroy(r);
    history_batch_writer_destroy(w);
}

/* As it is, and, of version 2, with the right checksum. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    try(data, size);
    if (size > 9 && data[0] == 2) {
        copy = malloc(size);
        memcpy(copy, data, size);
        bytes_put_be64(copy + 1, XXH64(copy + 9, size - 9, 0));
        try(copy, size);
        free(copy);
    }
    return 0;
}
