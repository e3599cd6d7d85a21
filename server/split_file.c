/* SPDX-License-Identifier: Apache-2.0 */
/* split_file - a capture file that several threads read, each its share. */
#include <config.h>

#include "server/split_file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

#define PART       (UINT64_C(2) << 20)
#define PIECE      (UINT64_C(128) << 10) /* A part is some of these. */
#define MIN_FRAME  16                    /* What an empty one takes. */
#define MAX_FRAMES (PIECE / MIN_FRAME + 1)
#define N_AHEAD                                                               \
    2 /* Pieces that are looked through before they are needed.               \
       */
#define N_PREFETCH 4 /* Frames. */

/* A frame in its window. */
struct place {
    uint32_t ofs;
    uint32_t len : 31, is_sure : 1; /* That it is of this reader. */
};

/* What was found in a piece: written by who looks through it, under the lock,
 * and read by all once it is the next of another. */
struct piece {
    struct piece *_Atomic next; /* The one behind it in the file. */
    struct piece *newer;        /* The same; of who holds the lock. */
    atomic_size_t n_left;       /* Readers that have not left it. */
    uint64_t number;
    uint64_t end;         /* Where the next frame begins. */
    int retval;           /* Why there is none; 0: there may be. */
    struct file_map *map; /* The window.  Owned reference, or NULL. */
    uint64_t n_frames, time_ns;
    size_t *n; /* For each reader: the length of its list. */
    struct place **lists;
};

struct reader {
    struct piece *at; /* The last one that it read. */
    uint64_t time_ns; /* Of the last frame. */
    atomic_uint_least64_t n_frames;
    atomic_int retval; /* Why there are no more; 0: there may be. */
};

struct split_file {
    const struct pcap_file *times; /* Not the one that is looked through: that
                                    * is written to at each frame. */
    enum ingest_encap encap;
    uint64_t size, given; /* Bytes: in all; in parts that were given out. */
    size_t n_readers;
    struct reader *readers; /* Owned. */

    /* One looks through the file at a time, as a frame tells where the next
     * begins.  Who finds that another does has mostly something else to do. */
    pthread_mutex_t mutex;
    struct pcap_file *file; /* Owned. */
    struct lh_error error;
    struct piece *oldest, *newest; /* All.  Owned. */
    atomic_uint_least64_t n_pieces;
};

/* --- Pieces ---------------------------------------------------------------
 */

static struct piece *
create_piece(size_t n_readers)
{
    struct piece *piece = lh_alloc_zero(sizeof *piece);

    piece->n = lh_alloc_zero(n_readers * sizeof *piece->n);
    piece->lists = lh_alloc_zero(n_readers * sizeof *piece->lists);
    for (size_t i = 0; i < n_readers; i++) {
        piece->lists[i] =
            lh_alloc_array(NULL, MAX_FRAMES, sizeof(struct place));
    }
    return piece;
}

static void
destroy_piece(struct piece *piece, size_t n_readers)
{
    for (size_t i = 0; i < n_readers; i++) {
        free(piece->lists[i]);
    }
    free(piece->lists);
    free(piece->n);
    file_map_unref(piece->map);
    free(piece);
}

/* One that all have left, or a new one. */
static struct piece *
take_piece(struct split_file *split)
{
    struct piece *piece = split->oldest;

    if (piece == split->newest || atomic_load(&piece->n_left)) {
        piece = create_piece(split->n_readers);
    } else {
        split->oldest = piece->newer;
    }
    for (size_t i = 0; i < split->n_readers; i++) {
        piece->n[i] = 0;
    }
    piece->newer = NULL;
    piece->n_frames = piece->time_ns = 0;
    atomic_store_explicit(&piece->next, NULL, memory_order_relaxed);
    atomic_store_explicit(&piece->n_left, split->n_readers,
                          memory_order_relaxed);
    return piece;
}

static void
leave_piece(struct piece *piece)
{
    struct file_map *map = piece->map;

    if (atomic_fetch_sub(&piece->n_left, 1) == 1) {
        file_map_unref(map);
    }
}

static inline void
add_place(struct piece *piece, size_t reader, struct place place)
{
    piece->lists[reader][piece->n[reader]++] = place;
}

/* Looks through the next piece; holds the lock. */
static void
look_through(struct split_file *split, const struct sieve *sieve)
{
    uint64_t place = pcap_file_place(split->file);
    uint64_t limit = (place / PIECE + 1) * PIECE;
    struct piece *piece = take_piece(split);
    const uint8_t *base = NULL;
    struct pcap_file_frame frame;
    int retval = 0;

    piece->map = NULL;
    while (place < limit &&
           (!piece->n_frames || pcap_file_has_next(split->file))) {
        struct ingest_packet packet = {.encap = split->encap};
        struct place at;
        uint32_t share;

        retval = pcap_file_next(split->file, &frame, &split->error);
        if (retval) {
            break;
        }
        if (!piece->n_frames++) {
            piece->map = file_map_ref(pcap_file_window(split->file));
            base = file_map_data(piece->map);
        }
        packet.data = frame.data;
        packet.len = (uint32_t) frame.len;
        at.ofs = (uint32_t) (frame.data - base);
        at.len = packet.len & INT32_MAX; /* It is in a window. */
        share = sieve_share(sieve, &packet);
        at.is_sure = share != SIEVE_ANY;
        if (__builtin_expect(at.is_sure, 1)) {
            add_place(piece, share, at);
        } else {
            for (size_t i = 0; i < split->n_readers; i++) {
                add_place(piece, i, at);
            }
        }
        piece->time_ns = frame.time_ns;
        place = pcap_file_place(split->file);
    }
    piece->retval = retval;
    piece->end = place;
    piece->number = split->newest->number + 1;
    split->newest->newer = piece;
    atomic_store_explicit(&split->newest->next, piece, memory_order_release);
    split->newest = piece;
    atomic_store_explicit(&split->n_pieces, piece->number,
                          memory_order_relaxed);
}

