/* SPDX-License-Identifier: Apache-2.0 */
/* source_udp - receives geneve postcards on a UDP socket.
 *
 * Datagrams are taken in batches with the kernel's time of arrival.  Those the
 * kernel dropped because the socket's buffer was full are counted.  While more
 * than 20,000 come in a second they wait up to 1 ms, so that nobody needs to
 * be woken for each.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_SOURCE_UDP_H
#define SERVER_SOURCE_UDP_H 1

#include <stdint.h>

#include "lib/lh_error.h"
#include "server/ingest.h"

struct event_base;

struct source_udp_counters {
    uint64_t datagrams;
    uint64_t cut;          /* Of these, longer than what is read of one. */
    uint64_t kernel_drops; /* Never seen here: the buffer was full. */
    uint64_t errors;       /* recvmmsg() that failed. */
};

struct source_udp;

/* Listens at 'where': "ADDR:PORT", "[ADDR6]:PORT" or ":PORT" for all.  After
 * each batch 'after' is called.  Returns 0, EINVAL when 'where' is none of
 * these, or the errno of the socket, with the reason. */
int source_udp_open(struct event_base *, const char *where, struct ingest *,
                    void (*after)(void *aux), void *aux, struct source_udp **,
                    struct lh_error *);
void source_udp_close(struct source_udp *);
/* Takes what the kernel holds now. */
void source_udp_drain(struct source_udp *);

/* Bytes that the kernel holds at most. */
int source_udp_buffer(const struct source_udp *);
/* Asks the kernel for drops, which it counts modulo 2^32; the pointer is good
 * until closed. */
const struct source_udp_counters *source_udp_counters(struct source_udp *);

#endif /* server/source_udp.h */
