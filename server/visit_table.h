/* SPDX-License-Identifier: Apache-2.0 */
/* visit_table - the visits that postcards of open packets tell of, each once.
 *
 * Switches that know their visits tell one of a few thousand with every
 * packet, so a copy for each postcard would be most of what it takes.
 *
 * Ownership: what is got stays until it was put as often; then it is kept
 * while there is room, for the next packet has it again.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_VISIT_TABLE_H
#define SERVER_VISIT_TABLE_H 1

#include <stddef.h>

#include "lib/hop_template.h"

/* So many that nobody uses are kept. */
#define VISIT_TABLE_SPARE 4096

struct visit_table;

/* NULL when memory is short. */
struct visit_table *visit_table_create(void);
/* What was got from it becomes invalid. */
void visit_table_destroy(struct visit_table *);

/* The table's copy of '*visit'; NULL when memory is short. */
const struct hop_template *visit_table_get(struct visit_table *,
                                           const struct hop_template *visit);
/* Gives back what visit_table_get() returned. */
void visit_table_put(struct visit_table *, const struct hop_template *);

size_t visit_table_count(const struct visit_table *);

#endif /* server/visit_table.h */
