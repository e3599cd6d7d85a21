/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng - writes the capture file format of Wireshark, a block at a time
 * (draft-ietf-opsawg-pcapng; docs/formats/pcapng.md says what of it is used
 * here).
 *
 *     struct byte_buf buf = BYTE_BUF_INIT;
 *
 *     pcapng_put_section(&buf, "netshark 0.1.0", NULL);
 *     pcapng_put_interface(&buf, "s1:eth1", NULL);           (interface 0)
 *     pcapng_put_packet(&buf, &packet);
 *     fwrite(buf.data, 1, buf.len, file);
 *
 * A file is one section, then interfaces and packets in any order, an
 * interface before its first packet.  Interfaces are numbered from 0 in their
 * order.
 *
 * Threads: plain data. */
#ifndef LIB_PCAPNG_H
#define LIB_PCAPNG_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/byte_buf.h"

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_INBOUND, PCAPNG_OUTBOUND };

struct pcapng_packet {
    uint32_t interface;
    uint64_t time_ns;
    const uint8_t *data; /* From Ethernet on. */
    uint32_t caplen;     /* Bytes of 'data'. */
    uint32_t len;        /* Of the packet on the wire; at least 'caplen'. */
    enum pcapng_direction direction;
    bool has_packet_id;
    uint64_t packet_id;
    const char *comment; /* UTF-8; NULL: none.  Cut after 65535 bytes. */
};

/* 'program' wrote it; 'comment' is about all of it.  NULL: not said. */
void pcapng_put_section(struct byte_buf *, const char *program,
                        const char *comment);
/* An Ethernet interface with time stamps in nanoseconds. */
void pcapng_put_interface(struct byte_buf *, const char *name,
                          const char *description);
void pcapng_put_packet(struct byte_buf *, const struct pcapng_packet *);

#endif /* lib/pcapng.h */
