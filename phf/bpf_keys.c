/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_keys - values of which every packet that a BPF program accepts has
 * one. */
#include <config.h>
#include "phf/bpf_keys.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "phf/bpf_code.h"

#define NO_BASE UINT32_MAX
/* Longer programs have no keys. */
#define MAX_CODES 4096

/* Where EtherType and protocol are in a packet without tags. */
#define ETHER_OFS  12
#define ETHER_RARP 0x8035
#define PROTO4_OFS 23
#define PROTO6_OFS 20

/* Of an instruction's code. */
enum { JUMP_ALWAYS, JUMP_EQ, JUMP_GT, JUMP_GE };
#define CODE_AND   0x54 /* A &= k */
#define CODE_RET_A 0x16
#define CODE_TAX   0x07

/* What is known of a register. */
enum known {
    ANYTHING,
    CONSTANT, /* It is 'low'. */
    FIELD,    /* It is a field & mask, from 'low' to 'high'. */
    HEADER    /* It is four times the lower half of the byte at 'low': the
               * length of the IPv4 header there. */
};

struct value {
    enum known known;
    uint32_t low, high, mask;
    uint32_t ofs, base;
    uint8_t size;
};

/* What is known before an instruction, on all ways there. */
struct state {
    bool is_reached;
    struct value a, x, memory[BPF_N_MEMORY];
    uint8_t ethers;           /* By the two bytes at ETHER_OFS. */
    uint8_t protos4, protos6; /* By the byte at PROTO4_OFS, PROTO6_OFS. */
};

/* A way out of a jump. */
struct branch {
    bool is_dead; /* Never taken. */
    bool has_key;
    struct bpf_key key;
};

/* A set of keys, one of which a packet that is accepted from here on has. */
struct cut {
    bool is_none; /* There is none. */
    uint64_t cost;
    struct bpf_keys keys;
};

struct finder {
    const struct bpf_machine_code *codes;
    size_t n;
    struct state *states;         /* Owned. */
    struct branch (*branches)[2]; /* Owned. */
    struct cut *cuts;             /* Owned. */
};

/* --- Protocols ---------------------------------------------------------- */

static uint8_t
ether_class(uint32_t type)
{
    return type == HDR_ETH_IP4   ? BPF_ETHER_IP4
           : type == HDR_ETH_IP6 ? BPF_ETHER_IP6
           : type == HDR_ETH_ARP ? BPF_ETHER_ARP
           : type == ETHER_RARP  ? BPF_ETHER_RARP
                                 : BPF_ETHER_OTHER;
}

static uint8_t
proto_class(uint32_t proto)
{
    switch (proto) {
    case HDR_IP_ICMP:
        return BPF_PROTO_ICMP;
    case HDR_IP_TCP:
        return BPF_PROTO_TCP;
    case HDR_IP_UDP:
        return BPF_PROTO_UDP;
    case HDR_IP_ICMP6:
        return BPF_PROTO_ICMP6;
    case HDR_IP_SCTP:
        return BPF_PROTO_SCTP;
    default:
        return BPF_PROTO_OTHER;
    }
}

struct bpf_class
bpf_class_of(const uint8_t *packet, size_t caplen)
{
    struct bpf_class class = {BPF_ETHER_OTHER, 0};
    size_t ofs;

    if (caplen >= ETHER_OFS + 2) {
        class.ether = ether_class(bytes_be16(packet + ETHER_OFS));
    }
    ofs = class.ether == BPF_ETHER_IP4 ? PROTO4_OFS : PROTO6_OFS;
    if (class.ether & (BPF_ETHER_IP4 | BPF_ETHER_IP6) && ofs < caplen) {
        class.proto = proto_class(packet[ofs]);
    }
    return class;
}

/* Takes from the classes in '*classes' what a value that is, or is not, of
 * 'class' excludes.  'other' is the class of many values. */
static void
narrow(uint8_t *classes, uint8_t class, uint8_t other, bool is_equal)
{
    if (is_equal) {
        *classes &= class;
    } else if (class != other) {
        *classes &= (uint8_t) ~class;
    }
}

