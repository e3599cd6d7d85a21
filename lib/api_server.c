/* SPDX-License-Identifier: Apache-2.0 */
/* api_server - answers requests on a Unix socket, one JSON object per line. */
#include <config.h>
#include "lib/api_server.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>

#include "lib/api_line.h"
#include "lib/api_peer_owner.h"
#include "lib/api_service.h"
#include "lib/api_socket.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"

/* How long we stop accepting when there is no file descriptor left. */
static const struct timeval accept_pause = {0, 200000};

struct op {
    const char *name;
    api_handler *handler;
    void *aux;
    enum api_right right;
};

struct api_server {
    struct api_peer_owner owner; /* First: peers know us by it. */
    char *path;                  /* NULL unless we listen. */
    struct evconnlistener *listener;
    struct event *resume;
    size_t n_ops, allocated_ops;
    struct op *ops;
    uint64_t next_number;
    size_t n_peers, allocated_peers;
    struct api_peer **peers;
};

/* --- requests ------------------------------------------------------------ */

static const struct op *
find_op(const struct api_server *server, const char *name)
{
    for (size_t i = 0; i < server->n_ops; i++) {
        if (!strcmp(server->ops[i].name, name)) {
            return &server->ops[i];
        }
    }
    return NULL;
}

/* Hands the JSON object 'request' to the handler of its op. */
static void
dispatch(struct api_server *server, struct api_peer *peer, json_t *request)
{
    json_t *id = json_object_get(request, "id");
    bool is_id = !id || json_is_string(id) || json_is_number(id);
    struct api_call *call = api_call_create(peer, is_id ? id : NULL);
    struct jmember root = jmember_root(request);
    struct jmember op_member = jmember_get(&root, "op");
    const struct op *op;
    struct lh_error error;
    const char *name;

    if (!is_id) {
        api_call_fail(call, API_BAD_REQUEST,
                      "id: must be a number or a string");
    } else if (jmember_string(&op_member, &name, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
    } else if (!(op = find_op(server, name))) {
        api_call_fail(call, API_UNKNOWN_OP, "there is no op \"%.40s\"", name);
    } else if (!api_peer_has(peer, op->right)) {
        api_call_fail(call, API_DENIED,
                      "%s is not for this client (lasthop-server(8), ACCESS)",
                      op->name);
    } else {
        op->handler(call, request, op->aux);
    }
}

static bool
is_blank(const char *text, size_t len)
{
    return strspn(text, " \t\r") == len;
}

static void
on_line(struct api_peer_owner *owner, struct api_peer *peer, const char *text,
        size_t len)
{
    struct api_server *server = (struct api_server *) owner;
    json_error_t error;
    json_t *request;

    if (is_blank(text, len)) {
        return;
    }
    owner->counters.requests++;
    request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(request)) {
        dispatch(server, peer, request);
    } else if (request) {
        api_call_fail(api_call_create(peer, NULL), API_BAD_REQUEST,
                      "a request is a JSON object");
    } else {
        struct lh_error reason;

        lh_error_set_at(&reason, error.position, "not JSON: %s", error.text);
        api_call_fail_error(api_call_create(peer, NULL), API_BAD_REQUEST,
                            &reason);
    }
    json_decref(request);
}

static void
on_long_line(struct api_peer_owner *owner, struct api_peer *peer)
{
    owner->counters.requests++;
    api_call_fail(api_call_create(peer, NULL), API_LIMIT,
                  "a request has at most %zu bytes", owner->config.max_line);
}

/* --- clients ------------------------------------------------------------- */

static void
on_gone(struct api_peer_owner *owner, struct api_peer *peer)
{
    struct api_server *server = (struct api_server *) owner;
    size_t i = 0;

    if (owner->config.on_close) {
        owner->config.on_close(peer, owner->config.aux);
    }
    while (server->peers[i] != peer) {
        i++;
        assert(i < server->n_peers);
    }
    server->peers[i] = server->peers[--server->n_peers];
    api_peer_destroy(peer);
}

/* Tells the client at 'fd' that we take no more. */
static void
refuse(struct api_server *server, int fd)
{
    static const char message[] =
        "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"limit\","
        "\"message\":\"too many clients\"}}\n";

    server->owner.counters.peers_refused++;
    if (write(fd, message, sizeof message - 1) < 0) {
        /* It has gone: nobody to tell. */
    }
    close(fd);
}

void
api_server_adopt(struct api_server *server, int fd)
{
    evutil_make_socket_nonblocking(fd);
    if (server->n_peers >= server->owner.config.max_peers) {
        refuse(server, fd);
        return;
    }
    api_server_adopt_stream(
        server,
        bufferevent_socket_new(server->owner.base, fd, BEV_OPT_CLOSE_ON_FREE),
        "unix", API_RIGHT_ALL);
}

