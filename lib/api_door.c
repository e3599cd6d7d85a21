/* SPDX-License-Identifier: Apache-2.0 */
/* api_door - an API server's clients that come over TCP, with TLS. */
#include <config.h>
#include "lib/api_door.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>

#include "lib/api_access.h"
#include "lib/lh_alloc.h"

/* One that has not shown yet who it is. */
struct guest {
    LIST_ENTRY(guest) node;
    struct api_door *door;
    struct bufferevent *stream; /* Owned. */
    bool is_refused;            /* And was told so. */
};

struct api_door {
    struct event_base *base;
    struct api_server *server;
    struct evconnlistener *listener; /* Owned, as are the next two. */
    struct tls *tls;
    struct api_access *access;
    char *access_path; /* Owned. */
    LIST_HEAD(, guest) guests;
    size_t n_guests;
    struct api_door_counters counters;
};

static void on_guest(struct bufferevent *, short what, void *guest);

/* Ends the waiting of 'guest'; its stream is the caller's. */
static struct bufferevent *
take_stream(struct guest *guest)
{
    struct bufferevent *stream = guest->stream;

    LIST_REMOVE(guest, node);
    guest->door->n_guests--;
    free(guest);
    return stream;
}

static void
discard(struct bufferevent *stream, void *guest)
{
    struct evbuffer *in = bufferevent_get_input(stream);

    evbuffer_drain(in, evbuffer_get_length(in));
}

/* Tells 'guest' that it is not let in.  It hangs up then, or is after
 * API_DOOR_TIMEOUT_S; if we did at once, it might never read why. */
static void
refuse(struct guest *guest)
{
    static const char refusal[] =
        "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"denied\","
        "\"message\":\"the server's access file does not let this "
        "certificate in\"}}\n";

    guest->is_refused = true;
    bufferevent_write(guest->stream, refusal, sizeof refusal - 1);
    bufferevent_setcb(guest->stream, discard, NULL, on_guest, guest);
}

static void
on_guest(struct bufferevent *stream, short what, void *guest_)
{
    struct guest *guest = guest_;
    struct api_door *door = guest->door;
    unsigned int rights;
    char *name, *address;

    if (!(what & BEV_EVENT_CONNECTED)) {
        door->counters.refused += !guest->is_refused;
        bufferevent_free(take_stream(guest));
        return;
    }
    name = tls_peer_name(stream);
    if (!name || !api_access_find(door->access, name, &rights)) {
        door->counters.refused++;
        refuse(guest);
    } else {
        address = lh_asprintf("ssl:%s", name);
        take_stream(guest);
        bufferevent_set_timeouts(stream, NULL, NULL);
        api_server_adopt_stream(door->server, stream, address, rights);
        free(address);
    }
    free(name);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
          struct sockaddr *from, int from_len, void *door_)
{
    const struct timeval timeout = {API_DOOR_TIMEOUT_S, 0};
    struct api_door *door = door_;
    struct bufferevent *stream = NULL;
    struct guest *guest;

    if (door->n_guests < API_DOOR_MAX) {
        stream = tls_bufferevent(door->tls, door->base, fd, true,
                                 BEV_OPT_CLOSE_ON_FREE);
    }
    if (!stream) {
        door->counters.full++;
        close(fd);
        return;
    }
    guest = lh_alloc_zero(sizeof *guest);
    guest->door = door;
    guest->stream = stream;
    LIST_INSERT_HEAD(&door->guests, guest, node);
    door->n_guests++;
    bufferevent_setcb(stream, NULL, NULL, on_guest, guest);
    bufferevent_set_timeouts(stream, &timeout, &timeout);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

int
api_door_open(struct event_base *base, const struct api_door_config *config,
              struct api_server *server, struct api_door **doorp,
              struct lh_error *error)
{
    struct api_door *door = lh_alloc_zero(sizeof *door);
    struct sockaddr_storage address;
    int len = sizeof address, retval;

    *doorp = NULL;
    door->base = base;
    door->server = server;
    door->access_path = lh_strdup(config->access);
    LIST_INIT(&door->guests);
    if (evutil_parse_sockaddr_port(config->listen,
                                   (struct sockaddr *) &address, &len) ||
        !strrchr(config->listen, ':')) {
        lh_error_set(error, "%s: must be ADDR:PORT or [ADDR]:PORT",
                     config->listen);
        api_door_close(door);
        return EINVAL;
    }
    retval = tls_create(&config->files, &door->tls, error);
    if (!retval) {
        retval = api_access_load(config->access, &door->access, error);
    }
    if (!retval) {
        door->listener = evconnlistener_new_bind(
            base, on_accept, door,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
            64, (struct sockaddr *) &address, len);
        if (!door->listener) {
            retval = errno;
            lh_error_set(error, "%s: cannot listen: %s", config->listen,
                         strerror(retval));
        }
    }
    if (retval) {
        api_door_close(door);
    } else {
        *doorp = door;
    }
    return retval;
}

void
api_door_close(struct api_door *door)
{
    if (door) {
        while (!LIST_EMPTY(&door->guests)) {
            bufferevent_free(take_stream(LIST_FIRST(&door->guests)));
        }
        if (door->listener) {
            evconnlistener_free(door->listener);
        }
        api_access_destroy(door->access);
        free(door->access_path);
        tls_destroy(door->tls);
        free(door);
    }
}

/* Closes 'peer' if it came by the door and would not be let in like that
 * now. */
static void
check_peer(void *door_, struct api_peer *peer)
{
    const struct api_door *door = door_;
    struct api_peer_info info;
    unsigned int rights;

    api_peer_info(peer, &info);
    if (!strncmp(info.address, "ssl:", 4) &&
        (!api_access_find(door->access, info.address + 4, &rights) ||
         rights != info.rights)) {
        api_peer_close(peer);
    }
}

int
api_door_reload(struct api_door *door, struct lh_error *error)
{
    struct api_access *access;
    int retval = api_access_load(door->access_path, &access, error);

    if (!retval) {
        api_access_destroy(door->access);
        door->access = access;
        api_server_each(door->server, check_peer, door);
    }
    return retval;
}

const struct api_door_counters *
api_door_counters(const struct api_door *door)
{
    return &door->counters;
}
