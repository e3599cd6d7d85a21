/* SPDX-License-Identifier: Apache-2.0 */
/* shadow_edges - from which table to which the rules of a switch send packets,
 * and which tables are only looked up.
 *
 * A rule looks something up in a table when it resubmits to it and then sends
 * the packet elsewhere, whatever was found: "resubmit(,73),resubmit(,9)".  A
 * packet that finds nothing there, or only actions without an output, is not
 * dropped.
 *
 * Threads: plain data. */
#ifndef RECORDER_SHADOW_EDGES_H
#define RECORDER_SHADOW_EDGES_H 1

#include "recorder/of_acts.h"

struct shadow_edges;

struct shadow_edges *shadow_edges_create(void);
void shadow_edges_destroy(struct shadow_edges *);

/* Adds ('sign' 1) or subtracts (-1) a rule of 'table_id'. */
void shadow_edges_count(struct shadow_edges *, uint8_t table_id,
                        const struct of_facts *, int sign);
/* True when the tables may be others than at the last
 * shadow_edges_lookups(). */
bool shadow_edges_has_news(const struct shadow_edges *);
/* The tables that packets come to by looking something up and in no other
 * way. */
struct of_tables shadow_edges_lookups(struct shadow_edges *);

#endif /* recorder/shadow_edges.h */
