/* SPDX-License-Identifier: Apache-2.0 */
/* postcard - the record that one packet met one switch.
 *
 * A postcard is what every source (geneve, mac, file) decodes to and what the
 * path table groups.  It is plain data.
 *
 * Ownership: `header` is borrowed from whoever decoded the postcard (the
 * receive buffer or the file), until that source reads on; postcard_clone()
 * makes one that lives on its own.
 *
 * Threads: plain data. */
#ifndef LIB_POSTCARD_H
#define LIB_POSTCARD_H 1

#include <stdbool.h>
#include <stdint.h>

/* Bits of `flags`, as on the wire (docs/formats/postcard-geneve.md). */
#define POSTCARD_PACKET_OUT 0x01 /* `version` names a packet-out. */
#define POSTCARD_AFTER      0x02 /* Header is after the rule's own edits. */
#define POSTCARD_GROUP      0x04 /* A group decides the port. */

struct postcard {
    uint64_t dpid;            /* Switch. */
    uint64_t packet_id;       /* docs/formats/packet-id.md; see has_id. */
    uint64_t time_ns;         /* Since the epoch, at the receiver's clock. */
    uint32_t version;         /* Rule or packet-out of that switch. */
    uint32_t in_port;         /* OF_PORT_UNKNOWN where the encapsulation has
                               * none. */
    uint32_t out_port;        /* OF_PORT_NONE: dropped.  OF_PORT_GROUP: see the
                               * bucket's own postcard. */
    uint8_t flags;            /* POSTCARD_*. */
    uint8_t version_bits : 7; /* 32, or 24 where only the low 24 bits are known
                               * (mac). */
    bool has_id : 1;          /* False: too short to have a packet ID. */
    uint16_t caplen;          /* Bytes in `header`. */
    const uint8_t *header;    /* Ethernet header onwards, as captured, without
                               * postcard tags.  Borrowed. */
};

/* What became of a received packet that should be a postcard.  Receivers keep
 * a counter of each. */
enum postcard_result {
    POSTCARD_OK,
    POSTCARD_OTHER,          /* No postcard: other traffic. */
    POSTCARD_TRUNCATED,      /* The capture ends before the copied packet. */
    POSTCARD_MALFORMED,      /* A length contradicts itself. */
    POSTCARD_NO_OPTION,      /* Geneve without our option. */
    POSTCARD_UNKNOWN_FORMAT, /* Of a version that is not known here. */
    POSTCARD_UNKNOWN_SWITCH, /* mac: nobody has that switch index. */
    N_POSTCARD_RESULTS
};

/* A copy of 'p' whose header bytes follow it in the same allocation; free()
 * it.  NULL when memory is short. */
struct postcard *postcard_clone(const struct postcard *p);

#endif /* lib/postcard.h */
