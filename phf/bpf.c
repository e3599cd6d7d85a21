/* SPDX-License-Identifier: Apache-2.0 */
/* bpf - one BPF expression, compiled for Ethernet: the door to libpcap. */
#include <config.h>
#include "phf/bpf.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "phf/bpf_machine.h"
#include "phf/bpf_words.h"

/* What the compiled program takes for the longest packet. */
#define SNAPLEN 65535

#define IP4_OFS 14
#define IP4_LEN 20

struct bpf_test {
    atomic_uint n_refs;
    struct bpf_program program;  /* Owned; bf_insns NULL before it is made. */
    struct bpf_machine *machine; /* The same to be run.  Owned. */
    bool has_length;             /* It loads the length of the packet. */
    struct bpf_machine_code *codes; /* The same.  Owned. */
    struct bpf_keys *keys;          /* Owned; NULL: none. */
    bool has_reads;                 /* These are all bytes that it reads. */
    uint64_t reads[2];
    char text[]; /* As given. */
};

static int
compile(const char *text, struct bpf_program *program, struct lh_error *error)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    int retval = 0;

    if (!pcap) {
        lh_error_set_at(error, 0, "BPF: libpcap has no memory");
        return EINVAL;
    }
    if (pcap_compile(pcap, program, text, 1, PCAP_NETMASK_UNKNOWN)) {
        lh_error_set_at(error, 0, "BPF: %s", pcap_geterr(pcap));
        retval = EINVAL;
    }
    pcap_close(pcap);
    return retval;
}

static bool
loads_length(const struct bpf_program *program)
{
    for (unsigned int i = 0; i < program->bf_len; i++) {
        unsigned int code = program->bf_insns[i].code;

        if (code == (BPF_LD | BPF_W | BPF_LEN) ||
            code == (BPF_LDX | BPF_W | BPF_LEN)) {
            return true;
        }
    }
    return false;
}

/* Notes the bytes from 'ofs' on; false when one is too far behind. */
static bool
note_bytes(struct bpf_test *test, uint64_t ofs, unsigned int n)
{
    for (; n && ofs < 128; ofs++, n--) {
        test->reads[ofs / 64] |= UINT64_C(1) << ofs % 64;
    }
    return n == 0;
}

/* Notes which bytes of an IPv4 packet without tags and options the
 * instruction reads; false when that depends on others. */
static bool
note_reads(struct bpf_test *test, const struct bpf_insn *insn)
{
    static const uint8_t sizes[4] = {4, 2, 1, 0};
    unsigned int size = sizes[BPF_SIZE(insn->code) >> 3];
    uint64_t k = insn->k;

    switch (BPF_CLASS(insn->code)) {
    case BPF_LD:
        if (BPF_MODE(insn->code) == BPF_ABS) {
            return note_bytes(test, k, size);
        }
        if (BPF_MODE(insn->code) == BPF_IND) { /* X: see below. */
            return note_bytes(test, k + IP4_LEN, size);
        }
        return BPF_MODE(insn->code) != BPF_LEN;
    case BPF_LDX:
        return BPF_MODE(insn->code) == BPF_MSH && k == IP4_OFS &&
               note_bytes(test, k, 1);
    case BPF_MISC:
        return BPF_MISCOP(insn->code) != BPF_TAX;
    default:
        return true;
    }
}

/* Fills in what is made of the program; false when it is no program. */
static bool
make_machine(struct bpf_test *test)
{
    const struct bpf_program *program = &test->program;
    struct bpf_machine_code *codes = lh_alloc(program->bf_len * sizeof *codes);
    struct bpf_keys keys;

    for (unsigned int i = 0; i < program->bf_len; i++) {
        const struct bpf_insn *insn = &program->bf_insns[i];

        codes[i] =
            (struct bpf_machine_code){insn->code, insn->jt, insn->jf, insn->k};
    }
    test->machine = bpf_machine_create(codes, program->bf_len);
    if (test->machine && bpf_keys_find(codes, program->bf_len, &keys)) {
        test->keys = lh_memdup(&keys, sizeof keys);
    }
    test->codes = codes;
    test->has_reads = true;
    for (unsigned int i = 0; i < program->bf_len && test->has_reads; i++) {
        test->has_reads = note_reads(test, &program->bf_insns[i]);
    }
    return test->machine != NULL;
}

