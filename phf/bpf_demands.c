/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_demands - what addresses and ports a packet must have for a program of
 * the BPF machine to accept it. */
#include <config.h>
#include "phf/bpf_demands.h"

#include <string.h>

#include "lib/hdr.h"

/* Instructions walked over at most, on all ways together. */
#define MAX_STEPS    4096
#define MIN_ETH_TYPE 0x600 /* Below it is a length (IEEE 802.3). */
/* Addresses of ARP over Ethernet. */
#define ARP_SENDER 28
#define ARP_TARGET 38
/* Ways begun and not walked yet. */
#define MAX_WAYS 64

/* The fields of an instruction's code. */
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
enum { IMM, ABS, IND, MEM, LEN, MSH };
enum { OP_AND = 0x50 };
enum { JUMP_ALWAYS = 0x00, JUMP_EQ = 0x10, JUMP_GT = 0x20, JUMP_GE = 0x30 };
#define SOURCE_X 0x08
#define RETURN_A 0x10
#define MISC_TXA 0x80

/* What is known of a register. */
struct value {
    enum { UNKNOWN, CONSTANT, KEY, BELOW, TAG } what;
    uint32_t number; /* CONSTANT; KEY: what it was ANDed with; BELOW: is
                      * less; TAG: the type of a tag or label. */
    uint8_t at, len; /* KEY: bytes of the key. */
};

struct way {
    size_t pc;
    bool is_vlan; /* The first type is that of a VLAN tag. */
    struct value a, x;
    struct bpf_demand key;
};

struct walk {
    const struct bpf_machine_code *codes;
    size_t n;
    enum header_kind kind;
    uint16_t l3_ofs;
    uint32_t n_addr; /* Bytes of an address. */
    uint32_t n_ports;
    struct bpf_demands *keys;
    size_t n_ways;
    struct way ways[MAX_WAYS];
};

static const struct value unknown = {.what = UNKNOWN};

static struct value
constant(uint32_t number)
{
    return (struct value){.what = CONSTANT, .number = number};
}

/* --- Bytes --------------------------------------------------------------- */

/* Where in the key the byte at 'ofs' of the packet is, or -1. */
static int
key_at(const struct walk *w, uint32_t ofs)
{
    bool is_ip4 = header_kind_is_ip4(w->kind) || w->kind == HEADER_IP4_OPTIONS;
    uint32_t addrs = w->l3_ofs + (is_ip4 ? 12u : 8u);
    uint32_t l4 = w->l3_ofs + (is_ip4 ? 20u : 40u);

    if (w->kind == HEADER_TYPE) {
        return -1;
    }
    if (w->kind == HEADER_ARP) {
        return ofs >= ARP_SENDER && ofs < ARP_SENDER + 4
                   ? (int) ofs - ARP_SENDER
               : ofs >= ARP_TARGET && ofs < ARP_TARGET + 4
                   ? (int) ofs - ARP_TARGET + 4
                   : -1;
    }
    if (ofs >= addrs && ofs < addrs + 2 * w->n_addr) {
        return (int) (ofs - addrs);
    }
    if (ofs >= l4 && ofs < l4 + w->n_ports) {
        return (int) (ofs - l4 + 2 * w->n_addr);
    }
    return -1;
}

/* The byte at 'ofs' if it is the same in all headers of the kind that go the
 * way, or -1. */
static int
fixed_byte(const struct walk *w, bool is_vlan, uint32_t ofs)
{
    static const uint8_t protos[N_HEADER_KINDS] = {
        [HEADER_IP4_TCP] = HDR_IP_TCP,   [HEADER_IP4_UDP] = HDR_IP_UDP,
        [HEADER_IP4_ICMP] = HDR_IP_ICMP, [HEADER_IP6_TCP] = HDR_IP_TCP,
        [HEADER_IP6_UDP] = HDR_IP_UDP,   [HEADER_IP6_ICMP] = HDR_IP_ICMP6,
    };
    bool is_ip4 = header_kind_is_ip4(w->kind);

    if (w->kind >= N_HEADER_KINDS) {
        uint16_t type = w->kind == HEADER_TYPE  ? w->l3_ofs
                        : w->kind == HEADER_ARP ? HDR_ETH_ARP
                        : w->l3_ofs == 14       ? HDR_ETH_IP4
                                                : 0;

        return !type || ofs - 12 > 1 ? -1
               : ofs == 12           ? type >> 8
                                     : type & 0xff;
    }
    /* Before IP stands its type, if not behind labels. */
    if (w->l3_ofs == (is_vlan ? 18 : 14) && ofs == w->l3_ofs - 2u) {
        return is_ip4 ? 0x08 : 0x86;
    }
    if (w->l3_ofs == (is_vlan ? 18 : 14) && ofs == w->l3_ofs - 1u) {
        return is_ip4 ? 0x00 : 0xdd;
    }
    if (is_ip4 && ofs == w->l3_ofs) {
        return 0x45;
    }
    if (ofs == w->l3_ofs + (is_ip4 ? 9u : 6u) && protos[w->kind]) {
        return protos[w->kind];
    }
    return -1;
}

