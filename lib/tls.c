/* SPDX-License-Identifier: Apache-2.0 */
/* tls - OpenSSL below a bufferevent. */
#include <config.h>

#include "lib/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#undef lh_error /* Of its own hash tables. */

#include "lib/lh_alloc.h"

struct tls {
    SSL_CTX *ctx; /* Owned. */
};

static const char *
last_error(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason ? reason : "it is not what is expected in PEM";
}

/* What OpenSSL says of a file that is not there is hard to read. */
static int
check_readable(const char *what, const char *path, struct lh_error *error)
{
    FILE *file = fopen(path, "re");

    if (!file) {
        lh_error_set(error, "%s %s: %s", what, path, strerror(errno));
        return EINVAL;
    }
    fclose(file);
    return 0;
}

static int
fail(const char *what, const char *path, struct lh_error *error)
{
    lh_error_set(error, "%s %s: %s", what, path, last_error());
    return EINVAL;
}

static int
check_dates(SSL_CTX *ctx, const char *path, struct lh_error *error)
{
    const X509 *certificate = SSL_CTX_get0_certificate(ctx);

    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        lh_error_set(error, "certificate %s: it has expired", path);
        return EINVAL;
    }
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        lh_error_set(error, "certificate %s: it is not valid yet", path);
        return EINVAL;
    }
    return 0;
}

static int
load(SSL_CTX *ctx, const struct tls_files *files, struct lh_error *error)
{
    int retval = check_readable("private key", files->private_key, error);

    if (!retval) {
        retval = check_readable("certificate", files->certificate, error);
    }
    if (!retval) {
        retval = check_readable("CA certificate", files->ca_cert, error);
    }
    if (retval) {
        return retval;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1) {
        return fail("certificate", files->certificate, error);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, files->private_key,
                                    SSL_FILETYPE_PEM) != 1) {
        return fail("private key", files->private_key, error);
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        lh_error_set(error, "private key %s is not that of certificate %s",
                     files->private_key, files->certificate);
        return EINVAL;
    }
    if (SSL_CTX_load_verify_locations(ctx, files->ca_cert, NULL) != 1) {
        return fail("CA certificate", files->ca_cert, error);
    }
    return check_dates(ctx, files->certificate, error);
}

int
tls_create(const struct tls_files *files, struct tls **tlsp,
           struct lh_error *error)
{
    struct tls *tls = lh_alloc_zero(sizeof *tls);
    int retval;

    *tlsp = NULL;
    tls->ctx = SSL_CTX_new(TLS_method());
    if (!tls->ctx) {
        lh_error_set(error, "TLS: %s", last_error());
        tls_destroy(tls);
        return EINVAL;
    }
    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(
        tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
    retval = load(tls->ctx, files, error);
    if (retval) {
        tls_destroy(tls);
        return retval;
    }
    *tlsp = tls;
    return 0;
}

void
tls_destroy(struct tls *tls)
{
    if (tls) {
        SSL_CTX_free(tls->ctx);
        free(tls);
    }
}

struct bufferevent *
tls_bufferevent(struct tls *tls, struct event_base *base, int fd,
                bool is_accepting, int options)
{
    SSL *ssl = SSL_new(tls->ctx);
    struct bufferevent *bev;

    if (!ssl) {
        return NULL;
    }
    /* It frees 'ssl', also when it fails. */
    bev = bufferevent_openssl_socket_new(
        base, fd, ssl,
        is_accepting ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING,
        options);
    if (bev) {
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    }
    return bev;
}

char *
tls_peer_name(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    X509 *certificate = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
    char name[256];
    int len;

    if (!certificate) {
        return NULL;
    }
    len = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate),
                                    NID_commonName, name, sizeof name);
    X509_free(certificate);
    if (len <= 0 || (size_t) len != strlen(name) ||
        (size_t) len >= sizeof name - 1) {
        return NULL;
    }
    for (const char *p = name; *p; p++) {
        if ((unsigned char) *p <= ' ' || *p == '#') {
            return NULL;
        }
    }
    return lh_strdup(name);
}

char *
tls_reason(struct bufferevent *bev)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bev);
    unsigned long code = ssl ? bufferevent_get_openssl_error(bev) : 0;
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    long verified;

    if (!reason) {
        return NULL;
    }
    verified = SSL_get_verify_result(ssl);
    if (verified != X509_V_OK) {
        return lh_asprintf("TLS: its certificate is refused: %s",
                           X509_verify_cert_error_string(verified));
    }
    return lh_asprintf("TLS: %s", reason);
}
