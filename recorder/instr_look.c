/* SPDX-License-Identifier: Apache-2.0 */
/* instr_look - whether our own rules are among those that stand. */
#include <config.h>
#include "recorder/instr_carry.h"
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define N_WORDS (MAX_INDEX / 64 + 1)

void
instr_look_begin(struct instr *instr)
{
    struct instr_look *look = &instr->watch.look;

    memset(look->drop_in, 0, sizeof look->drop_in);
    look->lldp = false;
    look->n_carries = 0;
    memset(&look->misses, 0, sizeof look->misses);
    if (look->indexes) {
        memset(look->indexes, 0, N_WORDS * sizeof *look->indexes);
    }
}

void
instr_look_see(struct instr *instr, const struct of_update *u)
{
    struct instr_look *look = &instr->watch.look;
    uint16_t port = of_match_in_port(u->match);

    switch (u->cookie & ~OWN_COOKIE_MASK) {
    case OWN_DROP_IN:
        for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
            look->drop_in[i] |= port == instr->drop_in[i];
        }
        break;
    case OWN_LLDP:
        look->lldp = true;
        break;
    case OWN_MISS:
        of_tables_add(&look->misses, u->table_id);
        break;
    case OWN_INDEX:
        if (u->table_id == instr->index_table && port <= MAX_INDEX) {
            if (!look->indexes) {
                look->indexes = lh_alloc_zero(N_WORDS * sizeof *look->indexes);
            }
            look->indexes[port / 64] |= UINT64_C(1) << port % 64;
        }
        break;
    default:
        look->n_carries += instr_carry_has(
            instr, (uint8_t) (u->cookie & ~OWN_COOKIE_MASK), u->match);
        break;
    }
}

static void
find_indexes(struct instr_change *c)
{
    struct instr *instr = c->instr;
    const uint64_t *seen = instr->watch.look.indexes;

    for (unsigned int i = 1; instr->n_indexes && i <= MAX_INDEX; i++) {
        if (instr->indexes[i].len && !(seen && seen[i / 64] >> i % 64 & 1)) {
            struct of_match *match = of_match_create_in_port((uint16_t) i);

            instr_watch_repair(c, OWN_INDEX, instr->index_table, match, 0);
            of_match_destroy(match);
        }
    }
}

bool
instr_look_end(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_look *look = &instr->watch.look;
    struct of_match *match;
    struct instr_change own;

    if (instr->watch.round == 1 || instr->is_detached) {
        return true; /* Just installed, or taken out. */
    }
    if (look->own_tag >= instr->watch.round_tag) {
        return false;
    }
    instr_change_init(&own, c->link, c->out, c->now_ns, "switch");
    own.is_unasked = true;
    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        if (instr->drop_in[i] && !look->drop_in[i]) {
            match = of_match_create_in_port(instr->drop_in[i]);
            instr_watch_repair(&own, OWN_DROP_IN, 0, match, 0);
            of_match_destroy(match);
        }
    }
    if (instr->lldp && !look->lldp) {
        instr_watch_repair(&own, OWN_LLDP, 0, instr->all_packets, 0);
    }
    for (unsigned int t = 0; t < N_TABLES; t++) {
        if (instr->miss[t].version && !of_tables_has(&look->misses, t)) {
            instr_watch_repair(&own, OWN_MISS, (uint8_t) t, instr->all_packets,
                               instr->miss[t].version);
        }
    }
    find_indexes(&own);
    if (look->n_carries < instr_carry_count(instr)) {
        instr_carry_repair(&own);
        instr->counters.repaired++;
    }
    return true;
}

void
instr_look_destroy(struct instr *instr)
{
    free(instr->watch.look.indexes);
    instr->watch.look.indexes = NULL;
}
