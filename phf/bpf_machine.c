/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_machine - runs programs of the BPF machine. */
#include <config.h>
#include "phf/bpf_machine.h"

#include <stdlib.h>

#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "phf/bpf_code.h"

enum op {
    OP_NONE, /* Unknown. */
    OP_LD_ABS_W,
    OP_LD_ABS_H,
    OP_LD_ABS_B,
    OP_LD_IND_W,
    OP_LD_IND_H,
    OP_LD_IND_B,
    OP_LD_IMM,
    OP_LD_MEM,
    OP_LD_LEN,
    OP_LDX_IMM,
    OP_LDX_MEM,
    OP_LDX_LEN,
    OP_LDX_MSH,
    OP_ST,
    OP_STX,
    /* Each with a constant, then the same with X. */
    OP_ADD,
    OP_ADD_X,
    OP_SUB,
    OP_SUB_X,
    OP_MUL,
    OP_MUL_X,
    OP_DIV,
    OP_DIV_X,
    OP_OR,
    OP_OR_X,
    OP_AND,
    OP_AND_X,
    OP_LSH,
    OP_LSH_X,
    OP_RSH,
    OP_RSH_X,
    OP_NEG,
    OP_NEG_X, /* There is none. */
    OP_MOD,
    OP_MOD_X,
    OP_XOR,
    OP_XOR_X,
    OP_JA,
    OP_JA_X, /* There is none. */
    OP_JEQ,
    OP_JEQ_X,
    OP_JGT,
    OP_JGT_X,
    OP_JGE,
    OP_JGE_X,
    OP_JSET,
    OP_JSET_X,
    OP_RET_K,
    OP_RET_A,
    OP_TAX,
    OP_TXA,
    /* A load, masked by what is and-ed, and the comparison after it. */
    OP_LD_ABS_JEQ,
    OP_LD_IND_H_JEQ,
    OP_LD_ABS_H_JSET
};

struct step {
    uint32_t op;
    uint32_t k;       /* Of the comparison, if it is one. */
    uint32_t ofs;     /* Loads: where, */
    uint32_t end;     /* and behind it; UINT32_MAX: never captured. */
    uint32_t mask;    /* OP_LD_ABS_JEQ: of the four bytes before 'end'. */
    uint32_t yes, no; /* Jumps: the next step. */
    uint32_t unused;  /* Makes it half a cache line. */
};

struct bpf_machine {
    size_t n;
    struct step steps[];
};

/* --- Decoding ----------------------------------------------------------- */

static enum op
load_op(uint16_t code)
{
    static const enum op abs[] = {OP_LD_ABS_W, OP_LD_ABS_H, OP_LD_ABS_B};
    static const enum op ind[] = {OP_LD_IND_W, OP_LD_IND_H, OP_LD_IND_B};
    unsigned int size = code >> 3 & 3;

    switch (code >> 5) {
    case BPF_MODE_IMM:
        return size ? OP_NONE : OP_LD_IMM;
    case BPF_MODE_ABS:
        return size < 3 ? abs[size] : OP_NONE;
    case BPF_MODE_IND:
        return size < 3 ? ind[size] : OP_NONE;
    case BPF_MODE_MEM:
        return size ? OP_NONE : OP_LD_MEM;
    case BPF_MODE_LEN:
        return size ? OP_NONE : OP_LD_LEN;
    default:
        return OP_NONE;
    }
}

static enum op
loadx_op(uint16_t code)
{
    unsigned int size = code >> 3 & 3;

    switch (code >> 5) {
    case BPF_MODE_IMM:
        return size ? OP_NONE : OP_LDX_IMM;
    case BPF_MODE_MEM:
        return size ? OP_NONE : OP_LDX_MEM;
    case BPF_MODE_LEN:
        return size ? OP_NONE : OP_LDX_LEN;
    case BPF_MODE_MSH:
        return size == 2 ? OP_LDX_MSH : OP_NONE;
    default:
        return OP_NONE;
    }
}

