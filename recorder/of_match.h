/* SPDX-License-Identifier: Apache-2.0 */
/* of_match - what packets a rule is for, whatever the OpenFlow version.
 *
 * Immutable.  Two matches that a switch takes for the same are equal, however
 * they were written; so are two for packets without a VLAN tag of which one
 * came by OpenFlow 1.0 or 1.1, where it is a match on priority bits as well,
 * and one by a later version, which has no way to say that.
 *
 * Ownership: made by its functions or by decoding, of_match_destroy() frees.
 *
 * Threads: immutable. */
#ifndef RECORDER_OF_MATCH_H
#define RECORDER_OF_MATCH_H 1

#include <stdbool.h>
#include <stdint.h>

struct of_match;

struct of_match *of_match_create_all(void);
struct of_match *of_match_create_in_port(uint16_t port);
/* The port that it matches, 0: any. */
uint16_t of_match_in_port(const struct of_match *);
/* Ethernet destination and EtherType. */
struct of_match *of_match_create_eth(const uint8_t dst[6], uint16_t type);
struct of_match *of_match_clone(const struct of_match *);
void of_match_destroy(struct of_match *);

bool of_match_equal(const struct of_match *, const struct of_match *);
uint32_t of_match_hash(const struct of_match *);
/* Different matches have different ones, but for one pair in 2^64; equal ones
 * the same. */
uint64_t of_match_hash64(const struct of_match *);
/* Matches every packet. */
bool of_match_is_all(const struct of_match *);
/* True when it looks at the tunnel fields "tun_gbp_id" or "tun_gbp_flags". */
bool of_match_has_gbp(const struct of_match *);
/* Every packet that 'narrow' matches, 'wide' matches too: what a command
 * without "strict" goes by. */
bool of_match_covers(const struct of_match *wide,
                     const struct of_match *narrow);
/* Some packet is matched by both. */
bool of_match_overlaps(const struct of_match *, const struct of_match *);

/* In ovs-ofctl syntax, "" for all packets; malloc()ed. */
char *of_match_to_text(const struct of_match *);
/* From that syntax ("tcp,tp_dst=80"), a match and nothing else.  Returns NULL,
 * or a malloc()ed reason and '*matchp' NULL. */
char *of_match_from_text(struct of_match **matchp, const char *text);

#endif /* recorder/of_match.h */
