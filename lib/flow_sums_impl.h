/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sums - what its two sides share: the sections.
 * docs/formats/archive.md is the format.
 *
 * Threads: plain data. */
#ifndef LIB_FLOW_SUMS_IMPL_H
#define LIB_FLOW_SUMS_IMPL_H 1

#include <stdint.h>

#include "lib/section_list.h"

enum flow_sums_section {
    FLOW_SUMS_WAY_LIST = 1,
    FLOW_SUMS_PAIRS_OF_WAYS,
    FLOW_SUMS_COMMON,
    FLOW_SUMS_ADDRESSES,
    FLOW_SUMS_PAIR_FLOWS,
    FLOW_SUMS_PAIR_PACKETS,
    FLOW_SUMS_PAIR_BYTES,
    FLOW_SUMS_PROTO,
    FLOW_SUMS_SRC_PORT,
    FLOW_SUMS_DST_PORT,
    FLOW_SUMS_FLOW_PACKETS,
    FLOW_SUMS_FLOW_BYTES,
    N_FLOW_SUMS_SECTIONS
};

/* How long addresses are, in the order in which they stand. */
#define N_FLOW_SUMS_KINDS 4
static const uint8_t flow_sums_addresses[N_FLOW_SUMS_KINDS] = {0, 4, 6, 16};

#endif /* lib/flow_sums_impl.h */
