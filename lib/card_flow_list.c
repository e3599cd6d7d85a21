/* SPDX-License-Identifier: Apache-2.0 */
/* card_flow_list - the flows of the packets in a batch: reading. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "lib/card_flows.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_shape.h"

void
card_flow_list_init(struct card_flow_list *list)
{
    memset(list, 0, sizeof *list);
    list->flows = lh_alloc_array(NULL, CARD_FLOWS_MAX, sizeof *list->flows);
    list->l2 = lh_alloc_array(NULL, CARD_FLOWS_MAX, sizeof *list->l2);
}

void
card_flow_list_uninit(struct card_flow_list *list)
{
    free(list->flows);
    free(list->l2);
}

static bool
get_bytes(struct bytes_reader *in, uint8_t *to, size_t n)
{
    const uint8_t *from = n ? bytes_get(in, n) : NULL;

    if (from) {
        memcpy(to, from, n);
    }
    return from || !n;
}

static bool
is_form(unsigned int kind, unsigned int l3_ofs)
{
    return kind < N_HEADER_KINDS && l3_ofs >= 14 && l3_ofs <= CARD_MAX_L3;
}

/* --- As version 1 tells them ---------------------------------------------
 */

static bool
read_whole(struct card_sections *sections, struct card_flow *f)
{
    unsigned int kind = bytes_get_u8(&sections->at[CARD_FLOW]);
    struct flow_bytes bytes;

    f->kind = (uint16_t) kind;
    f->l3_ofs = bytes_get_u8(&sections->at[CARD_FLOW]);
    if (!is_form(kind, f->l3_ofs)) {
        return false;
    }
    flow_bytes_init(&bytes, (enum header_kind) kind, f->l3_ofs);
    if (!get_bytes(&sections->at[CARD_FLOW_COLD], bytes.cold, bytes.n_cold)) {
        return false;
    }
    memcpy(f->constant, bytes.cold, f->l3_ofs);
    memcpy(f->constant + f->l3_ofs, bytes.cold + f->l3_ofs, CARD_FORM_IP_LEN);
    return true;
}

/* --- As version 2 does ----------------------------------------------------
 */

/* The next number, of which '*n' were met before; from 0 on, UINT32_MAX when
 * there is no such. */
static uint32_t
get_number(struct bytes_reader *in, uint32_t *n)
{
    uint64_t number = byte_buf_get_uvarint(in);

    if (in->failed || number > *n) {
        return UINT32_MAX;
    }
    return number ? (uint32_t) number - 1 : (*n)++;
}

/* Row 'number' of 'len' bytes; NULL when there is none. */
static const uint8_t *
get_row(const struct bytes_reader *rows, uint32_t number, size_t len)
{
    return number < rows->len / len ? rows->data + number * len : NULL;
}

static inline bool
read_parts(struct card_flow_list *list, struct card_sections *sections,
           struct card_flow *f)
{
    uint32_t number = get_number(&sections->at[CARD_FORM], &list->n_forms);
    const uint8_t *form =
        get_row(&sections->at[CARD_FORMS], number, CARD_FORM_LEN);
    uint32_t n_before = list->n_l2;
    struct card_known_l2 *l2;

    if (!form || !is_form(form[0], form[1])) {
        return false;
    }
    f->kind = form[0];
    f->l3_ofs = form[1];
    number = get_number(&sections->at[CARD_L2], &list->n_l2);
    if (number == UINT32_MAX) {
        return false;
    }
    l2 = &list->l2[number];
    f->l2 = (uint16_t) number;
    f->is_l2_new = list->n_l2 != n_before;
    if (f->is_l2_new) {
        *l2 =
            (struct card_known_l2){.bytes = bytes_get(&sections->at[CARD_L2S],
                                                      card_l2_len(f->l3_ofs)),
                                   .len = f->l3_ofs};
    }
    if (!l2->bytes || l2->len != f->l3_ofs) {
        return false;
    }
    bytes_put_be16(f->constant + 12,
                   header_kind_is_ip4((enum header_kind) f->kind)
                       ? HDR_ETH_IP4
                       : HDR_ETH_IP6);
    if (f->l3_ofs == 14) {
        memcpy(f->constant, l2->bytes, 12);
    } else {
        memcpy(f->constant, l2->bytes, f->l3_ofs);
    }
    memcpy(f->constant + f->l3_ofs, form + 2, CARD_FORM_IP_LEN);
    return true;
}

bool
card_flow_list_get_first(struct card_flow_list *list,
                         struct card_sections *sections,
                         struct column_reader *columns)
{
    static const uint8_t nothing;
    uint32_t number = get_number(&sections->at[CARD_FIRST], &list->n_firsts);
    const uint8_t *row =
        get_row(&sections->at[CARD_FIRSTS], number, CARD_FIRST_LEN);
    bool has_flags;

