/* SPDX-License-Identifier: Apache-2.0 */
/* tls - connections that are encrypted and whose both ends prove who they are.
 *
 * The door to OpenSSL.  TLS 1.2 or later; each side shows a certificate that
 * the CA of the other has signed, as Open vSwitch does it (ovs-vsctl set-ssl).
 *
 * Ownership: a tls lives as long as connections are made from it.
 *
 * Threads: that of the event loop. */
#ifndef LIB_TLS_H
#define LIB_TLS_H 1

#include <stdbool.h>

#include "lib/lh_error.h"

struct bufferevent;
struct event_base;
struct tls;

/* PEM files; borrowed. */
struct tls_files {
    const char *private_key;
    const char *certificate; /* Or a chain of them, its own first. */
    const char *ca_cert;     /* Of those who may connect. */
};

/* 0, or EINVAL with a reason that names the file. */
int tls_create(const struct tls_files *, struct tls **, struct lh_error *);
void tls_destroy(struct tls *);

/* A bufferevent that makes a TLS connection of 'fd' (-1: one that is to
 * connect); NULL when memory is short. */
struct bufferevent *tls_bufferevent(struct tls *, struct event_base *, int fd,
                                    bool is_accepting, int options);
/* The common name in the certificate that the other side has shown, which is
 * signed by the CA; NULL when there is none or it is none of a name (NUL,
 * control characters).  For free(). */
char *tls_peer_name(struct bufferevent *);
/* Why a connection of it failed; NULL: not because of TLS.  For free(). */
char *tls_reason(struct bufferevent *);

#endif /* lib/tls.h */
