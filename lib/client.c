/* SPDX-License-Identifier: Apache-2.0 */
/* client - a program's connection to a server: <lasthop/client.h>. */
#include <config.h>

#include "lib/client_impl.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <event2/event.h>

#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define TIMEOUT_MS  10000
#define MAX_FDS     16
#define MAX_WAIT_MS 1000

const char *
lasthop_version(void)
{
    return PACKAGE_VERSION;
}

/* --- Creation ------------------------------------------------------------ */

/* "unix:PATH" is PATH, "tcp:.." is "ssl:..", the two names are sockets in the
 * run directory. */
static char *
full_address(const char *address)
{
    const char *usual = getenv("LASTHOP_SERVER");

    if (!address && usual && *usual) {
        address = usual;
    }
    if (!address || !strcmp(address, "server")) {
        return api_socket_path(API_SOCKET_SERVER);
    }
    if (!strcmp(address, "recorder")) {
        return api_socket_path(API_SOCKET_RECORDER);
    }
    if (!strncmp(address, "tcp:", 4)) {
        return lh_asprintf("ssl:%s", address + 4);
    }
    return lh_strdup(!strncmp(address, "unix:", 5) ? address + 5 : address);
}

static void
replace(char **member, const char *text)
{
    free(*member);
    *member = lh_strdup(text);
}

/* A server that goes away is an error, not the end of the program. */
static void
ignore_sigpipe(void)
{
    struct sigaction now;

    if (!sigaction(SIGPIPE, NULL, &now) && now.sa_handler == SIG_DFL) {
        signal(SIGPIPE, SIG_IGN);
    }
}

struct lasthop_client *
lasthop_client_create(const char *address)
{
    struct lasthop_client *client = lh_alloc_zero(sizeof *client);

    client->address = full_address(address);
    client->name = lh_strdup("liblasthop");
    client->timeout_ms = TIMEOUT_MS;
    LIST_INIT(&client->all);
    lasthop_client_set_tls(client, getenv("LASTHOP_KEY"),
                           getenv("LASTHOP_CERT"), getenv("LASTHOP_CA"));
    ignore_sigpipe();
    return client;
}

/* Frees what is left when nobody is in a callback. */
static void
free_client(struct lasthop_client *client)
{
    client_request_destroy_all(client);
    client_conn_end(client);
    if (client->owns_base && client->base) {
        event_base_free(client->base);
    }
    free(client->address);
    free(client->name);
    free(client->private_key);
    free(client->certificate);
    free(client->ca_cert);
    free(client->told_why);
    free(client->requests);
    free(client);
}

void
lasthop_client_destroy(struct lasthop_client *client)
{
    if (client) {
        client_enter(client);
        client->is_destroyed = true;
        client_leave(client);
    }
}

void
client_enter(struct lasthop_client *client)
{
    client->n_uses++;
}

bool
client_leave(struct lasthop_client *client)
{
    if (!--client->n_uses && client->is_destroyed) {
        free_client(client);
        return true;
    }
    return false;
}

/* --- Settings ------------------------------------------------------------ */

void
lasthop_client_set_name(struct lasthop_client *client, const char *name)
{
    replace(&client->name, name ? name : "liblasthop");
}

void
lasthop_client_set_tls(struct lasthop_client *client, const char *private_key,
                       const char *certificate, const char *ca_cert)
{
    replace(&client->private_key, private_key);
    replace(&client->certificate, certificate);
    replace(&client->ca_cert, ca_cert);
}

void
lasthop_client_set_timeout(struct lasthop_client *client, unsigned int ms)
{
    client->timeout_ms = !ms ? 1 : ms > INT_MAX ? INT_MAX : ms;
}

void
lasthop_client_set_reconnect(struct lasthop_client *client,
                             unsigned int max_pause_ms)
{
    client->max_pause_ms = max_pause_ms;
}

void
lasthop_client_set_json(struct lasthop_client *client, bool is_json)
{
    client->is_json = is_json;
}

void
lasthop_client_on_state(struct lasthop_client *client,
                        void (*callback)(struct lasthop_client *,
                                         enum lasthop_state, const char *,
                                         void *),
                        void *aux)
{
    client->on_state = callback;
    client->on_state_aux = aux;
}

void
lasthop_client_on_missed(struct lasthop_client *client,
                         void (*callback)(struct lasthop_client *, uint64_t,
                                          void *),
                         void *aux)
{
    client->on_missed = callback;
    client->on_missed_aux = aux;
}

void
lasthop_client_attach(struct lasthop_client *client, struct event_base *base)
{
    assert(!client->base);
    client->base = base;
}

/* --- State --------------------------------------------------------------- */

