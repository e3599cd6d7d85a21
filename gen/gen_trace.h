/* SPDX-License-Identifier: Apache-2.0 */
/* gen_trace - packets from a capture file, again and again.
 *
 * Reads pcap and pcapng, also compressed by zstd (`.zst`).  When the file ends
 * it begins anew, later by the file's span; IP IDs are then others by one, so
 * that no packet comes twice.  Times that go back are taken for equal ones.
 * What a snap length cut off the file's packets is made up (random bytes),
 * since a switch has them whole.  Frames that are not Ethernet or shorter than
 * its header are refused and passed over.
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_TRACE_H
#define GEN_GEN_TRACE_H 1

#include "gen/gen_packet.h"
#include "lib/lh_error.h"

struct gen_trace;

/* 'max_len': so much of a packet is given at most.  Returns 0, an errno, or
 * EINVAL when it is no capture of Ethernet frames or has none. */
int gen_trace_open(const char *path, uint32_t max_len, struct gen_trace **,
                   struct lh_error *);
void gen_trace_close(struct gen_trace *);
/* Sets time, length and data.  With 'is_once' ENODATA at the file's end; an
 * errno when it cannot be read on. */
int gen_trace_next(struct gen_trace *, bool is_once, struct gen_packet *,
                   struct lh_error *);

#endif /* gen/gen_trace.h */
