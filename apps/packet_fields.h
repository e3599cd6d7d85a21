/* SPDX-License-Identifier: Apache-2.0 */
/* packet_fields - the header fields of a captured packet, each with its place.
 *
 * Fields are those that were captured in full, in the order of their bytes.
 *
 * Threads: pure functions. */
#ifndef APPS_PACKET_FIELDS_H
#define APPS_PACKET_FIELDS_H 1

#include <stddef.h>
#include <stdint.h>

#define PACKET_FIELDS_MAX 64

struct packet_field {
    char name[16];   /* "ip.src". */
    size_t ofs, len; /* Bytes from the first of the packet; the field may be
                      * less than all of their bits. */
    char value[64];
};

/* Finds the fields of the 'len' bytes at 'data', from Ethernet on; returns how
 * many. */
size_t packet_fields_find(const uint8_t *data, size_t len,
                          struct packet_field fields[PACKET_FIELDS_MAX]);
/* The one called 'name', or NULL. */
const struct packet_field *
packet_fields_named(const struct packet_field *fields, size_t n,
                    const char *name);

#endif /* apps/packet_fields.h */
