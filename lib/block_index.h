/* SPDX-License-Identifier: Apache-2.0 */
/* block_index - which switches, ports, rules, addresses and flows a block of
 * columns may have, in about two hundredths of its size.
 *
 * A set of items (a Bloom filter whose probes are all in one line of 64 bytes)
 * that never denies what is there, and now and then has what is not.  Whoever
 * looks for an item reads the index first, and of most blocks nothing else.
 * docs/formats/archive.md is the format.
 *
 * Items are of classes.  Those that would make the index too long are left
 * out; of a class that is not there everything may be.
 *
 * Ownership: block_index_maker_create() to _destroy(); an index is uninit'ed.
 *
 * Threads: one per maker; an index is immutable. */
#ifndef LIB_BLOCK_INDEX_H
#define LIB_BLOCK_INDEX_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/header_split.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/trajectory_skim.h"

enum block_index_class {
    BLOCK_INDEX_HOPS,     /* Switches, their ports; verdicts. */
    BLOCK_INDEX_ADDRS,    /* Source and destination, each alone. */
    BLOCK_INDEX_PAIRS,    /* Source and destination together. */
    BLOCK_INDEX_FLOWS,    /* These and the ports. */
    BLOCK_INDEX_PORTS,    /* Ports, or ICMP's type and code, each alone. */
    BLOCK_INDEX_VERSIONS, /* Rules. */
    N_BLOCK_INDEX_CLASSES
};

/* Values of a hop. */
enum block_index_hop {
    BLOCK_INDEX_DPID = 1,
    BLOCK_INDEX_IN_PORT,  /* On any switch. */
    BLOCK_INDEX_OUT_PORT, /* OF_PORT_NONE: dropped. */
    BLOCK_INDEX_VERSION,
    BLOCK_INDEX_IN_PORT_AT, /* At the switch. */
    BLOCK_INDEX_OUT_PORT_AT,
    BLOCK_INDEX_VERSION_AT,
    BLOCK_INDEX_VERDICT
};

/* Headers of a kind whose L3 header begins there.  From N_HEADER_KINDS on they
 * are of histories that are no trajectory's. */
struct block_index_form {
    uint8_t kind;    /* enum header_kind. */
    uint16_t l3_ofs; /* HEADER_TYPE: bytes 12 and 13, 0 for any below 0x600. */
};
/* More of them are not told. */
#define BLOCK_INDEX_MAX_FORMS 64

/* --- Making -------------------------------------------------------------- */

struct block_index_maker;

struct block_index_maker *block_index_maker_create(void);
void block_index_maker_destroy(struct block_index_maker *);
void block_index_maker_reset(struct block_index_maker *);
/* Adds all of a history whose headers are captured. */
void block_index_maker_add_history(struct block_index_maker *,
                                   const struct history *);
/* Numbers shapes from 0 on again; what was added stays. */
void block_index_maker_begin_shapes(struct block_index_maker *);
/* Adds the next shape: a history with descriptions (lib/trajectory_shape.h),
 * which stays the caller's. */
void block_index_maker_add_shape(struct block_index_maker *,
                                 const struct history *shape);
/* Adds a flow of a shape that was added: 'header' is that of the
 * reference. */
void block_index_maker_add_flow(struct block_index_maker *, size_t shape,
                                const uint8_t *header);
/* Appends the index of a block of so many histories to 'out', in as many of
 * its classes as fit in 'max' bytes. */
void block_index_maker_finish(struct block_index_maker *, uint32_t n_records,
                              size_t max, struct byte_buf *out);

/* --- Reading ------------------------------------------------------------- */

struct block_index {
    uint32_t n_records; /* Histories of the block. */
    uint8_t classes;    /* Bits: 1 << enum block_index_class. */
    bool has_any;       /* There are forms that are not told. */
    bool has_others;    /* Of the histories that are no trajectory's, some have
                         * headers of a form that is not told. */
    size_t n_forms;
    struct block_index_form forms[BLOCK_INDEX_MAX_FORMS];
    size_t n_lines;
    const uint8_t *lines; /* In raw. */
    uint8_t *raw;         /* Owned. */
};

/* Parses 'raw', which is taken in any case.  Returns 0, or EBADMSG with the
 * reason and '*index' all zero. */
int block_index_parse(struct block_index *, uint8_t *raw, size_t len,
                      struct lh_error *);
void block_index_uninit(struct block_index *);

/* Whether some hop may have that value; 'dpid' is of those at a switch. */
bool block_index_has_hop(const struct block_index *, enum block_index_hop,
                         uint64_t dpid, uint32_t value);
/* Whether some header of that kind may have addresses and ports as in
 * 'value' where 'mask' has bits; asked only of those that it has whole. */
bool block_index_has_key(const struct block_index *, enum header_kind,
                         const struct flow_key *mask,
                         const struct flow_key *value);

#endif /* lib/block_index.h */