enum lasthop_state
lasthop_client_state(const struct lasthop_client *client)
{
    return client->phase == CLIENT_READY ? LASTHOP_UP : LASTHOP_DOWN;
}

const char *
lasthop_client_error(const struct lasthop_client *client)
{
    return client->error.text;
}

const char *
lasthop_client_address(const struct lasthop_client *client)
{
    return client->address;
}

bool
lasthop_client_has_feature(const struct lasthop_client *client,
                           const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(client->features, i, item)
    {
        if (!strcmp(json_string_value(item) ? json_string_value(item) : "",
                    name)) {
            return true;
        }
    }
    return false;
}

int
lasthop_client_connect(struct lasthop_client *client)
{
    int retval;

    if (client->phase == CLIENT_READY) {
        return 0;
    }
    retval = client_conn_begin(client);
    while (!retval && client->owns_base && client->phase > CLIENT_PAUSED &&
           client->phase < CLIENT_READY) {
        retval = lasthop_client_process(client, -1);
    }
    if (!retval && client->owns_base && client->phase != CLIENT_READY) {
        retval = client->lost_error;
    }
    return retval;
}

/* --- Waiting ------------------------------------------------------------- */

struct gathering {
    struct pollfd *fds;
    size_t n, max;
    struct timeval due; /* Of the first timer; tv_sec < 0: none. */
};

static int
gather(const struct event_base *base, const struct event *event,
       void *gathering_)
{
    struct gathering *g = gathering_;
    short wanted = event_get_events(event);
    int fd = event_get_fd(event);
    struct timeval due;

    if (fd >= 0 && wanted & (EV_READ | EV_WRITE) && !(wanted & EV_SIGNAL) &&
        g->n < g->max) {
        g->fds[g->n++] = (struct pollfd){
            .fd = fd,
            .events = (short) ((wanted & EV_READ ? POLLIN : 0) |
                               (wanted & EV_WRITE ? POLLOUT : 0)),
        };
    }
    if (event_pending(event, EV_TIMEOUT, &due) &&
        (g->due.tv_sec < 0 || timercmp(&due, &g->due, <))) {
        g->due = due;
    }
    return 0;
}

size_t
lasthop_client_pollfds(struct lasthop_client *client, struct pollfd *fds,
                       size_t max, int *timeout_ms)
{
    struct gathering g = {.fds = fds, .max = max, .due = {.tv_sec = -1}};
    struct timeval now, left;

    *timeout_ms = -1;
    if (!client->base || !client->owns_base) {
        return 0;
    }
    event_base_foreach_event(client->base, gather, &g);
    if (g.due.tv_sec >= 0) {
        gettimeofday(&now, NULL);
        *timeout_ms = 0;
        if (timercmp(&g.due, &now, >)) {
            timersub(&g.due, &now, &left);
            /* Rounded up: not to look before it is due. */
            *timeout_ms =
                left.tv_sec > INT_MAX / 1000 - 1
                    ? INT_MAX
                    : (int) (left.tv_sec * 1000 + (left.tv_usec + 999) / 1000);
        }
    }
    return g.n;
}

/* Calls what is due; until something was told, or 'timeout_ms'. */
static int
process(struct lasthop_client *client, int timeout_ms)
{
    int64_t until_ms = monotonic_ms() + timeout_ms;
    unsigned int n_before = client->n_happened;

    for (;;) {
        struct pollfd fds[MAX_FDS];
        int due_ms, left_ms = timeout_ms;
        size_t n;

        event_base_loop(client->base, EVLOOP_NONBLOCK);
        if (client->is_destroyed || client->n_happened != n_before) {
            return 0;
        }
        if (client->phase == CLIENT_IDLE) {
            return client->lost_error ? client->lost_error : ENOTCONN;
        }
        if (timeout_ms >= 0) {
            int64_t left = until_ms - monotonic_ms();

            if (left <= 0) {
                return ETIMEDOUT;
            }
            left_ms = (int) left;
        }
        n = lasthop_client_pollfds(client, fds, MAX_FDS, &due_ms);
        if (left_ms < 0 || (due_ms >= 0 && due_ms < left_ms)) {
            left_ms = due_ms;
        }
        /* The loop's timers are told by the wall clock, which may jump. */
        if (left_ms < 0 || left_ms > MAX_WAIT_MS) {
            left_ms = MAX_WAIT_MS;
        }
        if (poll(fds, n, left_ms) < 0) {
            return errno;
        }
    }
}

int
lasthop_client_process(struct lasthop_client *client, int timeout_ms)
{
    int retval;

    if (!client->base) {
        return ENOTCONN;
    }
    if (!client->owns_base || client->n_uses) {
        return EDEADLK;
    }
    client_enter(client);
    retval = process(client, timeout_ms);
    client_leave(client);
    return retval;
}
