/* SPDX-License-Identifier: Apache-2.0 */
/* sample_tally - how many packets were kept at which sample threshold.
 *
 * Agents keep a packet when the upper half of its packet ID is not above a
 * threshold.  What is said here is `left out`: UINT32_MAX less that threshold,
 * so that 0 is all were kept; of 2^32 IDs so many were not.  Each packet that
 * was kept stands for sample_tally_ratio() that there were.
 *
 * Ownership, threads: plain data; all zero is an empty one. */
#ifndef LIB_SAMPLE_TALLY_H
#define LIB_SAMPLE_TALLY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define SAMPLE_TALLY_MAX 16 /* Thresholds told apart. */

struct sample_tally {
    size_t n;
    struct sample_tally_entry {
        uint64_t packets; /* At least 1. */
        uint32_t left_out;
    } of[SAMPLE_TALLY_MAX]; /* In rising order of left_out. */
};

/* How many packets one stands for, at least 1. */
double sample_tally_ratio_of(uint32_t left_out);

/* Adds 'packets'.  Where there are too many thresholds, they count for the one
 * next to theirs. */
void sample_tally_add(struct sample_tally *, uint32_t left_out,
                      uint64_t packets);
void sample_tally_merge(struct sample_tally *, const struct sample_tally *);

/* Whether any packet was kept while others were left out. */
bool sample_tally_is_sampled(const struct sample_tally *);
/* How many packets one stands for, on average; 1 for none. */
double sample_tally_ratio(const struct sample_tally *);

/* Appends it, nothing unless it is sampled (docs/formats/archive.md). */
void sample_tally_put(const struct sample_tally *, struct byte_buf *out);
/* Reads what that appended.  0, or EBADMSG with the reason. */
int sample_tally_read(struct sample_tally *, const uint8_t *data, size_t len,
                      struct lh_error *);

#endif /* lib/sample_tally.h */
