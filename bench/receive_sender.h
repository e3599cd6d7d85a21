/* SPDX-License-Identifier: Apache-2.0 */
/* receive_sender - a process in a network namespace of its own that sends
 * postcards over a veth at a given rate.
 *
 * The other end, "rx0", is in the caller's namespace, which is made too.
 * Postcards of one switch and one length are handed to the kernel up to 32 at
 * a time (UDP_SEGMENT), which takes them apart before they reach the veth:
 * what crosses it is a packet for each postcard, and the sender does not pay
 * for a system call for each.  Needs root, ip(8) and ethtool(8).  What fails
 * ends the program with the reason.
 *
 * Ownership: frames are borrowed until the sender is stopped.
 *
 * Threads: one. */
#ifndef BENCH_RECEIVE_SENDER_H
#define BENCH_RECEIVE_SENDER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECEIVE_INTERFACE "rx0"
#define RECEIVE_ADDRESS   "10.99.0.2"
#define RECEIVE_HEAD_LEN  (14 + 20 + 8) /* Ethernet, IPv4, UDP. */

struct receive_frame {
    uint8_t *data; /* Ethernet, IPv4, UDP; what follows is sent. */
    size_t len;
};

struct receive_order {
    double rate;      /* Frames per second; as many as go when 0. */
    uint64_t n;       /* How many. */
    bool to_stranger; /* To a MAC that is not the other end's. */
};

struct receive_report {
    uint64_t n_sent;
    uint64_t from_ns, to_ns; /* CLOCK_MONOTONIC. */
    uint64_t cpu_ns; /* The process's, the kernel's work for it included. */
};

struct receive_sender;

/* Moves the caller into a new network namespace and starts a sender, the
 * caller on the first core and the sender on the last, both before the
 * machine's other work.  Sorts
 * the frames.  Sets net.core.netdev_max_backlog until the program ends. */
struct receive_sender *receive_sender_start(struct receive_frame *, size_t n);
void receive_sender_stop(struct receive_sender *);

/* Whether the kernel's part of receiving runs on the caller's core, or on that
 * of the sender. */
void receive_sender_steer(bool to_caller);

void receive_sender_order(struct receive_sender *,
                          const struct receive_order *);
/* Readable when the order was carried out. */
int receive_sender_fd(const struct receive_sender *);
void receive_sender_report(struct receive_sender *, struct receive_report *);

#endif /* bench/receive_sender.h */
