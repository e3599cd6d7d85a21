/* SPDX-License-Identifier: Apache-2.0 */
/* way_table - the ways that packets went through a network, numbered from 0.
 *
 * A way is a history without all that differs from packet to packet: its hops
 * with switch, in_port, the ports that the packet went out by, and by how much
 * its frame was longer there than when it came into the first hop.  So bytes
 * at each hop follow from how many packets there were and how many bytes these
 * had when they came in.
 *
 * A way is kept as the bytes that docs/formats/archive.md describes.
 *
 * Ownership: way_table_create() to way_table_destroy(); nothing is kept of
 * what is added.
 *
 * Threads: one per table. */
#ifndef LIB_WAY_TABLE_H
#define LIB_WAY_TABLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/trajectory_skim.h"

struct way_table;

struct way_table *way_table_create(void);
void way_table_destroy(struct way_table *);
size_t way_table_n(const struct way_table *);
/* Bytes of memory it holds. */
size_t way_table_size(const struct way_table *);

/* The number of the way of 'h', which is added if it is new; sets '*bytes' to
 * those of the frame as it came into the first hop. */
uint32_t way_table_history(struct way_table *, const struct history *h,
                           uint64_t *bytes);
/* The number of the way of the shape 'h', of which 'keys' has one for each
 * hop; sets '*bytes' to those of a frame before the IP header, as it came into
 * the first hop. */
uint32_t way_table_shape(struct way_table *, const struct history *h,
                         const struct flow_key_at *keys, uint64_t *bytes);
/* The number of a way of another table. */
uint32_t way_table_add(struct way_table *, const struct way_table *other,
                       uint32_t number);

/* A way: '->h' has hops with what a way is and nothing else, its ports as
 * lib/hop_traffic.h tells them.  Good until the
 * next call of a function of the table. */
struct way_view {
    const struct history *h;
    const int64_t *more; /* Bytes of the frame beyond those at first: for each
                          * hop as it came in, then as it went out. */
};
void way_table_get(struct way_table *, uint32_t number, struct way_view *);

/* Appends all to 'out', in the order of their numbers. */
void way_table_put(const struct way_table *, struct byte_buf *out);
/* Fills an empty table with what way_table_put() put.  False when that is
 * broken; then the table is to be destroyed. */
bool way_table_read(struct way_table *, const uint8_t *data, size_t len);

#endif /* lib/way_table.h */
