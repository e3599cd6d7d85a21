/* SPDX-License-Identifier: Apache-2.0 */
/* source_udp - receives geneve postcards on a UDP socket. */
#include <config.h>

#include "server/source_udp.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"

/* What a switch sends is its snap length and about a hundred bytes. */
#define DATAGRAM_SIZE 2048
#define BATCH         64
/* Batches per turn of the event loop, so that others get theirs. */
#define MAX_BATCHES 16
#define BUFFER_SIZE (64 << 20)
/* While many come, more than BUSY in WINDOW_NS, nobody is woken for each: the
 * socket is looked at every PAUSE_US.  Waking costs reader and sender more
 * than the datagram does. */
#define BUSY      400
#define WINDOW_NS UINT64_C(20000000)
#define PAUSE_US  1000

#define CONTROL_SIZE CMSG_SPACE(sizeof(struct timespec))

struct source_udp {
    int fd;
    struct ingest *ingest;
    void (*after)(void *aux);
    void *aux;
    struct event *event; /* Readable; while many come, not waited for.
                          * Owned. */
    struct event *pause; /* The next look while many come.  Owned. */
    uint64_t window_ns;  /* Since when 'n_window' counts, monotonic. */
    unsigned int n_window;
    bool is_busy;
    uint32_t last_drops; /* The kernel's count, modulo 2^32. */
    struct source_udp_counters counters;

    struct mmsghdr messages[BATCH];
    struct iovec iovecs[BATCH];
    struct sockaddr_storage from[BATCH];
    uint8_t data[BATCH][DATAGRAM_SIZE];
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_SIZE];
    } control[BATCH];
};

static struct accept_address
address_of(const struct sockaddr_storage *from)
{
    struct accept_address address = {{0}};

    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) from;

        return accept_address_ip4((const uint8_t *) &in->sin_addr);
    }
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) from;

        memcpy(address.bytes, &in6->sin6_addr, sizeof address.bytes);
    }
    return address;
}

/* When the kernel got a datagram. */
static uint64_t
time_of(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c;
         c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec ts;

            memcpy(&ts, CMSG_DATA(c), sizeof ts);
            return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
        }
    }
    return time_spec_now();
}

/* Asks the kernel what it dropped, which costs less than to be told with each
 * datagram (SO_RXQ_OVFL). */
static void
count_drops(struct source_udp *source)
{
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t len = sizeof info;

    if (!getsockopt(source->fd, SOL_SOCKET, SO_MEMINFO, info, &len) &&
        len > SK_MEMINFO_DROPS * sizeof *info) {
        uint32_t drops = info[SK_MEMINFO_DROPS];

        source->counters.kernel_drops += drops - source->last_drops;
        source->last_drops = drops;
    }
}

static void
take_message(struct source_udp *source, int i)
{
    struct mmsghdr *message = &source->messages[i];
    struct accept_address from = address_of(&source->from[i]);
    uint64_t time_ns = time_of(&message->msg_hdr);

    source->counters.datagrams++;
    if (message->msg_hdr.msg_flags & MSG_TRUNC) {
        source->counters.cut++;
    }
    ingest_datagram(source->ingest, source->data[i], message->msg_len, time_ns,
                    &from);
}

/* Takes up to a batch of datagrams.  False when there may be no more. */
static bool
take_batch(struct source_udp *source)
{
    for (int i = 0; i < BATCH; i++) {
        struct msghdr *header = &source->messages[i].msg_hdr;

        header->msg_namelen = sizeof source->from[i];
        header->msg_controllen = sizeof source->control[i];
        header->msg_flags = 0;
    }

    int n = recvmmsg(source->fd, source->messages, BATCH, MSG_DONTWAIT, NULL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            source->counters.errors++;
            say_warn("receiving postcards: %s", strerror(errno));
        }
        return false;
    }
    for (int i = 0; i < n; i++) {
        take_message(source, i);
    }
    return n == BATCH;
}

static uint64_t
monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

/* Whether many come, 'n' having come now. */
static bool
is_busy(struct source_udp *source, unsigned int n)
{
    uint64_t now_ns = monotonic_ns();

    source->n_window += n;
    if (now_ns - source->window_ns >= WINDOW_NS) {
        source->is_busy = source->n_window > BUSY;
        source->window_ns = now_ns;
        source->n_window = 0;
    }
    return source->is_busy;
}

/* Waits for the next datagram, or a little. */
static void
wait_next(struct source_udp *source, bool is_pausing)
{
    if (is_pausing) {
        struct timeval pause = {0, PAUSE_US};

        event_del(source->event);
        event_add(source->pause, &pause);
    } else if (!event_pending(source->event, EV_READ, NULL)) {
        event_add(source->event, NULL);
    }
}

