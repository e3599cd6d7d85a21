/* SPDX-License-Identifier: Apache-2.0 */
/* bpf - one BPF expression (pcap-filter(7)), compiled for Ethernet: the door
 * to libpcap.
 *
 * A negated test is compiled from "not (EXPRESSION)" instead of inverting the
 * answer: the BPF machine answers "no" to a load past the captured bytes, so
 * this way what was not captured is false, negated or not.
 *
 * Host names are refused, because libpcap would ask the name server for them,
 * and a filter must not wait for a network.
 *
 * Ownership: counted; bpf_test_ref()/bpf_test_unref().
 *
 * Threads: immutable, the count is atomic.  pcap_compile() itself may run in
 * several threads at once since libpcap 1.8. */
#ifndef PHF_BPF_H
#define PHF_BPF_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/lh_error.h"
#include "phf/bpf_demands.h"
#include "phf/bpf_keys.h"

struct bpf_test;

/* Compiles the 'len' bytes at 'text'.  Returns 0, or EINVAL with a reason, its
 * place counted from 'text'. */
int bpf_test_create(const char *text, size_t len, bool is_negated,
                    struct bpf_test **testp, struct lh_error *error);
struct bpf_test *bpf_test_ref(struct bpf_test *);
void bpf_test_unref(struct bpf_test *);

/* The answer for a packet of which 'caplen' bytes were captured; false when
 * that is none.  `len`, `less` and `greater` see the packet's own length by
 * its IP header. */
bool bpf_test_run(const struct bpf_test *, const uint8_t *header,
                  size_t caplen);

/* The answer for all packets of a flow, of whose header the constant bytes
 * (lib/header_split.h) stand at 'header'.  When the expression reads other
 * bytes, or the length, there is none: '*varies' is set. */
bool bpf_test_run_model(const struct bpf_test *, const uint8_t *header,
                        size_t caplen, bool *varies);
/* The same where 'constant' says which bytes those are
 * (header_split_constant_bytes()). */
bool bpf_test_run_constant(const struct bpf_test *, const uint8_t *header,
                           const uint64_t constant[2], bool *varies);

/* Keys, one of which every packet has for which the answer is true; NULL when
 * there are none. */
const struct bpf_keys *bpf_test_keys(const struct bpf_test *);

/* What addresses and ports a packet of that kind must have for the expression
 * to hold. */
void bpf_test_demands(const struct bpf_test *, enum header_kind,
                      uint16_t l3_ofs, struct bpf_demands *);

/* All bytes that it may read of an IPv4 packet without tags and options, bit
 * by bit from the first; false when that is not known. */
bool bpf_test_reads(const struct bpf_test *, uint64_t bytes[2]);

/* The expression as given, not negated. */
const char *bpf_test_text(const struct bpf_test *);
/* Instructions of the compiled program. */
size_t bpf_test_length(const struct bpf_test *);

#endif /* phf/bpf.h */