static enum op
op_of(uint16_t code)
{
    static const enum op alu[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV,
                                  OP_OR,  OP_AND, OP_LSH, OP_RSH,
                                  OP_NEG, OP_MOD, OP_XOR};
    static const enum op jump[] = {OP_JA, OP_JEQ, OP_JGT, OP_JGE, OP_JSET};
    unsigned int what = code >> 4, x = code >> 3 & 1;

    switch (code & 7) {
    case BPF_CLASS_LD:
        return load_op(code);
    case BPF_CLASS_LDX:
        return loadx_op(code);
    case BPF_CLASS_ST:
        return code >> 3 ? OP_NONE : OP_ST;
    case BPF_CLASS_STX:
        return code >> 3 ? OP_NONE : OP_STX;
    case BPF_CLASS_ALU:
        return what < sizeof alu / sizeof *alu ? alu[what] + x : OP_NONE;
    case BPF_CLASS_JMP:
        return what < sizeof jump / sizeof *jump ? jump[what] + x : OP_NONE;
    case BPF_CLASS_RET:
        return code == 0x06 ? OP_RET_K : code == 0x16 ? OP_RET_A : OP_NONE;
    default: /* BPF_CLASS_MISC */
        return code == 0x07 ? OP_TAX : code == 0x87 ? OP_TXA : OP_NONE;
    }
}

static bool
is_between(uint32_t op, enum op first, enum op last)
{
    return op >= (uint32_t) first && op <= (uint32_t) last;
}

/* Whether 'op' names a word of memory. */
static bool
is_memory(uint32_t op)
{
    return op == OP_LD_MEM || op == OP_LDX_MEM || op == OP_ST || op == OP_STX;
}

static uint32_t
end_of(uint32_t op, uint32_t k)
{
    uint32_t size = op == OP_LD_ABS_W || op == OP_LD_IND_W   ? 4
                    : op == OP_LD_ABS_H || op == OP_LD_IND_H ? 2
                                                             : 1;

    return k < UINT32_MAX - size ? k + size : UINT32_MAX;
}

/* Decodes the instruction at 'i' of 'n'; false when it is not valid. */
static bool
decode(const struct bpf_machine_code *c, size_t i, size_t n, struct step *s)
{
    size_t left = n - i - 1; /* Instructions after this one. */

    *s = (struct step){.op = op_of(c->code), .k = c->k, .ofs = c->k};
    s->end = end_of(s->op, c->k);
    if (s->op == OP_NONE || s->op == OP_NEG_X || s->op == OP_JA_X ||
        (is_memory(s->op) && c->k >= BPF_N_MEMORY) ||
        ((s->op == OP_DIV || s->op == OP_MOD) && !c->k)) {
        return false;
    }
    if (s->op == OP_JA) {
        s->yes = (uint32_t) (i + 1 + c->k);
        return c->k < left;
    }
    if (is_between(s->op, OP_JEQ, OP_JSET_X)) {
        s->yes = (uint32_t) (i + 1 + c->jt);
        s->no = (uint32_t) (i + 1 + c->jf);
        return c->jt < left && c->jf < left;
    }
    return left || is_between(s->op, OP_RET_K, OP_RET_A);
}

/* Makes one step of a load and the comparison after it.  That stays where it
 * is, for those who jump to it. */
static void
fuse(struct step *s, const struct step *next)
{
    static const struct {
        enum op load, jump, both;
    } pairs[] = {
        {OP_LD_IND_H, OP_JEQ, OP_LD_IND_H_JEQ},
        {OP_LD_ABS_H, OP_JSET, OP_LD_ABS_H_JSET},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (s->op == (uint32_t) pairs[i].load &&
            next->op == (uint32_t) pairs[i].jump) {
            s->op = pairs[i].both;
            s->k = next->k;
            s->yes = next->yes;
            s->no = next->no;
            return;
        }
    }
}

