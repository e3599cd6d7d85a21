/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_book_impl - what the parts of cluster_book share.
 *
 *   cluster_book         life, hearing, asking
 *   cluster_book_clocks  how far clocks are apart
 *   cluster_book_tell    what is told of the agents here
 *
 * Included by cluster_book*.c only. */
#ifndef SERVER_CLUSTER_BOOK_IMPL_H
#define SERVER_CLUSTER_BOOK_IMPL_H 1

#include "lib/bytes.h"
#include "server/cluster_book.h"

#define CLUSTER_BOOK_VERSION  1
#define CLUSTER_BOOK_FLAG_ANY 0x80 /* Of a place: any of the agent's. */
/* Of each agent, up to when its postcards have come, by the last times. */
#define CLUSTER_BOOK_SAMPLES 16

struct book_sample {
    uint64_t clock_ns;   /* Of the server: what came until then says ... */
    uint64_t arrived_ns; /* ... that all has come up to that stamp. */
};

struct book_agent {
    uint64_t key;
    uint64_t heard_ns; /* By the clock of whoever told of it last. */
    uint64_t since_ns; /* All that it lost after that is known. */
    uint64_t n;        /* Samples, of which the last ones are there. */
    struct book_sample samples[CLUSTER_BOOK_SAMPLES];
};

struct book_switch {
    uint64_t dpid, key;
};

struct book_loss {
    uint64_t key, dpid;
    bool is_any;
    enum agent_place place;
    uint64_t first_ns, last_ns, noted_ns;
};

struct book_losses {
    size_t first, n; /* A ring. */
    struct book_loss all[AGENT_BOOK_LOSSES];
};

/* Another, or this, of which messages come. */
struct book_teller {
    uint64_t nonce, number;
    uint64_t next_loss;
    uint64_t blind_ns; /* What it told before that is not known. */
    uint64_t heard_ns; /* By its clock. */
};

struct cluster_book {
    struct bus *bus;
    struct bus_sub *sub; /* Owned. */
    const struct agent_book *own;
    uint64_t nonce, number;
    uint64_t sent_ns, switches_ns; /* When it was told, and all switches. */
    size_t n_switches_told;

    /* What is told: how it was when 'token' was the last. */
    uint64_t token, token_ns;
    bool is_waiting; /* For NATS to have that. */
    size_t n_pending, allocated_pending;
    struct book_agent *pending; /* The first sample of each.  Owned. */
    size_t n_told, allocated_told;
    struct book_agent *told;        /* The same, when NATS has it.  Owned. */
    uint64_t told_ns;               /* And when that was. */
    struct book_losses told_losses; /* Numbers up to 'n_losses'. */
    uint64_t n_losses;

    /* What was heard. */
    size_t n_agents, allocated_agents;
    struct book_agent *agents; /* By key.  Owned. */
    size_t n_switches, allocated_switches;
    struct book_switch *switches; /* By dpid.  Owned. */
    struct book_losses losses;
    size_t n_tellers, allocated_tellers;
    struct book_teller *tellers; /* Owned. */
    uint64_t forgot_ns;

    struct clock_delays *delays;     /* By packets owned here.  Owned. */
    struct clock_delays *all_delays; /* As all told them.  Owned. */
    uint64_t ways_ns;                /* When they were told last. */
};

/* Number 'i' of those that are there. */
struct book_loss *cluster_book_loss_at(struct book_losses *, size_t i);
void cluster_book_drop_loss(struct book_losses *);
/* Those older than 'keep_ns' make room for it, or else the oldest. */
void cluster_book_add_loss(struct book_losses *, const struct book_loss *,
                           uint64_t keep_ns);

/* The agent that tells of the switch, or NULL. */
const struct book_agent *cluster_book_agent_of(const struct cluster_book *,
                                               uint64_t dpid);

/* --- cluster_book_clocks.c --- */

void cluster_book_put_ways(struct cluster_book *, uint64_t now_ns,
                           struct byte_buf *out);
void cluster_book_take_ways(struct cluster_book *, struct bytes_reader *,
                            uint64_t sent_ns);

#endif /* server/cluster_book_impl.h */
