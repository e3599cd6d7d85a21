/* SPDX-License-Identifier: Apache-2.0 */
/* instr_ask - what we ask of a switch: all that it has, and whether it has
 * done what came before. */
#include <config.h>
#include "recorder/instr_state.h"

#include "recorder/of_ask.h"

static void
emit(void *c, uint8_t *msg, size_t len)
{
    instr_emit_own(c, msg, len);
}

void
instr_ask_barrier(struct instr_change *c)
{
    of_ask_barrier(c->link->of_version, emit, c);
}

void
instr_ask_forms(struct instr_change *c)
{
    of_ask_forms(c->link->of_version, emit, c);
}

void
instr_ask_switch(struct instr_change *c)
{
    uint8_t version = c->link->of_version;

    instr_forward_ask(c->link, c->now_ns, c->out);
    of_ask_forms(version, emit, c);
    of_ask_tlvs(version, emit, c);
    of_ask_ports(version, emit, c);
    of_ask_meters(version, emit, c);
    of_ask_rules(version, emit, c);
}