/* The same of a load from a fixed place, what is then and-ed, and a
 * comparison; 'end' is behind the last step. */
static bool
fuse_masked(struct step *s, const struct step *end)
{
    const struct step *next = s + 1;
    uint32_t mask = s->op == OP_LD_ABS_W   ? UINT32_MAX
                    : s->op == OP_LD_ABS_H ? UINT16_MAX
                                           : UINT8_MAX;

    if (!is_between(s->op, OP_LD_ABS_W, OP_LD_ABS_B) || s->end < 4 ||
        s->end == UINT32_MAX) {
        return false;
    }
    for (; next < end && next->op == OP_AND; next++) {
        mask &= next->k;
    }
    if (next == end || next->op != OP_JEQ) {
        return false;
    }
    s->op = OP_LD_ABS_JEQ;
    s->mask = mask;
    s->k = next->k;
    s->yes = next->yes;
    s->no = next->no;
    return true;
}

struct bpf_machine *
bpf_machine_create(const struct bpf_machine_code *codes, size_t n)
{
    struct bpf_machine *m = lh_alloc(sizeof *m + n * sizeof *m->steps);
    bool is_valid = n > 0 && n < UINT32_MAX / 2;

    m->n = n;
    for (size_t i = 0; is_valid && i < n; i++) {
        is_valid = decode(&codes[i], i, n, &m->steps[i]);
    }
    if (!is_valid) {
        free(m);
        return NULL;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (!fuse_masked(&m->steps[i], &m->steps[n])) {
            fuse(&m->steps[i], &m->steps[i + 1]);
        }
    }
    return m;
}

void
bpf_machine_destroy(struct bpf_machine *m)
{
    free(m);
}

/* --- Running ------------------------------------------------------------ */

/* The place of an indirect load of 'size' bytes, or NULL. */
static const uint8_t *
at_x(const struct step *s, const uint8_t *packet, uint32_t x, uint32_t caplen,
     uint32_t size)
{
    uint64_t ofs = (uint64_t) s->ofs + x;

    return ofs + size <= caplen ? packet + ofs : NULL;
}

static uint32_t
shift(uint32_t a, uint32_t by, bool is_left)
{
    return by > 31 ? 0 : is_left ? a << by : a >> by;
}

/* The step after a jump.  A branch, not a conditional move: the processor may
 * then go on while it waits for the packet. */
static inline const struct step *
jump(const struct bpf_machine *m, const struct step *s, bool is_taken)
{
    if (__builtin_expect_with_probability(is_taken, 0, 0.99)) {
        return &m->steps[s->yes];
    }
    return &m->steps[s->no];
}

