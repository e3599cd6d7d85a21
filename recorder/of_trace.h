/* SPDX-License-Identifier: Apache-2.0 */
/* of_trace - what a recorder left in the actions of a switch.
 *
 * Recognises postcards and notes whatever postcards are emitted by now: a
 * recorder that begins with another encapsulation, or with none, or without
 * its log, finds and removes what was there before.
 *
 * Threads: pure functions but for the callback. */
#ifndef RECORDER_OF_TRACE_H
#define RECORDER_OF_TRACE_H 1

#include <stdbool.h>
#include <stdint.h>

#include "recorder/of_acts.h"

/* Whose traces: those of other switches are not ours. */
struct of_trace {
    uint64_t dpid;
    uint16_t switch_index; /* Of mac postcards.  Those with another index are
                            * known by the note beside them. */
};

/* The actions that table 'table_id' has for 'index', borrowed, when that is a
 * rule of ours; otherwise NULL. */
typedef const struct of_acts *of_trace_indexed(void *aux, uint8_t table_id,
                                               uint16_t index);

/* The version of the rule or bucket whose actions 'acts' are, by what
 * of_inject_run() put there, or into what 'indexed' (may be NULL) knows.
 * False: none. */
bool of_trace_find_version(const struct of_trace *, const struct of_acts *acts,
                           of_trace_indexed *indexed, void *aux,
                           uint32_t *versionp);

/* Undoes of_inject_run(): 'own' gets 'acts' without what is ours.  Only lists
 * that replaced ALL or FLOOD outside action sets and buckets stay lists: there
 * the postcard tells. */
void of_trace_strip(const struct of_trace *, const struct of_acts *acts,
                    of_trace_indexed *indexed, void *aux, struct of_acts *own);

#endif /* recorder/of_trace.h */