/* Whether the first type is that of a tag or label. */
static bool
is_tagged(const struct walk *w)
{
    return w->l3_ofs > 14 &&
           (w->kind < N_HEADER_KINDS || w->kind == HEADER_IP4_OPTIONS);
}

static struct value
load(const struct walk *w, bool is_vlan, uint32_t ofs, uint32_t len)
{
    uint32_t number = 0;
    int at = key_at(w, ofs);

    if (len > UINT32_MAX - ofs) {
        return unknown;
    }
    if (w->kind == HEADER_TYPE && !w->l3_ofs && ofs == 12 && len == 2) {
        return (struct value){.what = BELOW, .number = MIN_ETH_TYPE};
    }
    if (is_tagged(w) && ofs == 12 && len == 2) {
        return (struct value){.what = TAG};
    }
    if (at >= 0 && key_at(w, ofs + len - 1) == at + (int) len - 1) {
        return (struct value){KEY, UINT32_MAX >> (32 - 8 * len), (uint8_t) at,
                              (uint8_t) len};
    }
    for (uint32_t i = 0; i < len; i++) {
        int byte = fixed_byte(w, is_vlan, ofs + i);

        if (byte < 0) {
            return unknown;
        }
        number = number << 8 | (uint32_t) byte;
    }
    return constant(number);
}

static struct value
run_load(const struct walk *w, const struct way *way,
         const struct bpf_machine_code *code)
{
    static const uint8_t sizes[4] = {4, 2, 1, 0};
    uint32_t size = sizes[code->code >> 3 & 3];
    struct value value;

    switch (code->code >> 5) {
    case IMM:
        return constant(code->k);
    case ABS:
        return size ? load(w, way->is_vlan, code->k, size) : unknown;
    case IND:
        return size && way->x.what == CONSTANT &&
                       code->k <= UINT32_MAX - way->x.number
                   ? load(w, way->is_vlan, way->x.number + code->k, size)
                   : unknown;
    case MSH:
        value = load(w, way->is_vlan, code->k, 1);
        return value.what == CONSTANT ? constant((value.number & 0xf) << 2)
                                      : unknown;
    default: /* Memory, the length. */
        return unknown;
    }
}

/* --- Ways ---------------------------------------------------------------- */

/* Demands that the key's bytes 'a' are 'number'.  False when that cannot
 * be. */
static bool
demand(struct bpf_demand *key, const struct value *a, uint32_t number)
{
    if (number & ~a->number) {
        return false;
    }
    for (unsigned int i = 0; i < a->len; i++) {
        unsigned int shift = 8 * (a->len - 1u - i);
        uint8_t mask = (uint8_t) (a->number >> shift);
        uint8_t byte = (uint8_t) (number >> shift);
        uint8_t *old_mask = &key->mask.bytes[a->at + i];
        uint8_t *old = &key->value.bytes[a->at + i];

        if ((*old ^ byte) & *old_mask & mask) {
            return false;
        }
        *old_mask |= mask;
        *old |= byte;
    }
    return true;
}

static void
begin_way(struct walk *w, const struct way *way, size_t pc)
{
    if (w->n_ways == MAX_WAYS) {
        w->keys->is_any = true;
        return;
    }
    w->ways[w->n_ways] = *way;
    w->ways[w->n_ways++].pc = pc;
}

static bool
is_vlan_type(uint32_t type)
{
    return type == HDR_ETH_VLAN || type == HDR_ETH_QINQ ||
           type == HDR_ETH_QINQ_9;
}

