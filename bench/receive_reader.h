/* SPDX-License-Identifier: Apache-2.0 */
/* receive_reader - takes postcards from a veth as a server does, and says what
 * that costs.
 *
 * A process in another network namespace (bench/receive_sender.h) sends the
 * geneve postcards of the preset mix, one to a packet, at higher and higher
 * rates.  The server's own sources take them: from the kernel, decoded, their
 * sender looked up, named by packet ID, and left at the door of the path
 * table.
 *
 * Threads: one; of a process only one reader, in a network namespace made for
 * it.  Needs root. */
#ifndef BENCH_RECEIVE_READER_H
#define BENCH_RECEIVE_READER_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/packet_id.h"

/* How postcards come in. */
struct receive_way {
    const char *name;
    const char *interface; /* NULL: by UDP. */
    bool is_one_core;      /* The reader's core does the kernel's part, too. */
};

/* One rate. */
struct receive_result {
    double rate;               /* As sent. */
    double user_ns, kernel_ns; /* The reader's CPU per postcard. */
    double sender_ns;
    uint64_t n_missing, n_drops;
    bool is_whole; /* Nothing was missing, and the reader kept up. */
};

struct receive_reader;

/* Ends the program if it is not possible.  The reader is on the first core. */
struct receive_reader *receive_reader_start(uint16_t snap,
                                            const struct packet_id_config *);
void receive_reader_stop(struct receive_reader *);

/* "mix", or "synthetic" without its trace. */
const char *receive_reader_traffic(const struct receive_reader *);

/* The highest rate that came whole, or that the sender reached, found by
 * bisection. */
struct receive_result receive_reader_climb(struct receive_reader *,
                                           const struct receive_way *,
                                           double duration_s);
/* The same postcards decoded and named from memory: CPU of each. */
double receive_reader_decode_ns(struct receive_reader *);

#endif /* bench/receive_reader.h */
