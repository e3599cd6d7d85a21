/* SPDX-License-Identifier: Apache-2.0 */
/* ofpipe - a proxy that only copies bytes: what standing between a switch and
 * its controller costs when nothing is looked at.
 *
 * usage: ofpipe LISTEN CONTROLLER     (both HOST:PORT)
 *
 * For every connection to LISTEN it makes one to CONTROLLER and copies what
 * comes by either to the other, with one read and one write each, until one
 * closes.  A figure of the recorder's that is as good as this one's can only
 * be bettered by standing somewhere else. */
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/of_peer.h"
#include "lib/lh_alloc.h"

#define N_EVENTS  64
#define READ_SIZE ((size_t) 128 << 10)

/* One end of a connection. */
struct end {
    int fd;
    struct end *other;
};

static int epoll_fd;

static void
watch(struct end *end)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, end->fd, &event)) {
        of_peer_die("epoll: %d", errno);
    }
}

static struct end *
new_end(int fd)
{
    struct end *end = lh_alloc_zero(sizeof *end);
    struct of_peer peer;

    of_peer_init(&peer, fd); /* Its options. */
    end->fd = fd;
    return end;
}

/* Waits while the other side does not read.  False when it is gone. */
static bool
write_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n < 0) {
            return false;
        }
        data += n;
        len -= (size_t) n;
    }
    return true;
}

/* Copies what has come.  Both ends stay until the process does, shut, because
 * one of them may be among the events still to be looked at. */
static void
copy(struct end *from)
{
    static uint8_t data[READ_SIZE];
    ssize_t n = recv(from->fd, data, sizeof data, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0 || !write_all(from->other->fd, data, (size_t) n)) {
        shutdown(from->other->fd, SHUT_RDWR);
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, from->fd, NULL);
    }
}

int
main(int argc, char **argv)
{
    struct epoll_event events[N_EVENTS];
    struct end listener = {.fd = -1};

    if (argc != 3) {
        of_peer_die("usage: %s LISTEN CONTROLLER", argv[0]);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener.fd = of_peer_listen(argv[1]);
    watch(&listener);
    puts("{\"listening\":true}");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, N_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            struct end *end = events[i].data.ptr;

            if (end == &listener) {
                struct end *down = new_end(accept(listener.fd, NULL, NULL));
                struct end *up = new_end(of_peer_connect(argv[2]));

                down->other = up;
                up->other = down;
                watch(down);
                watch(up);
            } else {
                copy(end);
            }
        }
    }
}