/* A comparison told that 'v', the whole field, is 'k' or not. */
static void
learn_protocol(struct state *s, const struct value *v, uint32_t k,
               bool is_equal)
{
    if (v->known != FIELD || v->base != NO_BASE) {
        return;
    }
    if (v->ofs == ETHER_OFS && v->size == 2 && v->mask == 0xffff) {
        narrow(&s->ethers, ether_class(k), BPF_ETHER_OTHER, is_equal);
    }
    if (v->size == 1 && v->mask == 0xff) {
        uint8_t class = proto_class(k);

        if (v->ofs == PROTO4_OFS) {
            narrow(&s->protos4, class, BPF_PROTO_OTHER, is_equal);
        } else if (v->ofs == PROTO6_OFS) {
            narrow(&s->protos6, class, BPF_PROTO_OTHER, is_equal);
        }
    }
}

/* --- Values ------------------------------------------------------------- */

static const struct value anything = {.known = ANYTHING};

static struct value
constant(uint32_t k)
{
    return (struct value){.known = CONSTANT, .low = k};
}

static struct value
field(uint32_t base, uint32_t ofs, uint8_t size)
{
    uint32_t mask = size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;

    return (struct value){FIELD, 0, mask, mask, ofs, base, size};
}

static struct value
join(const struct value *a, const struct value *b)
{
    struct value both = *a;

    if (a->known != b->known || a->known == ANYTHING) {
        return anything;
    }
    if (a->known != FIELD) {
        return a->low == b->low ? both : anything;
    }
    if (a->mask != b->mask || a->ofs != b->ofs || a->base != b->base ||
        a->size != b->size) {
        return anything;
    }
    both.low = b->low < a->low ? b->low : a->low;
    both.high = b->high > a->high ? b->high : a->high;
    return both;
}

/* 's' comes to 'to', on one way more. */
static void
arrive(struct state *to, const struct state *s)
{
    if (!to->is_reached) {
        *to = *s;
        return;
    }
    to->a = join(&to->a, &s->a);
    to->x = join(&to->x, &s->x);
    for (size_t i = 0; i < BPF_N_MEMORY; i++) {
        to->memory[i] = join(&to->memory[i], &s->memory[i]);
    }
    to->ethers |= s->ethers;
    to->protos4 |= s->protos4;
    to->protos6 |= s->protos6;
}

static struct value
loaded(const struct state *s, const struct bpf_machine_code *c, bool is_x)
{
    static const uint8_t sizes[4] = {4, 2, 1, 0};
    uint8_t size = sizes[c->code >> 3 & 3];

    switch (c->code >> 5) {
    case BPF_MODE_IMM:
        return constant(c->k);
    case BPF_MODE_MEM:
        return c->k < BPF_N_MEMORY ? s->memory[c->k] : anything;
    case BPF_MODE_ABS:
        return size && !is_x ? field(NO_BASE, c->k, size) : anything;
    case BPF_MODE_IND:
        if (size && !is_x && s->x.known == HEADER) {
            return field(s->x.low, c->k, size);
        }
        return anything;
    case BPF_MODE_MSH:
        return (struct value){.known = HEADER, .low = c->k};
    default:
        return anything;
    }
}

/* 'v' & 'k'. */
static struct value
masked(struct value v, uint32_t k)
{
    uint32_t mask = v.mask & k, rest;

    if (v.known != FIELD) {
        return v.known == CONSTANT ? constant(v.low & k) : anything;
    }
    rest = mask ^ field(NO_BASE, 0, v.size).mask;
    if (!mask || rest & (rest + 1)) {
        return anything; /* More is cut out than the lowest bits. */
    }
    v.low &= mask;
    v.high &= mask;
    v.mask = mask;
    return v;
}

/* --- Forward ------------------------------------------------------------ */

