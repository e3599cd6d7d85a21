/* SPDX-License-Identifier: Apache-2.0 */
/* bus_urls - implementation. */
#include <config.h>
#include "lib/bus_urls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/host_port.h"
#include "lib/lh_alloc.h"

#define SEPARATORS   ", "
#define DEFAULT_PORT 4222

static const char nats_scheme[] = "nats://";
static const char tls_scheme[] = "tls://";

/* The next address at or after '*at', its length set; NULL: there is none. */
static const char *
next_url(const char **at, size_t *len)
{
    const char *url = *at + strspn(*at, SEPARATORS);

    *len = strcspn(url, SEPARATORS);
    *at = url + *len;
    return *len ? url : NULL;
}

static bool
has_scheme(const char *url, const char *scheme)
{
    return !strncmp(url, scheme, strlen(scheme));
}

/* Where the host begins: behind the scheme, and behind the last '@'. */
static const char *
find_host(const char *url, size_t len)
{
    const char *at = memrchr(url, '@', len);
    size_t skip = has_scheme(url, nats_scheme)  ? strlen(nats_scheme)
                  : has_scheme(url, tls_scheme) ? strlen(tls_scheme)
                                                : 0;

    return at ? at + 1 : url + skip;
}

static bool
is_url(const char *url, size_t len)
{
    const char *from = find_host(url, len);
    char *host =
        lh_asprintf("%.*s", (int) (len - (size_t) (from - url)), from);
    struct host_port found;
    /* An IPv6 address is in brackets, so that its port is one. */
    bool is_good = !strpbrk(host, "/?#") &&
                   (*host == '[' || strchr(host, ':') == strrchr(host, ':')) &&
                   host_port_parse(host, DEFAULT_PORT, &found);

    if (is_good) {
        host_port_uninit(&found);
    }
    free(host);
    return is_good;
}

int
bus_urls_check(const char *text, struct lh_error *error)
{
    const char *at = text, *url;
    size_t n = 0, len;

    while ((url = next_url(&at, &len))) {
        if (!is_url(url, len)) {
            char *one = lh_asprintf("%.*s", (int) len, url);
            char *shown = bus_urls_shown(one);

            lh_error_set(error,
                         "%s: must be nats://HOST:PORT or tls://HOST:PORT, "
                         "several with commas",
                         shown);
            free(shown);
            free(one);
            return EINVAL;
        }
        n++;
    }
    if (!n) {
        lh_error_set(error, "must be nats://HOST:PORT or tls://HOST:PORT");
    } else if (n > BUS_URLS_MAX) {
        lh_error_set(error, "%zu addresses, and %d at most are tried", n,
                     BUS_URLS_MAX);
    }
    return n && n <= BUS_URLS_MAX ? 0 : EINVAL;
}

bool
bus_urls_want_tls(const char *text)
{
    const char *at = text, *url;
    size_t len;

    while ((url = next_url(&at, &len))) {
        if (has_scheme(url, tls_scheme)) {
            return true;
        }
    }
    return false;
}

char *
bus_urls_shown(const char *text)
{
    char *shown = lh_alloc(strlen(text) + 1), *to = shown;
    const char *at = text, *url;
    size_t len;

    while ((url = next_url(&at, &len))) {
        const char *host = find_host(url, len);
        const char *colon = memmem(url, (size_t) (host - url), "://", 3);
        size_t n_scheme = colon ? (size_t) (colon - url) + 3 : 0;
        size_t n_host = len - (size_t) (host - url);

        if (to != shown) {
            *to++ = ',';
        }
        memcpy(to, url, n_scheme);
        memcpy(to + n_scheme, host, n_host);
        to += n_scheme + n_host;
    }
    *to = '\0';
    return shown;
}
