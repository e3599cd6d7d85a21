/* SPDX-License-Identifier: Apache-2.0 */
/* pump - runs an event loop and the raw end of a socket in one thread. */
#include <config.h>
#include "tests/lib/pump.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/lh_alloc.h"

#define DEADLINE_S 10

int
pump_init(struct pump *pump, struct event_base *base)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    *pump = (struct pump){.base = base, .fd = fds[0]};
    return fds[1];
}

void
pump_uninit(struct pump *pump)
{
    if (pump->fd >= 0) {
        close(pump->fd);
    }
    free(pump->text);
}

void
pump_once(struct event_base *base)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static time_t
deadline(void)
{
    return time(NULL) + DEADLINE_S;
}

/* Runs the loop, then waits a moment for 'fd'. */
static void
turn(struct event_base *base, int fd, short events, time_t until)
{
    struct pollfd pfd = {.fd = fd, .events = events};

    ck_assert_msg(time(NULL) <= until, "nothing happened in time");
    pump_once(base);
    poll(&pfd, fd >= 0, 1);
}

void
pump_write(struct pump *pump, const char *text)
{
    size_t len = strlen(text);
    time_t until = deadline();

    while (len) {
        ssize_t n = send(pump->fd, text, len, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            len -= (size_t) n;
        } else {
            ck_assert_int_eq(errno, EAGAIN);
            turn(pump->base, pump->fd, POLLOUT, until);
        }
    }
}

/* Reads what is there; false at the end of the stream. */
static bool
fill(struct pump *pump)
{
    static char buf[1 << 16];
    ssize_t n = recv(pump->fd, buf, sizeof buf, 0);

    if (n > 0) {
        pump->text = lh_alloc_array(pump->text, pump->len + (size_t) n + 1, 1);
        memcpy(pump->text + pump->len, buf, (size_t) n);
        pump->len += (size_t) n;
        pump->text[pump->len] = '\0';
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

json_t *
pump_read(struct pump *pump)
{
    time_t until = deadline();

    for (;;) {
        char *newline = pump->len ? strchr(pump->text, '\n') : NULL;
        json_error_t error;
        json_t *json;

        if (newline) {
            *newline++ = '\0';
            json = json_loads(pump->text, 0, &error);
            ck_assert_msg(json != NULL, "%s: %s", error.text, pump->text);
            pump->len -= (size_t) (newline - pump->text);
            memmove(pump->text, newline, pump->len + 1);
            return json;
        }
        turn(pump->base, pump->fd, POLLIN, until);
        ck_assert_msg(fill(pump), "the connection was closed");
    }
}

void
pump_until_closed(struct pump *pump)
{
    time_t until = deadline();

    do {
        turn(pump->base, pump->fd, POLLIN, until);
        pump->len = 0;
    } while (fill(pump));
}

void
pump_until(struct event_base *base, const bool *flag)
{
    time_t until = deadline();

    while (!*flag) {
        turn(base, -1, 0, until);
    }
}

void
pump_expect(struct pump *pump, const char *text)
{
    json_t *json = pump_read(pump);
    char *line = json_dumps(json, JSON_COMPACT);

    ck_assert_str_eq(line, text);
    free(line);
    json_decref(json);
}
