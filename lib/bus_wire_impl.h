/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire_impl - what the parts of bus_wire share.
 *
 *   bus_wire       the thread, its connection, what goes out
 *   bus_wire_subs  subscriptions, and what comes for them
 *
 * Included by bus_wire*.c only. */
#ifndef LIB_BUS_WIRE_IMPL_H
#define LIB_BUS_WIRE_IMPL_H 1

#include <pthread.h>

#include "lib/bus_retired.h"
#include "lib/bus_wire.h"

struct out;

/* A subscription; in the list until it was ended here and libnats is done with
 * it. */
struct wire_sub {
    struct wire_sub *next;
    struct bus_wire *wire;
    uint64_t tag;
    char *subject; /* Owned. */
    void *sub;     /* libnats's.  Owned; NULL once destroyed. */
    bool is_reply;
    bool is_wanted;    /* Nobody has ended it here. */
    bool is_done;      /* libnats calls it no more. */
    int64_t n_dropped; /* As libnats said last. */
};

struct bus_wire {
    /* Set at creation. */
    void (*wake)(void *aux);
    void *aux;
    size_t max_out_bytes, max_in_bytes;
    pthread_t thread;

    /* The thread's; libnats's. */
    void *options, *connection;
    struct bus_retired retired;

    /* Under the lock: callbacks of libnats come in threads of its own. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping, is_connected, is_closed;
    size_t n_live; /* Subscriptions that libnats may still call. */
    struct wire_sub *subs;
    struct out *out_first, **out_last;
    size_t out_bytes;
    struct bus_in *in_first, **in_last;
    size_t in_bytes;
    struct bus_wire_counters counters;
};

/* Takes 'in'; the lock is held. */
void bus_wire_put_in(struct bus_wire *, struct bus_in *);
/* The same, made here. */
void bus_wire_tell(struct bus_wire *, enum bus_in_kind, uint64_t tag,
                   const char *why);

/* --- bus_wire_subs.c: by the thread. --- */

void bus_wire_open_sub(struct bus_wire *, uint64_t tag, const char *subject,
                       bool is_reply);
/* Of 'tag'; 0: of any.  False: there is none. */
bool bus_wire_end_sub(struct bus_wire *, uint64_t tag);
/* All that are wanted begin anew, by another connection. */
void bus_wire_open_subs_again(struct bus_wire *);

#endif /* lib/bus_wire_impl.h */
