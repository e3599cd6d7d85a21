/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint - where to listen or connect: tcp:HOST:PORT, ssl:HOST:PORT
 * or unix:PATH.
 *
 * HOST is a name, an IPv4 address, an IPv6 address in brackets, or empty
 * (listen: all addresses; connect: this host).  Names are looked up when the
 * endpoint is made.
 *
 * Threads: plain data. */
#ifndef RECORDER_ENDPOINT_H
#define RECORDER_ENDPOINT_H 1

#include <stdbool.h>
#include <sys/socket.h>

#include "lib/lh_error.h"

struct endpoint {
    char *text; /* As given.  Owned. */
    bool is_unix;
    bool is_tls;
    struct sockaddr_storage address;
    socklen_t address_len;
};

/* Returns 0, or EINVAL with a reason that names 'text' (also when the name
 * cannot be looked up). */
int endpoint_parse(const char *text, bool is_to_listen, struct endpoint *,
                   struct lh_error *);
void endpoint_uninit(struct endpoint *);

/* Listens.  '*fd' is a non-blocking socket.  Returns 0, or an errno value with
 * a reason that names the endpoint. */
int endpoint_listen(const struct endpoint *, int *fd, struct lh_error *);

/* True when a connection to 'to' would reach whoever listens at 'listener'. */
bool endpoint_leads_to(const struct endpoint *to,
                       const struct endpoint *listener);

/* The peer or own name of a socket address: "tcp:192.0.2.1:6653", "unix",
 * "tcp:[2001:db8::1]:6653"; for free(). */
char *endpoint_format(const struct sockaddr *, socklen_t len);
/* Just the IP address ("192.0.2.1", also when mapped into IPv6), or NULL when
 * it is none; for free(). */
char *endpoint_format_ip(const struct sockaddr *, socklen_t len);
/* True for an IP address of this host's loopback, and for a Unix socket. */
bool endpoint_is_local(const struct sockaddr *);

#endif /* recorder/endpoint.h */
