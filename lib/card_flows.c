/* SPDX-License-Identifier: Apache-2.0 */
/* card_flows - the flows of the packets in a batch: writing. */
#include <config.h>

#include "lib/card_flows.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/card_batch_impl.h"
#include "lib/flow_words.h"
#include "lib/lh_alloc.h"
#include "lib/random64.h"
#include "lib/trajectory_shape.h"

_Static_assert((CARD_FLOWS_BUCKETS & (CARD_FLOWS_BUCKETS - 1)) == 0,
               "a power of two");
_Static_assert(CARD_FLOW_WORDS * 8 >= (CARD_MAX_L3 + 7) / 8 * 8 + 44,
               "each header has room");
/* The highest bits of a product, which depend on all of a key. */
#define NUMBERS_SHIFT 54
_Static_assert(UINT64_C(1) << (64 - NUMBERS_SHIFT) == 2 * CARD_NUMBERS,
               "as many as there are buckets");

void
card_flows_init(struct card_flows *cf)
{
    memset(cf, 0, sizeof *cf);
    cf->secret = random64_draw();
    cf->flows = lh_alloc_array(NULL, CARD_FLOWS_MAX, sizeof *cf->flows);
}

/* Calls 'f' with each of the sections. */
static void
each(struct card_flows *cf, void (*f)(struct byte_buf *))
{
    f(&cf->kinds);
    f(&cf->cold);
    f(&cf->sources);
    f(&cf->destinations);
    f(&cf->ports);
    f(&cf->form_rows);
    f(&cf->form);
    f(&cf->l2_rows);
    f(&cf->l2_of);
    f(&cf->first_rows);
    f(&cf->first);
    f(&cf->whose);
}

static void
numbers_clear(struct card_numbers *numbers)
{
    if (numbers->n) {
        numbers->n = 0;
        memset(numbers->buckets, 0, sizeof numbers->buckets);
    }
}

void
card_flows_clear(struct card_flows *cf, unsigned int version)
{
    if (cf->n) {
        memset(cf->buckets, 0, sizeof cf->buckets);
    }
    cf->n = 0;
    cf->version = version;
    numbers_clear(&cf->forms);
    numbers_clear(&cf->l2s);
    numbers_clear(&cf->firsts);
    each(cf, byte_buf_clear);
}

void
card_flows_uninit(struct card_flows *cf)
{
    each(cf, byte_buf_uninit);
    free(cf->flows);
}

void
card_flows_get(const struct card_flows *cf,
               const struct byte_buf *sections[CARD_SECTIONS_MAX])
{
    sections[CARD_FLOW] = &cf->kinds;
    sections[CARD_FLOW_COLD] = &cf->cold;
    sections[CARD_FLOW_SRC] = &cf->sources;
    sections[CARD_FLOW_DST] = &cf->destinations;
    sections[CARD_FLOW_PORTS] = &cf->ports;
    sections[CARD_FORMS] = &cf->form_rows;
    sections[CARD_FORM] = &cf->form;
    sections[CARD_L2S] = &cf->l2_rows;
    sections[CARD_L2] = &cf->l2_of;
    sections[CARD_FIRSTS] = &cf->first_rows;
    sections[CARD_FIRST] = &cf->first;
    sections[CARD_WHOSE] = &cf->whose;
}

/* --- What many flows have -------------------------------------------------
 */

/* Puts the number of 'key' into 'out', 0 if it is new; returns it. */
static inline uint32_t
tell_number(struct card_numbers *numbers, uint64_t key, uint64_t secret,
            struct byte_buf *out)
{
    uint64_t hash = (key ^ secret) * UINT64_C(0x9e3779b97f4a7c15);
    uint16_t *bucket;

    for (uint32_t i = (uint32_t) (hash >> NUMBERS_SHIFT);; i++) {
        bucket = &numbers->buckets[i & (2 * CARD_NUMBERS - 1)];
        if (!*bucket) {
            break;
        }
        if (numbers->keys[*bucket - 1] == key) {
            byte_buf_put_uvarint(out, *bucket);
            return *bucket;
        }
    }
    byte_buf_put_u8(out, 0);
    if (numbers->n < CARD_NUMBERS) {
        numbers->keys[numbers->n] = key;
        *bucket = (uint16_t) (numbers->n + 1);
    }
    numbers->n++;
    return 0;
}

