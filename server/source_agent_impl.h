/* SPDX-License-Identifier: Apache-2.0 */
/* source_agent_impl - what the parts of source_agent share.
 *
 *   source_agent         connections come and go; acknowledging
 *   source_agent_frames  what agents say on them
 *
 * Included by source_agent*.c only. */
#ifndef SERVER_SOURCE_AGENT_IMPL_H
#define SERVER_SOURCE_AGENT_IMPL_H 1

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/queue.h>

#include "lib/agent_batch.h"
#include "lib/agent_frame.h"
#include "server/told_servers.h"
#include "server/source_agent.h"

/* A connection. */
struct guest {
    LIST_ENTRY(guest) node;
    struct source_agent *source;
    struct bufferevent *stream; /* Owned. */
    struct accept_address from;
    bool is_greeted;
    bool is_ending;  /* Was told why; hangs up, or is. */
    bool has_others; /* Servers that would take it. */
    bool wants_servers;
    uint8_t id[AGENT_ID_LEN];
    uint64_t acked_seq;
    uint32_t want;
    char name[AGENT_MAX_NAME + 1];
};

/* A batch that was taken and is not safe yet. */
struct unsafe_batch {
    uint8_t id[AGENT_ID_LEN];
    uint64_t seq;
    uint64_t token; /* Of its last postcard. */
};

#define MAX_UNSAFE 65536

struct source_agent {
    struct source_agent_config config;
    struct event_base *base;
    char *book_path; /* Owned, as are the next ones. */
    struct evconnlistener *listener;
    struct tls *tls; /* NULL: none. */
    struct event *ack_timer, *room_timer;
    struct agent_batch_reader *reader;
    struct byte_buf out;
    LIST_HEAD(, guest) guests;
    size_t n_guests;
    /* The batch that is worked on. */
    struct guest *current;
    size_t current_len; /* Of its frame. */
    uint64_t current_seq;
    bool is_book_changed;
    struct unsafe_batch *unsafe; /* In their order.  Owned. */
    size_t n_unsafe, allocated_unsafe;
    uint32_t others;              /* The threshold that is wanted elsewhere. */
    uint32_t threshold;           /* All were told. */
    struct told_servers *servers; /* The same, or NULL.  Owned. */
    struct {
        uint64_t connections, refused, malformed, frames, batches, postcards;
        uint64_t duplicates, bad_batches, gaps, bytes, stalls;
        uint64_t lost[N_AGENT_PLACES];
    } n;
};

/* Sends what is in source->out. */
void source_agent_send(struct guest *);
/* Tells all agents the smallest threshold that one of them wants. */
void source_agent_set_threshold(struct source_agent *);
/* Tells it which servers take agents, if it wants to know. */
void source_agent_tell_servers(struct guest *);
/* Hangs up at once. */
void source_agent_end(struct guest *);
/* Says why and lets it hang up. */
void source_agent_refuse(struct guest *, const char *why);
/* The same for what makes no sense. */
void source_agent_refuse_malformed(struct guest *, const char *why);

/* Why the guest should go to another server; NULL: it need not. */
const char *source_agent_busy(const struct guest *);
/* Counts as taken what has become safe. */
void source_agent_settle(struct source_agent *);

/* Something came; 'guest' is a struct guest. */
void source_agent_on_read(struct bufferevent *, void *guest);
/* There may be room for the batch that waits. */
void source_agent_on_room(evutil_socket_t, short what, void *source);

#endif /* server/source_agent_impl.h */
