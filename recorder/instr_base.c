/* SPDX-License-Identifier: Apache-2.0 */
/* instr_base - the recorder's own flow monitor on a link: there while the
 * link's controller has monitors, or the recorder watches by it. */
#include <config.h>
#include "recorder/instr_state.h"

#define FIRST_ID 0x6c686d00 /* "lhm" */
#define ALL_CHANGES                                                           \
    (OF_MONITOR_ADDED | OF_MONITOR_REMOVED | OF_MONITOR_CHANGED)

static void
end_base(struct instr_change *own, uint32_t id)
{
    uint8_t *msg;
    size_t len;

    if (id) {
        of_monitor_cancel_encode(id, own->link->of_version, &msg, &len);
        instr_emit_own(own, msg, len);
    }
}

static void
begin_base(struct instr_change *own, bool is_full)
{
    struct instr *instr = own->instr;
    struct instr_link *link = own->link;
    bool is_watch = instr->watch.link == link;
    bool ask = is_full || (is_watch && !instr->watch.is_told);
    struct of_monitor m = {.flags = OF_MONITOR_ACTIONS | ALL_CHANGES,
                           .table_id = OF_FLOW_ALL_TABLES,
                           .out_port = OF_ACTS_ANY,
                           .out_group = OF_ACTS_ANY,
                           .match = instr->all_packets};
    uint8_t *msg;
    size_t len;

    do {
        m.id = FIRST_ID + instr->next_base++;
    } while (instr_monitor_has(link, m.id));
    m.flags |= (uint16_t) ((is_full ? OF_MONITOR_OWN : 0) |
                           (ask ? OF_MONITOR_INITIAL : 0));
    if (of_monitor_encode(&m, 1, link->of_version, &msg, &len)) {
        return;
    }
    instr_emit_own(own, msg, len);
    link->base.id = m.id;
    link->base.is_full = is_full;
    link->base.tag = own->tag;
    if (is_watch) {
        instr_burst_end(instr);
    }
    if (is_watch && ask) {
        instr->watch.round++;
        instr->watch.round_tag = own->tag;
        instr_look_begin(instr);
    }
}

void
instr_base_adapt(struct instr_change *c)
{
    struct instr_link *link = c->link;
    bool is_full = instr_monitor_has_any(link);
    bool is_wanted = is_full || (c->instr->watch.link == link &&
                                 !c->instr->watch.burst.is_suspended);
    uint32_t old = link->base.id;
    struct instr_change own;

    if (old ? is_wanted && is_full == link->base.is_full &&
                  !instr_monitor_has(link, old)
            : !is_wanted) {
        return;
    }
    instr_change_init(&own, link, c->out, c->now_ns, "recorder");
    link->base.id = 0;
    link->base.tag = 0;
    if (is_wanted) {
        begin_base(&own, is_full); /* First, so that nothing is missed. */
    }
    end_base(&own, old);
    if (!is_full) {
        instr_monitor_destroy(link);
    }
}
