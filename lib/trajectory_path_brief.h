/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path_brief - what tells whether a packet went a path on which
 * nothing but the TTL changes, in half a line of the cache.
 *
 * Most paths are such.  Whoever looks at a packet of one after the other, each
 * of another path, then waits for less memory than the path takes.
 *
 * Threads: plain data. */
#ifndef LIB_TRAJECTORY_PATH_BRIEF_H
#define LIB_TRAJECTORY_PATH_BRIEF_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/trajectory_path.h"

/* Tags and labels with EtherTypes at most, of a path that has a brief. */
#define TRAJECTORY_PATH_BRIEF_L2 12

struct trajectory_path_brief {
    uint16_t l3_len; /* These as those of the path. */
    uint8_t kind, l3_ofs, tail_ofs;
    uint8_t max_minus;
    bool is_clipped;
    bool has_sum_out; /* A checksum is corrected in a header that no hop
                       * shows. */
    uint8_t proto;
    uint8_t type[2]; /* Of ICMP. */
    uint8_t l2[TRAJECTORY_PATH_BRIEF_L2];
};

/* Fills in '*brief', and in 'minus' what is taken from the word with the TTL
 * until each hop.  False: more than that changes. */
bool trajectory_path_brief_get(struct trajectory_path_brief *brief,
                               const struct trajectory_path *,
                               uint16_t minus[TRAJECTORY_MAX_HOPS]);

/* As trajectory_path_takes(). */
bool trajectory_path_brief_takes(const struct trajectory_path_brief *,
                                 const uint8_t *ref, size_t ref_len);
/* As trajectory_path_predicts(), at a hop with that 'minus'. */
bool trajectory_path_brief_predicts(const struct trajectory_path_brief *,
                                    uint16_t minus, const uint8_t *ref,
                                    size_t ref_len, const uint8_t *header,
                                    size_t len);

#endif /* lib/trajectory_path_brief.h */
