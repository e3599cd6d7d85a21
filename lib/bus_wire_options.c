/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire_options - implementation. */
#include <config.h>
#include "lib/bus_wire_options.h"

#include <errno.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/bus_urls.h"
#include "lib/lh_alloc.h"

#define CONNECT_MS 2000
#define PING_MS    1000 /* Two without an answer: not connected. */
#define WRITE_MS   2000
#define RETRY_MS   250

static natsStatus
set_urls(natsOptions *options, const char *text)
{
    char *urls = lh_strdup(text), *save, *list[BUS_URLS_MAX];
    int n = 0;
    natsStatus status;

    for (char *url = strtok_r(urls, ", ", &save); url && n < BUS_URLS_MAX;
         url = strtok_r(NULL, ", ", &save)) {
        list[n++] = url;
    }
    status = n ? natsOptions_SetServers(options, (const char **) list, n)
               : NATS_ADDRESS_MISSING;
    free(urls);
    return status;
}

/* What libnats cannot read it says nothing of. */
static int
check_file(const char *path, struct lh_error *error)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    int retval = path && !file ? errno : 0;

    if (retval) {
        lh_error_set(error, "%s: %s", path, strerror(retval));
    }
    if (file) {
        fclose(file);
    }
    return retval ? EINVAL : 0;
}

static int
check_files(const struct bus_options *o, struct lh_error *error)
{
    const char *const paths[] = {o->ca_cert, o->certificate, o->private_key,
                                 o->credentials};
    int retval = 0;

    for (size_t i = 0; !retval && i < sizeof paths / sizeof *paths; i++) {
        retval = check_file(paths[i], error);
    }
    return retval;
}

/* TLS, as soon as anything asks for it: libnats would be content without when
 * NATS is, whatever the address begins with. */
static bool
wants_tls(const struct bus_options *o)
{
    return o->ca_cert || o->private_key || bus_urls_want_tls(o->urls);
}

int
bus_wire_options_create(const struct bus_options *o, void **optionsp,
                        struct lh_error *error)
{
    natsOptions *n = NULL;
    const char *what = "memory";
    natsStatus s;

    *optionsp = NULL;
    if (check_files(o, error)) {
        return EINVAL;
    }
    s = natsOptions_Create(&n);
    if (s == NATS_OK) {
        what = "the addresses"; /* They may hold passwords. */
        s = set_urls(n, o->urls);
    }
    if (s == NATS_OK && wants_tls(o)) {
        what = "TLS";
        s = natsOptions_SetSecure(n, true);
    }
    if (s == NATS_OK && o->ca_cert) {
        what = o->ca_cert;
        s = natsOptions_LoadCATrustedCertificates(n, o->ca_cert);
    }
    if (s == NATS_OK && o->private_key) {
        what = o->certificate;
        s = natsOptions_LoadCertificatesChain(n, o->certificate,
                                              o->private_key);
    }
    if (s == NATS_OK && o->credentials) {
        what = o->credentials;
        s = natsOptions_SetUserCredentialsFromFiles(n, o->credentials, NULL);
    }
    if (s == NATS_OK) {
        what = "options";
        s = natsOptions_SetName(n, o->name ? o->name : "lasthop");
        s = s ? s
              : natsOptions_SetTimeout(n, o->connect_ms ? o->connect_ms
                                                        : CONNECT_MS);
        s = s ? s : natsOptions_SetPingInterval(n, PING_MS);
        s = s ? s : natsOptions_SetMaxPingsOut(n, 2);
        s = s ? s : natsOptions_SetWriteDeadline(n, WRITE_MS);
        s = s ? s : natsOptions_SetMaxReconnect(n, -1);
        s = s ? s : natsOptions_SetReconnectWait(n, RETRY_MS);
        s = s ? s
              : natsOptions_SetReconnectJitter(n, RETRY_MS / 5, RETRY_MS / 5);
        s = s ? s : natsOptions_UseGlobalMessageDelivery(n, true);
    }
    if (s != NATS_OK) {
        lh_error_set(error, "%s: %s%s", what, bus_wire_options_why((int) s),
                     what == o->certificate
                         ? " (it must be the one of the private key)"
                         : "");
        natsOptions_Destroy(n);
        return EINVAL;
    }
    *optionsp = n;
    return 0;
}

const char *
bus_wire_options_why(int status)
{
    const char *detail = nats_GetLastError(NULL);
    const char *text = detail && *detail == '(' ? strstr(detail, "): ") : NULL;

    if (text &&
        (strstr(text, "SSL_write error") || strstr(text, "SSL_read error") ||
         strstr(text, "'PONG', got ''"))) {
        return "NATS ended the connection while it was set up (with TLS: it "
               "wants a certificate, or another one)";
    }
    if (status == NATS_NO_SERVER && (!text || strstr(text, "No server"))) {
        return "nobody takes connections there";
    }
    if (status == NATS_SECURE_CONNECTION_WANTED) {
        return "it does not speak TLS, which is asked for";
    }
    /* Before them is where in libnats. */
    return text ? text + 3 : natsStatus_GetText((natsStatus) status);
}
