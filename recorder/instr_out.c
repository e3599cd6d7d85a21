/* SPDX-License-Identifier: Apache-2.0 */
/* instr_out - what a call to instr produced. */
#include <config.h>
#include "recorder/instr.h"

#include <stdlib.h>
#include <string.h>

void
instr_out_init(struct instr_out *out)
{
    memset(out, 0, sizeof *out);
}

static void
free_messages(struct instr_msg *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(messages[i].data);
        free(messages[i].original);
    }
    free(messages);
}

void
instr_out_uninit(struct instr_out *out)
{
    free_messages(out->to_switch, out->n_to_switch);
    free_messages(out->to_controller, out->n_to_controller);
    for (size_t i = 0; i < out->n_made; i++) {
        rule_unref(out->made[i]);
    }
    free(out->made);
    free(out->removed);
    for (size_t i = 0; i < out->n_lldp; i++) {
        free(out->lldp[i].frame);
    }
    free(out->lldp);
    for (size_t i = 0; i < out->n_events; i++) {
        free(out->events[i].text);
    }
    free(out->events);
    for (size_t i = 0; i < out->n_objects; i++) {
        free(out->objects[i].text);
        free(out->objects[i].raw);
    }
    free(out->objects);
    instr_out_init(out);
}