/* Makes the key of a branch on which A is within bounds. */
static void
make_key(struct branch *branch, const struct state *s)
{
    const struct value *a = &s->a;
    uint32_t whole = field(NO_BASE, 0, a->size).mask;
    struct bpf_field *f = &branch->key.field;

    branch->is_dead = a->low > a->high;
    if (branch->is_dead || (a->low == 0 && a->high == a->mask)) {
        return;
    }
    branch->has_key = true;
    branch->key.low = a->low;
    branch->key.high = a->high | (whole & ~a->mask);
    *f =
        (struct bpf_field){a->ofs, a->base, a->size, s->ethers, BPF_PROTO_ALL};
    if (s->ethers == BPF_ETHER_IP4) {
        f->protos = s->protos4;
    } else if (s->ethers == BPF_ETHER_IP6) {
        f->protos = s->protos6;
    }
}

/* What is known on the branch on which comparing A with 'k' by 'op' said
 * 'answer'. */
static void
take(struct branch *branch, struct state *s, unsigned int op, uint32_t k,
     bool answer)
{
    struct value *a = &s->a;

    if (a->known != FIELD) {
        return;
    }
    if (op == JUMP_EQ) {
        learn_protocol(s, a, k, answer);
    }
    if (op == JUMP_EQ && answer) {
        if (k & ~a->mask || k < a->low || k > a->high) {
            branch->is_dead = true;
            return;
        }
        a->low = a->high = k;
    } else if (op == JUMP_GT || op == JUMP_GE) {
        uint64_t first = (uint64_t) k + (op == JUMP_GT); /* Of the "yes". */

        if (answer && first > a->low) {
            branch->is_dead = first > a->high;
            a->low = (uint32_t) first;
        } else if (!answer && first <= a->high) {
            branch->is_dead = first <= a->low;
            a->high = (uint32_t) first - 1;
        }
        if (branch->is_dead) {
            return;
        }
    }
    make_key(branch, s);
}

static void
jump(struct finder *f, size_t i)
{
    const struct bpf_machine_code *c = &f->codes[i];
    const struct state *s = &f->states[i];
    unsigned int op = c->code >> 4;
    const size_t to[2] = {i + 1 + c->jt, i + 1 + c->jf};
    bool by_x = c->code & 8, is_known = !by_x || s->x.known == CONSTANT;

    if (op == JUMP_ALWAYS) {
        arrive(&f->states[i + 1 + c->k], s);
        return;
    }
    for (int way = 0; way < 2; way++) {
        struct branch *branch = &f->branches[i][way];
        struct state after = *s;

        if (is_known) {
            take(branch, &after, op, by_x ? s->x.low : c->k, way == 0);
        }
        if (!branch->is_dead) {
            arrive(&f->states[to[way]], &after);
        }
    }
}

static void
step(struct finder *f, size_t i)
{
    const struct bpf_machine_code *c = &f->codes[i];
    struct state s = f->states[i];

    switch (c->code & 7) {
    case BPF_CLASS_LD:
        s.a = loaded(&s, c, false);
        break;
    case BPF_CLASS_LDX:
        s.x = loaded(&s, c, true);
        break;
    case BPF_CLASS_ST:
        s.memory[c->k % BPF_N_MEMORY] = s.a;
        break;
    case BPF_CLASS_STX:
        s.memory[c->k % BPF_N_MEMORY] = s.x;
        break;
    case BPF_CLASS_ALU:
        s.a = c->code == CODE_AND ? masked(s.a, c->k) : anything;
        break;
    case BPF_CLASS_JMP:
        jump(f, i);
        return;
    case BPF_CLASS_RET:
        return;
    default: /* BPF_CLASS_MISC */
        if (c->code == CODE_TAX) {
            s.x = s.a;
        } else {
            s.a = s.x;
        }
        break;
    }
    arrive(&f->states[i + 1], &s);
}

/* --- Backward ----------------------------------------------------------- */

bool
bpf_field_equal(const struct bpf_field *a, const struct bpf_field *b)
{
    return a->ofs == b->ofs && a->base == b->base && a->size == b->size &&
           a->ethers == b->ethers && a->protos == b->protos;
}

static bool
has_key(const struct bpf_keys *keys, const struct bpf_key *key)
{
    for (size_t i = 0; i < keys->n; i++) {
        const struct bpf_key *k = &keys->keys[i];

        if (bpf_field_equal(&k->field, &key->field) && k->low == key->low &&
            k->high == key->high) {
            return true;
        }
    }
    return false;
}

