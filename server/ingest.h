/* SPDX-License-Identifier: Apache-2.0 */
/* ingest - from received bytes to postcards for the path table.
 *
 * All sources hand over here: the bytes are decoded, the sender checked, the
 * packet ID computed, a 24-bit version resolved.  What is not given on is
 * counted: received = postcards + foreign + bad[].
 *
 * Several may be given the same packets, each to take its share of them: all
 * postcards of a packet are of one share, and each packet that was received is
 * counted once.  One that only passes packets on is where sources hand over
 * what threads of a share each will take (server/dispatch.h).
 *
 * Threads: one. */
#ifndef SERVER_INGEST_H
#define SERVER_INGEST_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/packet_id.h"
#include "lib/postcard.h"
#include "lib/topology.h"
#include "server/accept_list.h"
#include "server/counters.h"
#include "server/rule_cache.h"

enum ingest_encap {
    INGEST_AUTO, /* A frame of either kind. */
    INGEST_GENEVE,
    INGEST_MAC
};

/* A packet as it was received. */
struct ingest_packet {
    const uint8_t *data;
    const struct accept_address *from; /* Of a datagram; NULL: a frame. */
    uint64_t time_ns;
    uint32_t len;
    enum ingest_encap encap; /* Of a frame. */
    bool is_dropped;         /* Of a visit: by a meter, after all. */
    bool is_mine;            /* Surely of the share of who takes it. */
    /* Not NULL: 'data' is the packet that met a switch, which told this. */
    const struct hop_template *visit;
};

struct ingest_config {
    uint32_t n_shares, share; /* Takes one of so many; 0: all there is. */
    struct packet_id_config id_config;
    uint16_t mac_vlan;                /* VLAN of mac postcards. */
    const struct accept_list *accept; /* NULL: senders are not checked. */
    struct rule_cache *rules;         /* Resolves 24-bit versions. */
    /* Told that packet 'outer', which is of another share, carries packet
     * 'inner'.  NULL: nobody asks. */
    void (*give_inner)(void *aux, uint64_t inner, uint64_t outer,
                       uint64_t time_ns);
    /* Takes the postcard; its header is good until this returns. */
    void (*give)(void *aux, const struct postcard *);
    /* Not NULL: takes what was received, and nothing else is done; all that
     * it points at is good until this returns. */
    void (*pass)(void *aux, const struct ingest_packet *);
    void *aux;
};

struct ingest_counters {
    uint64_t received;  /* Packets handed over by sources. */
    uint64_t postcards; /* Of these, given on. */
    uint64_t foreign;   /* Of these, from an address that is not accepted. */
    uint64_t bad[N_POSTCARD_RESULTS]; /* Of these, none; by what was wrong. */

    uint64_t short_headers;  /* Postcards too short for a packet ID. */
    uint64_t no_l3;          /* Postcards of packets without a known L3. */
    uint64_t unknown_switch; /* Postcards of switches not in the topology. */
};

struct ingest;

struct ingest *ingest_create(const struct ingest_config *);
void ingest_destroy(struct ingest *);
/* Takes a reference of its own; NULL: none known. */
void ingest_set_topology(struct ingest *, const struct topology *);

/* Which share is taken from now on. */
void ingest_set_share(struct ingest *, uint32_t share);

/* One of either kind below. */
void ingest_take(struct ingest *, const struct ingest_packet *);
/* A datagram that came to a Geneve socket from 'from'. */
void ingest_datagram(struct ingest *, const uint8_t *data, size_t len,
                     uint64_t time_ns, const struct accept_address *from);
/* A captured frame. */
void ingest_frame(struct ingest *, enum ingest_encap, const uint8_t *data,
                  size_t len, uint64_t time_ns);

/* A whole visit, told by a switch itself at 'time_ns' of its clock; with
 * 'is_dropped' a meter dropped it.  All is borrowed. */
void ingest_visit(struct ingest *, const struct hop_template *visit,
                  const uint8_t *header, uint16_t caplen, uint64_t time_ns,
                  bool is_dropped);

const struct ingest_counters *ingest_counters(const struct ingest *);
/* Adds to '*counters' what is counted here. */
void ingest_collect(const struct ingest *, struct counters *);

#endif /* server/ingest.h */
