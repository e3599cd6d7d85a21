/* SPDX-License-Identifier: Apache-2.0 */
/* history - what happened to one packet: its hops in forwarding order (a tree
 * where it was flooded) and a verdict.
 *
 * Hops stand in an array in depth-first order: a root, then all that came of
 * its first output, then all that came of its next.  JSON
 * (docs/formats/history.md) and text come from this struct alone, so that they
 * cannot differ.
 *
 * Ownership: history_create() to history_destroy(); a history owns every
 * pointer in it.
 *
 * Threads: plain data; hand it over whole. */
#ifndef LIB_HISTORY_H
#define LIB_HISTORY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "lib/lh_error.h"
#include "lib/of_port.h"
#include "lib/text_line.h"
#include "lib/topology.h"

/* In rising order of what a person would look at first, so that the verdict
 * of a history is the highest of its hops': looped, dropped, lost, open,
 * controller, delivered. */
enum verdict_name {
    VERDICT_NONE, /* A hop from which everything went on. */
    VERDICT_DELIVERED,
    VERDICT_CONTROLLER,
    VERDICT_OPEN,
    VERDICT_LOST,
    VERDICT_DROPPED,
    VERDICT_LOOPED
};

enum evidence { EVIDENCE_NONE, EVIDENCE_COMPLETE, EVIDENCE_UNCERTAIN };

struct verdict {
    enum verdict_name name;
    uint64_t dpid; /* Where it was decided. */
    uint32_t port; /* Delivered or lost: the port; or
                    * OF_PORT_UNKNOWN. */
    bool has_version;
    uint32_t version;       /* Dropped: by this rule. */
    char *reason;           /* For people ("no output", "ttl expired"), or
                             * NULL.  Owned. */
    enum evidence evidence; /* Lost only. */
};

struct history_hop {
    int parent; /* Index in hops[], -1 for a root. */
    uint64_t dpid;
    uint32_t in_port;    /* OF_PORT_UNKNOWN: null in JSON. */
    bool is_packet_out;  /* Begins with a packet-out. */
    bool is_deduced;     /* "observed":false: no postcard, deduced from its
                          * neighbours. */
    bool has_gap_before; /* Postcards between the parent and this hop are
                          * missing. */
    size_t n_out;
    uint32_t *out_ports; /* Sorted; empty: dropped here; only
                          * OF_PORT_UNKNOWN: null in JSON.  Owned. */
    size_t n_branches;
    uint32_t *branches; /* Ports that the next hops prove, where out_ports
                         * is FLOOD or NORMAL.  Owned. */
    size_t n_versions;
    uint32_t *versions; /* Of the rules, in order of emission.  Owned. */
    uint64_t time_ns;   /* Of the first postcard of the visit. */
    uint16_t caplen;
    uint8_t *header; /* Owned. */
    bool is_after;   /* header is after the emitting rule's edits. */
    bool has_header_out;
    uint16_t header_out_len;
    uint8_t *header_out;    /* Owned. */
    struct verdict verdict; /* VERDICT_NONE unless a leaf, or one of its
                             * outputs ended while others went on. */
};

struct history {
    uint64_t packet_id;
    bool has_packet_id;
    /* Packets like this one that agents left out: of all 2^32 there may be,
     * so many (lib/sample_tally.h).  Not in JSON; not told apart in the
     * archive, which knows it of blocks. */
    uint32_t left_out;
    struct verdict verdict; /* Of the whole. */
    uint64_t carries;       /* Packet ID of the packet inside this tunnel
                             * packet; 0 if none. */
    uint64_t carried_by;    /* Of the tunnel packet around it; 0 if none. */
    size_t n_hops, allocated_hops;
    struct history_hop *hops; /* Owned. */
    /* Of its switches, as a server told them with it (history_frame.h), for
     * hop_time.h.  Owned reference; NULL: none were told. */
    struct topology *clocks;
};

