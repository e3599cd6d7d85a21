/* SPDX-License-Identifier: Apache-2.0 */
/* host_port - a name or an address, and a port: "HOST", "HOST:PORT", "[ADDR]",
 * "[ADDR]:PORT"; an IPv6 address alone too.
 *
 * Ownership: host_port_parse() to host_port_uninit().
 *
 * Threads: pure functions. */
#ifndef LIB_HOST_PORT_H
#define LIB_HOST_PORT_H 1

#include <stdbool.h>
#include <stdint.h>

struct host_port {
    char *host; /* Without brackets. */
    char *text; /* HOST:PORT or [ADDR]:PORT, written in one way. */
    uint16_t port;
};

/* 'port' where there is none.  False: it is no such text, and '*target' is
 * nothing to uninit. */
bool host_port_parse(const char *text, uint16_t port,
                     struct host_port *target);
void host_port_uninit(struct host_port *);

#endif /* lib/host_port.h */
