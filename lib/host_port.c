/* SPDX-License-Identifier: Apache-2.0 */
/* host_port - a name or an address, and a port. */
#include <config.h>

#include "lib/host_port.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/text_number.h"

bool
host_port_parse(const char *text, uint16_t port, struct host_port *target)
{
    const char *end, *rest;
    uint64_t number = port;
    bool has_bracket = *text == '[';

    *target = (struct host_port){NULL, NULL, 0};
    if (has_bracket) {
        end = strchr(++text, ']');
        rest = end ? end + 1 : NULL;
    } else {
        end = strchr(text, ':');
        if (!end || strchr(end + 1, ':')) {
            end = text + strlen(text);
        }
        rest = end;
    }
    if (!end || end == text || (*rest && *rest != ':') ||
        (*rest && !text_number(rest + 1, 10, 1, 65535, &number))) {
        return false;
    }
    target->host = lh_asprintf("%.*s", (int) (end - text), text);
    target->port = (uint16_t) number;
    target->text = strchr(target->host, ':')
                       ? lh_asprintf("[%s]:%u", target->host, target->port)
                       : lh_asprintf("%s:%u", target->host, target->port);
    return true;
}

void
host_port_uninit(struct host_port *target)
{
    free(target->host);
    free(target->text);
}