uint32_t
bpf_machine_run(const struct bpf_machine *m, const uint8_t *packet,
                uint32_t wirelen, uint32_t caplen)
{
    const struct step *s = m->steps;
    uint32_t memory[BPF_N_MEMORY];
    uint32_t a = 0, x = 0;
    const uint8_t *p;

    for (;;) {
        while (s->op == OP_LD_ABS_JEQ) { /* Most are. */
            if (s->end > caplen) {
                return 0;
            }
            a = bytes_be32(packet + s->end - 4) & s->mask;
            s = jump(m, s, a == s->k);
        }
        switch ((enum op) s->op) {
        case OP_LD_ABS_H_JSET:
            if (s->end > caplen) {
                return 0;
            }
            a = bytes_be16(packet + s->ofs);
            s = jump(m, s, a & s->k);
            continue;
        case OP_LD_IND_H_JEQ:
            p = at_x(s, packet, x, caplen, 2);
            if (!p) {
                return 0;
            }
            a = bytes_be16(p);
            s = jump(m, s, a == s->k);
            continue;
        case OP_LD_ABS_W:
            if (s->end > caplen) {
                return 0;
            }
            a = bytes_be32(packet + s->ofs);
            break;
        case OP_LD_ABS_H:
            if (s->end > caplen) {
                return 0;
            }
            a = bytes_be16(packet + s->ofs);
            break;
        case OP_LD_ABS_B:
            if (s->end > caplen) {
                return 0;
            }
            a = packet[s->ofs];
            break;
        case OP_LD_IND_W:
            p = at_x(s, packet, x, caplen, 4);
            if (!p) {
                return 0;
            }
            a = bytes_be32(p);
            break;
        case OP_LD_IND_H:
            p = at_x(s, packet, x, caplen, 2);
            if (!p) {
                return 0;
            }
            a = bytes_be16(p);
            break;
        case OP_LD_IND_B:
            p = at_x(s, packet, x, caplen, 1);
            if (!p) {
                return 0;
            }
            a = *p;
            break;
        case OP_LDX_MSH:
            if (s->end > caplen) {
                return 0;
            }
            x = (packet[s->ofs] & 0xfu) << 2;
            break;
        case OP_LD_IMM:
            a = s->k;
            break;
        case OP_LD_MEM:
            a = memory[s->k];
            break;
        case OP_LD_LEN:
            a = wirelen;
            break;
        case OP_LDX_IMM:
            x = s->k;
            break;
        case OP_LDX_MEM:
            x = memory[s->k];
            break;
        case OP_LDX_LEN:
            x = wirelen;
            break;
        case OP_ST:
            memory[s->k] = a;
            break;
        case OP_STX:
            memory[s->k] = x;
            break;
        case OP_ADD:
            a += s->k;
            break;
        case OP_ADD_X:
            a += x;
            break;
        case OP_SUB:
            a -= s->k;
            break;
        case OP_SUB_X:
            a -= x;
            break;
        case OP_MUL:
            a *= s->k;
            break;
        case OP_MUL_X:
            a *= x;
            break;
        case OP_DIV:
            a /= s->k;
            break;
        case OP_DIV_X:
            if (!x) {
                return 0;
            }
            a /= x;
            break;
        case OP_MOD:
            a %= s->k;
            break;
        case OP_MOD_X:
            if (!x) {
                return 0;
            }
            a %= x;
            break;
        case OP_OR:
            a |= s->k;
            break;
        case OP_OR_X:
            a |= x;
            break;
        case OP_AND:
            a &= s->k;
            break;
        case OP_AND_X:
            a &= x;
            break;
        case OP_XOR:
            a ^= s->k;
            break;
        case OP_XOR_X:
            a ^= x;
            break;
        case OP_LSH:
            a = shift(a, s->k, true);
            break;
        case OP_LSH_X:
            a = shift(a, x, true);
            break;
        case OP_RSH:
            a = shift(a, s->k, false);
            break;
        case OP_RSH_X:
            a = shift(a, x, false);
            break;
        case OP_NEG:
            a = 0 - a;
            break;
        case OP_JA:
            s = &m->steps[s->yes];
            continue;
        case OP_JEQ:
            s = jump(m, s, a == s->k);
            continue;
        case OP_JEQ_X:
            s = jump(m, s, a == x);
            continue;
        case OP_JGT:
            s = jump(m, s, a > s->k);
            continue;
        case OP_JGT_X:
            s = jump(m, s, a > x);
            continue;
        case OP_JGE:
            s = jump(m, s, a >= s->k);
            continue;
        case OP_JGE_X:
            s = jump(m, s, a >= x);
            continue;
        case OP_JSET:
            s = jump(m, s, a & s->k);
            continue;
        case OP_JSET_X:
            s = jump(m, s, a & x);
            continue;
        case OP_TAX:
            x = a;
            break;
        case OP_TXA:
            a = x;
            break;
        case OP_RET_A:
            return a;
        case OP_RET_K:
        case OP_NONE:
        case OP_NEG_X:
        case OP_JA_X:
        case OP_LD_ABS_JEQ:
            return s->k;
        }
        s++;
    }
}
