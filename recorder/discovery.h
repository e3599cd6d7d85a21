/* SPDX-License-Identifier: Apache-2.0 */
/* discovery - which ports are linked to which, and which are edges.
 *
 * Every port that is up is sent a frame (recorder/lldp.h) when it comes up, in
 * two quick rounds, and every DISCOVERY_ROUND_NS after that.  A frame that
 * arrives at another port is a link; the link is gone when one of its ports
 * goes down, or when nothing was heard over it for DISCOVERY_TIMEOUT_NS while
 * both switches were connected.  A port over which nothing was heard in the
 * quick rounds is an edge.  What is known of a switch stays while it is not
 * connected.
 *
 * No sockets and no clock: the owner says what happened and when, sends what
 * it is asked to, and calls discovery_run() at discovery_next_ns().  Times are
 * of a clock that does not jump, but for those of events.
 *
 * The topology is published whenever it differs from the one before, with an
 * epoch one higher.
 *
 * Threads: one. */
#ifndef RECORDER_DISCOVERY_H
#define RECORDER_DISCOVERY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/topology.h"
#include "recorder/siphash.h"

#define DISCOVERY_QUICK_NS   UINT64_C(400000000)
#define DISCOVERY_ROUND_NS   UINT64_C(4000000000)
#define DISCOVERY_TIMEOUT_NS (3 * DISCOVERY_ROUND_NS + DISCOVERY_QUICK_NS)
/* How old a frame may be that was on its way. */
#define DISCOVERY_MAX_AGE_NS UINT64_C(5000000000)

struct discovery_callbacks {
    /* Send the frame out of that port. */
    void (*send)(void *aux, uint64_t dpid, uint16_t port, const uint8_t *frame,
                 size_t len);
    /* The topology is now this one (take a reference to keep it). */
    void (*changed)(void *aux, const struct topology *);
    /* A link came or went. */
    void (*link)(void *aux, bool is_up, uint64_t a_dpid, uint16_t a_port,
                 uint64_t b_dpid, uint16_t b_port);
};

struct discovery_port {
    uint16_t no;
    const char *name; /* May be NULL. */
    uint8_t mac[6];
    bool is_down;
};

struct discovery_counters {
    uint64_t sent;
    uint64_t heard;
    uint64_t malformed; /* Frames that are not ours. */
    uint64_t forged;    /* With a wrong hash. */
    uint64_t late;      /* Older than DISCOVERY_MAX_AGE_NS: replayed. */
    uint64_t unknown;   /* From a switch or port that we do not know. */
    uint64_t ambiguous; /* A port that already has another neighbour. */
};

struct discovery;

/* 'known' (may be NULL) is the topology of an earlier run, which is
 * republished with its epoch until something differs. */
struct discovery *discovery_create(const uint8_t key[SIPHASH_KEY_LEN],
                                   const struct topology *known,
                                   const struct discovery_callbacks *,
                                   void *aux);
void discovery_destroy(struct discovery *);

/* The switch is connected; 'name' and 'address' may be NULL for unknown. */
void discovery_connected(struct discovery *, uint64_t dpid, const char *name,
                         uint16_t index, const char *address, uint64_t now_ns);
void discovery_disconnected(struct discovery *, uint64_t dpid);
/* The ports of a connected switch are these, sorted by number. */
void discovery_ports(struct discovery *, uint64_t dpid,
                     const struct discovery_port *, size_t n, uint64_t now_ns);
/* A frame came in. */
void discovery_frame(struct discovery *, uint64_t dpid, uint16_t in_port,
                     const uint8_t *frame, size_t len, uint64_t now_ns);

/* Sends what is due and ends what is over. */
void discovery_run(struct discovery *, uint64_t now_ns);
/* When discovery_run() is next needed; UINT64_MAX: not until something
 * happens. */
uint64_t discovery_next_ns(const struct discovery *);

/* Borrowed. */
const struct topology *discovery_topology(const struct discovery *);
const struct discovery_counters *discovery_counters(const struct discovery *);

#endif /* recorder/discovery.h */
