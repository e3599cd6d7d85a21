/* SPDX-License-Identifier: Apache-2.0 */
/* program - a filter as instructions: Thompson's construction. */
#include <config.h>
#include "phf/program.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/phf.h"

void
program_init(struct program *program)
{
    memset(program, 0, sizeof *program);
}

void
program_uninit(struct program *program)
{
    free(program->instrs);
}

bool
program_is_full(const struct program *program)
{
    return program->is_full;
}

/* Makes room for 'more' instructions, or makes the program full. */
static bool
reserve(struct program *program, size_t more)
{
    if (more > PHF_MAX_STATES || program->n + more > PHF_MAX_STATES) {
        program->is_full = true;
    }
    while (!program->is_full && program->allocated < program->n + more) {
        program->instrs =
            lh_alloc_grow(program->instrs, program->allocated,
                          &program->allocated, sizeof *program->instrs);
    }
    return !program->is_full;
}

void
program_insert(struct program *program, size_t at, enum program_op op,
               int32_t x, int32_t y)
{
    if (!reserve(program, 1)) {
        return;
    }
    assert(at <= program->n);
    memmove(&program->instrs[at + 1], &program->instrs[at],
            (program->n - at) * sizeof *program->instrs);
    program->instrs[at].op = op;
    program->instrs[at].x = x;
    program->instrs[at].y = y;
    program->n++;
}

void
program_append(struct program *program, enum program_op op, int32_t x,
               int32_t y)
{
    program_insert(program, program->n, op, x, y);
}

static void
append_copy(struct program *program, const struct program_instr *code,
            size_t len)
{
    if (len && reserve(program, len)) {
        memcpy(&program->instrs[program->n], code, len * sizeof *code);
        program->n += len;
    }
}

/* Writes out x{min,max}: x x .. x, then for what is optional, each with a way
 * out to the end, (x (x ..)?)?. */
static void
repeat_bounded(struct program *program, const struct program_instr *code,
               size_t len, unsigned int min, unsigned int max)
{
    unsigned int n_optional = max - min;
    size_t out;

    for (unsigned int i = 0; i < min && !program->is_full; i++) {
        append_copy(program, code, len);
    }
    out = program->n + n_optional * (len + 1);
    for (unsigned int i = 0; i < n_optional && !program->is_full; i++) {
        program_append(program, PROGRAM_SPLIT, 1,
                       (int32_t) (out - program->n));
        append_copy(program, code, len);
    }
}

/* x* of the code from 'begin' to the end. */
static void
repeat_forever(struct program *program, size_t begin)
{
    int32_t len = (int32_t) (program->n - begin);

    program_insert(program, begin, PROGRAM_SPLIT, 1, len + 2);
    program_append(program, PROGRAM_JUMP, -(len + 1), 0);
}

void
program_repeat(struct program *program, size_t begin, unsigned int min,
               unsigned int max)
{
    size_t len = program->n - begin;
    struct program_instr *code;

    if (program->is_full) {
        return;
    }
    assert(min <= max && begin <= program->n);
    code = lh_memdup(program->instrs + begin, len * sizeof *code);
    program->n = begin;
    if (max != PROGRAM_UNBOUNDED) {
        repeat_bounded(program, code, len, min, max);
    } else if (min) {
        repeat_bounded(program, code, len, min, min);
        program_append(program, PROGRAM_SPLIT, -(int32_t) len, 1);
    } else {
        append_copy(program, code, len);
        repeat_forever(program, begin);
    }
    free(code);
}
