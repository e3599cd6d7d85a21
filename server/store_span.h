/* SPDX-License-Identifier: Apache-2.0 */
/* store_span - which disk has what of a stage-2 shard that is kept in copies.
 *
 * A span says: this disk has all histories that were accepted by messages of
 * LH2 from number 'from' on, below 'to', and their times are from 'min_ns' to
 * 'max_ns'.  Each slot's record has the spans that its owners wrote; all of
 * them together say what a disk lacks, and which one has it.
 *
 * There are no more than STORE_SPANS: of so many those next to each other that
 * are shortest together become one.
 *
 * Threads: plain data. */
#ifndef SERVER_STORE_SPAN_H
#define SERVER_STORE_SPAN_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"

#define STORE_SPANS 64

struct store_span {
    uint64_t disk; /* Its number. */
    uint64_t from, to;
    uint64_t min_ns, max_ns; /* min_ns > max_ns: no histories. */
};

struct store_spans {
    size_t n;
    struct store_span all[STORE_SPANS];
    uint64_t horizon; /* Of what is below, spans were forgotten: nobody is
                       * asked for it. */
};

/* Adds one that is not empty. */
void store_spans_add(struct store_spans *, const struct store_span *);
/* The disk does not have what is from 'from' on, below 'to'. */
void store_spans_cut(struct store_spans *, uint64_t disk, uint64_t from,
                     uint64_t to);

/* The stream lost its end, so that messages from 'end' on, which is not 0, are
 * to come: what disks have of such that were there before counts as what came
 * last below. */
void store_spans_fall(struct store_spans *, uint64_t end);

void store_spans_put(const struct store_spans *, struct byte_buf *out);
/* Returns 0 or EBADMSG. */
int store_spans_read(struct store_spans *, struct bytes_reader *);

enum store_disk_state {
    STORE_DISK_GONE, /* Nobody has it, and nobody is waited for. */
    STORE_DISK_AWAY, /* Its server is not there. */
    STORE_DISK_THERE
};

/* What is known of the disks, and from whom. */
struct store_span_question {
    const struct store_spans *const *lists;
    size_t n_lists;
    uint64_t until;    /* What is from here on is not looked at. */
    uint64_t own;      /* The disk that asks. */
    uint32_t n_copies; /* That there should be. */
    enum store_disk_state (*state)(void *aux, uint64_t disk);
    void *aux;
};

struct store_span_answer {
    bool is_short; /* Something is on fewer disks that are there. */
    bool is_lost;  /* Something is on none of them. */
    /* The first that 'own' lacks, fewer disks have than should, and another
     * one, which is there, has: then what that one has of it. */
    bool has_piece;
    struct store_span piece;
};

void store_spans_ask(const struct store_span_question *,
                     struct store_span_answer *);

#endif /* server/store_span.h */
