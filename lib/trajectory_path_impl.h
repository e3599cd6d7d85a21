/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_path_impl - what the files of trajectory_path share. */
#ifndef LIB_TRAJECTORY_PATH_IMPL_H
#define LIB_TRAJECTORY_PATH_IMPL_H 1

#include <string.h>

#include "lib/bytes.h"
#include "lib/inet_sum.h"
#include "lib/trajectory_path.h"

#define PATH_MACS_LEN  12
#define PATH_MAX_WORDS 32 /* Constant words of a fixed header. */
#define PATH_NO_LIMIT  UINT16_MAX

/* One 16-bit word of the fixed headers and which checksums cover it. */
struct path_word {
    uint8_t ofs; /* From the IP header on. */
    bool is_in_ip, is_in_l4;
    bool has_ttl;
};

/* word = ((word & keep) | value) - minus */
struct path_edit {
    struct path_word word;
    uint16_t keep, value, minus;
};

/* How one header, captured or computed, follows from the reference's. */
struct path_view {
    bool is_there;
    bool is_shown;  /* A header_out that the next hop's header is. */
    bool has_macs;  /* They are not the reference's. */
    bool is_plain;  /* All is the reference's, but for: */
    uint16_t minus; /* taken from the word with the TTL. */
    uint16_t l3_ofs;
    uint16_t l3_limit; /* Bytes from l3_ofs on at most. */
    uint8_t mac_keep[PATH_MACS_LEN], mac_value[PATH_MACS_LEN];
    const uint8_t *l2; /* In the model: tags and EtherTypes. */
    size_t n_edits;
    struct path_edit *edits; /* Owned. */
};

struct trajectory_path {
    unsigned int n_refs;
    struct trajectory_path_mark mark, filter_mark;
    const struct history *model;
    struct history *own; /* The model, if it is the path's.  Owned. */
    size_t reference;
    struct header_split split; /* Of the reference. */
    uint16_t l3_len;           /* Captured there, from l3_ofs on. */
    bool is_wide;              /* It holds for more flows than the model's. */
    bool is_clipped;           /* Which is less than the packet had. */
    uint8_t max_minus;         /* Taken from the TTL at most. */
    struct path_view views[];  /* Of each hop, then of each header_out. */
};

/* The words that stay constant within a flow, but for ICMP's type and code;
 * returns how many. */
size_t path_words(enum header_kind kind,
                  struct path_word words[PATH_MAX_WORDS]);
bool path_has_ports(enum header_kind kind);
/* What a TTL one lower takes from its word. */
uint16_t path_ttl_one(enum header_kind kind);

uint16_t path_edit_apply(const struct path_edit *, uint16_t word);
void path_view_add_edit(struct path_view *, const struct path_edit *);
void path_view_uninit(struct path_view *);

/* Notes which views are plain. */
void path_note_plain(struct trajectory_path *);

/* Corrects the checksum at 'sum' by 'diff' as RFC 1624 has it.  All ones, the
 * other form of zero, is left in doubt. */
static inline bool
path_correct_sum(uint8_t *sum, uint16_t diff)
{
    uint16_t before = bytes_be16(sum);

    bytes_put_be16(sum, (uint16_t) ~inet_sum_add((uint16_t) ~before, diff));
    return before != 0xffff;
}

/* Whether 'header' is the reference's, where nothing changes but that 'minus'
 * is taken from the word with the TTL; both have 'len' bytes. */
static inline bool
path_plain_predicts(enum header_kind kind, size_t l3_ofs, uint16_t minus,
                    const uint8_t *ref, const uint8_t *header, size_t len)
{
    bool is_ip4 = header_kind_is_ip4(kind);
    size_t ttl = l3_ofs + (is_ip4 ? 8 : 6), rest = l3_ofs + (is_ip4 ? 12 : 8);

    if (header == ref) {
        return true;
    }
    if (!bytes_equal(header, ref, ttl) ||
        !bytes_equal(header + rest, ref + rest, len - rest) ||
        bytes_be16(header + ttl) !=
            (uint16_t) (bytes_be16(ref + ttl) - minus)) {
        return false;
    }
    if (is_ip4) {
        uint8_t sum[2] = {ref[l3_ofs + 10], ref[l3_ofs + 11]};

        /* What the TTL's word was does not matter to the difference. */
        return (!minus || path_correct_sum(sum, (uint16_t) ~minus)) &&
               !memcmp(sum, header + l3_ofs + 10, sizeof sum);
    }
    return true;
}

/* True when the path tells its own model. */
bool path_is_right(const struct trajectory_path *);

#endif /* lib/trajectory_path_impl.h */
