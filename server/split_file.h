/* SPDX-License-Identifier: Apache-2.0 */
/* split_file - a capture file that several threads read, each all of it.
 *
 * Each takes the packets of its share, and that needs a look at every frame;
 * to read a file twice from the page cache costs less than to hand its bytes
 * from one core to the other.  The thread of the event loop gives out parts,
 * so that all threads hear of what else happens before the same frame.
 *
 * Threads: each reader one; all other functions that of the event loop. */
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

/* Gives the reader's ingest what begins before 'end', but for what the sieve
 * tells to be others'.  Nothing after an error. */
void split_file_read(struct split_file *, size_t reader, uint64_t end,
                     const struct sieve *, struct ingest *);

/* Frames that the first reader has read. */
uint64_t split_file_frames(const struct split_file *);
/* When all have been: the time of the last frame, and 0, or the errno with the
 * reason why it was the last one, as pcap_file_next() tells. */
int split_file_result(const struct split_file *, uint64_t *time_ns,
                      struct lh_error *);

#endif /* server/split_file.h */
