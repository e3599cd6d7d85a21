/* SPDX-License-Identifier: Apache-2.0 */
/* collector_address - where Geneve postcards are sent to: an IP address and a
 * UDP port, written in one way by all who compare it as text.
 *
 * Threads: pure functions. */
#ifndef LIB_COLLECTOR_ADDRESS_H
#define LIB_COLLECTOR_ADDRESS_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/lh_error.h"

#define COLLECTOR_ADDRESS_PORT 6081
#define COLLECTOR_ADDRESS_HOST 46 /* As INET6_ADDRSTRLEN. */
#define COLLECTOR_ADDRESS_TEXT (COLLECTOR_ADDRESS_HOST + 8)

struct collector_address {
    char host[COLLECTOR_ADDRESS_HOST]; /* As inet_ntop() writes it. */
    uint16_t port;
    bool is_v6;
    bool is_any; /* 0.0.0.0 or ::, where nothing can be sent to. */
    char text[COLLECTOR_ADDRESS_TEXT]; /* ADDRESS:PORT, [ADDRESS]:PORT. */
};

/* Reads "ADDRESS[:PORT]" or "[ADDRESS][:PORT]"; 6081 where there is no port.
 * 0, or EINVAL with the reason. */
int collector_address_parse(const char *text, struct collector_address *,
                            struct lh_error *);

#endif /* lib/collector_address.h */
