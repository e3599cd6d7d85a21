/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns - many histories as columns, most of them as packets of
 * trajectories, and back.
 *
 * A packet of a trajectory is added as what is its own: packet ID, captured
 * header at the reference hop, times.  When a block is full, packets are
 * grouped by trajectory; trajectories become a dictionary of shapes and flows,
 * packets become one column per field, in which only what differs from what
 * the packet before leads to expect is stored.  Each column is compressed on
 * its own.  A history that is no trajectory's is stored whole by
 * history_codec.  docs/formats/archive.md is the format.
 *
 * What is read equals what was added in every member: of a packet, the history
 * that trajectory_history() gives.
 *
 * Reading is lazy: shapes alone answer what paths there are and how many
 * packets each has; then addresses and ports, the rest of flows, times and
 * headers are read if they are needed.
 *
 * Ownership: what is added is copied.
 *
 * Threads: one thread per encoder or decoder. */
#ifndef LIB_HISTORY_COLUMNS_H
#define LIB_HISTORY_COLUMNS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/block_index.h"
#include "lib/block_sums.h"
#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/history_codec.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "lib/sample_tally.h"
#include "lib/trajectory.h"

/* What one block may hold; an encoder is full before that. */
#define COLUMNS_MAX_ROWS  (1u << 18)
#define COLUMNS_MAX_HOPS  (1u << 22)
#define COLUMNS_MAX_BYTES (64u << 20) /* Of headers of rows. */

/* Times of packets of trajectories are stored in. */
enum column_unit {
    COLUMN_UNIT_AUTO, /* Microseconds if no time needs more, else ns. */
    COLUMN_UNIT_NS,
    COLUMN_UNIT_US /* What is below a microsecond is cut off, also of other
                    * histories. */
};

/* What an encoder holds so far. */
struct column_totals {
    uint32_t n_records;       /* Histories in all. */
    uint32_t n_rows;          /* Of these, packets of trajectories. */
    uint32_t n_hops;          /* In all records together. */
    uint64_t min_ns;          /* Earliest first postcard; 0 while empty. */
    uint64_t max_ns;          /* Latest last postcard. */
    size_t size;              /* Bytes held. */
    struct sample_tally kept; /* As column_encoder_count_kept() says. */
};

struct column_encoder;
struct column_shapes;

struct column_encoder *column_encoder_create(const struct packet_id_config *,
                                             enum column_unit);
void column_encoder_destroy(struct column_encoder *);
/* For blocks that nobody waits for: from now on trajectories of one flow and
 * shape are one in the block also where they were created several times, and
 * flows are sorted, so that blocks are smaller. */
void column_encoder_join_flows(struct column_encoder *);
/* For blocks that nobody searches: from now on they have neither index nor
 * sums. */
void column_encoder_leave_out_index(struct column_encoder *);
/* Adds a packet, for which trajectory_predicts() is true at every hop. */
void column_encoder_add(struct column_encoder *, struct trajectory *,
                        const struct trajectory_packet *);
/* For packets whose trajectories' shapes somebody else has found: these are
 * the shapes, of which a reference is taken.  While the encoder is empty.
 * From then on they stay, whatever is reset, until the next such call. */
void column_encoder_use_shapes(struct column_encoder *,
                               struct column_shapes *);
/* Those it has. */
struct column_shapes *column_encoder_shapes(const struct column_encoder *);
/* The number, until column_encoder_reset(), of the flow of packets of that
 * shape with such a 'header', captured at the reference hop. */
uint32_t column_encoder_flow(struct column_encoder *, uint32_t shape,
                             const uint8_t *header);
/* Adds a packet of a flow of that number. */
void column_encoder_add_row(struct column_encoder *, uint32_t flow,
                            const struct trajectory_packet *);
/* Adds a copy of 'h'.  Returns 0, or EFBIG as history_encoder_add(). */
int column_encoder_add_history(struct column_encoder *,
                               const struct history *h);
/* Notes how many of what was added, or will be, others were left out with.
 * Where nothing is said, none were. */
void column_encoder_count_kept(struct column_encoder *, uint32_t left_out,
                               uint64_t packets);
