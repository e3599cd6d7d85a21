/* SPDX-License-Identifier: Apache-2.0 */
/* instr_miss - our own table-miss rules; for the files of instr only.
 *
 * A miss rule has priority 0 and matches all, and so may a rule of somebody
 * else: whichever is added last replaces the other.  What a controller behind
 * the recorder adds is known before (instr_miss_make_way()).  What others add
 * to a watched switch is heard of later, and a miss rule of ours may be on its
 * way then.  So ours come only when others have left the switch alone for a
 * moment; and where ours may have come behind theirs all the same, the switch
 * is asked, and theirs is put back.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_MISS_H
#define RECORDER_INSTR_MISS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/instr.h"

struct instr_change;
struct instr_pending;
struct shadow_rule;

/* All are to be installed anew. */
void instr_miss_mark(struct instr *);
/* Brings all in line with what the controller has. */
void instr_miss_update(struct instr_change *);
/* Adds that of a table (or OF_FLOW_ALL_TABLES) again, as it was. */
void instr_miss_repair(struct instr_change *, uint8_t table_id);
void instr_miss_withdraw(struct instr_change *);
/* Before the controller adds a rule of priority 0. */
void instr_miss_make_way(struct instr_change *, uint8_t table_id);

/* Others have changed a rule. */
void instr_miss_disturbed(struct instr_change *);
/* Somebody took away that of a table, with the postcard 'version'; false: it
 * was not to stand any more. */
bool instr_miss_lost(struct instr_change *, uint8_t table_id,
                     uint32_t version);
/* Somebody has added 'rule'. */
void instr_miss_met(struct instr_change *, const struct shadow_rule *rule);
/* An answer to PENDING_MISS, which instr_miss_met() has asked. */
void instr_miss_checked(struct instr_change *, struct instr_pending *,
                        const uint8_t *msg, size_t len);
/* As instr_due_ns() and instr_run(). */
uint64_t instr_miss_due_ns(const struct instr *);
void instr_miss_run(struct instr *, uint64_t now_ns, struct instr_out *);

#endif /* recorder/instr_miss.h */