static void
tell_form(struct card_flows *cf, const uint8_t *ip,
          const struct header_split *split)
{
    uint8_t row[CARD_FORM_LEN] = {(uint8_t) split->kind,
                                  (uint8_t) split->l3_ofs};
    uint64_t key;

    if (header_kind_is_ip4(split->kind)) {
        memcpy(row + 2, ip, 2);
        memcpy(row + 4, ip + 6, 4);
    } else {
        memcpy(row + 2, ip, 4);
        memcpy(row + 6, ip + 6, 2);
    }
    memcpy(&key, row, sizeof key);
    if (!tell_number(&cf->forms, key, cf->secret, &cf->form)) {
        memcpy(byte_buf_extend(&cf->form_rows, sizeof key), &key, sizeof key);
    }
}

/* Tells what is before the IP header, whose hash is 'hash'. */
static void
tell_l2(struct card_flows *cf, const uint8_t *header, uint16_t len,
        uint64_t hash, struct card_place *place)
{
    struct card_known_l2 *l2;
    uint32_t number;
    size_t before = cf->l2_of.len;

    /* Other bytes may have that hash: then they have no number. */
    number = tell_number(&cf->l2s, hash, cf->secret, &cf->l2_of);
    if (number) {
        l2 = &cf->l2[number - 1];
        if (l2->len == len && bytes_equal(l2->bytes, header, len)) {
            place->next = l2->next;
            return;
        }
        cf->l2_of.len = before;
        byte_buf_put_u8(&cf->l2_of, 0);
        cf->l2s.n++;
        if (cf->l2s.n <= CARD_NUMBERS) {
            cf->l2s.keys[cf->l2s.n - 1] = 0;
        }
    }
    if (cf->l2s.n <= CARD_NUMBERS) {
        l2 = &cf->l2[cf->l2s.n - 1];
        *l2 = (struct card_known_l2){.bytes = header, .len = len};
        place->fresh[1] = l2->next;
    }
    if (len == 14) {
        memcpy(byte_buf_extend(&cf->l2_rows, 12), header, 12);
    } else {
        byte_buf_put(&cf->l2_rows, header, card_l2_len(len));
    }
}

void
card_flows_tell_first(struct card_flows *cf, struct column_writer *columns)
{
    uint8_t **control = &columns->at[COLUMN_CONTROL];
    uint8_t **flags = &columns->at[COLUMN_FIELD_FIRST + ROW_FLAGS];
    uint8_t row[CARD_FIRST_LEN] = {0};

    *control -= 2;
    memcpy(row, *control, 2);
    if (bytes_be16(row) & ROW_BIT_FLAGS) {
        *flags -= 2;
        memcpy(row + 2, *flags, 2);
    }
    if (!tell_number(&cf->firsts, bytes_be32(row), cf->secret, &cf->first)) {
        memcpy(byte_buf_extend(&cf->first_rows, sizeof row), row, sizeof row);
    }
}

/* --- Flows ----------------------------------------------------------------
 */

/* Each word is multiplied by itself, so that none waits for another. */
static inline __attribute__((always_inline)) uint64_t
hash_n(const uint64_t *words, unsigned int n, uint64_t hash, uint64_t secret)
{
    static const uint64_t factors[] = {
        UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xbf58476d1ce4e5b9),
        UINT64_C(0x94d049bb133111eb), UINT64_C(0xd6e8feb86659fd93),
        UINT64_C(0xc2b2ae3d27d4eb4f), UINT64_C(0x165667b19e3779f9),
        UINT64_C(0xff51afd7ed558ccd)};

    for (unsigned int i = 0; i < n; i++) {
        uint64_t x = (words[i] ^ secret) * factors[i % 7];

        hash += x ^ x >> 32;
    }
    hash *= factors[0];
    return hash ^ hash >> 32;
}

/* Inlined for IPv4 behind Ethernet, with a tag or none, and what is before
 * it. */
