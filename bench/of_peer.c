/* SPDX-License-Identifier: Apache-2.0 */
/* of_peer - one OpenFlow connection of a benchmark. */
#include <config.h>
#include "bench/of_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

uint8_t of_peer_version = OF_WIRE_13;

#define READ_SIZE ((size_t) 256 << 10)

void
of_peer_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

uint64_t
of_peer_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static int
compare(const void *a_, const void *b_)
{
    uint64_t a = *(const uint64_t *) a_, b = *(const uint64_t *) b_;

    return a < b ? -1 : a > b;
}

uint64_t
of_peer_percentile(uint64_t *values, size_t n, double share)
{
    if (!n) {
        return 0;
    }
    qsort(values, n, sizeof *values, compare);
    return values[(size_t) ((double) (n - 1) * share + 0.5)];
}

static struct sockaddr_in
parse(const char *text)
{
    struct sockaddr_in sin = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    char host[64];

    if (!colon || (size_t) (colon - text) >= sizeof host) {
        of_peer_die("%s: not HOST:PORT", text);
    }
    memcpy(host, text, (size_t) (colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
        of_peer_die("%s: not an IPv4 address", host);
    }
    sin.sin_port = htons((uint16_t) atoi(colon + 1));
    return sin;
}

static int
new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        of_peer_die("socket: %s", strerror(errno));
    }
    return fd;
}

int
of_peer_listen(const char *text)
{
    struct sockaddr_in sin = parse(text);
    int fd = new_socket(), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *) &sin, sizeof sin) || listen(fd, 1024)) {
        of_peer_die("%s: %s", text, strerror(errno));
    }
    return fd;
}

int
of_peer_connect(const char *text)
{
    struct sockaddr_in sin = parse(text);
    int fd = new_socket();

    if (connect(fd, (struct sockaddr *) &sin, sizeof sin)) {
        of_peer_die("%s: %s", text, strerror(errno));
    }
    return fd;
}

int
of_peer_accept(int listener)
{
    struct pollfd pfd = {.fd = listener, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0 ? accept(listener, NULL, NULL) : -1;
}

void
of_peer_init(struct of_peer *peer, int fd)
{
    int on = 1;

    memset(peer, 0, sizeof *peer);
    peer->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void
of_peer_uninit(struct of_peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    free(peer->in);
    free(peer->out);
    memset(peer, 0, sizeof *peer);
    peer->fd = -1;
}

static void
make_room(uint8_t **buf, size_t *size, size_t need)
{
    size_t new_size = *size ? *size : READ_SIZE;

    while (new_size < need) {
        new_size *= 2;
    }
    if (new_size != *size) {
        *buf = lh_alloc_array(*buf, new_size, 1);
        *size = new_size;
    }
}

void
of_peer_send(struct of_peer *peer, const void *data, size_t len)
{
    if (peer->out_ofs == peer->out_len) {
        peer->out_ofs = peer->out_len = 0;
    }
    make_room(&peer->out, &peer->out_size, peer->out_len + len);
    memcpy(peer->out + peer->out_len, data, len);
    peer->out_len += len;
}

void
of_peer_send_header(struct of_peer *peer, uint8_t type, uint32_t xid)
{
    uint8_t msg[OF_WIRE_HEADER_LEN];

    of_wire_put_header(msg, of_peer_version, type, sizeof msg, xid);
    of_peer_send(peer, msg, sizeof msg);
}

void
of_peer_send_hello(struct of_peer *peer)
{
    uint8_t hello[16];

    of_wire_put_header(hello, of_peer_version, OF_WIRE_HELLO, sizeof hello, 1);
    of_wire_put16(hello + 8, 1); /* A bitmap of versions. */
    of_wire_put16(hello + 10, 8);
    of_wire_put32(hello + 12, 1u << of_peer_version);
    of_peer_send(peer, hello, sizeof hello);
}

size_t
of_peer_unsent(const struct of_peer *peer)
{
    return peer->out_len - peer->out_ofs;
}

short
of_peer_events(const struct of_peer *peer)
{
    return (short) (POLLIN | (of_peer_unsent(peer) ? POLLOUT : 0));
}

bool
of_peer_flush(struct of_peer *peer)
{
    while (of_peer_unsent(peer)) {
        ssize_t n = send(peer->fd, peer->out + peer->out_ofs,
                         of_peer_unsent(peer), MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        peer->out_ofs += (size_t) n;
    }
    return true;
}

/* Hands out the whole messages of the buffer. */
static bool
cut(struct of_peer *peer, void (*take)(void *, const uint8_t *, size_t),
    void *aux)
{
    size_t ofs = 0;
    int len;

    while ((len = of_wire_frame(peer->in + ofs, peer->in_len - ofs)) > 0) {
        take(aux, peer->in + ofs, (size_t) len);
        ofs += (size_t) len;
    }
    memmove(peer->in, peer->in + ofs, peer->in_len - ofs);
    peer->in_len -= ofs;
    return !len;
}

bool
of_peer_read(struct of_peer *peer,
             void (*take)(void *aux, const uint8_t *msg, size_t len),
             void *aux)
{
    ssize_t n;

    make_room(&peer->in, &peer->in_size, peer->in_len + READ_SIZE);
    n = recv(peer->fd, peer->in + peer->in_len, peer->in_size - peer->in_len,
             MSG_DONTWAIT);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    peer->in_len += (size_t) n;
    return n && cut(peer, take, aux);
}
