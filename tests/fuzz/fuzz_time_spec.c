/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_time_spec - any text is a time, or is refused with a place in it. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/time_spec.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t now_ns = UINT64_C(1700000000000000000);
    char *text = strndup((const char *) data, size);
    struct lh_error error = {.text = "", .pos = -1};
    char buf[TIME_SPEC_BUFSIZE];
    uint64_t ns, again;

    if (time_spec_parse(text, now_ns, &ns, &error)) {
        assert(error.text[0] && error.pos >= 0);
        assert((size_t) error.pos <= strlen(text));
    } else if (ns < INT64_MAX - UINT64_C(10000000000)) {
        time_spec_format(ns, true, 9, buf);
        assert(!time_spec_parse(buf, now_ns, &again, NULL) && again == ns);
    }
    free(text);
    return 0;
}
