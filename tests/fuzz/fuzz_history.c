/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_history - any text is a history that is written and read unchanged, or
 * is refused with a reason. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "lib/history.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *) data, size, 0, NULL);
    struct history *h, *again_h, *clone;
    struct lh_error error = {.text = ""};
    json_t *written, *again;

    if (history_from_json(json, &h, &error)) {
        assert(!h && error.text[0]);
        json_decref(json);
        return 0;
    }
    clone = history_clone(h);
    history_settle(h);
    history_settle(clone);
    written = history_to_json(h, NULL);
    assert(!history_from_json(written, &again_h, NULL));
    again = history_to_json(again_h, NULL);
    assert(json_equal(written, again));
    assert(history_first_ns(h) <= history_last_ns(clone));
    json_decref(json);
    json_decref(written);
    json_decref(again);
    history_destroy(h);
    history_destroy(again_h);
    history_destroy(clone);
    return 0;
}
