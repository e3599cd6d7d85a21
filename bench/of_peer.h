/* SPDX-License-Identifier: Apache-2.0 */
/* of_peer - one OpenFlow connection of a benchmark: a socket that does not
 * block, with a buffer for either direction, cut into messages.
 *
 * Everything queued leaves with as few system calls as the socket takes, so
 * that the load generator is not what is measured.
 *
 * Ownership: of_peer_init() takes the descriptor, of_peer_uninit() closes it.
 *
 * Threads: one at a time. */
#ifndef BENCH_OF_PEER_H
#define BENCH_OF_PEER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The OpenFlow version of all connections, as on the wire: 1.3 at first. */
extern uint8_t of_peer_version;

struct of_peer {
    int fd; /* -1: closed. */
    uint8_t *in;
    size_t in_len, in_size;
    uint8_t *out;
    size_t out_ofs, out_len, out_size;
};

/* 'fd' is a connected socket. */
void of_peer_init(struct of_peer *, int fd);
void of_peer_uninit(struct of_peer *);

/* A TCP socket that listens at or is connected to 'text' ("HOST:PORT", HOST
 * an IPv4 address), or ends the process. */
int of_peer_listen(const char *text);
int of_peer_connect(const char *text);
/* Accepts a connection, or returns -1 when there is none. */
int of_peer_accept(int listener);

/* Adds bytes to what is to be sent. */
void of_peer_send(struct of_peer *, const void *data, size_t len);
/* Adds a message without a body. */
void of_peer_send_header(struct of_peer *, uint8_t type, uint32_t xid);
/* Adds a HELLO that offers that version alone. */
void of_peer_send_hello(struct of_peer *);
/* Bytes that wait to be sent. */
size_t of_peer_unsent(const struct of_peer *);

/* What poll() should wait for. */
short of_peer_events(const struct of_peer *);
/* Sends what it can; false when the connection is over. */
bool of_peer_flush(struct of_peer *);
/* Reads what is there and calls 'take' for each whole message; false when the
 * connection is over. */
bool of_peer_read(struct of_peer *,
                  void (*take)(void *aux, const uint8_t *msg, size_t len),
                  void *aux);

/* Nanoseconds of a clock that only goes forward. */
uint64_t of_peer_now_ns(void);
/* Sorts 'values' and returns the one at 'share' (0 to 1), 0 of none. */
uint64_t of_peer_percentile(uint64_t *values, size_t n, double share);
/* Prints a reason and ends the process. */
void of_peer_die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

#endif /* bench/of_peer.h */
