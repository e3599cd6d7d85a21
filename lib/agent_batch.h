/* SPDX-License-Identifier: Apache-2.0 */
/* agent_batch - postcards of patched switches, packed for the wire
 * (docs/formats/agent.md).
 *
 * A batch stands alone: it has the templates its postcards use.  Writing:
 *
 *     w = agent_batch_writer_create();
 *     while (agent_batch_writer_add(w, &postcard)) ..
 *     agent_batch_writer_finish(w, &bytes, &stats);
 *
 * Reading, in the order of writing:
 *
 *     if (agent_batch_reader_open(reader, data, len, n, &error)) ..
 *     while (agent_batch_reader_next(reader, &postcard)) ..
 *
 * Ownership: a writer copies headers; templates are borrowed until it is
 * finished.  Postcards that were read, with header and template, are good
 * until the reader's next open or its destruction.
 *
 * Threads: one per writer or reader. */
#ifndef LIB_AGENT_BATCH_H
#define LIB_AGENT_BATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/hop_template.h"
#include "lib/lh_error.h"

#define AGENT_BATCH_MAX        4096       /* Postcards. */
#define AGENT_BATCH_MAX_BYTES  (1u << 20) /* Of their headers, together. */
#define AGENT_BATCH_MAX_CAPLEN 16384

enum agent_postcard_kind {
    AGENT_POSTCARD_VISIT,  /* The packet met the switch. */
    AGENT_POSTCARD_DROPPED /* Dropped on the way through what the template
                            * tells: see `reason`. */
};

/* Values of `reason`. */
#define AGENT_DROP_METER 1

struct agent_postcard {
    const struct hop_template *template;
    uint32_t template_no; /* Reader: counts those of the batch from 0. */
    uint64_t time_ns;
    uint32_t packet_len; /* Of the packet on the wire. */
    uint16_t caplen;     /* Bytes in `header`; at most
                          * AGENT_BATCH_MAX_CAPLEN. */
    uint16_t reason;     /* Of AGENT_POSTCARD_DROPPED; otherwise 0. */
    enum agent_postcard_kind kind;
    const uint8_t *header;
};

struct agent_batch_stats {
    uint32_t n;
    uint64_t first_ns, last_ns; /* The earliest and the latest time. */
};

struct agent_batch_writer;

struct agent_batch_writer *agent_batch_writer_create(void);
void agent_batch_writer_destroy(struct agent_batch_writer *);
/* False, and the postcard is not in it, when the batch is full: finish it
 * first.  Never false for the first postcard of a batch. */
bool agent_batch_writer_add(struct agent_batch_writer *,
                            const struct agent_postcard *);
/* Whether the next one may find it full. */
bool agent_batch_writer_is_full(const struct agent_batch_writer *);
uint32_t agent_batch_writer_n(const struct agent_batch_writer *);
/* Appends the packed postcards to 'out'; the writer is empty then. */
void agent_batch_writer_finish(struct agent_batch_writer *,
                               struct byte_buf *out,
                               struct agent_batch_stats *);

struct agent_batch_reader;

struct agent_batch_reader *agent_batch_reader_create(void);
void agent_batch_reader_destroy(struct agent_batch_reader *);
/* Reads a batch that should have 'n' postcards.  All of it is checked: after
 * 0 there are exactly 'n'.  Returns EBADMSG with the reason otherwise. */
int agent_batch_reader_open(struct agent_batch_reader *, const uint8_t *data,
                            size_t len, uint32_t n, struct lh_error *);
/* Sets 'left_out' of all templates of the batch. */
void agent_batch_reader_set_left_out(struct agent_batch_reader *,
                                     uint32_t left_out);
/* False at the end. */
bool agent_batch_reader_next(struct agent_batch_reader *,
                             struct agent_postcard *);
/* How many templates the batch has, and each. */
size_t agent_batch_reader_n_templates(const struct agent_batch_reader *);
const struct hop_template *
agent_batch_reader_template(const struct agent_batch_reader *, size_t i);

#endif /* lib/agent_batch.h */
