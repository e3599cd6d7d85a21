/* SPDX-License-Identifier: Apache-2.0 */
/* bus_wire_options - implementation. */
#include <config.h>
#include "lib/bus_wire_options.h"

#include <errno.h>
#include <nats/nats.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/lh_alloc.h"

#define CONNECT_MS 2000
#define PING_MS    1000 /* Two without an answer: not connected. */
#define WRITE_MS   2000
#define RETRY_MS   250
#define MAX_URLS   16

static natsStatus
set_urls(natsOptions *options, const char *text)
{
    char *urls = lh_strdup(text), *save, *list[MAX_URLS];
    int n = 0;
    natsStatus status;

    for (char *url = strtok_r(urls, ", ", &save); url && n < MAX_URLS;
         url = strtok_r(NULL, ", ", &save)) {
        list[n++] = url;
    }
    status = n ? natsOptions_SetServers(options, (const char **) list, n)
               : NATS_ADDRESS_MISSING;
    free(urls);
    return status;
}

int
bus_wire_options_create(const struct bus_options *o, void **optionsp,
                        struct lh_error *error)
{
    natsOptions *n = NULL;
    const char *what = "memory";
    natsStatus s = natsOptions_Create(&n);

    *optionsp = NULL;
    if (s == NATS_OK) {
        what = "the addresses"; /* They may hold passwords. */
        s = set_urls(n, o->urls);
    }
    if (s == NATS_OK && o->ca_cert) {
        what = o->ca_cert;
        s = natsOptions_SetSecure(n, true);
        s = s ? s : natsOptions_LoadCATrustedCertificates(n, o->ca_cert);
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
        lh_error_set(error, "NATS: %s: %s", what, natsStatus_GetText(s));
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
    /* Before them is where in libnats. */
    return text ? text + 3 : natsStatus_GetText((natsStatus) status);
}
