/* SPDX-License-Identifier: Apache-2.0 */
/* ring_set - all rings of the ovs-vswitchd processes of a host.
 *
 * They are found in /proc: whatever process has a descriptor of a memfd of
 * their name, whichever namespaces it is in.  A ring whose process is gone
 * stays until it has been read to its end.
 *
 * Ownership: ring_set_create() to ring_set_destroy().
 *
 * Threads: one. */
#ifndef AGENT_RING_SET_H
#define AGENT_RING_SET_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ring_reader.h"

struct ring_set;

struct ring_set_config {
    const char *proc;    /* "/proc". */
    const char *log_dir; /* Of template logs; NULL: none. */
    const char *process; /* Name of processes to look at ... */
    const char *pidfile; /* ... or of a file with the number of one. */
    /* Where to go on in a ring that was read before. */
    const struct ring_position *positions;
    size_t n_positions;
    /* Packets that a ring made after 'since_ns' did not record because nobody
     * read it yet: from 'first_ns' to 'last_ns'. */
    uint64_t since_ns;
    void (*on_unread)(void *aux, uint64_t first_ns, uint64_t last_ns,
                      uint64_t count);
    void *aux;
};

/* One ring and whose it is. */
struct ring_entry {
    struct ring_reader *reader;
    unsigned int pid; /* As we see it. */
    bool is_gone;     /* Nobody writes it any more. */
};

struct ring_set *ring_set_create(const struct ring_set_config *);
void ring_set_destroy(struct ring_set *);
/* Looks for rings that came and went; new ones get 'threshold'. */
void ring_set_scan(struct ring_set *, uint32_t threshold);
/* Removes the template logs of rings that are no more: those of no ring in the
 * set. */
void ring_set_clean_logs(struct ring_set *);
size_t ring_set_n(const struct ring_set *);
struct ring_entry *ring_set_get(struct ring_set *, size_t i);
/* Forgets ring 'i', which is gone and was read to its end.  Another takes its
 * place. */
void ring_set_remove(struct ring_set *, size_t i);
/* Where all rings were read to; good until the next call. */
size_t ring_set_positions(struct ring_set *, const struct ring_position **);

/* Of all rings there ever were. */
struct ring_counters ring_set_counters(const struct ring_set *);
uint64_t ring_set_switch_counter(const struct ring_set *, enum ring_counter);
/* Rings that cannot be read now. */
uint64_t ring_set_n_refused(const struct ring_set *);

#endif /* agent/ring_set.h */
