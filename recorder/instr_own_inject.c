/* SPDX-License-Identifier: Apache-2.0 */
/* instr_own_inject - what makes postcards, for the port by which they leave.
 */
#include <config.h>
#include "recorder/instr_state.h"

#include "recorder/of_wire.h"

void
instr_own_set_inject(struct instr *instr)
{
    const struct instr_config *config = &instr->config;
    struct of_inject_config ic = {.is_mac = config->encapsulation == INSTR_MAC,
                                  .of_version = OF_WIRE_13,
                                  .dpid = config->dpid,
                                  .is_inband = config->is_inband,
                                  .port = instr_card_port(instr),
                                  .snap_len = config->snap_len,
                                  .tlv_index = instr->tlv_index,
                                  .switch_index = config->switch_index,
                                  .vlan = config->mac_vlan};

    instr_own_drop_inject(instr);
    for (unsigned int t = 0; t < N_TABLES; t++) {
        instr->miss[t].is_stale = true;
    }
    if (ic.port && (ic.is_mac || instr->has_tlv)) {
        instr->inject = of_inject_create(&ic);
        ic.of_version = OF_WIRE_10;
        instr->inject_10 = of_inject_create(&ic);
    }
}

void
instr_own_drop_inject(struct instr *instr)
{
    of_inject_destroy(instr->inject);
    of_inject_destroy(instr->inject_10);
    instr->inject = instr->inject_10 = NULL;
}

const struct of_inject *
instr_own_inject(const struct instr_change *c)
{
    return c->link->of_version == OF_WIRE_10 ? c->instr->inject_10
                                             : c->instr->inject;
}