    if (!row) {
        return false;
    }
    has_flags = bytes_be16(row) & ROW_BIT_FLAGS;
    column_reader_set(columns, COLUMN_CONTROL, row, 2);
    column_reader_set(columns, COLUMN_FIELD_FIRST + ROW_FLAGS,
                      has_flags ? row + 2 : &nothing, has_flags ? 2 : 0);
    return true;
}

/* --- Both -----------------------------------------------------------------
 */

/* Whether packets with these constant bytes are of the kind that is told, if
 * enough of them was captured. */
static bool
are_constant(struct card_flow *f)
{
    uint8_t *len = f->constant + f->l3_ofs +
                   (header_kind_is_ip4((enum header_kind) f->kind) ? 2 : 4);
    struct header_split split;
    bool is_split;

    bytes_put_be16(len, INT16_MAX);
    is_split = header_split(f->constant, f->tail_ofs, &split) &&
               split.kind == (enum header_kind) f->kind &&
               split.l3_ofs == f->l3_ofs;
    bytes_put_be16(len, 0);
    return is_split;
}

/* The constant bytes are there as far as the first CARD_FORM_IP_LEN of the IP
 * header's: puts all into their places. */
static inline bool
finish_flow(struct card_flow *f, struct card_sections *sections)
{
    enum header_kind kind = (enum header_kind) f->kind;
    size_t n_ports = header_kind_n_constant(kind);
    uint8_t *ip = f->constant + f->l3_ofs, *l4, cold[CARD_FORM_IP_LEN];
    bool is_ip4 = header_kind_is_ip4(kind);
    size_t n_addr = is_ip4 ? 4 : 16;
    const uint8_t *src = bytes_get(&sections->at[CARD_FLOW_SRC], n_addr);
    const uint8_t *dst = bytes_get(&sections->at[CARD_FLOW_DST], n_addr);
    const uint8_t *ports = NULL;

    if (n_ports) {
        ports = bytes_get(&sections->at[CARD_FLOW_PORTS], n_ports);
    }
    if (!src || !dst || (n_ports && !ports)) {
        return false;
    }
    f->tail_ofs = (uint16_t) (f->l3_ofs + header_kind_fixed_len(kind));
    memcpy(cold, ip, sizeof cold);
    if (is_ip4) {
        memset(ip + 2, 0, 4);
        memcpy(ip + 6, cold + 2, 4);
        memset(ip + 10, 0, 2);
        memcpy(ip + 12, src, 4);
        memcpy(ip + 16, dst, 4);
    } else {
        memset(ip + 4, 0, 2);
        memcpy(ip + 6, cold + 4, 2);
        memcpy(ip + 8, src, 16);
        memcpy(ip + 24, dst, 16);
    }
    l4 = ip + header_shapes[kind].l3_len;
    memset(l4, 0, CARD_MAX_L4);
    bytes_copy(l4, ports, n_ports);
    packet_row_begin(&f->row, kind, f->l3_ofs, ip);
    f->next[0] = f->next[1] = 0;
    return are_constant(f);
}

void
card_flow_list_begin(struct card_flow_list *list, unsigned int version,
                     uint32_t n)
{
    list->version = version;
    list->n = n;
    list->n_met = list->n_forms = list->n_l2 = list->n_firsts = 0;
}

/* A flow is read when its first packet is, while that is in the cache. */
static struct card_flow *
read_next(struct card_flow_list *list, struct card_sections *sections)
{
    struct card_flow *f = &list->flows[list->n_met];

    if (list->n_met == list->n ||
        (list->version == 1 ? !read_whole(sections, f)
                            : !read_parts(list, sections, f)) ||
        !finish_flow(f, sections)) {
        return NULL;
    }
    list->n_met++;
    return f;
}

struct card_flow *
card_flow_list_get(struct card_flow_list *list, struct card_sections *sections,
                   struct card_place *place)
{
    uint64_t back = byte_buf_get_uvarint(&sections->at[CARD_WHOSE]);
    struct card_flow *f;

    *place = (struct card_place){.next = NULL};
    if (back) {
        if (back > list->n_met) {
            return NULL;
        }
        f = &list->flows[list->n_met - back];
        place->next = list->version == 1 ? NULL : f->next;
        return f;
    }
    f = read_next(list, sections);
    if (!f) {
        return NULL;
    }
    place->fresh[0] = f->next;
    if (list->version != 1) {
        uint16_t *next = list->l2[f->l2].next;

        place->next = f->is_l2_new ? NULL : next;
        place->fresh[1] = f->is_l2_new ? next : NULL;
    }
    return f;
}

/* Whether each row of a dictionary was met. */
static bool
are_met(struct bytes_reader *rows, uint32_t n, size_t len)
{
    rows->ofs = rows->len; /* They are read by number. */
    return rows->len == n * len;
}

bool
card_flow_list_is_used_up(const struct card_flow_list *list,
                          struct card_sections *sections)
{
    return list->n_met == list->n &&
           are_met(&sections->at[CARD_FORMS], list->n_forms, CARD_FORM_LEN) &&
           are_met(&sections->at[CARD_FIRSTS], list->n_firsts, CARD_FIRST_LEN);
}