const struct column_totals *
column_encoder_totals(const struct column_encoder *);
/* True when a block cannot hold more. */
bool column_encoder_is_full(const struct column_encoder *);
/* Appends the payload of all that was added to 'out', compressed at zstd's
 * 'level' (0: not), and returns how many bytes its table of sections has; the
 * encoder keeps what was added. */
size_t column_encoder_finish(struct column_encoder *, int level,
                             struct byte_buf *out);
/* Forgets what was added. */
void column_encoder_reset(struct column_encoder *);

/* Where a payload is read from: 'n' bytes from 'offset' on, counted from
 * behind its table of sections.  Returns 0 or a positive errno. */
struct column_source {
    int (*read)(void *aux, uint64_t offset, uint8_t *data, size_t n);
    void (*close)(void *aux); /* At the end; NULL: nothing is to be done. */
    void *aux;
    /* The 'n_bytes' there are, where all is in memory and stays; or NULL. */
    const uint8_t *bytes;
    size_t n_bytes;
};

struct column_decoder;
struct trajectory_memo;
struct shape_memo;
struct trajectory_skim;
/* Shown a shape: 'h', in which no header is captured, and what 'skim'
 * says. */
typedef void column_visit_function(void *aux, const struct history *h,
                                   const struct trajectory_skim *skim);

/* Parses the table of sections, the 'table_len' bytes at 'table', and reads
 * parameters through 'source', which counts from behind the table and is
 * closed with the decoder, or here when there is none.  Returns 0; EBADMSG
 * with the reason when they are broken; ENOMEM, or the source's errno. */
int column_decoder_create(const uint8_t *table, size_t table_len,
                          const struct column_source *source,
                          struct column_decoder **, struct lh_error *);
/* The same of a payload in memory, which must stay. */
int column_decoder_open(const uint8_t *payload, size_t len, size_t table_len,
                        struct column_decoder **, struct lh_error *);
/* The same with that table of its sections, none of which is compressed. */
struct section_list;
int column_decoder_open_list(const uint8_t *payload, size_t len,
                             const struct section_list *,
                             struct column_decoder **, struct lh_error *);
void column_decoder_destroy(struct column_decoder *);
/* Bytes of memory it holds. */
size_t column_decoder_size(const struct column_decoder *);

/* Rows: packets of trajectories. */
size_t column_decoder_n_rows(const struct column_decoder *);

/* Reads which items the block may have (the caller's, for
 * block_index_uninit()).  ENOENT when there is no index, or an errno as
 * above. */
int column_decoder_index(struct column_decoder *, struct block_index *,
                         struct lh_error *);

/* Adds how many packets and bytes of the block went which way, also those of
 * histories that are no trajectory's.  ENOENT when the block does not say, or
 * an errno as above. */
int column_decoder_sums(struct column_decoder *, struct block_sums *,
                        struct lh_error *);

/* Reads what packets were left out when those of the block were kept: empty
 * where none were.  0, or an errno as above. */
int column_decoder_kept(struct column_decoder *, struct sample_tally *,
                        struct lh_error *);

/* For who reads many small blocks: trajectories, and shapes where no other
 * memo is given, are looked for there.  Before anything is read; it must live
 * as long. */
void column_decoder_use_memo(struct column_decoder *,
                             struct trajectory_memo *);

/* Reads the dictionary but what single flows have: shapes and the numbers of
 * rows.  All flows of a shape
 * have the same switches, ports, rules and verdicts.  'visit' (which may be
 * NULL) is shown each, in their order, when it is first read; 'n' shapes and
 * flows there are from then on.  Returns 0 or an errno as
 * column_decoder_create(). */
int column_decoder_need_shapes(struct column_decoder *,
                               column_visit_function *visit, void *aux,
                               struct lh_error *);
/* The same, but 'visit' is shown only shapes that 'memo' does not know, which
 * then knows them.  Of shapes that were read before none is shown, and their
 * numbers are none of the memo's. */
int column_decoder_need_new_shapes(struct column_decoder *,
                                   struct shape_memo *memo,
                                   column_visit_function *visit, void *aux,
                                   struct lh_error *);
/* The number of a shape in that memo; without one, its own. */
uint32_t column_decoder_shape_number(const struct column_decoder *,
                                     size_t shape);
