/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint - socket addresses, from and to text. */
#include <config.h>

#include "recorder/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/api_socket.h"
#include "lib/lh_alloc.h"

#define BACKLOG 64

static int
parse_unix(const char *path, struct endpoint *ep, struct lh_error *error)
{
    struct sockaddr_un *un = (struct sockaddr_un *) &ep->address;

    if (!*path || strlen(path) >= sizeof un->sun_path) {
        lh_error_set(error, "%s: the path must have 1 to %zu bytes", ep->text,
                     sizeof un->sun_path - 1);
        return EINVAL;
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    ep->is_unix = true;
    ep->address_len = sizeof *un;
    return 0;
}

static int
parse_tcp(const char *text, bool is_to_listen, struct endpoint *ep,
          struct lh_error *error)
{
    const char *colon = strrchr(text, ':');
    size_t host_len = colon ? (size_t) (colon - text) : 0;
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM,
        .ai_flags = (is_to_listen ? AI_PASSIVE : 0) | AI_NUMERICSERV,
    };
    struct addrinfo *found = NULL;

    if (!colon || !colon[1]) {
        lh_error_set(error, "%s: must be %.4sHOST:PORT", ep->text, ep->text);
        return EINVAL;
    }
    /* getaddrinfo() takes the number modulo 65536. */
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strlen(colon + 1) > 5 || strtoul(colon + 1, NULL, 10) > 65535 ||
        (!is_to_listen && !strtoul(colon + 1, NULL, 10))) {
        lh_error_set(error, "%s: \"%s\" is no port", ep->text, colon + 1);
        return EINVAL;
    }
    if (host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']') {
        text++;
        host_len -= 2;
    }

    char *host = host_len ? lh_memdup(text, host_len + 1) : NULL;

    if (host) {
        host[host_len] = '\0';
    } else if (is_to_listen) {
        hints.ai_family = AF_INET6; /* Takes IPv4 as well. */
    }

    int code = getaddrinfo(host, colon + 1, &hints, &found);

    free(host);
    if (code) {
        lh_error_set(error, "%s: %s", ep->text, gai_strerror(code));
        return EINVAL;
    }
    memcpy(&ep->address, found->ai_addr, found->ai_addrlen);
    ep->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

int
endpoint_parse(const char *text, bool is_to_listen, struct endpoint *ep,
               struct lh_error *error)
{
    int retval;

    memset(ep, 0, sizeof *ep);
    ep->text = lh_strdup(text);
    if (!strncmp(text, "unix:", 5)) {
        retval = parse_unix(text + 5, ep, error);
    } else if (!strncmp(text, "tcp:", 4)) {
        retval = parse_tcp(text + 4, is_to_listen, ep, error);
    } else if (!strncmp(text, "ssl:", 4)) {
        ep->is_tls = true;
        retval = parse_tcp(text + 4, is_to_listen, ep, error);
    } else {
        lh_error_set(error,
                     "%s: must be tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH",
                     text);
        retval = EINVAL;
    }
    if (retval) {
        endpoint_uninit(ep);
    }
    return retval;
}

void
endpoint_uninit(struct endpoint *ep)
{
    free(ep->text);
    memset(ep, 0, sizeof *ep);
}

int
endpoint_listen(const struct endpoint *ep, int *fdp, struct lh_error *error)
{
    const struct sockaddr *address = (const struct sockaddr *) &ep->address;
    int on = 1, off = 0;
    int fd;

    *fdp = -1;
    if (ep->is_unix) {
        const struct sockaddr_un *un = (const struct sockaddr_un *) address;
        int retval = api_socket_listen(un->sun_path, fdp, error);

        if (retval) {
            lh_error_prefix(error, "cannot listen on %s", ep->text);
        }
        return retval;
    }
    fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                0);
    if (fd < 0) {
        goto error;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) {
        goto error;
    }
    if (address->sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, address, ep->address_len) || listen(fd, BACKLOG)) {
        goto error;
    }
    *fdp = fd;
    return 0;

error:;
    int retval = errno;

    lh_error_set(error, "cannot listen on %s: %s", ep->text, strerror(retval));
    if (fd >= 0) {
        close(fd);
    }
    return retval;
}

static uint16_t
port_of(const struct sockaddr *address)
{
    return ntohs(address->sa_family == AF_INET
                     ? ((const struct sockaddr_in *) address)->sin_port
                     : ((const struct sockaddr_in6 *) address)->sin6_port);
}

static bool
is_any(const struct sockaddr *address)
{
    return address->sa_family == AF_INET
               ? !((const struct sockaddr_in *) address)->sin_addr.s_addr
               : IN6_IS_ADDR_UNSPECIFIED(
                     &((const struct sockaddr_in6 *) address)->sin6_addr);
}

/* True when the address is one of this host: only those can be bound. */
static bool
is_own(const struct endpoint *ep)
{
    struct endpoint copy = *ep;
    struct sockaddr *address = (struct sockaddr *) &copy.address;
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_bound;

    if (address->sa_family == AF_INET) {
        ((struct sockaddr_in *) address)->sin_port = 0;
    } else {
        ((struct sockaddr_in6 *) address)->sin6_port = 0;
    }
    is_bound = fd >= 0 && !bind(fd, address, copy.address_len);
    if (fd >= 0) {
        close(fd);
    }
    return is_bound;
}

bool
endpoint_leads_to(const struct endpoint *to, const struct endpoint *listener)
{
    const struct sockaddr *a = (const struct sockaddr *) &to->address;
    const struct sockaddr *b = (const struct sockaddr *) &listener->address;

    if (to->is_unix || listener->is_unix) {
        return to->is_unix && listener->is_unix &&
               !strcmp(((const struct sockaddr_un *) a)->sun_path,
                       ((const struct sockaddr_un *) b)->sun_path);
    }
    if (port_of(a) != port_of(b)) {
        return false;
    }
    if (is_any(b) && (b->sa_family == AF_INET6 || a->sa_family == AF_INET)) {
        return is_own(to);
    }
    return a->sa_family == b->sa_family &&
           to->address_len == listener->address_len &&
           !memcmp(a, b, to->address_len);
}

char *
endpoint_format_ip(const struct sockaddr *address, socklen_t len)
{
    char host[INET6_ADDRSTRLEN];

    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        getnameinfo(address, len, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST)) {
        return NULL;
    }
    return lh_strdup(strncmp(host, "::ffff:", 7) ? host : host + 7);
}

char *
endpoint_format(const struct sockaddr *address, socklen_t len)
{
    char *host = endpoint_format_ip(address, len);

    if (!host) {
        return lh_strdup("unix");
    }

    char *text = lh_asprintf(strchr(host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u",
                             host, port_of(address));

    free(host);
    return text;
}

bool
endpoint_is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) address;

        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *in6 =
            &((const struct sockaddr_in6 *) address)->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(in6) ||
               (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
    }
    return true;
}
