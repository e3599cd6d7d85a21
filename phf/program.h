/* SPDX-License-Identifier: Apache-2.0 */
/* program - a filter as instructions: Thompson's construction.
 *
 * The parser appends code as it reads.  What an atom or group became is always
 * one run of instructions that is entered at its first and left past its last,
 * with jumps relative to the instruction that jumps, so a run can be moved and
 * copied: that is how quantifiers work.
 *
 * Growing past PHF_MAX_STATES sticks: later calls do nothing, and
 * program_is_full() tells.
 *
 * Ownership: program_init() to program_uninit().
 *
 * Threads: plain data; one thread builds, any may read. */
#ifndef PHF_PROGRAM_H
#define PHF_PROGRAM_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum program_op {
    PROGRAM_HOP,     /* Consumes one hop at which predicate x holds. */
    PROGRAM_SPLIT,   /* Goes on at x and at y (both relative). */
    PROGRAM_JUMP,    /* Goes on at x (relative). */
    PROGRAM_START,   /* Goes on only before the first hop of a path. */
    PROGRAM_END,     /* Goes on only after the last hop of a path. */
    PROGRAM_OPEN,    /* Group x begins. */
    PROGRAM_CLOSE,   /* Group x ends. */
    PROGRAM_BACKREF, /* Consumes as many hops as group x last matched, on the
                      * same switches. */
    PROGRAM_MATCH
};

struct program_instr {
    enum program_op op;
    int32_t x, y;
};

struct program {
    size_t n, allocated;
    struct program_instr *instrs; /* Owned. */
    bool is_full;
};

void program_init(struct program *);
void program_uninit(struct program *);

/* True when the program would have gone past PHF_MAX_STATES. */
bool program_is_full(const struct program *);

void program_append(struct program *, enum program_op, int32_t x, int32_t y);
/* Puts an instruction before the one at 'at'. */
void program_insert(struct program *, size_t at, enum program_op, int32_t x,
                    int32_t y);

/* Repeats the code from 'begin' to the end between 'min' and 'max' times;
 * 'max' PROGRAM_UNBOUNDED has no limit. */
#define PROGRAM_UNBOUNDED (~0u)
void program_repeat(struct program *, size_t begin, unsigned int min,
                    unsigned int max);

#endif /* phf/program.h */
