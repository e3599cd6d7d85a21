/* SPDX-License-Identifier: Apache-2.0 */
/* of_rules - any number of rules of one kind. */
#include <config.h>
#include "bench/of_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/of_peer.h"
#include "recorder/of_flow.h"
#include "recorder/of_wire.h"

#define MAX_MATCH 512

/* Writes the match of rule 'i'. */
static void
put_match(const char *match, uint32_t i, char *text)
{
    const uint32_t parts[] = {i >> 16 & 255, i >> 8 & 255, i & 255};
    size_t n = 0, part = 0;

    for (const char *p = match; *p && n < MAX_MATCH - 4; p++) {
        if (p[0] == '%' && p[1] == 'd' && part < 3) {
            n += (size_t) snprintf(text + n, MAX_MATCH - n, "%u",
                                   parts[part++]);
            p++;
        } else {
            text[n++] = *p;
        }
    }
    text[n] = '\0';
}

void
of_rules_make(const struct of_rules *rules, uint32_t i, uint8_t **msg,
              size_t *len)
{
    char match[MAX_MATCH], text[4096];
    struct of_flow flow;
    char *error;

    put_match(rules->match, i, match);
    snprintf(text, sizeof text, "table=0,priority=100,%s,actions=%s", match,
             rules->actions);
    error = of_flow_from_text(&flow, OF_FLOW_ADD, text);
    if (error || of_flow_encode(&flow, of_peer_version, 0, msg, len)) {
        of_peer_die("%s: %s", text, error ? error : "too long");
    }
    of_flow_uninit(&flow);
}