static inline uint64_t
hash_words(const uint64_t *words, unsigned int n, uint64_t hash,
           uint64_t secret)
{
    switch (n) {
    case 2:
        return hash_n(words, 2, hash, secret);
    case 3:
        return hash_n(words, 3, hash, secret);
    case 5:
        return hash_n(words, 5, hash, secret);
    case 6:
        return hash_n(words, 6, hash, secret);
    default:
        return hash_n(words, n, hash, secret);
    }
}

static inline bool
is_flow(const struct card_known_flow *f, const struct header_split *split,
        const uint64_t *words, uint64_t hash)
{
    if (f->hash != hash || f->kind != split->kind ||
        f->l3_ofs != split->l3_ofs) {
        return false;
    }
    for (unsigned int i = 0; i < f->n_words; i++) {
        if (f->words[i] != words[i]) {
            return false;
        }
    }
    return true;
}

/* What version 1 tells of the constant bytes beside addresses. */
static void
put_cold(struct card_flows *cf, const uint8_t *header,
         const struct header_split *split)
{
    struct flow_bytes bytes;

    flow_bytes_take(&bytes, split->kind, split->l3_ofs, header);
    byte_buf_put_u8(&cf->kinds, (uint8_t) split->kind);
    byte_buf_put_u8(&cf->kinds, (uint8_t) split->l3_ofs);
    byte_buf_put(&cf->cold, bytes.cold, bytes.n_cold);
}

static void
put_flow(struct card_flows *cf, const struct card_known_flow *f,
         const uint8_t *header, const struct header_split *split,
         struct card_place *place)
{
    const uint8_t *ip = header + split->l3_ofs;
    const uint8_t *l4 = header + split->l4_ofs;
    uint16_t n_ports = header_kind_n_constant(split->kind);

    if (cf->version == 1) {
        put_cold(cf, header, split);
    } else {
        unsigned int n_l2 = (split->l3_ofs + 7u) / 8;

        tell_form(cf, ip, split);
        tell_l2(cf, header, split->l3_ofs,
                hash_words(f->words, n_l2, split->l3_ofs, cf->secret), place);
    }
    if (header_kind_is_ip4(split->kind)) {
        memcpy(byte_buf_extend(&cf->sources, 4), ip + 12, 4);
        memcpy(byte_buf_extend(&cf->destinations, 4), ip + 16, 4);
    } else {
        memcpy(byte_buf_extend(&cf->sources, 16), ip + 8, 16);
        memcpy(byte_buf_extend(&cf->destinations, 16), ip + 24, 16);
    }
    if (n_ports == 4) {
        memcpy(byte_buf_extend(&cf->ports, 4), l4, 4);
    } else {
        byte_buf_put(&cf->ports, l4, n_ports);
    }
}

struct packet_row *
card_flows_tell(struct card_flows *cf, const uint8_t *header,
                const struct header_split *split, struct card_place *place)
{
    uint64_t words[CARD_FLOW_WORDS], hash;
    unsigned int n_words = flow_words_get(header, split, words);
    struct card_known_flow *f;
    uint32_t i;

    *place = (struct card_place){.next = NULL};
    hash = hash_words(words, n_words, split->kind, cf->secret);
    for (i = (uint32_t) hash; cf->buckets[i & (CARD_FLOWS_BUCKETS - 1)]; i++) {
        uint32_t flow = cf->buckets[i & (CARD_FLOWS_BUCKETS - 1)] - 1u;

        f = &cf->flows[flow];
        if (is_flow(f, split, words, hash)) {
            byte_buf_put_uvarint(&cf->whose, cf->n - flow);
            place->next = cf->version == 1 ? NULL : f->next;
            return &f->row;
        }
    }
    byte_buf_put_u8(&cf->whose, 0);
    f = &cf->flows[cf->n];
    cf->buckets[i & (CARD_FLOWS_BUCKETS - 1)] = (uint16_t) ++cf->n;
    f->hash = hash;
    f->kind = (uint8_t) split->kind;
    f->n_words = (uint8_t) n_words;
    f->l3_ofs = split->l3_ofs;
    for (unsigned int k = 0; k < n_words; k++) {
        f->words[k] = words[k];
    }
    packet_row_begin(&f->row, split->kind, split->l3_ofs,
                     header + split->l3_ofs);
    place->fresh[0] = f->next;
    put_flow(cf, f, header, split, place);
    return &f->row;
}