static void
add_key(struct cut *cut, const struct bpf_key *key)
{
    if (cut->is_none || has_key(&cut->keys, key)) {
        return;
    }
    if (cut->keys.n == BPF_KEYS_MAX) {
        cut->is_none = true;
        return;
    }
    cut->keys.keys[cut->keys.n++] = *key;
    cut->cost += bpf_key_cost(key);
}

/* Adds what a packet has that takes 'branch', which leads to 'cut'. */
static void
add_branch(struct cut *to, const struct branch *branch, const struct cut *cut)
{
    if (branch->is_dead) {
        return;
    }
    if (branch->has_key &&
        (cut->is_none || bpf_key_cost(&branch->key) < cut->cost)) {
        add_key(to, &branch->key);
        return;
    }
    to->is_none = to->is_none || cut->is_none;
    for (size_t i = 0; !to->is_none && i < cut->keys.n; i++) {
        add_key(to, &cut->keys.keys[i]);
    }
}

static void
make_cut(struct finder *f, size_t i)
{
    const struct bpf_machine_code *c = &f->codes[i];
    struct cut *cut = &f->cuts[i];

    if (!f->states[i].is_reached) {
        return;
    }
    if ((c->code & 7) == BPF_CLASS_RET) {
        cut->is_none = c->code == CODE_RET_A || c->k;
    } else if ((c->code & 7) != BPF_CLASS_JMP) {
        *cut = f->cuts[i + 1];
    } else if (c->code >> 4 == JUMP_ALWAYS) {
        *cut = f->cuts[i + 1 + c->k];
    } else {
        add_branch(cut, &f->branches[i][0], &f->cuts[i + 1 + c->jt]);
        add_branch(cut, &f->branches[i][1], &f->cuts[i + 1 + c->jf]);
    }
}

bool
bpf_keys_find(const struct bpf_machine_code *codes, size_t n,
              struct bpf_keys *keys)
{
    struct finder f = {.codes = codes, .n = n};
    bool has_keys;

    keys->n = 0;
    if (!n || n > MAX_CODES) {
        return false;
    }
    f.states = lh_alloc_zero(n * sizeof *f.states);
    f.branches = lh_alloc_zero(n * sizeof *f.branches);
    f.cuts = lh_alloc_zero(n * sizeof *f.cuts);
    f.states[0] = (struct state){.is_reached = true,
                                 .ethers = BPF_ETHER_ALL,
                                 .protos4 = BPF_PROTO_ALL,
                                 .protos6 = BPF_PROTO_ALL};
    for (size_t i = 0; i < n; i++) {
        if (f.states[i].is_reached) {
            step(&f, i);
        }
    }
    for (size_t i = n; i-- > 0;) {
        make_cut(&f, i);
    }
    has_keys = !f.cuts[0].is_none;
    if (has_keys) {
        *keys = f.cuts[0].keys;
    }
    free(f.states);
    free(f.branches);
    free(f.cuts);
    return has_keys;
}

/* --- Fields ------------------------------------------------------------- */

uint32_t
bpf_key_cost(const struct bpf_key *key)
{
    const struct bpf_field *f = &key->field;
    uint32_t span = key->high - key->low;
    uint32_t n_bits = span ? 32 - (uint32_t) __builtin_clz(span) : 0;
    uint32_t cube = n_bits * n_bits * n_bits;

    if (f->base == NO_BASE && f->ofs == ETHER_OFS && f->size == 2) {
        return ether_class(key->low) & (BPF_ETHER_IP4 | BPF_ETHER_IP6) || span
                   ? 40000
                   : 2000;
    }
    if (f->size == 4) {
        return 16 + 2 * cube;
    }
    if (f->size == 2) {
        return 256 + 16 * cube;
    }
    return f->base == NO_BASE && (f->ofs == PROTO4_OFS || f->ofs == PROTO6_OFS)
               ? (proto_class(key->low) & (BPF_PROTO_TCP | BPF_PROTO_UDP)
                      ? 30000
                      : 3000 + 64 * cube)
               : 8000 + 96 * cube;
}
