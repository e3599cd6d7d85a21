/* SPDX-License-Identifier: Apache-2.0 */
/* rule_apply_tool - applies rules for tests that compare with a real switch:
 * reads lines "RULE-JSON TAB PACKET-HEX", writes the packet at the rule's
 * first output as hex, or "ttl", "unknown" or the reason of an error. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/rule.h"

#define MAX_PACKET 2048

static void
apply(const char *json_text, const char *packet_hex)
{
    uint8_t in[MAX_PACKET], out[MAX_PACKET + 64];
    char hex[2 * sizeof out + 1];
    size_t len = bytes_from_hex(packet_hex, in, sizeof in), out_len;
    json_t *json = json_loads(json_text, 0, NULL);
    struct lh_error error = {.text = "not JSON"};
    struct rule *rule = NULL;

    if (len == SIZE_MAX) {
        printf("not a packet\n");
    } else if (!json || rule_from_json(json, &rule, &error)) {
        printf("%s\n", error.text);
    } else {
        switch (rule_apply(rule, 0, in, len, out, sizeof out, &out_len)) {
        case RULE_APPLY_OK:
            bytes_to_hex(out, out_len, hex);
            printf("%s\n", hex);
            break;
        case RULE_APPLY_TTL:
            printf("ttl\n");
            break;
        case RULE_APPLY_UNKNOWN:
            printf("unknown\n");
            break;
        }
    }
    rule_unref(rule);
    json_decref(json);
}

int
main(void)
{
    static char line[65536];

    while (fgets(line, sizeof line, stdin)) {
        char *tab = strchr(line, '\t');

        line[strcspn(line, "\n")] = '\0';
        if (!tab) {
            fprintf(stderr, "rule_apply_tool: no tab in \"%s\"\n", line);
            return EXIT_FAILURE;
        }
        *tab = '\0';
        apply(line, tab + 1);
    }
    return EXIT_SUCCESS;
}