size_t column_decoder_n_shapes(const struct column_decoder *);
size_t column_decoder_n_flows(const struct column_decoder *);
/* A trajectory of the block: its packets are n_rows rows from first_row on. */
struct column_flow {
    uint32_t shape;
    uint32_t first_row, n_rows;
    /* For the decoder. */
    uint32_t cold, src, dst, ports; /* Where its bytes are in their columns. */
    uint64_t first_time;            /* Index of its first row's first hop. */
};
const struct column_flow *column_decoder_flow(const struct column_decoder *,
                                              size_t flow);
/* Reads addresses and ports of all flows; after need_shapes(). */
int column_decoder_need_keys(struct column_decoder *, struct lh_error *);
/* Those of a flow: of 'n_addr' bytes each source and destination, then
 * 'n_ports' bytes. */
struct column_key {
    uint8_t n_addr, n_ports;
    const uint8_t *src, *dst, *ports;
};
struct column_key column_decoder_key(const struct column_decoder *,
                                     size_t flow);
/* Reads all else of flows; after need_shapes(). */
int column_decoder_need_models(struct column_decoder *, struct lh_error *);
/* The model of a flow: its headers, up to the fixed L4 header, have all that
 * is constant.  Good until the next call for a flow of the same shape. */
const struct history *column_decoder_model(struct column_decoder *,
                                           size_t flow);

/* Says that times and headers are wanted of the first 'n' flows only
 * (SIZE_MAX, as at first: of all); what comes behind them is then neither read
 * nor may it be asked for.  Where fewer were read, the next call reads them
 * again. */
void column_decoder_want_flows(struct column_decoder *, size_t n);
/* Reads the times, and shapes if they were not. */
int column_decoder_need_times(struct column_decoder *, struct lh_error *);
/* Reads the length of each packet, and shapes if they were not: far less than
 * its header. */
int column_decoder_need_lengths(struct column_decoder *, struct lh_error *);
/* Of a flow's rows, the packet's own length from the IP header on, as that
 * says; after need_lengths(). */
const uint32_t *column_decoder_lengths(const struct column_decoder *,
                                       size_t flow);
/* Reads how many bytes each flow has, and shapes if they were not; of blocks
 * that do not say, the length of each packet. */
int column_decoder_need_flow_bytes(struct column_decoder *, struct lh_error *);
/* Those of its packets together, from the IP header on. */
uint64_t column_decoder_flow_bytes(const struct column_decoder *, size_t flow);
/* Reads the headers, and shapes and models if they were not. */
int column_decoder_need_rows(struct column_decoder *, struct lh_error *);
/* Frees what these have read. */
void column_decoder_drop_rows(struct column_decoder *);
/* Times of the first and last postcard of a row; after need_times(). */
uint64_t column_decoder_first_ns(const struct column_decoder *, size_t flow,
                                 size_t row);
uint64_t column_decoder_last_ns(const struct column_decoder *, size_t flow,
                                size_t row);
/* The history of a row; after need_times() and need_rows().  Returns 0 with
 * '*h' set, good until the next call of a function of the decoder, or
 * EBADMSG. */
int column_decoder_history(struct column_decoder *, size_t flow, size_t row,
                           const struct history **h, struct lh_error *);
/* The same as a packet of its trajectory, for column_encoder_add(). */
int column_decoder_packet(struct column_decoder *, size_t flow, size_t row,
                          struct trajectory **, struct trajectory_packet *,
                          struct lh_error *);

/* The same without the trajectory.  The packet ID of a header is not made if
 * 'ids' are the constants of the block: has_own_id says so. */
int column_decoder_row(struct column_decoder *, size_t flow, size_t row,
                       const struct packet_id_config *ids,
                       struct trajectory_packet *, struct lh_error *);
size_t column_decoder_n_hops(const struct column_decoder *, size_t flow);

/* The histories that are no trajectory's: '*d' is NULL when there are none;
 * it is the decoder's own.  Returns 0 or an errno. */
int column_decoder_plain(struct column_decoder *, struct history_decoder **d,
                         struct lh_error *);

#endif /* lib/history_columns.h */
