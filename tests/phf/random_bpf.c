/* SPDX-License-Identifier: Apache-2.0 */
/* random_bpf - holds bpf_machine against libpcap's bpf_filter(). */
#include <config.h>
#include "tests/phf/random_bpf.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "phf/bpf_machine.h"

#define N_MEMORY   16
#define MAX_INSNS  64
#define MAX_PACKET 64

struct bytes {
    const uint8_t *data;
    size_t size, pos;
};

static uint8_t
next(struct bytes *b)
{
    return b->pos < b->size ? b->data[b->pos++] : 0;
}

/* An operand: small ones, those at word borders, any. */
static uint32_t
operand(struct bytes *b)
{
    uint8_t kind = next(b);

    switch (kind & 7) {
    case 0:
        return UINT32_MAX - (uint32_t) (kind >> 4);
    case 1:
        return (uint32_t) next(b) << 24 | next(b);
    case 2:
        return (uint32_t) next(b) << 8 | next(b);
    default:
        return kind >> 3;
    }
}

/* Instructions that programs have, and, rarely, any. */
static uint16_t
code(struct bytes *b, bool *is_known)
{
    static const uint8_t known[] = {
        0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80, 0x01, 0x61,
        0x81, 0xb1, 0x02, 0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34,
        0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x94,
        0x9c, 0xa4, 0xac, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45,
        0x4d, 0x15, 0x15, 0x28, 0x30, 0x48, 0x07, 0x87, 0x06, 0x16};
    uint8_t byte = next(b);

    if (byte == 255) {
        *is_known = false;
        return next(b);
    }
    return known[byte % sizeof known];
}

bool
random_bpf_has_key(const struct bpf_keys *keys, const uint8_t *packet,
                   size_t caplen)
{
    struct bpf_class class = bpf_class_of(packet, caplen);

    for (size_t i = 0; i < keys->n; i++) {
        const struct bpf_key *k = &keys->keys[i];
        uint32_t ofs, value;

        if (!bpf_field_is_in(&k->field, class) ||
            !bpf_field_find(&k->field, packet, caplen, &ofs)) {
            continue;
        }
        value = bpf_field_load(&k->field, packet, ofs);
        if (value >= k->low && value <= k->high) {
            return true;
        }
    }
    return false;
}

bool
random_bpf_check(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size, 0};
    size_t n_random = next(&b) % MAX_INSNS, n = N_MEMORY + n_random + 1;
    struct bpf_machine_code codes[N_MEMORY + MAX_INSNS + 1];
    struct bpf_insn insns[N_MEMORY + MAX_INSNS + 1];
    uint8_t packet[MAX_PACKET];
    uint32_t caplen = next(&b) % MAX_PACKET, wirelen = next(&b);
    struct bpf_machine *machine;
    struct bpf_keys keys;
    bool is_valid, is_known = true;

    for (size_t i = 0; i < n; i++) {
        /* Memory is written before it can be read, and the end is an end. */
        struct bpf_insn *insn = &insns[i];

        *insn = (struct bpf_insn){0x02, 0, 0, (uint32_t) i};
        if (i == n - 1) {
            *insn = (struct bpf_insn){0x16, 0, 0, 0};
        } else if (i >= N_MEMORY) {
            insn->code = code(&b, &is_known);
            insn->jt = next(&b) % 8;
            insn->jf = next(&b) % 8;
            insn->k = operand(&b);
            if (insn->code == 0x64 || insn->code == 0x74) {
                insn->k %= 32; /* libpcap leaves the rest to the processor. */
            }
            is_known =
                is_known && (insn->code != 0x05 || insn->k < UINT16_MAX);
        }
        codes[i] =
            (struct bpf_machine_code){insn->code, insn->jt, insn->jf, insn->k};
    }
    for (size_t i = 0; i < caplen; i++) {
        packet[i] = next(&b);
    }
    is_valid = bpf_validate(insns, (int) n);
    machine = bpf_machine_create(codes, n);
    /* libpcap validates what it then aborts at, instructions unknown to it,
     * and jumps that wrap around and so go back. */
    if (machine ? !is_valid : is_valid && is_known) {
        fprintf(stderr, "libpcap says %svalid\n", is_valid ? "" : "not ");
        abort();
    }
    if (machine) {
        uint32_t theirs = bpf_filter(insns, packet, wirelen, caplen);
        uint32_t ours = bpf_machine_run(machine, packet, wirelen, caplen);

        if (theirs != ours) {
            fprintf(stderr, "libpcap %u, bpf_machine %u\n", theirs, ours);
            abort();
        }
        if (ours && bpf_keys_find(codes, n, &keys) &&
            !random_bpf_has_key(&keys, packet, caplen)) {
            fprintf(stderr, "accepted without any of its keys\n");
            abort();
        }
    }
    is_valid = machine != NULL;
    bpf_machine_destroy(machine);
    return is_valid;
}
