/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of a stage-2 shard's record: whatever the bytes are, they are read or
 * refused, and what is read is written so that it is read the same again. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "server/store_note.h"
#include "tests/fuzz/fuzz.h"

/* Member by member: what lies between them is nobody's. */
static bool
are_equal(const struct store_note *a, const struct store_note *b)
{
    bool are = a->cluster == b->cluster && a->round == b->round &&
               a->n_ends == b->n_ends && a->has_copies == b->has_copies &&
               a->read == b->read && a->forced == b->forced &&
               a->forced_read == b->forced_read && a->spans.n == b->spans.n &&
               a->spans.horizon == b->spans.horizon &&
               a->accept.len == b->accept.len &&
               !(a->accept.len &&
                 memcmp(a->accept.data, b->accept.data, a->accept.len));

    for (size_t i = 0; are && i < a->n_ends; i++) {
        are = a->ends[i].epoch == b->ends[i].epoch &&
              a->ends[i].round == b->ends[i].round;
    }
    for (size_t i = 0; are && i < a->spans.n; i++) {
        const struct store_span *x = &a->spans.all[i], *y = &b->spans.all[i];

        are = x->disk == y->disk && x->from == y->from && x->to == y->to &&
              x->min_ns == y->min_ns && x->max_ns == y->max_ns;
    }
    return are;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct store_note note, again;
    struct lh_error error;

    if (!store_note_read(&note, data, size, &error)) {
        store_note_put(&note, &out);
        if (store_note_read(&again, out.data, out.len, &error) ||
            !are_equal(&note, &again)) {
            abort();
        }
        store_note_uninit(&again);
        store_note_uninit(&note);
        byte_buf_uninit(&out);
    }
    return 0;
}
