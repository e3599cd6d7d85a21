/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_topology - any text is a topology that is written and read unchanged,
 * or is refused with a reason. */
#include <config.h>
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "lib/topology.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *) data, size, 0, NULL);
    struct topology *t, *again_t;
    struct lh_error error = {.text = ""};
    json_t *written, *again;

    if (topology_from_json(json, &t, &error)) {
        assert(!t && error.text[0]);
        json_decref(json);
        return 0;
    }
    written = topology_to_json(t);
    assert(!topology_from_json(written, &again_t, NULL));
    again = topology_to_json(again_t);
    assert(json_equal(written, again));
    json_decref(json);
    json_decref(written);
    json_decref(again);
    topology_unref(t);
    topology_unref(again_t);
    return 0;
}
