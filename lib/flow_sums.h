/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sums - how many packets and bytes each flow sent on each way: what a
 * profile by addresses asks of many blocks of an archive.
 *
 * Whoever has the blocks adds what they hold and puts the sums into a file
 * beside them (lib/archive_sums.h); readers take of it what they ask for.
 * docs/formats/archive.md is the format.
 *
 * Ownership: flow_sums_create() to flow_sums_destroy(); nothing is kept of
 * what is added.
 *
 * Threads: one per table. */
#ifndef LIB_FLOW_SUMS_H
#define LIB_FLOW_SUMS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"
#include "lib/packet_who.h"
#include "lib/way_table.h"

/* More are not kept; a reader trusts no more. */
#define FLOW_SUMS_MAX_ROWS ((size_t) 1 << 20)

/* What one flow sent on one way. */
struct flow_sums_row {
    uint32_t way;
    uint16_t proto;
    uint8_t n_addr, n_ports; /* Of 'name', as of struct packet_who. */
    uint8_t name[40]; /* Source, destination, ports, one behind the other; then
                       * zeros. */
    uint64_t packets, bytes; /* Bytes as they came into the first hop. */
};

struct flow_sums;

struct flow_sums *flow_sums_create(void);
void flow_sums_destroy(struct flow_sums *);
/* Whether some were not kept, so that all is of no use. */
bool flow_sums_is_over(const struct flow_sums *);
size_t flow_sums_n(const struct flow_sums *);

/* The numbers of ways are this table's. */
struct way_table *flow_sums_ways(struct flow_sums *);
/* Adds packets; 'bytes' as in a row. */
void flow_sums_add(struct flow_sums *, uint32_t way, const struct packet_who *,
                   uint64_t packets, uint64_t bytes);
/* Adds a packet. */
void flow_sums_add_history(struct flow_sums *, const struct history *);

/* Appends all to 'out', compressed at zstd's 'level', and returns how many of
 * these bytes, the first, are the table of sections.  Sets '*is_whole' to
 * false, and nothing is appended, where there is too much of it. */
size_t flow_sums_put(const struct flow_sums *, int level, struct byte_buf *out,
                     bool *is_whole);

/* How much a reader wants to know. */
enum flow_sums_depth {
    FLOW_SUMS_WAYS,  /* A row for each way, without addresses. */
    FLOW_SUMS_PAIRS, /* A row for each pair of addresses on it, */
    FLOW_SUMS_FLOWS  /* and for each flow. */
};

/* What was read, in rising order of ways, then of addresses. */
struct flow_sums_view {
    struct way_table *ways; /* Owned. */
    size_t n;
    struct flow_sums_row *rows; /* Owned. */
};

/* Reads what flow_sums_put() put; 'table_len' is no more than 'len'.  Returns
 * 0; EBADMSG with the reason; or ENOMEM. */
int flow_sums_read(const uint8_t *data, size_t len, size_t table_len,
                   enum flow_sums_depth, struct flow_sums_view *,
                   struct lh_error *);
void flow_sums_view_uninit(struct flow_sums_view *);
/* Whether both are the same, in the same order. */
bool flow_sums_view_equal(const struct flow_sums_view *,
                          const struct flow_sums_view *);

#endif /* lib/flow_sums.h */
