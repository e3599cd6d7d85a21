/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_keys - values of which every packet that a BPF program accepts has one.
 *
 * `tcp port 80` accepts a packet only if one of two fields is 80, and, over
 * IPv6, one of two others: four keys.  Whoever has many expressions looks up
 * which keys a packet has and runs no program that has none of these.
 *
 * A program is a graph whose jumps go forward.  Going over it once forward
 * tells what A, X and memory hold at each instruction (a field of the packet,
 * masked, within bounds) and what is known of the packet's protocols; then
 * every branch that is taken only when a field has certain values is a key.
 * Going over it once backward finds a set of branches that every way to an
 * accepting end passes, cheap by bpf_key_cost().
 *
 * Threads: pure functions. */
#ifndef PHF_BPF_KEYS_H
#define PHF_BPF_KEYS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "phf/bpf_machine.h"

/* Keys of a program at most. */
#define BPF_KEYS_MAX 32

/* Which protocols a packet may have: a bit for each class. */
enum {
    BPF_ETHER_IP4 = 1,
    BPF_ETHER_IP6 = 2,
    BPF_ETHER_ARP = 4,
    BPF_ETHER_RARP = 8,
    BPF_ETHER_OTHER = 16,
    BPF_ETHER_ALL = 31,
    BPF_PROTO_ICMP = 1,
    BPF_PROTO_TCP = 2,
    BPF_PROTO_UDP = 4,
    BPF_PROTO_ICMP6 = 8,
    BPF_PROTO_SCTP = 16,
    BPF_PROTO_OTHER = 32,
    BPF_PROTO_ALL = 63
};

/* Where a program reads: 'size' bytes, most significant first, at 'ofs', or so
 * far behind the IPv4 header that begins at 'base'; in packets of these
 * protocols. */
struct bpf_field {
    uint32_t ofs;
    uint32_t base; /* UINT32_MAX: none. */
    uint8_t size;  /* 1, 2 or 4. */
    uint8_t ethers, protos;
};

/* The field is from 'low' to 'high'. */
struct bpf_key {
    struct bpf_field field;
    uint32_t low, high;
};

struct bpf_keys {
    size_t n; /* 0: the program accepts nothing. */
    struct bpf_key keys[BPF_KEYS_MAX];
};

/* Finds keys of a valid program; false when it has none, or too many. */
bool bpf_keys_find(const struct bpf_machine_code *, size_t n,
                   struct bpf_keys *);

bool bpf_field_equal(const struct bpf_field *, const struct bpf_field *);

/* The classes of a packet's protocols, to be compared with those of fields. */
struct bpf_class {
    uint8_t ether, proto;
};
struct bpf_class bpf_class_of(const uint8_t *packet, size_t caplen);

static inline bool
bpf_field_is_in(const struct bpf_field *field, struct bpf_class class)
{
    return field->ethers & class.ether &&
           (field->protos == BPF_PROTO_ALL || field->protos & class.proto);
}

/* Where the field begins; false when the packet was not captured so far. */
static inline bool
bpf_field_find(const struct bpf_field *f, const uint8_t *packet, size_t caplen,
               uint32_t *ofs)
{
    uint64_t at = f->ofs;

    if (f->base != UINT32_MAX) {
        if (f->base >= caplen) {
            return false;
        }
        at += (packet[f->base] & 0xfu) << 2;
    }
    *ofs = (uint32_t) at;
    return at + f->size <= caplen;
}

/* The field's value, which was found at 'ofs'. */
static inline uint32_t
bpf_field_load(const struct bpf_field *f, const uint8_t *packet, uint32_t ofs)
{
    return f->size == 4   ? bytes_be32(packet + ofs)
           : f->size == 2 ? bytes_be16(packet + ofs)
                          : packet[ofs];
}

/* How much of the traffic of a usual network has the key, in 1/65536: a guess,
 * by which one of several keys is chosen. */
uint32_t bpf_key_cost(const struct bpf_key *);

#endif /* phf/bpf_keys.h */
