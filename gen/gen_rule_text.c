/* SPDX-License-Identifier: Apache-2.0 */
/* gen_rule_text - what a made-up rule does, as ovs-ofctl would write it. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "gen/gen_route_make.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/text_buf.h"

static void
add_set(struct text_buf *text, const struct step *step)
{
    const uint8_t *v = step->value;
    unsigned int port = (unsigned int) (v[0] << 8 | v[1]);

    switch ((unsigned int) step->field) {
    case FIELD_ETH_DST:
        text_buf_put(text, "mod_dl_dst:%02x:%02x:%02x:%02x:%02x:%02x", v[0],
                     v[1], v[2], v[3], v[4], v[5]);
        break;
    case FIELD_IPV4_SRC:
    case FIELD_IPV4_DST:
        text_buf_put(text, "mod_nw_%s:%u.%u.%u.%u",
                     step->field == FIELD_IPV4_SRC ? "src" : "dst", v[0], v[1],
                     v[2], v[3]);
        break;
    case FIELD_TP_SRC:
    case FIELD_TP_DST:
        text_buf_put(text, "mod_tp_%s:%u",
                     step->field == FIELD_TP_SRC ? "src" : "dst", port);
        break;
    default:
        break; /* Routes set nothing else. */
    }
}

void
gen_rule_text_fill(struct rule *rule)
{
    char buf[1024];
    struct text_buf text = text_buf(buf, sizeof buf);

    for (size_t i = 0; i < rule->n_steps; i++) {
        const struct step *step = &rule->steps[i];
        const char *name = of_port_name(step->port);

        if (i) {
            text_buf_put(&text, ",");
        }
        if (step->type == STEP_OUTPUT && name) {
            text_buf_put(&text, "%s", name);
        } else if (step->type == STEP_OUTPUT) {
            text_buf_put(&text, "output:%u", (unsigned int) step->port);
        } else if (step->type == STEP_DEC_TTL) {
            text_buf_put(&text, "dec_ttl");
        } else if (step->type == STEP_SET) {
            add_set(&text, step);
        }
    }
    if (rule->is_transit) {
        text_buf_put(&text, "%sresubmit(,%u)", rule->n_steps ? "," : "",
                     rule->table_id + 1u);
    }
    if (text.len) {
        free(rule->actions);
        rule->actions = lh_strdup(buf);
    }
}
