/* SPDX-License-Identifier: Apache-2.0 */
/* listener - a socket at which the recorder takes connections. */
#include <config.h>
#include "recorder/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/recorder_config.h"
#include "recorder/standby.h"

struct listener {
    const struct recorder_route *route;
    const struct listener_callbacks *callbacks;
    void *aux;
    struct evconnlistener *evconn;
    struct event *resume; /* Accepts again. */
};

static void
on_accept(struct evconnlistener *evconn, evutil_socket_t fd,
          struct sockaddr *peer, int peer_len, void *listener_)
{
    struct listener *listener = listener_;

    listener->callbacks->accepted(listener->aux, listener->route, fd, peer,
                                  (socklen_t) peer_len);
}

static void
on_accept_error(struct evconnlistener *evconn, void *listener_)
{
    struct listener *listener = listener_;
    struct timeval timeout = {.tv_sec = LISTENER_RETRY_S};

    say_error("%s: cannot accept a connection: %s; next try in %d s",
              listener->route->listen.text, strerror(errno), LISTENER_RETRY_S);
    listener->callbacks->failed(listener->aux);
    evconnlistener_disable(evconn);
    event_add(listener->resume, &timeout);
}

static void
on_resume(evutil_socket_t fd, short what, void *listener_)
{
    struct listener *listener = listener_;

    evconnlistener_enable(listener->evconn);
}

int
listener_open(struct event_base *base, const struct recorder_route *route,
              bool waits, const struct listener_callbacks *callbacks,
              void *aux, struct listener **listenerp, struct lh_error *error)
{
    struct listener *listener;
    int fd, retval;

    *listenerp = NULL;
    retval = waits ? standby_listen(&route->listen, &fd, error)
                   : endpoint_listen(&route->listen, &fd, error);
    if (retval) {
        return retval;
    }
    listener = lh_alloc_zero(sizeof *listener);
    listener->route = route;
    listener->callbacks = callbacks;
    listener->aux = aux;
    listener->resume = evtimer_new(base, on_resume, listener);
    listener->evconn = evconnlistener_new(base, on_accept, listener,
                                          LEV_OPT_CLOSE_ON_FREE, 0, fd);
    evconnlistener_set_error_cb(listener->evconn, on_accept_error);
    *listenerp = listener;
    return 0;
}

void
listener_close(struct listener *listener)
{
    if (listener) {
        evconnlistener_free(listener->evconn);
        event_free(listener->resume);
        free(listener);
    }
}