/* The piece after the one that the reader is at, which is not the last. */
static struct piece *
next_piece(struct split_file *split, const struct piece *at,
           const struct sieve *sieve)
{
    struct piece *next = atomic_load_explicit(&at->next, memory_order_acquire);

    if (!next) {
        pthread_mutex_lock(&split->mutex);
        if (split->newest == at) {
            look_through(split, sieve);
        }
        pthread_mutex_unlock(&split->mutex);
        next = atomic_load_explicit(&at->next, memory_order_acquire);
    }
    return next;
}

/* Looks through what will be needed soon, if nobody does. */
static void
look_ahead(struct split_file *split, const struct piece *at,
           const struct sieve *sieve)
{
    if (atomic_load_explicit(&split->n_pieces, memory_order_relaxed) <
            at->number + N_AHEAD &&
        !pthread_mutex_trylock(&split->mutex)) {
        if (!split->newest->retval && split->newest->end < split->size) {
            look_through(split, sieve);
        }
        pthread_mutex_unlock(&split->mutex);
    }
}

/* --- Life -----------------------------------------------------------------
 */

struct split_file *
split_file_create(const struct pcap_file *file, enum ingest_encap encap,
                  size_t n_readers)
{
    struct split_file *split = lh_alloc_zero(sizeof *split);
    struct piece *start = create_piece(n_readers);

    split->times = file;
    split->encap = encap;
    split->size = pcap_file_size(file);
    split->n_readers = n_readers;
    split->file = pcap_file_clone(file, split->size);
    pthread_mutex_init(&split->mutex, NULL);
    atomic_init(&split->n_pieces, 0);
    atomic_init(&start->next, NULL);
    atomic_init(&start->n_left, n_readers);
    start->end = pcap_file_place(split->file);
    split->oldest = split->newest = start;
    split->readers = lh_alloc_zero(n_readers * sizeof *split->readers);
    for (size_t i = 0; i < n_readers; i++) {
        struct reader *reader = &split->readers[i];

        reader->at = start;
        atomic_init(&reader->n_frames, 0);
        atomic_init(&reader->retval, 0);
    }
    return split;
}

void
split_file_destroy(struct split_file *split)
{
    if (split) {
        while (split->oldest) {
            struct piece *piece = split->oldest;

            split->oldest = piece->newer;
            if (!atomic_load(&piece->n_left)) {
                piece->map = NULL; /* The last one to leave it gave it back. */
            }
            destroy_piece(piece, split->n_readers);
        }
        pcap_file_close(split->file);
        pthread_mutex_destroy(&split->mutex);
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

bool
split_file_is_given(const struct split_file *split)
{
    return split->given == split->size;
}

/* --- Reading --------------------------------------------------------------
 */

static void
take_all(const struct split_file *split, const struct piece *piece, size_t i,
         struct ingest *ingest)
{
    const struct place *places = piece->lists[i];
    const uint8_t *base = piece->map ? file_map_data(piece->map) : NULL;
    size_t n = piece->n[i];

    for (size_t j = 0; j < n; j++) {
        const uint8_t *data = base + places[j].ofs;
        struct ingest_packet packet = {
            .data = data,
            .time_ns = pcap_file_time(split->times, data),
            .len = places[j].len,
            .encap = split->encap,
            .is_mine = places[j].is_sure,
        };

        if (j + N_PREFETCH < n) {
            const uint8_t *later = base + places[j + N_PREFETCH].ofs;

            __builtin_prefetch(later);
            __builtin_prefetch(later + 64);
            __builtin_prefetch(later + 128);
        }
        ingest_take(ingest, &packet);
    }
}

void
split_file_read(struct split_file *split, size_t i, uint64_t end,
                const struct sieve *sieve, struct ingest *ingest)
{
    struct reader *reader = &split->readers[i];

    while (!atomic_load_explicit(&reader->retval, memory_order_relaxed) &&
           reader->at->end < end) {
        struct piece *piece = next_piece(split, reader->at, sieve);

        leave_piece(reader->at);
        reader->at = piece;
        look_ahead(split, piece, sieve);
        take_all(split, piece, i, ingest);
        if (piece->n_frames) {
            reader->time_ns = piece->time_ns;
        }
        atomic_fetch_add_explicit(&reader->n_frames, piece->n_frames,
                                  memory_order_relaxed);
        atomic_store(&reader->retval, piece->retval);
    }
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
        *error = split->error;
    }
    return retval;
}