int
bpf_test_create(const char *text, size_t len, bool is_negated,
                struct bpf_test **testp, struct lh_error *error)
{
    struct bpf_test *test;
    size_t ofs, word_len;
    int retval;

    *testp = NULL;
    if (bpf_words_has_name(text, len, &ofs, &word_len)) {
        lh_error_set_at(error, (int) ofs,
                        "BPF: \"%.*s\" is neither a word of BPF nor an "
                        "address (names of hosts are not looked up)",
                        (int) word_len, text + ofs);
        return EINVAL;
    }
    test = lh_alloc(sizeof *test + len + 1);
    atomic_init(&test->n_refs, 1);
    test->machine = NULL;
    test->codes = NULL;
    test->keys = NULL;
    test->reads[0] = test->reads[1] = 0;
    memset(&test->program, 0, sizeof test->program);
    memcpy(test->text, text, len);
    test->text[len] = '\0';
    retval = compile(test->text, &test->program, error);
    if (!retval && is_negated) {
        char *negated = lh_asprintf("not (%s)", test->text);

        pcap_freecode(&test->program);
        memset(&test->program, 0, sizeof test->program);
        retval = compile(negated, &test->program, error);
        free(negated);
    }
    if (!retval && !make_machine(test)) {
        lh_error_set_at(error, 0,
                        "BPF: libpcap compiled it to what is no program of "
                        "the BPF machine");
        retval = EINVAL;
    }
    if (retval) {
        bpf_test_unref(test);
        return retval;
    }
    test->has_length = loads_length(&test->program);
    *testp = test;
    return 0;
}

struct bpf_test *
bpf_test_ref(struct bpf_test *test)
{
    atomic_fetch_add_explicit(&test->n_refs, 1, memory_order_relaxed);
    return test;
}

void
bpf_test_unref(struct bpf_test *test)
{
    if (test && atomic_fetch_sub_explicit(&test->n_refs, 1,
                                          memory_order_acq_rel) == 1) {
        pcap_freecode(&test->program);
        bpf_machine_destroy(test->machine);
        free(test->codes);
        free(test->keys);
        free(test);
    }
}

static unsigned int
own_length(const uint8_t *header, size_t caplen)
{
    struct hdr h;
    size_t len = caplen;

    hdr_parse(header, caplen, &h);
    if (h.l3_ofs && h.own_len) {
        len = (size_t) h.l3_ofs + h.own_len;
    }
    return (unsigned int) (len > caplen ? len : caplen);
}

bool
bpf_test_run(const struct bpf_test *test, const uint8_t *header, size_t caplen)
{
    unsigned int wirelen = (unsigned int) caplen;

    if (!caplen) {
        return false;
    }
    if (test->has_length) {
        wirelen = own_length(header, caplen);
    }
    return bpf_machine_run(test->machine, header, wirelen,
                           (unsigned int) caplen) != 0;
}

/* --- Flows -------------------------------------------------------------- */

/* What a program works on; a load of what varies ends it. */
struct machine {
    const uint8_t *header;
    const uint64_t *constant; /* Bytes, bit by bit. */
    uint32_t a, x, memory[BPF_MEMWORDS];
};

/* The 'n' bytes at 'ofs'; false when one of them varies. */
static bool
load(const struct machine *m, uint32_t ofs, uint32_t n, uint32_t *value)
{
    *value = 0;
    if (!header_split_has_bytes(m->constant, ofs, n)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        *value = *value << 8 | m->header[ofs + i];
    }
    return true;
}

static uint32_t
compute(unsigned int op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b ? a / b : 0;
    case BPF_MOD:
        return b ? a % b : 0;
    case BPF_AND:
        return a & b;
    case BPF_OR:
        return a | b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return b < 32 ? a << b : 0;
    case BPF_RSH:
        return b < 32 ? a >> b : 0;
    default: /* BPF_NEG */
        return 0 - a;
    }
}

static bool
jumps(unsigned int op, uint32_t a, uint32_t b)
{
    switch (op) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default: /* BPF_JSET */
        return (a & b) != 0;
    }
}

