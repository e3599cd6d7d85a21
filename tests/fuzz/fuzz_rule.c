/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes rules: the input is a rule's JSON, a NUL, and a packet to apply it
 * to.  A rule that is read comes back from its JSON the same; what it makes of
 * a packet fits its buffer. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/rule.h"
#include "tests/fuzz/fuzz.h"

static void
must(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void
check_json(const struct rule *rule)
{
    json_t *json = rule_to_json(rule);
    struct rule *back;

    must(rule_from_json(json, &back, NULL) == 0);

    json_t *again = rule_to_json(back);

    must(json_equal(json, again));
    json_decref(json);
    json_decref(again);
    rule_unref(back);
}

static void
check_apply(const struct rule *rule, const uint8_t *packet, size_t len)
{
    size_t n_outputs = rule_outputs(rule, NULL, 0);
    size_t sizes[] = {len + 64, len, len / 2};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *out = malloc(sizes[i] + 1);
        size_t out_len;

        rule_apply(rule, n_outputs, packet, len, out, sizes[i], &out_len);
        must(out_len <= sizes[i]);
        rule_apply(rule, 0, packet, len, out, sizes[i], &out_len);
        must(out_len <= sizes[i]);
        free(out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
    size_t json_len = nul ? (size_t) (nul - data) : size;
    json_t *json = json_loadb((const char *) data, json_len, 0, NULL);
    struct rule *rule;

    if (json) {
        struct lh_error error = {.text = ""};

        if (!rule_from_json(json, &rule, &error)) {
            size_t packet_len = nul ? size - json_len - 1 : 0;
            uint8_t *packet = malloc(packet_len + 1);

            if (packet_len) {
                memcpy(packet, nul + 1, packet_len);
            }
            check_json(rule);
            check_apply(rule, packet, packet_len);
            free(packet);
            rule_unref(rule);
        } else {
            must(error.text[0] && !rule);
        }
        json_decref(json);
    }
    return 0;
}
