/* SPDX-License-Identifier: Apache-2.0 */
/* Heads and bodies of frames: what is read is written and read the same. */
#include <config.h>

#include <stdlib.h>

#include "lib/history_frame.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct topology *names, *names_again;
    struct history *h, *again;
    struct byte_buf body = BYTE_BUF_INIT;
    struct history_frame_info info;

    if (size < HISTORY_FRAME_HEAD || history_frame_read_head(data, &info)) {
        return 0;
    }
    data += HISTORY_FRAME_HEAD;
    size -= HISTORY_FRAME_HEAD;
    if (history_frame_read(data, size, info.version, &h, &names, NULL)) {
        return 0;
    }
    if (!history_frame_write(h, names, info.version, &body)) {
        if (history_frame_read(body.data, body.len, info.version, &again,
                               &names_again, NULL) ||
            again->n_hops != h->n_hops) {
            abort();
        }
        history_destroy(again);
        topology_unref(names_again);
    }
    byte_buf_uninit(&body);
    history_destroy(h);
    topology_unref(names);
    return 0;
}
