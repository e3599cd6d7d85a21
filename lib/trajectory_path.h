/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path - how, along one way through the network, every header
 * follows from the one captured at the first hop.
 *
 * Made of one packet's history, the model.  At first only for the model's
 * flow: every constant byte is then what it is in the model.  Where the rules
 * of all hops are known and each header is what the rule before sent,
 * trajectory_path_widen() finds which bits those rules set and which they
 * leave alone, and the path holds for every flow that takes it.
 *
 * Header changes are words set, a TTL counted down, and checksums corrected by
 * the difference (RFC 1624).  Tags, labels, the IP protocol and ICMP's type
 * and code are the model's for all.
 *
 * Ownership: reference counted.
 *
 * Threads: one, because of the counter. */
#ifndef LIB_TRAJECTORY_PATH_H
#define LIB_TRAJECTORY_PATH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"
#include "lib/rule.h"

/* Hops at most; longer histories are no model. */
#define TRAJECTORY_MAX_HOPS 64
/* Captured bytes of a header at most. */
#define TRAJECTORY_MAX_HEADER 512

struct trajectory_path;

/* Copies 'model'.  NULL when it cannot be one: it has no packet ID, is linked
 * to a tunnel, has a hop without a captured header, a header that is not
 * split, or one that the reference's does not tell. */
struct trajectory_path *trajectory_path_create(const struct history *model);
/* The same without a copy: 'model' must stay as it is while there are
 * references. */
struct trajectory_path *trajectory_path_borrow(const struct history *model);
struct trajectory_path *trajectory_path_ref(struct trajectory_path *);
void trajectory_path_unref(struct trajectory_path *);

/* Makes the path hold for other flows.  'rules' are those that sent each hop's
 * header_out, borrowed, NULL where not known.  False, and nothing is changed,
 * when they do not explain every header. */
bool trajectory_path_widen(struct trajectory_path *,
                           const struct rule *const *rules);

const struct history *trajectory_path_model(const struct trajectory_path *);
size_t trajectory_path_n_hops(const struct trajectory_path *);
/* Which hop's header stands for all, and how that of the model is split. */
size_t trajectory_path_reference(const struct trajectory_path *);
const struct header_split *
trajectory_path_split(const struct trajectory_path *);

/* True when the history of a packet with 'ref' captured at the reference hop
 * can be told from that, if trajectory_path_predicts() is true at every hop.
 */
bool trajectory_path_takes(const struct trajectory_path *, const uint8_t *ref,
                           size_t ref_len);
/* True when hop 'hop' of a packet that the path takes shows exactly
 * 'header'. */
bool trajectory_path_predicts(const struct trajectory_path *, size_t hop,
                              const uint8_t *ref, size_t ref_len,
                              const uint8_t *header, size_t len);
/* Which headers of the packet differ from its reference's, and where: two
 * packets of the path with the same '*kindp' differ alike, and by the same
 * bytes; checksums apart, which follow.  False when that depends on the flow:
 * a rule sets part of a field, or the TTL. */
bool trajectory_path_flow_kind(const struct trajectory_path *,
                               const uint8_t *ref, uint64_t *kindp);
/* Which bytes of the frame are, for each packet, the same at all hops: bit by
 * bit from the first, of those up to trajectory_path_split()->tail_ofs. */
void trajectory_path_kept(const struct trajectory_path *, uint64_t bytes[2]);
/* The 'n' bytes, four at most, at 'ofs' of the frame at a hop, as a number, if
 * they stay the same from packet to packet of the flow.  False where that
 * header is not laid out like the reference's. */
bool trajectory_path_load(const struct trajectory_path *, size_t hop,
                          const uint8_t *ref, uint32_t ofs, uint32_t n,
                          uint32_t *value);
/* Whether a hop shows EtherTypes, protocol, addresses and ports where, and as,
 * the reference does. */
bool trajectory_path_keeps_tuple(const struct trajectory_path *, size_t hop);
/* Words for whoever collects packets of many paths: 0 at first. */
struct trajectory_path_mark {
    uint64_t owner, kind;
    uint32_t index;
};
struct trajectory_path_mark *
trajectory_path_mark(const struct trajectory_path *);
/* The same for whoever matches filters. */
struct trajectory_path_mark *
trajectory_path_filter_mark(const struct trajectory_path *);

/* Sets the headers of 'h', a copy of the model, to those of that packet. */
void trajectory_path_fill(const struct trajectory_path *, const uint8_t *ref,
                          size_t ref_len, struct history *h);

#endif /* lib/trajectory_path.h */
