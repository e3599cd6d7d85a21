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
/* Of postcards that tell a whole visit only: */
#define POSTCARD_DROPPED   0x08 /* A meter dropped it after all. */
#define POSTCARD_CONTINUED 0x10 /* A later pass through the tables. */
#define POSTCARD_CONTINUES 0x20 /* Another pass follows. */
#define POSTCARD_VISIT     0x80 /* Always. */

struct hop_template;

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
    /* NULL, or all that the switch knows of the visit: then in place of
     * 'version' and 'out_port' stands a hash of it, so that postcards that
     * differ in it differ there.  Borrowed. */
    const struct hop_template *visit;
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

/* Makes '*p' one that tells the whole visit '*visit', which is borrowed; with
 * 'is_dropped' that a meter dropped it.  Time, packet ID and header are left
 * alone. */
void postcard_set_visit(struct postcard *p, const struct hop_template *visit,
                        bool is_dropped);

/* A copy of 'p' whose header bytes, and visit, follow it in the same
 * allocation; free() it.  NULL when memory is short. */
struct postcard *postcard_clone(const struct postcard *p);

#endif /* lib/postcard.h */
