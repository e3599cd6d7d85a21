/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_skim - what can be read of a shape without making its model:
 * enough to tell which addresses and ports a flow has at each hop.
 *
 *     skim = trajectory_skim_create();
 *     while (..) {
 *         if (trajectory_skim_read(skim, shape)) {
 *             keys = trajectory_skim_keys(skim);
 *             ..
 *
 * Threads: one thread per skim. */
#ifndef LIB_TRAJECTORY_SKIM_H
#define LIB_TRAJECTORY_SKIM_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"

/* Addresses and ports: source, destination, then ports or ICMP's type and
 * code, one behind the other as struct flow_bytes counts them; then zeros. */
#define FLOW_KEY_WORDS 5
struct flow_key {
    union {
        uint8_t bytes[FLOW_KEY_WORDS * 8];
        uint64_t words[FLOW_KEY_WORDS];
    };
};
/* At a hop they are the flow's but where 'mask' has bits, which are there from
 * 'own'. */
struct flow_key_at {
    uint16_t l3_ofs;     /* Of the header there, */
    uint16_t out_l3_ofs; /* and as it leaves; 0: that is not known. */
    bool is_own;         /* There are such; else the two are not set. */
    struct flow_key mask, own;
};

struct trajectory_skim;

struct trajectory_skim *trajectory_skim_create(void);
void trajectory_skim_destroy(struct trajectory_skim *);
/* Reads the shape 'h', which must stay while the skim is asked.  False when
 * trajectory_shape_create() would refuse it; then nothing may be asked. */
bool trajectory_skim_read(struct trajectory_skim *, const struct history *h);
size_t trajectory_skim_n_hops(const struct trajectory_skim *);
enum header_kind trajectory_skim_kind(const struct trajectory_skim *);
uint16_t trajectory_skim_l3_ofs(const struct trajectory_skim *);
/* One for each hop. */
const struct flow_key_at *trajectory_skim_keys(const struct trajectory_skim *);

#endif /* lib/trajectory_skim.h */
