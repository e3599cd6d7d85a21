/* SPDX-License-Identifier: Apache-2.0 */
/* pcap_file - the frames of a plain capture file, quickly.
 *
 * Reads classic pcap files (version 2.4, either byte order, microseconds or
 * nanoseconds) of Ethernet frames, in a window of it that is mapped: half of
 * what a postcard costs would otherwise be the reading of its file.  Every
 * other kind of capture file is libpcap's: pcap_file_open() says so and
 * nothing of the file is lost.
 *
 * A frame that is longer than the file's own limit is cut to it, as libpcap
 * does.
 *
 * Ownership: a frame's bytes are good until the next is asked for, or as long
 * as somebody has a reference of the window.
 *
 * Threads: one, which does not block SIGBUS (lib/file_map.h); any may call
 * pcap_file_time(). */
#ifndef SERVER_PCAP_FILE_H
#define SERVER_PCAP_FILE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/file_map.h"
#include "lib/lh_error.h"

struct pcap_file;

struct pcap_file_frame {
    uint64_t time_ns;    /* Since the epoch. */
    const uint8_t *data; /* As captured, Ethernet header onwards. */
    size_t len;          /* Bytes captured. */
};

/* Opens the file 'path'.  Returns 0, ENOTSUP without a reason when it is no
 * such file, or an errno with the reason when it cannot be opened or read. */
int pcap_file_open(const char *path, struct pcap_file **, struct lh_error *);
void pcap_file_close(struct pcap_file *);
/* Another reader of the same file, at its first frame, which reads no further
 * than the first 'size' bytes.  The first one must stay open. */
struct pcap_file *pcap_file_clone(const struct pcap_file *, uint64_t size);

/* The next frame.  Returns 0, ENODATA at the end of the file, or, with the
 * reason, which tells the place in the file: EINVAL when it goes on with
 * something else than a frame or was cut while it was read, or the errno of
 * what failed. */
int pcap_file_next(struct pcap_file *, struct pcap_file_frame *,
                   struct lh_error *);

/* The time of the frame with these bytes, which was given before. */
uint64_t pcap_file_time(const struct pcap_file *, const uint8_t *data);
/* The window that the last frame is in.  Borrowed. */
struct file_map *pcap_file_window(const struct pcap_file *);

/* Whether the next frame is in the same window. */
bool pcap_file_has_next(const struct pcap_file *);
/* Where in the file the next frame begins. */
uint64_t pcap_file_place(const struct pcap_file *);
/* How many bytes the file has now; 0 when that cannot be told. */
uint64_t pcap_file_size(const struct pcap_file *);

#endif /* server/pcap_file.h */
