/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes both forms of a hop_template: what is read is in bounds, and is read
 * again from what is written of it. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/hop_template.h"
#include "tests/fuzz/fuzz.h"

static void
must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void
check(const struct hop_template *t)
{
    struct byte_buf out = BYTE_BUF_INIT;
    union hop_template_buf back;

    must(t->size <= sizeof back && t->size % 8 == 0);
    must(strlen(hop_template_reason(t)) == t->reason_len);
    must(hop_template_reason(t) + t->reason_len < (const char *) t + t->size);

    hop_template_put(&out, t);
    struct bytes_reader r = bytes_reader(out.data, out.len);

    must(!hop_template_get(&r, &back, NULL) && !bytes_left(&r));
    must(hop_template_equal(t, &back.t));

    byte_buf_clear(&out);
    hop_template_to_ring(t, &out);
    must(out.len <= 1024 && out.len % 8 == 0);
    must(!hop_template_from_ring(out.data, out.len, &back, NULL));
    must(hop_template_equal(t, &back.t));
    byte_buf_uninit(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes_reader r = bytes_reader(data, size);
    union hop_template_buf buf;

    if (!hop_template_from_ring(data, size, &buf, NULL)) {
        check(&buf.t);
    }
    while (bytes_left(&r) && !hop_template_get(&r, &buf, NULL)) {
        check(&buf.t);
    }
    return 0;
}