struct history *history_create(uint64_t packet_id);
void history_destroy(struct history *);
struct history *history_clone(const struct history *);

/* Makes room for 'n' hops in all. */
void history_reserve(struct history *, size_t n);
/* Appends a hop (all zero but for 'parent' = -1, unknown ports and versions)
 * and returns it; the pointer is good until the next call. */
struct history_hop *history_add_hop(struct history *);
void history_hop_add_out(struct history_hop *,
                         uint32_t port); /* Sorted set. */
void history_hop_add_branch(struct history_hop *, uint32_t port);
/* At the end, unless it is there. */
void history_hop_add_version(struct history_hop *, uint32_t version);
/* Copies of the bytes, at most 65535. */
void history_hop_set_header(struct history_hop *, const uint8_t *, size_t);
void history_hop_set_header_out(struct history_hop *, const uint8_t *, size_t);
/* Replaces 'v' ('reason' is copied and may be NULL). */
void verdict_set(struct verdict *v, enum verdict_name, uint64_t dpid,
                 uint32_t port, const char *reason);
/* Takes the bytes of all headers away, as for a reader that may not see
 * them. */
void history_withhold(struct history *);
/* Sets the history's verdict to the highest of its hops'. */
void history_settle(struct history *);
/* Time of the first and last postcard; 0 when none has a time. */
uint64_t history_first_ns(const struct history *);
uint64_t history_last_ns(const struct history *);
/* True when hop 'i' has no child. */
bool history_is_leaf(const struct history *, size_t i);

const char *verdict_name_string(enum verdict_name);
/* False when 'name' is no verdict. */
bool verdict_name_from_string(const char *name, enum verdict_name *);

/* A new JSON object (the caller's), as docs/formats/history.md has it.
 * 'topology' gives switch names and may be NULL. */
json_t *history_to_json(const struct history *, const struct topology *);
/* 0, or EINVAL with the member at fault; unknown members are ignored. */
int history_from_json(const json_t *, struct history **, struct lh_error *);

/* Text for people. */
struct history_text_options {
    const struct topology *topology; /* For names; may be NULL. */
    bool color;
    bool utc;
    bool full;   /* Header bytes too. */
    int width;   /* Columns; 0: no limit. */
    int current; /* Hop to mark, or -1. */
    /* Text of the rule that matched, one line or more, malloc()ed by the
     * callee and freed here, or NULL when unknown; the callback itself may be
     * NULL. */
    char *(*rule_text)(void *aux, uint64_t dpid, uint32_t version);
    /* What to write for the line about a packet (names for its addresses) and
     * for a time, for free(); NULL: as usual. */
    char *(*packet_text)(void *aux, const char *text);
    char *(*time_text)(void *aux, uint64_t ns);
    void *aux;
};
/* Writes the backtrace to 'stream':
 *
 *     packet 0123456789abcdef  TIME  delivered at s2 port 2 (server)
 *       #0 s1  in 1 (client)  out 2 (s1-s2)  [v7]
 *           10.0.0.5:4321 > 203.0.113.9:80 tcp SYN seq 1000 ttl 64
 *           v7: what rule_text() says of it
 *           this rule: ip_src 10.0.0.5 -> 192.0.2.1, ttl 64 -> 63
 *       #1 s2  in 1 (s2-s1)  out 2 (server)  [v11]  +12.3 us
 *           => delivered
 *
 * "earlier tables" in place of "this rule" is what happened at that switch
 * before the rule that emitted the postcard; where a hop led to several, each
 * begins with "-" and is indented. */
void history_to_text(const struct history *,
                     const struct history_text_options *, FILE *stream);

/* The part of it that is about hop 'i', and the packet there. */
void history_hop_to_text(const struct history *, size_t i,
                         const struct history_text_options *, FILE *stream);

/* How a verdict's name is shown. */
enum text_style history_verdict_style(enum verdict_name);

#endif /* lib/history.h */
