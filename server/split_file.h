/* SPDX-License-Identifier: Apache-2.0 */
/* split_file - a capture file that several threads read, each its share.
 *
 * The file is mapped once for all.  It is looked through in pieces, each by
 * whichever reader needs it first or is ahead of the others; that one lists
 * the frames of each share for all.  So a look at every frame is paid for
 * once, and who has less to do does more of it.
 *
 * The thread of the event loop gives out parts, so that all threads hear of
 * what else happens before the same frame.
 *
 * Threads: each reader one, and they do not block SIGBUS (lib/file_map.h); all
 * other functions that of the event loop. */
#ifndef SERVER_SPLIT_FILE_H
#define SERVER_SPLIT_FILE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "server/ingest.h"
#include "server/pcap_file.h"
#include "server/sieve.h"

struct split_file;

/* The file, which was opened and must stay so, is read as far as it goes now.
 */
struct split_file *split_file_create(const struct pcap_file *,
                                     enum ingest_encap, size_t n_readers);
/* When no reader is at it any more. */
void split_file_destroy(struct split_file *);

/* Where the next part ends; 0: there is no more, or it would be of no use. */
uint64_t split_file_next(struct split_file *);
/* Whether all parts were given out. */
bool split_file_is_given(const struct split_file *);

/* Gives the reader's ingest what begins before 'end', but for what is surely
 * another reader's: the sieve's shares are the readers.  Nothing after an
 * error. */
void split_file_read(struct split_file *, size_t reader, uint64_t end,
                     const struct sieve *, struct ingest *);

/* Frames that the first reader has come past. */
uint64_t split_file_frames(const struct split_file *);
/* When all have been read: the time of the last frame, and 0, or the errno
 * with the reason why it was the last one, as pcap_file_next() tells. */
int split_file_result(const struct split_file *, uint64_t *time_ns,
                      struct lh_error *);

#endif /* server/split_file.h */
