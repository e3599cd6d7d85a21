/* SPDX-License-Identifier: Apache-2.0 */
/* spool - frames on disk until the server has taken them
 * (docs/formats/agent.md).
 *
 * Files of some MiB in a directory, each frame with its sequence number, a
 * checksum, and how far each ring had been read when it was put.  A file
 * whose frames were all taken is removed; the newest file always stays, so
 * that a new agent finds the last sequence number and the positions.
 *
 * What was put survives the agent's death at any moment, and the host's
 * as far as the disk had it.
 *
 * Ownership: spool_open() to spool_close().  One process at a time has a
 * directory.
 *
 * Threads: one. */
#ifndef AGENT_SPOOL_H
#define AGENT_SPOOL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ring_reader.h"
#include "lib/agent_frame.h"
#include "lib/byte_buf.h"
#include "lib/lh_error.h"

#define SPOOL_MIN_SIZE (UINT64_C(64) << 10)

struct spool;
struct spool_file;

/* Where a frame is. */
struct spool_place {
    struct spool_file *file;
    uint64_t offset;
    uint32_t len;
};

/* Opens the spool in directory 'dir', which is made when it is not there; it
 * takes 'max_bytes' on disk.  Each frame found is shown to 'visit', in order.
 * Returns 0, EBUSY when another agent has it, EBADMSG when its state is
 * damaged, or another errno; with the reason. */
int spool_open(const char *dir, uint64_t max_bytes,
               void (*visit)(void *aux, uint64_t seq,
                             const struct spool_place *),
               void *aux, struct spool **, struct lh_error *);
void spool_close(struct spool *);

/* The agent's ID, the last sequence number known to be taken, and the last one
 * that may have been used. */
const uint8_t *spool_agent_id(const struct spool *);
uint64_t spool_acked(const struct spool *);
uint64_t spool_last_seq(const struct spool *);
/* How far rings were read when the last frame was put. */
size_t spool_positions(const struct spool *, const struct ring_position **);

/* Puts a frame.  Returns 0, ENOSPC when it would be more than max_bytes and
 * 'is_urgent' is not set, or the errno of the disk; nothing was put then. */
int spool_put(struct spool *, uint64_t seq, const struct byte_buf *frame,
              const struct ring_position *positions, size_t n_positions,
              bool is_urgent, struct spool_place *);
/* Appends the frame to 'out'.  False when it cannot be read any more. */
bool spool_read(struct spool *, const struct spool_place *,
                struct byte_buf *out);
/* All up to 'seq' were taken. */
void spool_ack(struct spool *, uint64_t seq);

uint64_t spool_bytes(const struct spool *);
uint64_t spool_max_bytes(const struct spool *);
/* Writes that failed, and frames found damaged. */
uint64_t spool_n_errors(const struct spool *);

#endif /* agent/spool.h */