void
api_server_adopt_stream(struct api_server *server, struct bufferevent *stream,
                        const char *address, unsigned int rights)
{
    if (server->n_peers >= server->owner.config.max_peers) {
        server->owner.counters.peers_refused++;
        bufferevent_free(stream);
        return;
    }
    server->peers =
        lh_alloc_grow(server->peers, server->n_peers, &server->allocated_peers,
                      sizeof *server->peers);
    server->peers[server->n_peers++] = api_peer_create(
        &server->owner, stream, address, rights, server->next_number++);
    server->owner.counters.peers++;
}

void
api_server_each(struct api_server *server,
                void (*f)(void *aux, struct api_peer *), void *aux)
{
    for (size_t i = 0; i < server->n_peers; i++) {
        f(aux, server->peers[i]);
    }
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
          struct sockaddr *address, int len, void *server)
{
    api_server_adopt(server, fd);
}

/* No file descriptor, most likely: trying again at once would only spin. */
static void
on_accept_error(struct evconnlistener *listener, void *server_)
{
    struct api_server *server = server_;

    server->owner.counters.peers_refused++;
    evconnlistener_disable(listener);
    evtimer_add(server->resume, &accept_pause);
}

static void
on_resume(evutil_socket_t fd, short what, void *server_)
{
    struct api_server *server = server_;

    evconnlistener_enable(server->listener);
}

/* --- life ---------------------------------------------------------------- */

static void
set_default(size_t *value, size_t usual)
{
    *value = *value ? *value : usual;
}

struct api_server *
api_server_create(struct event_base *base,
                  const struct api_server_config *config)
{
    struct api_server *server = lh_alloc_zero(sizeof *server);
    struct api_server_config *c = &server->owner.config;

    *c = *config;
    set_default(&c->max_line, API_LINE_MAX_REQUEST);
    set_default(&c->max_events, (size_t) 4 << 20);
    set_default(&c->max_queue, (size_t) 256 << 20);
    set_default(&c->max_peers, 256);
    c->mode = c->mode ? c->mode : 0660;
    server->owner.base = base;
    server->owner.on_line = on_line;
    server->owner.on_long_line = on_long_line;
    server->owner.on_gone = on_gone;
    server->next_number = 1;
    server->resume = evtimer_new(base, on_resume, server);
    assert(server->resume);
    signal(SIGPIPE, SIG_IGN);
    api_service_add(server, c->program, c->features);
    return server;
}

void
api_server_destroy(struct api_server *server)
{
    if (!server) {
        return;
    }
    while (server->n_peers) {
        on_gone(&server->owner, server->peers[0]);
    }
    if (server->listener) {
        unlink(server->path);
        evconnlistener_free(server->listener);
    }
    event_free(server->resume);
    free(server->path);
    free(server->peers);
    free(server->ops);
    free(server);
}

void
api_server_add_op(struct api_server *server, const char *op,
                  api_handler *handler, void *aux)
{
    assert(!find_op(server, op));
    server->ops = lh_alloc_grow(server->ops, server->n_ops,
                                &server->allocated_ops, sizeof *server->ops);
    server->ops[server->n_ops++] =
        (struct op){op, handler, aux, API_RIGHT_NONE};
}

void
api_server_require(struct api_server *server, const char *op,
                   enum api_right right)
{
    for (size_t i = 0; i < server->n_ops; i++) {
        if (!strcmp(server->ops[i].name, op)) {
            server->ops[i].right = right;
        }
    }
}

int
api_server_listen(struct api_server *server, const char *path,
                  struct lh_error *error)
{
    int fd, retval;

    assert(!server->listener);
    retval = api_socket_listen_as(path, (mode_t) server->owner.config.mode,
                                  server->owner.config.has_group
                                      ? (gid_t) server->owner.config.group
                                      : (gid_t) -1,
                                  &fd, error);
    if (!retval) {
        server->path = lh_strdup(path);
        server->listener = evconnlistener_new(
            server->owner.base, on_accept, server,
            LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
        assert(server->listener);
        evconnlistener_set_error_cb(server->listener, on_accept_error);
    }
    return retval;
}

const struct api_server_config *
api_server_config(const struct api_server *server)
{
    return &server->owner.config;
}

size_t
api_server_n_peers(const struct api_server *server)
{
    return server->n_peers;
}

const struct api_server_counters *
api_server_counters(const struct api_server *server)
{
    return &server->owner.counters;
}
