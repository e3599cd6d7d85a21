/* SPDX-License-Identifier: Apache-2.0 */
/* bench_trace - the packets that benchmarks run over.
 *
 * Those of the mix trace, $LASTHOP_DATA/campus-mix-dev.pcap.zst (default
 * ../shared/data beside the sources, which $srcdir names), cut at a snap
 * length; without it packets made up, and `traffic` says so.
 *
 * Ownership: bench_trace_load() to bench_trace_unload().
 *
 * Threads: plain data. */
#ifndef BENCH_BENCH_TRACE_H
#define BENCH_BENCH_TRACE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/packet_id.h"

struct bench_packet {
    uint64_t time_ns;
    uint16_t len; /* Captured. */
    uint8_t data[PACKET_ID_SNAP];
};

struct bench_trace {
    const char *traffic; /* "mix" or "synthetic". */
    size_t n;
    struct bench_packet *packets; /* Owned. */
};

/* At most 'max' packets of at most 'snap' (up to PACKET_ID_SNAP) bytes.  Ends
 * the process when memory is short. */
void bench_trace_load(struct bench_trace *, size_t max, uint16_t snap);
void bench_trace_unload(struct bench_trace *);

#endif /* bench/bench_trace.h */
