/* SPDX-License-Identifier: Apache-2.0 */
/* hop_template - what a switch that emits postcards itself knows of a packet's
 * visit: the same for all packets of one flow of its cache.
 *
 * Where it came in, every port it left by, the rules it met in their order,
 * and why it was dropped.  It comes from the ring of a patched switch
 * (docs/formats/ring.md) and travels from agent to server
 * (docs/formats/agent.md).
 *
 * Plain data without pointers: its outputs, its trail and its reason follow
 * the struct, 'size' bytes in all, so memcpy() makes another of it.  Room for
 * any is a `union hop_template_buf`.
 *
 *     union hop_template_buf buf;
 *
 *     if (!hop_template_from_ring(data, len, &buf, &error)) {
 *         use(&buf.t);
 *     }
 *
 * Every field is always in bounds and texts are printable ASCII, whatever the
 * bytes were that it was read from; equal visits are equal byte by byte.
 *
 * Threads: plain data. */
#ifndef LIB_HOP_TEMPLATE_H
#define LIB_HOP_TEMPLATE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/lh_error.h"

#define HOP_TEMPLATE_MAX_OUTPUTS 64
#define HOP_TEMPLATE_MAX_TRAIL   64
#define HOP_TEMPLATE_MAX_REASON  64
#define HOP_TEMPLATE_BRIDGE_LEN  16 /* A NUL at the end included. */

/* Bits of a template's 'flags'; the others are 0. */
#define HOP_PACKET_OUT 0x01 /* Begins with a packet-out. */
#define HOP_CONTINUED                                                         \
    0x02                   /* A later pass of a packet that went through the  \
                            * tables before (recirculation). */
#define HOP_CONTINUES 0x04 /* Another pass follows. */
#define HOP_TRUNCATED 0x08 /* Some outputs or rules did not fit. */
#define HOP_METER     0x10 /* A meter may still drop the packet. */
#define HOP_FLAGS     0x1f

/* Bits of an output's 'flags'. */
#define HOP_OUTPUT_REWRITTEN 0x01 /* The header was edited since it came. */
#define HOP_OUTPUT_TUNNEL    0x02 /* Leaves through a tunnel. */
#define HOP_OUTPUT_MAYBE     0x04 /* Not every packet: a bond chooses. */
#define HOP_OUTPUT_MIRROR    0x08 /* A copy for a mirror. */
#define HOP_OUTPUT_FLAGS     0x0f

/* Bits of 'flags' in the trail. */
#define HOP_TRAIL_VERSION 0x01 /* 'version' is known. */
#define HOP_TRAIL_MISS    0x02 /* No rule of the table matched. */
#define HOP_TRAIL_MAYBE   0x04 /* Not for every packet. */
#define HOP_TRAIL_FLAGS   0x07

struct hop_output {
    uint16_t port; /* As OpenFlow 1.0 numbers them (lib/of_port.h). */
    uint16_t flags;
};

struct hop_trail {
    uint32_t version; /* 0 when not known. */
    uint8_t table;
    uint8_t flags;
    uint16_t zero;
};

struct hop_template {
    uint64_t hash; /* Of all that follows. */
    uint64_t dpid;
    uint32_t in_port;  /* OF_PORT_UNKNOWN: none. */
    uint16_t size;     /* Of all of it; a multiple of 8. */
    uint16_t flags;    /* HOP_*. */
    uint8_t n_outputs; /* 0: dropped, unless HOP_CONTINUES. */
    uint8_t n_trail;
    uint8_t reason_len; /* 0: no reason. */
    uint8_t zero;
    uint32_t left_out; /* 0.  For who receives postcards: lib/sample_tally.h;
                        * the hash is that of 0 all the same. */
    char bridge[HOP_TEMPLATE_BRIDGE_LEN]; /* Padded with NULs. */
    /* Then n_trail struct hop_trail, n_outputs struct hop_output, the reason
     * and at least one NUL. */
};

#define HOP_TEMPLATE_MAX_SIZE                                                 \
    (sizeof(struct hop_template) +                                            \
     HOP_TEMPLATE_MAX_TRAIL * sizeof(struct hop_trail) +                      \
     HOP_TEMPLATE_MAX_OUTPUTS * sizeof(struct hop_output) +                   \
     HOP_TEMPLATE_MAX_REASON + 8)

union hop_template_buf {
    struct hop_template t;
    uint8_t bytes[HOP_TEMPLATE_MAX_SIZE];
};

static inline const struct hop_trail *
hop_template_trail(const struct hop_template *t)
{
    return (const struct hop_trail *) (t + 1);
}

static inline const struct hop_output *
hop_template_outputs(const struct hop_template *t)
{
    return (const struct hop_output *) (hop_template_trail(t) + t->n_trail);
}

/* Ends with a NUL; "" when there is none. */
static inline const char *
hop_template_reason(const struct hop_template *t)
{
    return (const char *) (hop_template_outputs(t) + t->n_outputs);
}

/* What to make one of; everything is borrowed for the call. */
struct hop_template_parts {
    uint64_t dpid;
    uint32_t in_port;
    uint16_t flags;
    const char *bridge; /* NULL: "". */
    size_t bridge_len;
    const struct hop_output *outputs;
    size_t n_outputs;
    const struct hop_trail *trail;
    size_t n_trail;
    const char *reason; /* NULL: none. */
    size_t reason_len;
};

/* Makes '*buf' of the parts.  Lists and texts that are too long are cut (and
 * HOP_TRUNCATED is set for lists); bytes that are not printable become '?',
 * unknown flags are taken away. */
void hop_template_make(union hop_template_buf *buf,
                       const struct hop_template_parts *);

/* Reads the template of a ring's TEMPLATE record (host byte order).  0, or
 * EINVAL with '*error' set and '*buf' not touched when it is malformed. */
int hop_template_from_ring(const uint8_t *data, size_t len,
                           union hop_template_buf *buf, struct lh_error *);
/* The bytes that hop_template_from_ring() would read; at most 1024. */
void hop_template_to_ring(const struct hop_template *, struct byte_buf *);

/* The form on the wire, network byte order (docs/formats/agent.md): writes it,
 * and reads the next one, as above. */
void hop_template_put(struct byte_buf *, const struct hop_template *);
int hop_template_get(struct bytes_reader *, union hop_template_buf *buf,
                     struct lh_error *);

/* A copy for free(); NULL when memory is short. */
struct hop_template *hop_template_clone(const struct hop_template *);

/* NULL equals NULL only. */
bool hop_template_equal(const struct hop_template *,
                        const struct hop_template *);

#endif /* lib/hop_template.h */
