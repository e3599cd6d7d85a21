/* SPDX-License-Identifier: Apache-2.0 */
/* card_edit - the header of a later hop, by how it differs. */
#include <config.h>

#include "lib/card_edit.h"

#include <string.h>

/* Changes 'len' bytes at 'to'. */
static bool
get_patches(struct bytes_reader *in, uint8_t *to, size_t len)
{
    uint64_t n = byte_buf_get_uvarint(in);
    size_t at = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint64_t skip = byte_buf_get_uvarint(in);
        uint64_t n_bytes = byte_buf_get_uvarint(in);
        const uint8_t *from;

        if (in->failed || skip > len - at || !n_bytes ||
            n_bytes > len - at - skip) {
            return false;
        }
        from = bytes_get(in, n_bytes);
        if (!from) {
            return false;
        }
        memcpy(to + at + skip, from, n_bytes);
        at += skip + n_bytes;
    }
    return true;
}

bool
card_edit_read(struct bytes_reader *in, const uint8_t *l2,
               struct card_packet *k, uint8_t *to, size_t room)
{
    unsigned int bits = bytes_get_u8(in);
    size_t l2_len = k->l3_ofs, was_len = (size_t) k->caplen - k->l3_ofs;
    uint64_t caplen = k->caplen;
    size_t len, common;

    if (bits & ~EDIT_BITS) {
        return false;
    }
    if (bits & EDIT_L2) {
        uint64_t n = byte_buf_get_uvarint(in);

        l2 = n && n <= UINT16_MAX ? bytes_get(in, n) : NULL;
        if (!l2 || !k->l3_ofs) {
            return false;
        }
        l2_len = n;
    }
    if (bits & EDIT_CAPLEN) {
        caplen = byte_buf_get_uvarint(in);
    }
    if (caplen > UINT16_MAX || caplen > room || l2_len > caplen) {
        return false;
    }
    len = caplen - l2_len;
    common = was_len < len ? was_len : len;
    if (l2_len) {
        memcpy(to, l2, l2_len);
    }
    if (common) {
        memcpy(to + l2_len, k->header + k->l3_ofs, common);
    }
    if (bits & EDIT_TTL) {
        if (common < 12) {
            return false;
        }
        card_ttl_step(to + l2_len, k->ip);
    }
    if (bits & EDIT_PATCH && !get_patches(in, to + l2_len, common)) {
        return false;
    }
    if (len > common) {
        const uint8_t *rest = bytes_get(in, len - common);

        if (!rest) {
            return false;
        }
        memcpy(to + l2_len + common, rest, len - common);
    }
    k->l3_ofs = (uint16_t) l2_len;
    k->caplen = (uint16_t) caplen;
    return true;
}