static void
run_jump(struct walk *w, const struct way *way,
         const struct bpf_machine_code *code)
{
    unsigned int op = code->code & 0xf0;
    size_t yes = way->pc + 1 + code->jt, no = way->pc + 1 + code->jf;
    struct value b = code->code & SOURCE_X ? way->x : constant(code->k);
    uint32_t a = way->a.number;
    struct way next = *way;

    if (op == JUMP_ALWAYS) {
        begin_way(w, way, way->pc + 1 + code->k);
    } else if (way->a.what == CONSTANT && b.what == CONSTANT) {
        bool jumps = op == JUMP_EQ   ? a == b.number
                     : op == JUMP_GT ? a > b.number
                     : op == JUMP_GE ? a >= b.number
                                     : (a & b.number) != 0;

        begin_way(w, way, jumps ? yes : no);
    } else if (way->a.what == BELOW && b.what == CONSTANT && b.number >= a &&
               op >= JUMP_EQ && op <= JUMP_GE) {
        begin_way(w, way, no);
    } else if (way->a.what == TAG && b.what == CONSTANT && op == JUMP_EQ) {
        next.is_vlan = is_vlan_type(b.number);
        if (next.is_vlan || b.number == HDR_ETH_MPLS ||
            b.number == HDR_ETH_MPLS_M) {
            begin_way(w, &next, yes);
        }
        begin_way(w, way, no);
    } else {
        if (op != JUMP_EQ || way->a.what != KEY || b.what != CONSTANT ||
            demand(&next.key, &way->a, b.number)) {
            begin_way(w, &next, yes);
        }
        begin_way(w, way, no);
    }
}

/* Runs the instruction at way->pc, which is not a jump or an end. */
static void
run_simple(const struct walk *w, struct way *way,
           const struct bpf_machine_code *code)
{
    switch (code->code & 7) {
    case LD:
        way->a = run_load(w, way, code);
        break;
    case LDX:
        way->x = run_load(w, way, code);
        break;
    case ALU:
        if ((code->code & 0xf0) == OP_AND && !(code->code & SOURCE_X) &&
            (way->a.what == CONSTANT || way->a.what == KEY)) {
            way->a.number &= code->k;
        } else {
            way->a = unknown;
        }
        break;
    case MISC:
        if (code->code & MISC_TXA) {
            way->a = way->x;
        } else {
            way->x = way->a;
        }
        break;
    default: /* ST, STX: loads of memory are unknown. */
        break;
    }
}

/* Walks a way until it ends or divides. */
static void
walk_way(struct walk *w, struct way way, size_t *n_steps)
{
    for (; way.pc < w->n && !w->keys->is_any; way.pc++) {
        const struct bpf_machine_code *code = &w->codes[way.pc];

        if (++*n_steps > MAX_STEPS) {
            w->keys->is_any = true;
        } else if ((code->code & 7) == JMP) {
            run_jump(w, &way, code);
            return;
        } else if ((code->code & 7) == RET) {
            if (code->code & RETURN_A || code->k) {
                bpf_demands_add(w->keys, &way.key);
            }
            return;
        } else {
            run_simple(w, &way, code);
        }
    }
}

void
bpf_demands_add(struct bpf_demands *keys, const struct bpf_demand *key)
{
    bool is_any = true;

    for (int i = 0; i < FLOW_KEY_WORDS; i++) {
        is_any = is_any && !key->mask.words[i];
    }
    if (is_any || keys->is_any) {
        keys->is_any = true;
        return;
    }
    for (size_t i = 0; i < keys->n; i++) {
        if (!memcmp(&keys->all[i], key, sizeof *key)) {
            return;
        }
    }
    if (keys->n == BPF_DEMANDS_MAX) {
        keys->is_any = true;
    } else {
        keys->all[keys->n++] = *key;
    }
}

void
bpf_demands_find(const struct bpf_machine_code *codes, size_t n,
                 enum header_kind kind, uint16_t l3_ofs,
                 struct bpf_demands *keys)
{
    bool is_ip4 = header_kind_is_ip4(kind);
    bool is_icmp = kind == HEADER_IP4_ICMP || kind == HEADER_IP6_ICMP;
    bool has_none = kind == HEADER_IP4_OTHER || kind == HEADER_IP6_OTHER ||
                    kind >= N_HEADER_KINDS;
    struct walk w = {.codes = codes,
                     .n = n,
                     .kind = kind,
                     .l3_ofs = l3_ofs,
                     .n_addr = is_ip4 || kind >= N_HEADER_KINDS ? 4 : 16,
                     .n_ports = has_none  ? 0
                                : is_icmp ? 2
                                          : 4,
                     .keys = keys};
    size_t n_steps = 0;
    struct way start;

    memset(keys, 0, sizeof *keys);
    memset(&start, 0, sizeof start);
    begin_way(&w, &start, 0);
    while (w.n_ways && !keys->is_any) {
        walk_way(&w, w.ways[--w.n_ways], &n_steps);
    }
}
