/* SPDX-License-Identifier: Apache-2.0 */
/* of_rules - any number of rules of one kind, as flow-mods of OpenFlow 1.3.
 *
 * In the match of rule I, the first %d is replaced by I >> 16, the second by
 * I >> 8 & 255 and the third by I & 255.
 *
 * Threads: plain data. */
#ifndef BENCH_OF_RULES_H
#define BENCH_OF_RULES_H 1

#include <stddef.h>
#include <stdint.h>

struct of_rules {
    const char *match, *actions; /* As ovs-ofctl writes them. */
};

/* The flow-mod that adds rule 'i' to table 0 with priority 100; malloc()ed.
 * Ends the process when the text is wrong. */
void of_rules_make(const struct of_rules *, uint32_t i, uint8_t **msg,
                   size_t *len);

#endif /* bench/of_rules.h */
