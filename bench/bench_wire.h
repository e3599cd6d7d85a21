/* SPDX-License-Identifier: Apache-2.0 */
/* bench_wire - what a postcard costs from the wire until a server has it.
 *
 * Threads: one. */
#ifndef BENCH_BENCH_WIRE_H
#define BENCH_BENCH_WIRE_H 1

#include <stdint.h>

#include "lib/packet_id.h"

/* CPU of receiving a postcard by UDP, in nanoseconds, without decoding it; of
 * one core that does all there is to do for it, at the highest rate that comes
 * whole, measured for so long at each rate.  0: not possible without root.
 * Forks; both cores are taken meanwhile. */
double bench_wire_ns(uint16_t snap, const struct packet_id_config *,
                     double duration_s);

#endif /* bench/bench_wire.h */
