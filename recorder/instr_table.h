/* SPDX-License-Identifier: Apache-2.0 */
/* instr_table - what tables do with packets that no rule matches.
 *
 * For the files of instr only.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_TABLE_H
#define RECORDER_INSTR_TABLE_H 1

#include "recorder/instr_state.h"

void instr_table_mod(struct instr_change *, const uint8_t *msg, size_t len);
/* Takes the configuration that table statistics of 1.1 and 1.2 hold. */
void instr_table_read(struct instr *, const uint8_t *msg, size_t len);
/* True when packets come to the table so that a miss there ends the pipeline.
 */
bool instr_table_is_entered(const struct instr *, unsigned int table_id);
/* True when a miss there sends the packet to the controller, on to the next
 * table. */
bool instr_table_punts(const struct instr *, unsigned int table_id);
bool instr_table_continues(const struct instr *, unsigned int table_id);

#endif /* recorder/instr_table.h */
