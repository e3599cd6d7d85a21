/* SPDX-License-Identifier: Apache-2.0 */
/* collector_address - where Geneve postcards are sent to. */
#include <config.h>

#include "lib/collector_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/text_number.h"

/* Cuts '*host' from its port, which is returned; NULL: it has none. */
static char *
cut(char **host)
{
    char *port = NULL;

    if (**host == '[') {
        char *bracket = strchr(++*host, ']');

        if (bracket) {
            *bracket = '\0';
            port = bracket[1] == ':' ? bracket + 2 : NULL;
        }
    } else if (strchr(*host, ':') == strrchr(*host, ':')) {
        port = strchr(*host, ':');
        if (port) {
            *port++ = '\0';
        }
    }
    return port;
}

int
collector_address_parse(const char *text, struct collector_address *a,
                        struct lh_error *error)
{
    char copy[COLLECTOR_ADDRESS_TEXT + 1], *host = copy, *port;
    uint64_t number = COLLECTOR_ADDRESS_PORT;
    uint8_t bytes[16] = {0};
    static const uint8_t none[16];

    memset(a, 0, sizeof *a);
    snprintf(copy, sizeof copy, "%s", text);
    port = cut(&host);
    a->is_v6 = strchr(host, ':') != NULL;
    if (strlen(text) >= sizeof copy ||
        inet_pton(a->is_v6 ? AF_INET6 : AF_INET, host, bytes) != 1) {
        lh_error_set(error, "\"%s\" is no IP address", host);
        return EINVAL;
    }
    if (port && !text_number(port, 10, 1, UINT16_MAX, &number)) {
        lh_error_set(error, "\"%s\" is no UDP port", port);
        return EINVAL;
    }
    inet_ntop(a->is_v6 ? AF_INET6 : AF_INET, bytes, a->host, sizeof a->host);
    a->port = (uint16_t) number;
    a->is_any = !memcmp(bytes, none, sizeof bytes);
    snprintf(a->text, sizeof a->text, a->is_v6 ? "[%s]:%u" : "%s:%u", a->host,
             (unsigned) a->port);
    return 0;
}
