/* SPDX-License-Identifier: Apache-2.0 */
/* instr_table - what tables do with packets that no rule matches.
 *
 * Up to OpenFlow 1.2 such a packet goes to the controller unless a table-mod
 * of 1.1 or 1.2 says otherwise; later versions drop it. */
#include <config.h>
#include "recorder/instr_table.h"

#include "recorder/of_records.h"

#define MISS_MASK 3 /* OFPTC11_TABLE_MISS_MASK */

static void
set_miss(struct instr *instr, unsigned int t, enum of_miss miss)
{
    instr->miss_config[t] = (uint8_t) miss;
    if (t + 1 < N_TABLES) {
        uint64_t bit = UINT64_C(1) << (t + 1) % 64;

        if (miss == OF_MISS_CONTINUE) {
            instr->continued.bits[(t + 1) / 64] |= bit;
        } else {
            instr->continued.bits[(t + 1) / 64] &= ~bit;
        }
    }
}

void
instr_table_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    enum of_miss miss;
    uint8_t table_id;

    if (of_msg_table_mod(msg, len, &table_id, &miss)) {
        instr_note(c, "table-mod", msg, len);
    } else {
        instr->counters.passed_malformed++;
        miss = OF_MISS_DEFAULT;
    }
    instr_pass(c, msg, len);
    if (miss != OF_MISS_DEFAULT) {
        for (unsigned int t = 0; t < N_TABLES; t++) {
            if (table_id == t || table_id == OF_FLOW_ALL_TABLES) {
                set_miss(instr, t, miss);
            }
        }
        instr_own_update(c);
    }
}

void
instr_table_read(struct instr *instr, const uint8_t *msg, size_t len)
{
    static const enum of_miss misses[MISS_MASK + 1] = {
        OF_MISS_DEFAULT, OF_MISS_CONTINUE, OF_MISS_DROP, OF_MISS_DEFAULT};
    struct of_records_table t;
    struct of_records r;

    of_records_open(&r, OF_TABLE_STATS_REPLY, msg, len);
    while (of_records_next(&r)) {
        of_records_table(&r, &t);
        if (t.has_config) {
            set_miss(instr, t.table_id, misses[t.config & MISS_MASK]);
        }
    }
}

bool
instr_table_is_entered(const struct instr *instr, unsigned int t)
{
    while (t && !instr_shadow_table(instr->shadow, (uint8_t) t)->n_missing) {
        if (!instr_table_continues(instr, --t)) {
            return false;
        }
    }
    return true;
}

bool
instr_table_punts(const struct instr *instr, unsigned int t)
{
    switch ((enum of_miss) instr->miss_config[t]) {
    case OF_MISS_CONTROLLER:
        break;
    case OF_MISS_CONTINUE:
    case OF_MISS_DROP:
        return false;
    case OF_MISS_DEFAULT:
    default:
        if (!instr_link_is_any_before_13(instr)) {
            return false;
        }
        break;
    }
    return instr_table_is_entered(instr, t);
}

bool
instr_table_continues(const struct instr *instr, unsigned int t)
{
    return instr->miss_config[t] == OF_MISS_CONTINUE;
}