static void
on_turn(evutil_socket_t fd, short what, void *source_)
{
    struct source_udp *source = source_;
    uint64_t n_before = source->counters.datagrams;
    int n_batches = 0;

    while (n_batches < MAX_BATCHES && take_batch(source)) {
        n_batches++;
    }
    /* Where there is more, the next turn follows at once. */
    wait_next(source,
              is_busy(source, (unsigned int) (source->counters.datagrams -
                                              n_before)) &&
                  n_batches < MAX_BATCHES);
    source->after(source->aux);
}

void
source_udp_drain(struct source_udp *source)
{
    /* What comes meanwhile is not waited for for ever. */
    for (int i = 0; i < 64 * MAX_BATCHES && take_batch(source); i++) {
    }
}

static bool
has_ip6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* Splits "HOST:PORT" into an address; without a host those of IPv6, which take
 * IPv4 too, unless this machine has none. */
static int
resolve(const char *where, struct addrinfo **found, struct lh_error *error)
{
    const char *colon = strrchr(where, ':');
    size_t host_len = colon ? (size_t) (colon - where) : 0;
    const char *host_start = where;

    *found = NULL;
    if (host_len >= 2 && where[0] == '[' && where[host_len - 1] == ']') {
        host_start++;
        host_len -= 2;
    }
    if (!colon || !colon[1] ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtoul(colon + 1, NULL, 10) > 65535) {
        lh_error_set(error, "\"%s\" is not ADDRESS:PORT", where);
        return EINVAL;
    }

    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_DGRAM,
                             .ai_flags =
                                 AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    char *host = lh_alloc_zero(host_len + 1);

    memcpy(host, host_start, host_len);

    int why;

    if (host_len) {
        why = getaddrinfo(host, colon + 1, &hints, found);
    } else {
        hints.ai_family = has_ip6() ? AF_INET6 : AF_INET;
        why = getaddrinfo(NULL, colon + 1, &hints, found);
    }
    free(host);
    if (why) {
        lh_error_set(error, "\"%s\": %s", where, gai_strerror(why));
        return EINVAL;
    }
    return 0;
}

static void
set_option(int fd, int option, int value, const char *name)
{
    if (setsockopt(fd, SOL_SOCKET, option, &value, sizeof value)) {
        say_warn("%s: %s", name, strerror(errno));
    }
}

static int
open_socket(const char *where, int *fdp, struct lh_error *error)
{
    struct addrinfo *found;
    int retval = resolve(where, &found, error);

    *fdp = -1;
    if (retval) {
        return retval;
    }

    int fd =
        socket(found->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen)) {
        retval = errno;
        lh_error_set(error, "cannot listen at %s: %s", where,
                     strerror(retval));
        if (fd >= 0) {
            close(fd);
        }
    } else {
        int size = BUFFER_SIZE;

        /* More than net.core.rmem_max is for root only. */
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) {
            set_option(fd, SO_RCVBUF, size, "SO_RCVBUF");
        }
        set_option(fd, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
        *fdp = fd;
    }
    freeaddrinfo(found);
    return retval;
}

int
source_udp_open(struct event_base *base, const char *where,
                struct ingest *ingest, void (*after)(void *aux), void *aux,
                struct source_udp **sourcep, struct lh_error *error)
{
    int fd;
    int retval = open_socket(where, &fd, error);

    *sourcep = NULL;
    if (retval) {
        return retval;
    }

    struct source_udp *source = lh_alloc_zero(sizeof *source);

    source->fd = fd;
    source->ingest = ingest;
    source->after = after;
    source->aux = aux;
    for (int i = 0; i < BATCH; i++) {
        struct msghdr *header = &source->messages[i].msg_hdr;

        source->iovecs[i].iov_base = source->data[i];
        source->iovecs[i].iov_len = DATAGRAM_SIZE;
        header->msg_iov = &source->iovecs[i];
        header->msg_iovlen = 1;
        header->msg_name = &source->from[i];
        header->msg_control = source->control[i].bytes;
    }
    source->event = event_new(base, fd, EV_READ | EV_PERSIST, on_turn, source);
    source->pause = evtimer_new(base, on_turn, source);
    event_add(source->event, NULL);
    *sourcep = source;
    return 0;
}

void
source_udp_close(struct source_udp *source)
{
    if (source) {
        event_free(source->event);
        event_free(source->pause);
        close(source->fd);
        free(source);
    }
}

int
source_udp_buffer(const struct source_udp *source)
{
    int size = 0;
    socklen_t len = sizeof size;

    getsockopt(source->fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
    return size;
}

const struct source_udp_counters *
source_udp_counters(struct source_udp *source)
{
    count_drops(source);
    return &source->counters;
}
