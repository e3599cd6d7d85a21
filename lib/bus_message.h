/* SPDX-License-Identifier: Apache-2.0 */
/* bus_message - what goes over the bus (lib/bus.h): letters out, messages in.
 *
 * Threads: plain data. */
#ifndef LIB_BUS_MESSAGE_H
#define LIB_BUS_MESSAGE_H 1

#include <stddef.h>
#include <stdint.h>

struct bus_header {
    const char *name, *value;
};

/* To be sent; all is borrowed and copied. */
struct bus_letter {
    const char *subject;
    const void *data; /* NULL when 'size' is 0. */
    size_t size;
    const struct bus_header *headers; /* 'n_headers' of them. */
    size_t n_headers;
};

/* Received; all of it is there until the callback returns. */
struct bus_message {
    const char *subject;
    const char *reply; /* Where to answer; NULL: nowhere. */
    const uint8_t *data;
    size_t size;
    unsigned int status; /* As HTTP has it, of messages of the bus itself; 0:
                          * somebody's message. */
    const void *impl;    /* For bus_message_header(). */
};

/* For lib/bus_wire.c: points into a natsMsg of libnats. */
void bus_message_init(struct bus_message *, const void *nats_msg);

/* The value of a header; NULL: there is none. */
const char *bus_message_header(const struct bus_message *, const char *name);

#endif /* lib/bus_message.h */
