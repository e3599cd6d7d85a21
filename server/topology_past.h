/* SPDX-License-Identifier: Apache-2.0 */
/* topology_past - the topologies of the last moments, and when each began.
 *
 * A packet that was under way while links changed is assembled on the links as
 * they were at its time.  What the switch did and when the change was told
 * differ by moments, so a packet has a span: all topologies that held from a
 * little before its first postcard on.  Where they agree about a port, that is
 * how it was; where they do not, only what was seen tells.
 *
 * Bounded: TOPOLOGY_PAST_MAX topologies.  Of more within 'keep_ns' the oldest
 * go, counted by topology_past_n_forgotten().
 *
 * Ownership: the past holds references; a span borrows from it, until the past
 * is changed.
 *
 * Threads: used only by the thread that created it. */
#ifndef SERVER_TOPOLOGY_PAST_H
#define SERVER_TOPOLOGY_PAST_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/topology.h"

#define TOPOLOGY_PAST_MAX 8
/* A postcard may come so much later than news of a change that came after
 * it. */
#define TOPOLOGY_PAST_SLACK_NS UINT64_C(250000000)

/* The topologies of a packet's time, oldest first. */
struct topology_span {
    size_t n;
    const struct topology *of[TOPOLOGY_PAST_MAX];
    uint64_t since_ns[TOPOLOGY_PAST_MAX]; /* of[0]: 0, from the beginning. */
};

/* The far end of a link. */
struct topology_end {
    uint64_t dpid;
    uint32_t port;
};

/* What a span's topologies say of one port.  One that does not have the
 * switch, or knows nothing of what the port leads to, says nothing where
 * another does. */
struct topology_span_port {
    bool is_same;    /* All say the same. */
    bool may_leave;  /* By one it is an edge port. */
    bool may_be_up;  /* By one it is there and not down. */
    size_t n_ends;   /* Different far ends, */
    size_t n_linked; /* and how many topologies have one. */
    size_t n_known;  /* How many say anything. */
    struct topology_end ends[TOPOLOGY_PAST_MAX];
};

void topology_span_port(const struct topology_span *, uint64_t dpid,
                        uint32_t port, struct topology_span_port *);
/* True when all that have the switch say the same of its ports and links. */
bool topology_span_is_same(const struct topology_span *, uint64_t dpid);
/* The far end of the link at (dpid, port) at that time; false when there was
 * none. */
bool topology_span_peer(const struct topology_span *, uint64_t dpid,
                        uint32_t port, uint64_t time_ns,
                        struct topology_end *);

/* True when two topologies do not say the same of the switch, or one does not
 * have it. */
bool topology_past_differ(const struct topology *, const struct topology *,
                          uint64_t dpid);

struct topology_past;

/* Topologies are kept for 'keep_ns' after the next one came.  NULL when memory
 * is short. */
struct topology_past *topology_past_create(uint64_t keep_ns);
void topology_past_destroy(struct topology_past *);

/* The only one, of all times; NULL: none is known. */
void topology_past_set(struct topology_past *, const struct topology *);
/* From 'since_ns' on.  The first holds for what was before it too, and so does
 * one that only knows more than the one before. */
void topology_past_add(struct topology_past *, const struct topology *,
                       uint64_t since_ns);
/* The clock was put back: the newest one now holds for all times. */
void topology_past_settle(struct topology_past *);
/* NULL: none is known. */
const struct topology *topology_past_newest(const struct topology_past *);

/* Those that held at some time from TOPOLOGY_PAST_SLACK_NS before 'from_ns' to
 * now.  True when there is more than one. */
bool topology_past_span(const struct topology_past *, uint64_t from_ns,
                        struct topology_span *);
/* Topologies that went although packets of their time were open. */
uint64_t topology_past_n_forgotten(const struct topology_past *);

#endif /* server/topology_past.h */
