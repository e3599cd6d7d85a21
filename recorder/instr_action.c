/* SPDX-License-Identifier: Apache-2.0 */
/* instr_action - whether the switch makes postcards itself. */
#include <config.h>
#include "recorder/instr_state.h"
#include "recorder/of_packet_out.h"

#include <assert.h>

#include "lib/of_port.h"

void
instr_action_ask(struct instr_change *c)
{
    struct instr *instr = c->instr;
    static const uint8_t frame[60];
    struct of_packet_out po = {.in_port = OF_PORT_CONTROLLER,
                               .buffer_id = OF_FLOW_NO_BUFFER,
                               .frame = frame,
                               .len = sizeof frame};
    struct instr_change own;
    uint8_t *msg;
    size_t len;
    char *error;

    if (!instr->config.ports[INSTR_AGENT].is_wanted) {
        return;
    }
    error = of_acts_from_text(&po.acts, "postcard(version=0)");
    assert(!error);
    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    if (!of_packet_out_encode(&po, c->link->of_version, 0, &msg, &len)) {
        instr_emit_own(&own, msg, len);
        instr->action =
            (struct instr_action){.tag = own.tag, .is_refused = false};
    }
    of_packet_out_uninit(&po);
}

bool
instr_action_refused(struct instr *instr, uint64_t tag)
{
    if (!tag || tag != instr->action.tag) {
        return false;
    }
    instr->action.is_refused = true;
    return true;
}

bool
instr_action_is_there(const struct instr *instr)
{
    return instr->action.tag && !instr->action.is_refused;
}

bool
instr_makes_cards(const struct instr *instr)
{
    return instr->inject[INSTR_AGENT] != NULL;
}
