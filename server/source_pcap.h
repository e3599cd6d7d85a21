/* SPDX-License-Identifier: Apache-2.0 */
/* source_pcap - postcards from an interface or from a capture file.
 *
 * A live source reads whenever the interface has something; a file source is
 * read in slices by its owner.  Both hand frames to ingest.  Files may be
 * pcap, which pcap_file reads, or what else libpcap does, such as pcapng;
 * their times are the postcards' times.
 *
 * This is the server's only user of libpcap.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_SOURCE_PCAP_H
#define SERVER_SOURCE_PCAP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "server/ingest.h"
#include "server/pcap_file.h"

struct event_base;

struct source_pcap_counters {
    uint64_t frames;
    uint64_t kernel_drops; /* Live: never seen here, the ring was full. */
    uint64_t errors;       /* Live: reads that failed. */
};

struct source_pcap;

/* Captures on 'interface', only what may be a postcard of 'encap' ('vlan':
 * that of mac postcards).  After each batch 'after' is called.  Returns 0, or
 * an errno with the reason. */
int source_pcap_open_live(struct event_base *, const char *interface,
                          enum ingest_encap encap, uint16_t vlan,
                          struct ingest *, void (*after)(void *aux), void *aux,
                          struct source_pcap **, struct lh_error *);

/* Opens the capture file 'path' ("-": standard input).  Returns 0, an errno,
 * or EINVAL when it is none or its frames are not Ethernet. */
int source_pcap_open_file(const char *path, enum ingest_encap encap,
                          struct ingest *, struct source_pcap **,
                          struct lh_error *);
/* Of a file: the time of the next frame, which is read but not handed over.
 * Returns 0, ENODATA at the end of the file, or, with the reason, EINVAL when
 * it goes on with something else than a frame (the file is cut, say), or the
 * errno of a read that failed. */
int source_pcap_peek(struct source_pcap *, uint64_t *time_ns,
                     struct lh_error *);
/* A plain file, at its first frame, for others to read it; NULL: it is none.
 * Borrowed. */
const struct pcap_file *source_pcap_plain(const struct source_pcap *);
/* Says why a read after 'n' frames failed. */
void source_pcap_explain(const struct source_pcap *, uint64_t n_frames,
                         const struct lh_error *why, struct lh_error *);
/* Hands over the frame that source_pcap_peek() read. */
void source_pcap_take(struct source_pcap *);

void source_pcap_close(struct source_pcap *);
/* Asks the kernel for drops; the pointer is good until closed. */
const struct source_pcap_counters *source_pcap_counters(struct source_pcap *);

#endif /* server/source_pcap.h */
