/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_totals - what the servers told at the end of a query, together. */
#include <config.h>

#include "server/cluster_totals.h"

#include <stdbool.h>
#include <stddef.h>

static json_int_t
get(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* From when to when packets were left out, on any server. */
static void
add_sampled(json_t *end, const json_t *part)
{
    const json_t *told = json_object_get(end, "sampled");
    json_int_t since = get(part, "sampled_since");
    json_int_t until = get(part, "sampled_until");

    if (!since) {
        return;
    }
    if (told && get(told, "since_ns") < since) {
        since = get(told, "since_ns");
    }
    if (told && get(told, "until_ns") > until) {
        until = get(told, "until_ns");
    }
    json_object_set_new(
        end, "sampled",
        json_pack("{s:I, s:I}", "since_ns", since, "until_ns", until));
}

void
cluster_totals_add(json_t *end, const json_t *part)
{
    static const char *const counts[] = {"scanned", "damaged", "lost"};
    json_t *damage = json_object_get(part, "damage");
    bool is_truncated = json_is_true(json_object_get(part, "truncated")) ||
                        json_is_true(json_object_get(end, "truncated"));

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_object_set_new(
            end, counts[i],
            json_integer(get(end, counts[i]) + get(part, counts[i])));
    }
    json_object_set_new(end, "truncated", json_boolean(is_truncated));
    if (damage && !json_object_get(end, "damage")) {
        json_object_set(end, "damage", damage);
    }
    add_sampled(end, part);
}