/* A load into A or X; false when it varies, or is none we know. */
static bool
run_load(struct machine *m, const struct bpf_insn *insn)
{
    static const uint8_t sizes[4] = {4, 2, 1, 0};
    uint32_t size = sizes[BPF_SIZE(insn->code) >> 3];
    bool is_x = BPF_CLASS(insn->code) == BPF_LDX;
    uint32_t *to = is_x ? &m->x : &m->a;

    switch (BPF_MODE(insn->code)) {
    case BPF_IMM:
        *to = insn->k;
        return true;
    case BPF_MEM:
        *to = m->memory[insn->k % BPF_MEMWORDS];
        return true;
    case BPF_ABS:
        return size && load(m, insn->k, size, to);
    case BPF_IND:
        return size && insn->k <= UINT32_MAX - m->x &&
               load(m, m->x + insn->k, size, to);
    case BPF_MSH:
        if (!load(m, insn->k, 1, to)) {
            return false;
        }
        *to = (*to & 0xf) << 2;
        return true;
    default: /* BPF_LEN */
        return false;
    }
}

/* Whether the program accepts; '*varies' when that is not sure. */
static bool
run(struct machine *m, const struct bpf_program *program, bool *varies)
{
    for (uint32_t pc = 0; pc < program->bf_len; pc++) {
        const struct bpf_insn *insn = &program->bf_insns[pc];
        uint32_t operand = BPF_SRC(insn->code) == BPF_X ? m->x : insn->k;
        bool is_known = true;

        switch (BPF_CLASS(insn->code)) {
        case BPF_LD:
        case BPF_LDX:
            is_known = run_load(m, insn);
            break;
        case BPF_ST:
            m->memory[insn->k % BPF_MEMWORDS] = m->a;
            break;
        case BPF_STX:
            m->memory[insn->k % BPF_MEMWORDS] = m->x;
            break;
        case BPF_ALU:
            is_known = operand || (BPF_OP(insn->code) != BPF_DIV &&
                                   BPF_OP(insn->code) != BPF_MOD);
            m->a = compute(BPF_OP(insn->code), m->a, operand);
            break;
        case BPF_JMP:
            if (BPF_OP(insn->code) == BPF_JA) {
                pc += insn->k;
            } else {
                pc += jumps(BPF_OP(insn->code), m->a, operand) ? insn->jt
                                                               : insn->jf;
            }
            break;
        case BPF_RET:
            return (BPF_RVAL(insn->code) == BPF_A ? m->a : insn->k) != 0;
        default: /* BPF_MISC */
            if (BPF_MISCOP(insn->code) == BPF_TAX) {
                m->x = m->a;
            } else {
                m->a = m->x;
            }
            break;
        }
        if (!is_known) {
            break;
        }
    }
    *varies = true;
    return false;
}

bool
bpf_test_run_model(const struct bpf_test *test, const uint8_t *header,
                   size_t caplen, bool *varies)
{
    struct header_split split;
    uint64_t constant[2];

    if (!header_split(header, caplen, &split)) {
        *varies = true;
        return false;
    }
    header_split_constant_bytes(&split, constant);
    return bpf_test_run_constant(test, header, constant, varies);
}

bool
bpf_test_run_constant(const struct bpf_test *test, const uint8_t *header,
                      const uint64_t constant[2], bool *varies)
{
    struct machine m = {.header = header, .constant = constant};

    return run(&m, &test->program, varies);
}

bool
bpf_test_reads(const struct bpf_test *test, uint64_t bytes[2])
{
    memcpy(bytes, test->reads, sizeof test->reads);
    return test->has_reads;
}

const struct bpf_keys *
bpf_test_keys(const struct bpf_test *test)
{
    return test->keys;
}

void
bpf_test_demands(const struct bpf_test *test, enum header_kind kind,
                 uint16_t l3_ofs, struct bpf_demands *demands)
{
    bpf_demands_find(test->codes, test->program.bf_len, kind, l3_ofs, demands);
}

const char *
bpf_test_text(const struct bpf_test *test)
{
    return test->text;
}

size_t
bpf_test_length(const struct bpf_test *test)
{
    return test->program.bf_len;
}
