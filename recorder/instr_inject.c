/* SPDX-License-Identifier: Apache-2.0 */
/* instr_inject - what a switch's postcards are emitted by. */
#include <config.h>
#include "recorder/instr_state.h"
#include "recorder/of_wire.h"

static void
set_one(struct instr *instr, enum instr_encapsulation encapsulation)
{
    const struct instr_config *config = &instr->config;
    uint16_t port = instr_card_port_of(instr, encapsulation);
    struct of_inject_config ic = {.is_mac = encapsulation == INSTR_MAC,
                                  .of_version = OF_WIRE_13,
                                  .dpid = config->dpid,
                                  .is_inband = encapsulation == INSTR_MAC &&
                                               config->is_inband,
                                  .port = port,
                                  .snap_len = config->snap_len,
                                  .tlv_index = instr->tlv_index,
                                  .switch_index = config->switch_index,
                                  .vlan = config->ports[encapsulation].vlan};

    if (encapsulation == INSTR_AGENT && instr_action_is_there(instr)) {
        ic.is_agent = true;
        instr->inject[encapsulation] = of_inject_create(&ic);
        instr->inject_10[encapsulation] = of_inject_create(&ic);
    } else if (port &&
               (ic.is_mac || (instr->has_tlv && !instr->tlv_move.state))) {
        instr->inject[encapsulation] = of_inject_create(&ic);
        ic.of_version = OF_WIRE_10;
        instr->inject_10[encapsulation] = of_inject_create(&ic);
    }
}

void
instr_inject_set(struct instr *instr)
{
    instr_inject_drop(instr);
    for (unsigned int t = 0; t < N_TABLES; t++) {
        instr->miss[t].is_stale = true;
    }
    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        set_one(instr, (enum instr_encapsulation) i);
    }
}

void
instr_inject_drop_one(struct instr *instr,
                      enum instr_encapsulation encapsulation)
{
    of_inject_destroy(instr->inject[encapsulation]);
    of_inject_destroy(instr->inject_10[encapsulation]);
    instr->inject[encapsulation] = instr->inject_10[encapsulation] = NULL;
}

void
instr_inject_drop(struct instr *instr)
{
    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        instr_inject_drop_one(instr, (enum instr_encapsulation) i);
    }
}

bool
instr_inject_has(const struct instr *instr)
{
    return instr->inject[INSTR_GENEVE] || instr->inject[INSTR_MAC] ||
           instr->inject[INSTR_AGENT];
}

enum instr_encapsulation
instr_inject_choose(const struct instr *instr, enum instr_encapsulation wanted)
{
    return instr->inject[INSTR_AGENT]    ? INSTR_AGENT
           : instr->inject[wanted]       ? wanted
           : instr->inject[INSTR_GENEVE] ? INSTR_GENEVE
                                         : INSTR_MAC;
}

const struct of_inject *
instr_inject_get(const struct instr_change *c, struct shadow_card card)
{
    return c->link->of_version == OF_WIRE_10
               ? c->instr->inject_10[card.encapsulation]
               : c->instr->inject[card.encapsulation];
}
