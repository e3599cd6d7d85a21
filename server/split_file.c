/* SPDX-License-Identifier: Apache-2.0 */
/* split_file - a capture file that several threads read, each all of it. */
#include <config.h>

#include "server/split_file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

#define PART    (UINT64_C(512) << 10)
#define N_AHEAD 64 /* Frames looked at before those are taken. */

struct reader {
    struct pcap_file *file; /* Owned. */
    uint64_t time_ns;       /* Of the last frame. */
    atomic_uint_least64_t n_frames;
    atomic_int retval; /* Why there are no more; 0: there may be. */
    struct lh_error error;
};

struct split_file {
    enum ingest_encap encap;
    uint64_t size, given; /* Bytes: in all; in parts that were given out. */
    size_t n_readers;
    struct reader *readers; /* Owned. */
};

struct split_file *
split_file_create(const struct pcap_file *file, enum ingest_encap encap,
                  size_t n_readers)
{
    struct split_file *split = lh_alloc_zero(sizeof *split);

    split->encap = encap;
    split->size = pcap_file_size(file);
    split->n_readers = n_readers;
    split->readers = lh_alloc_zero(n_readers * sizeof *split->readers);
    for (size_t i = 0; i < n_readers; i++) {
        struct reader *reader = &split->readers[i];

        reader->file = pcap_file_clone(file, split->size);
        atomic_init(&reader->n_frames, 0);
        atomic_init(&reader->retval, 0);
    }
    return split;
}

void
split_file_destroy(struct split_file *split)
{
    if (split) {
        for (size_t i = 0; i < split->n_readers; i++) {
            pcap_file_close(split->readers[i].file);
        }
        free(split->readers);
        free(split);
    }
}

uint64_t
split_file_next(struct split_file *split)
{
    uint64_t left = split->size - split->given;

    if (!left || atomic_load(&split->readers[0].retval)) {
        return 0;
    }
    split->given += left < PART ? left : PART;
    return split->given;
}

/* The next frames that begin before 'end' and are all in the reader's buffer:
 * one at least, unless there is none. */
static int
next_frames(const struct split_file *split, struct reader *reader,
            uint64_t end, struct ingest_packet *packets, size_t *np)
{
    struct pcap_file_frame frame;
    int retval = 0;

    while (*np < N_AHEAD && pcap_file_place(reader->file) < end &&
           (!*np || pcap_file_has_next(reader->file))) {
        retval = pcap_file_next(reader->file, &frame, &reader->error);
        if (retval) {
            break;
        }
        reader->time_ns = frame.time_ns;
        packets[(*np)++] = (struct ingest_packet){
            .data = frame.data,
            .time_ns = frame.time_ns,
            .len = (uint32_t) frame.len,
            .encap = split->encap,
        };
    }
    return retval;
}

void
split_file_read(struct split_file *split, size_t i, uint64_t end,
                const struct sieve *sieve, struct ingest *ingest)
{
    struct reader *reader = &split->readers[i];
    int retval = atomic_load(&reader->retval);
    uint64_t n_frames = 0;

    while (!retval && pcap_file_place(reader->file) < end) {
        struct ingest_packet packets[N_AHEAD];
        size_t n = 0, n_mine;

        retval = next_frames(split, reader, end, packets, &n);
        n_frames += n;
        n_mine = sieve_run(sieve, packets, n);
        for (size_t j = 0; j < n_mine; j++) {
            if (j + 2 < n_mine) {
                const uint8_t *data = packets[j + 2].data;

                __builtin_prefetch(data);
                __builtin_prefetch(data + 64);
                __builtin_prefetch(data + 128);
            }
            ingest_take(ingest, &packets[j]);
        }
    }
    atomic_fetch_add_explicit(&reader->n_frames, n_frames,
                              memory_order_relaxed);
    atomic_store(&reader->retval, retval);
}

uint64_t
split_file_frames(const struct split_file *split)
{
    return atomic_load_explicit(&split->readers[0].n_frames,
                                memory_order_relaxed);
}

int
split_file_result(const struct split_file *split, uint64_t *time_ns,
                  struct lh_error *error)
{
    const struct reader *reader = &split->readers[0];
    int retval = atomic_load(&reader->retval);

    *time_ns = reader->time_ns;
    if (retval == ENODATA) {
        return 0;
    }
    if (retval) {
        *error = reader->error;
    }
    return retval;
}
