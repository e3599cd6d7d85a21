/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the decoder of the archive's payloads: whatever it accepts must come
 * back the same when encoded again, and has a key. */
#include <config.h>

#include <stdlib.h>

#include "lib/history_codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/random_history.h"

static void
check_again(const struct history *h)
{
    struct history_encoder *e = history_encoder_create();
    struct byte_buf buf = BYTE_BUF_INIT;
    struct history_decoder *d;
    struct history_record record;
    struct history *again;

    if (history_encoder_add(e, h)) {
        abort();
    }
    history_encoder_finish(e, &buf);
    if (history_decoder_create(buf.data, buf.len, &d, NULL) ||
        history_decoder_next(d, &record, NULL) ||
        history_decoder_read(d, record.offset, &again, NULL) ||
        !history_is_same(h, again)) {
        abort();
    }
    history_destroy(again);
    history_decoder_destroy(d);
    byte_buf_uninit(&buf);
    history_encoder_destroy(e);
}

static void
need_key(const struct history_decoder *d, size_t offset)
{
    struct byte_buf key = BYTE_BUF_INIT;

    if (!history_decoder_key(d, offset, &key)) {
        abort();
    }
    byte_buf_uninit(&key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct history_decoder *d;
    struct history_record record;

    if (history_decoder_create(data, size, &d, NULL)) {
        return 0;
    }
    for (int n = 0; n < 64 && !history_decoder_next(d, &record, NULL); n++) {
        struct history *h;

        if (!history_decoder_read(d, record.offset, &h, NULL)) {
            need_key(d, record.offset);
            check_again(h);
            history_destroy(h);
        }
    }
    history_decoder_destroy(d);
    return 0;
}
