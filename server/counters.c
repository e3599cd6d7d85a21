/* SPDX-License-Identifier: Apache-2.0 */
/* counters - everything the server counts, in one list. */
#include <config.h>

#include "server/counters.h"

#include <assert.h>
#include <string.h>

const char *const counter_names[] = {
#define C(NAME) #NAME,
    COUNTERS(C)
#undef C
};

const size_t n_counters = sizeof counter_names / sizeof counter_names[0];

static const size_t offsets[] = {
#define C(NAME) offsetof(struct counters, NAME),
    COUNTERS(C)
#undef C
};

uint64_t
counters_get(const struct counters *counters, size_t i)
{
    uint64_t value;

    assert(i < n_counters);
    memcpy(&value, (const char *) counters + offsets[i], sizeof value);
    return value;
}

void
counters_add(struct counters *counters, const struct counters *more)
{
#define C(NAME) counters->NAME += more->NAME;
    COUNTERS(C)
#undef C
}

json_t *
counters_to_json(const struct counters *counters)
{
    json_t *json = json_object();

    for (size_t i = 0; i < n_counters; i++) {
        json_object_set_new(
            json, counter_names[i],
            json_integer((json_int_t) counters_get(counters, i)));
    }
    return json;
}
