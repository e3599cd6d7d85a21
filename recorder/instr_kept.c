/* SPDX-License-Identifier: Apache-2.0 */
/* instr_kept - what passed before there was a link. */
#include <config.h>
#include "recorder/instr_kept.h"

#include "recorder/instr_state.h"
#include "recorder/of_wire.h"

void
instr_kept_init(struct instr_kept *kept)
{
    *kept = (struct instr_kept){.role = INSTR_ROLE_EQUAL,
                                .miss_len = INSTR_LINK_MISS_LEN};
}

void
instr_kept_init_guest(struct instr_kept *kept)
{
    *kept = (struct instr_kept){.role = INSTR_ROLE_EQUAL, .is_guest = true};
}

static void
count_bundles(struct instr_kept *kept, const uint8_t *msg, size_t len)
{
    struct of_bundle_control bc;

    if (!of_msg_bundle_control(msg, len, &bc)) {
        return;
    }
    switch ((int) bc.type) {
    case OF_BUNDLE_OPEN_REQUEST:
        kept->n_bundles++;
        break;
    case OF_BUNDLE_COMMIT_REQUEST:
    case OF_BUNDLE_DISCARD_REQUEST:
        kept->n_bundles -= kept->n_bundles > 0;
        break;
    default:
        break;
    }
}

void
instr_kept_down(struct instr_kept *kept, const uint8_t *msg, size_t len)
{
    if (msg[1] == OF_WIRE_FLOW_MOD || msg[1] == OF_WIRE_PACKET_OUT) {
        return; /* Most of them, and none is of interest. */
    }
    switch ((int) of_msg_kind(msg, len)) {
    case OF_SET_CONFIG:
        if (len >= 12) {
            kept->miss_len = of_wire_get16(msg + 10);
        }
        break;
    case OF_SET_FLOW_FORMAT:
        kept->wants_nicira = len >= 20 && of_wire_get32(msg + 16) == 2;
        break;
    case OF_FLOW_MOD_TABLE_ID:
        kept->has_tid = len >= 17 && msg[16];
        break;
    case OF_MONITOR_REQUEST:
        kept->has_monitors = true;
        break;
    case OF_BUNDLE_CONTROL:
        count_bundles(kept, msg, len);
        break;
    default:
        break;
    }
}

bool
instr_kept_up(struct instr_kept *kept, const uint8_t *msg, size_t len)
{
    enum instr_role role;

    if (!instr_role_told(msg, len, &role)) {
        return false;
    }
    kept->role = role;
    return role == INSTR_ROLE_MASTER;
}

void
instr_kept_demote(struct instr_kept *kept)
{
    if (kept->role == INSTR_ROLE_MASTER) {
        /* Between connections there is no order. */
        kept->role = INSTR_ROLE_UNSURE;
    }
}

const char *
instr_kept_obstacle(const struct instr_kept *kept)
{
    return kept->has_monitors ? "its controller has a flow monitor"
           : kept->n_bundles  ? "its controller has a bundle open"
                              : NULL;
}

void
instr_kept_adopt(const struct instr_kept *kept, struct instr_link *link)
{
    link->role = kept->role;
    link->has_tid = kept->has_tid;
    link->wants_nicira = kept->wants_nicira;
    link->miss_len = kept->miss_len;
    link->is_guest = kept->is_guest;
}
