/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between agent and server: what is read lies within what was given. */
#include <config.h>

#include <stdlib.h>

#include "lib/agent_frame.h"
#include "tests/fuzz/fuzz.h"

static void
check_inside(const uint8_t *data, size_t size, const uint8_t *part, size_t len)
{
    if (len && (part < data || part + len > data + size)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_frame f;
    size_t used;

    while (size &&
           !agent_frame_read(data, size, AGENT_FRAME_MAX, &used, &f, NULL)) {
        if (used > size) {
            abort();
        }
        if (f.type == AGENT_HELLO) {
            check_inside(data, used, f.hello.name, f.hello.name_len);
        } else if (f.type == AGENT_BATCH) {
            check_inside(data, used, f.batch.data, f.batch.len);
        } else if (f.type == AGENT_LOSS) {
            uint64_t sum = 0;

            for (size_t i = 0; i < f.loss.n; i++) {
                sum += agent_loss_switch(&f.loss, i).count;
            }
            (void) sum;
        }
        data += used;
        size -= used;
    }
    return 0;
}
