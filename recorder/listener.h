/* SPDX-License-Identifier: Apache-2.0 */
/* listener - a socket at which the recorder takes connections.
 *
 * While no connection can be accepted (no descriptors are left) it is tried
 * again every LISTENER_RETRY_S.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_LISTENER_H
#define RECORDER_LISTENER_H 1

#include <stdbool.h>

#include "recorder/endpoint.h"

#define LISTENER_RETRY_S 1

struct event_base;
struct listener;
struct recorder_route;

struct listener_callbacks {
    /* A connection has come; takes 'fd'. */
    void (*accepted)(void *aux, const struct recorder_route *, int fd,
                     const struct sockaddr *peer, socklen_t peer_len);
    /* One could not be accepted. */
    void (*failed)(void *aux);
};

/* Listens at route->listen; 'waits': somebody else may be about to let go of
 * that address (standby_listen()).  'route' and 'callbacks' must live as long.
 * Returns 0, or an errno value with a reason that names the endpoint. */
int listener_open(struct event_base *, const struct recorder_route *route,
                  bool waits, const struct listener_callbacks *, void *aux,
                  struct listener **, struct lh_error *);
void listener_close(struct listener *);

#endif /* recorder/listener.h */
