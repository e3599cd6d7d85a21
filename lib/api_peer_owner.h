/* SPDX-License-Identifier: Apache-2.0 */
/* api_peer_owner - what the API server is to its peers; handlers of requests
 * want lib/api_peer.h alone.
 *
 * Threads: that of the server's event loop. */
#ifndef LIB_API_PEER_OWNER_H
#define LIB_API_PEER_OWNER_H 1

#include "lib/api_peer.h"
#include "lib/api_server.h"

struct bufferevent;

struct api_peer_owner {
    struct event_base *base;
    struct api_server_config config; /* Complete. */
    struct api_server_counters counters;
    /* A line came from 'peer'. */
    void (*on_line)(struct api_peer_owner *, struct api_peer *peer,
                    const char *text, size_t len);
    /* A longer line came than config.max_line. */
    void (*on_long_line)(struct api_peer_owner *, struct api_peer *peer);
    /* 'peer' is done with: destroy it. */
    void (*on_gone)(struct api_peer_owner *, struct api_peer *peer);
};

/* Takes the connected 'stream'. */
struct api_peer *api_peer_create(struct api_peer_owner *,
                                 struct bufferevent *stream,
                                 const char *address, unsigned int rights,
                                 uint64_t number);
void api_peer_destroy(struct api_peer *);

/* A request of 'peer'; 'id' is NULL or borrowed. */
struct api_call *api_call_create(struct api_peer *peer, json_t *id);

#endif /* lib/api_peer_owner.h */
