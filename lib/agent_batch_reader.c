/* SPDX-License-Identifier: Apache-2.0 */
/* agent_batch - reads packed postcards of patched switches. */
#include <config.h>

#include "lib/agent_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/agent_batch_impl.h"
#include "lib/agent_sections.h"
#include "lib/bit_reader.h"
#include "lib/column_reader.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_shape.h"

#define MAX_ARENA (AGENT_BATCH_MAX_BYTES + AGENT_BATCH_MAX_CAPLEN)
struct agent_batch_reader {
    struct agent_sections sections; /* What is read is there. */
    struct column_reader columns;

    uint8_t *arena; /* Headers.  Owned, as what follows. */
    size_t arena_len, arena_used;
    struct hop_template **templates; /* And each of them. */
    size_t n_templates;
    struct batch_flow *flows;
    size_t n_flows, n_flows_met;
    struct batch_packet *packets;
    uint32_t *first_flow;
    size_t max_packets, n_packets;
    uint32_t *plain; /* Numbers of their postcards. */
    size_t max_plain, n_plain;
    struct agent_postcard *postcards;
    uint32_t n, next;

    uint32_t last_new, next_ref, next_same, plain_template;
    uint64_t time_ns;
    struct bit_reader bits;
};

static struct bytes_reader *
section(struct agent_batch_reader *r, enum batch_section which)
{
    return &r->sections.at[which];
}

static uint64_t
get_uvarint(struct agent_batch_reader *r, enum batch_section which)
{
    return byte_buf_get_uvarint(section(r, which));
}

struct agent_batch_reader *
agent_batch_reader_create(void)
{
    return lh_alloc_zero(sizeof(struct agent_batch_reader));
}

static void
forget(struct agent_batch_reader *r)
{
    for (size_t i = 0; i < r->n_templates; i++) {
        free(r->templates[i]);
    }
    free(r->templates);
    free(r->flows);
    free(r->packets);
    free(r->first_flow);
    free(r->plain);
    free(r->postcards);
    free(r->arena);
    agent_sections_close(&r->sections);
    *r = (struct agent_batch_reader){.n = 0};
}

void
agent_batch_reader_destroy(struct agent_batch_reader *r)
{
    if (r) {
        forget(r);
        free(r);
    }
}

/* --- Templates and flows -------------------------------------------------
 */

static int
read_templates(struct agent_batch_reader *r, uint64_t n,
               struct lh_error *error)
{
    union hop_template_buf buf;

    r->templates = lh_alloc_array(NULL, n + 1, sizeof *r->templates);
    while (r->n_templates < n) {
        if (hop_template_get(section(r, BATCH_TEMPLATES), &buf, error)) {
            return EBADMSG;
        }
        r->templates[r->n_templates] = hop_template_clone(&buf.t);
        if (!r->templates[r->n_templates]) {
            lh_error_set(error, "no memory for a template");
            return EBADMSG;
        }
        r->n_templates++;
    }
    return 0;
}

static bool
get_bytes(struct agent_batch_reader *r, enum batch_section which, uint8_t *to,
          size_t n)
{
    const uint8_t *from = n ? bytes_get(section(r, which), n) : NULL;

    if (from) {
        memcpy(to, from, n);
    }
    return from || !n;
}

static bool
read_flow(struct agent_batch_reader *r, struct batch_flow *f)
{
    uint64_t template_no = get_uvarint(r, BATCH_FLOW_TEMPLATE);
    unsigned int kind = bytes_get_u8(section(r, BATCH_FLOW_TEMPLATE));
    struct flow_bytes bytes;

    f->l3_ofs = bytes_get_u8(section(r, BATCH_FLOW_TEMPLATE));
    if (template_no >= r->n_templates || kind >= N_HEADER_KINDS ||
        f->l3_ofs < 14 || f->l3_ofs > BATCH_MAX_L3) {
        return false;
    }
    f->template_no = (uint32_t) template_no;
    f->kind = (uint16_t) kind;
    flow_bytes_init(&bytes, (enum header_kind) kind, f->l3_ofs);
    if (!get_bytes(r, BATCH_FLOW_COLD, bytes.cold, bytes.n_cold) ||
        !get_bytes(r, BATCH_FLOW_SRC, bytes.addrs[0], bytes.n_addr) ||
        !get_bytes(r, BATCH_FLOW_DST, bytes.addrs[1], bytes.n_addr) ||
        !get_bytes(r, BATCH_FLOW_PORTS, bytes.ports, bytes.n_ports)) {
        return false;
    }
    memset(f->constant, 0, sizeof f->constant);
    flow_bytes_fill(&bytes, (enum header_kind) kind, f->l3_ofs, f->constant);
    batch_flow_init(f);
    return true;
}

/* --- Postcards -----------------------------------------------------------
 */

static bool
get_time(struct agent_batch_reader *r)
{
    uint64_t diff;

    if (!bit_reader_diff(&r->bits, section(r, BATCH_TIME),
                         section(r, BATCH_TIME_BITS), &diff)) {
        return false;
    }
    r->time_ns += diff;
    return true;
}

/* The flow of the postcard at hand; UINT32_MAX when there is no such. */
static uint32_t
get_flow(struct agent_batch_reader *r, uint32_t op, uint32_t expected)
{
    uint64_t flow = expected;

    if (op & OP_FLOW) {
        flow = get_uvarint(r, BATCH_FLOW);
        if (!flow) {
            flow = r->n_flows_met++;
        } else {
            flow--;
        }
    }
    return flow < r->n_flows && flow < r->n_flows_met ? (uint32_t) flow
                                                      : UINT32_MAX;
}

/* The packet that is referred to, of 'n'; UINT32_MAX when there is none. */
static uint32_t
get_which(struct agent_batch_reader *r, uint32_t op, size_t n, uint32_t *next)
{
    uint64_t which = *next;

    if (op & OP_WHICH) {
        uint64_t back = get_uvarint(r, BATCH_REF);

        which = back < n ? n - 1 - back : UINT64_MAX;
    }
    if (which >= n) {
        return UINT32_MAX;
    }
    *next = (uint32_t) which + 1;
    return (uint32_t) which;
}

static bool
read_new(struct agent_batch_reader *r, uint32_t op, struct agent_postcard *p,
         uint32_t *expected_len)
{
    uint32_t expected = r->last_new == UINT32_MAX
                            ? UINT32_MAX
                            : r->flows[r->last_new].after_new;
    uint32_t flow = get_flow(r, op, expected);
    uint8_t *header = r->arena + r->arena_used;
    size_t room = r->arena_len - r->arena_used, n;
    struct batch_flow *f;
    bool has_id;
    uint64_t id;

    if (flow == UINT32_MAX || r->n_packets == r->max_packets) {
        return false;
    }
    f = &r->flows[flow];
    if (r->last_new != UINT32_MAX) {
        r->flows[r->last_new].after_new = flow;
    }
    r->last_new = flow;
    if (room < f->tail_ofs) {
        return false;
    }
    memcpy(header, f->constant, f->tail_ofs);
    n = column_reader_packet(&r->columns, batch_flow_row(f),
                             header + f->l3_ofs, room - f->l3_ofs, &has_id,
                             &id);
    if (!n || has_id) {
        return false;
    }
    p->header = header;
    p->caplen = (uint16_t) (f->l3_ofs + n);
    p->template_no = f->template_no;
    r->first_flow[r->n_packets] = flow;
    r->packets[r->n_packets++] = (struct batch_packet){.header = header,
                                                       .flow = flow,
                                                       .caplen = p->caplen,
                                                       .kind = f->kind,
                                                       .l3_ofs = f->l3_ofs};
    *expected_len = batch_expect_len(
        &r->columns.block, f->l3_ofs,
        batch_own_len((enum header_kind) f->kind, header + f->l3_ofs));
    return f->l3_ofs + n <= AGENT_BATCH_MAX_CAPLEN;
}

static bool
read_ref(struct agent_batch_reader *r, uint32_t op, struct agent_postcard *p,
         uint32_t *expected_len)
{
    uint32_t which = get_which(r, op, r->n_packets, &r->next_ref);
    uint8_t *header = r->arena + r->arena_used;
    struct batch_packet *packet;
    const struct batch_flow *f;
    uint32_t flow, own_len;
    uint64_t caplen;
    size_t n;

    if (which == UINT32_MAX) {
        return false;
    }
    packet = &r->packets[which];
    flow = get_flow(r, op, r->flows[packet->flow].after_hop);
    if (flow == UINT32_MAX || r->flows[flow].kind != packet->kind) {
        return false;
    }
    r->flows[packet->flow].after_hop = flow;
    packet->flow = flow;
    f = &r->flows[flow];
    own_len = batch_own_len((enum header_kind) f->kind,
                            packet->header + packet->l3_ofs);
    caplen = op & OP_CAPLEN
                 ? get_uvarint(r, BATCH_CAPLEN)
                 : batch_expect_caplen(&r->columns.block, f->l3_ofs, own_len);
    if (caplen < f->tail_ofs || caplen > r->arena_len - r->arena_used ||
        caplen > AGENT_BATCH_MAX_CAPLEN) {
        return false;
    }
    n = batch_make_hop(packet, &r->flows[r->first_flow[which]], f, caplen,
                       header);
    if (op & OP_SUM) {
        uint8_t sums[4];
        uint16_t l4_ofs = header_kind_l4_sum_ofs((enum header_kind) f->kind);

        if (!get_bytes(r, BATCH_SUM, sums, sizeof sums)) {
            return false;
        }
        if (header_kind_is_ip4((enum header_kind) f->kind)) {
            memcpy(header + f->l3_ofs + 10, sums, 2);
        }
        if (l4_ofs) {
            memcpy(header + f->l3_ofs + l4_ofs, sums + 2, 2);
        }
    }
    if (!get_bytes(r, BATCH_EXTRA, header + n, caplen - n)) {
        return false;
    }
    p->header = header;
    p->caplen = (uint16_t) caplen;
    p->template_no = f->template_no;
    *expected_len = batch_expect_len(&r->columns.block, f->l3_ofs, own_len);
    return true;
}

static bool
read_plain(struct agent_batch_reader *r, uint32_t op, uint32_t i,
           struct agent_postcard *p, uint32_t *expected_len)
{
    const uint8_t *from;
    uint64_t caplen;

    if ((op & OP_TYPE) == OP_SAME) {
        uint32_t which = get_which(r, op, r->n_plain, &r->next_same);

        if (which == UINT32_MAX) {
            return false;
        }
        caplen = r->postcards[r->plain[which]].caplen;
        from = r->postcards[r->plain[which]].header;
    } else {
        caplen = get_uvarint(r, BATCH_PLAIN_LEN);
        from = caplen && caplen <= AGENT_BATCH_MAX_CAPLEN
                   ? bytes_get(section(r, BATCH_PLAIN), caplen)
                   : NULL;
        if ((!from && caplen) || r->n_plain == r->max_plain) {
            return false;
        }
        r->plain[r->n_plain++] = i;
    }
    if (op & OP_FLOW) {
        uint64_t template_no = get_uvarint(r, BATCH_FLOW);

        if (template_no >= r->n_templates) {
            return false;
        }
        r->plain_template = (uint32_t) template_no;
    }
    if (r->plain_template >= r->n_templates ||
        caplen > r->arena_len - r->arena_used) {
        return false;
    }
    p->header = r->arena + r->arena_used;
    if (caplen) {
        memcpy(r->arena + r->arena_used, from, caplen);
    }
    p->caplen = (uint16_t) caplen;
    p->template_no = r->plain_template;
    *expected_len = (uint32_t) caplen;
    return true;
}

static bool
read_postcard(struct agent_batch_reader *r, uint32_t i)
{
    struct agent_postcard *p = &r->postcards[i];
    uint32_t op = bytes_get_u8(section(r, BATCH_OP)), expected_len = 0;
    bool is_good;
    int64_t len;

    *p = (struct agent_postcard){.kind = AGENT_POSTCARD_VISIT};
    switch (op & OP_TYPE) {
    case OP_NEW:
        is_good = read_new(r, op, p, &expected_len);
        break;
    case OP_REF:
        is_good = read_ref(r, op, p, &expected_len);
        break;
    default:
        is_good = read_plain(r, op, i, p, &expected_len);
        break;
    }
    if (!is_good) {
        return false;
    }
    r->arena_used += p->caplen;
    p->template = r->templates[p->template_no];
    len = expected_len;
    if (op & OP_LEN) {
        int64_t diff = byte_buf_get_svarint(section(r, BATCH_LEN));

        if (diff > UINT32_MAX || diff < -(int64_t) UINT32_MAX) {
            return false;
        }
        len += diff;
    }
    if (len < 0 || len > UINT32_MAX) {
        return false;
    }
    p->packet_len = (uint32_t) len;
    if (op & OP_DROPPED) {
        uint64_t reason = get_uvarint(r, BATCH_KIND);

        if (reason > UINT16_MAX) {
            return false;
        }
        p->kind = AGENT_POSTCARD_DROPPED;
        p->reason = (uint16_t) reason;
    }
    if (!get_time(r)) {
        return false;
    }
    p->time_ns = r->time_ns;
    return true;
}

/* Whether nothing is left over and nothing was missing. */
static bool
is_used_up(const struct agent_batch_reader *r)
{
    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        if (r->columns.at[i] != r->columns.end[i]) {
            return false;
        }
    }
    for (unsigned int i = N_COLUMNS; i < N_BATCH_SECTIONS; i++) {
        const struct bytes_reader *in = &r->sections.at[i];

        if (in->failed || in->ofs != in->len) {
            return false;
        }
    }
    return !r->columns.failed && r->arena_used == r->arena_len &&
           r->n_flows_met == r->n_flows && r->n_packets == r->max_packets &&
           r->n_plain == r->max_plain && bit_reader_is_done(&r->bits);
}

static int
read_postcards(struct agent_batch_reader *r, struct lh_error *error)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (!read_postcard(r, i) || r->columns.failed) {
            lh_error_set(error, "postcard %u of a batch is malformed", i);
            return EBADMSG;
        }
    }
    if (!is_used_up(r)) {
        lh_error_set(error, "a batch that does not add up");
        return EBADMSG;
    }
    return 0;
}

/* --- Interface -----------------------------------------------------------
 */

/* Reads the numbers in front, and makes room. */
static int
read_head(struct agent_batch_reader *r, struct bytes_reader *in, uint32_t n,
          uint64_t *n_templates, struct lh_error *error)
{
    unsigned int version = bytes_get_u8(in);
    uint64_t snap = byte_buf_get_uvarint(in);
    uint64_t arena_len = byte_buf_get_uvarint(in);
    uint64_t n_flows, n_packets, n_plain;

    *n_templates = byte_buf_get_uvarint(in);
    n_flows = byte_buf_get_uvarint(in);
    n_packets = byte_buf_get_uvarint(in);
    n_plain = byte_buf_get_uvarint(in);
    if (!in->failed && version != BATCH_VERSION) {
        lh_error_set(error, "a batch of version %u, known is %d", version,
                     BATCH_VERSION);
        return EBADMSG;
    }
    if (in->failed || snap > AGENT_BATCH_MAX_CAPLEN || arena_len > MAX_ARENA ||
        n > AGENT_BATCH_MAX || *n_templates > n || n_flows > n ||
        n_packets + n_plain > n || n_packets > n || n_plain > n) {
        lh_error_set(error, "a malformed batch");
        return EBADMSG;
    }
    column_reader_init(&r->columns, (uint16_t) snap, 1);
    r->arena = malloc(arena_len + 1);
    if (!r->arena) {
        lh_error_set(error, "no memory for a batch");
        return EBADMSG;
    }
    r->arena_len = arena_len;
    r->n_flows = n_flows;
    r->flows = lh_alloc_array(NULL, n_flows + 1, sizeof *r->flows);
    r->max_packets = n_packets;
    r->packets = lh_alloc_array(NULL, n_packets + 1, sizeof *r->packets);
    r->first_flow = lh_alloc_array(NULL, n_packets + 1, sizeof(uint32_t));
    r->max_plain = n_plain;
    r->plain = lh_alloc_array(NULL, n_plain + 1, sizeof *r->plain);
    r->postcards = lh_alloc_array(NULL, n + 1, sizeof *r->postcards);
    r->last_new = UINT32_MAX;
    return 0;
}

static int
read_all(struct agent_batch_reader *r, const uint8_t *data, size_t len,
         uint32_t n, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, len);
    uint64_t n_templates;
    int retval = read_head(r, &in, n, &n_templates, error);

    if (!retval) {
        retval = agent_sections_open(&r->sections, &in, COLUMN_CONTROL,
                                     N_BATCH_SECTIONS, error);
    }
    for (unsigned int i = 0; !retval && i < N_COLUMNS; i++) {
        column_reader_set(&r->columns, i, r->sections.at[i].data,
                          r->sections.at[i].len);
    }
    if (!retval) {
        retval = read_templates(r, n_templates, error);
    }
    for (size_t i = 0; !retval && i < r->n_flows; i++) {
        if (!read_flow(r, &r->flows[i])) {
            lh_error_set(error, "flow %zu of a batch is malformed", i);
            retval = EBADMSG;
        }
    }
    if (!retval) {
        r->n = n;
        retval = read_postcards(r, error);
    }
    return retval;
}

int
agent_batch_reader_open(struct agent_batch_reader *r, const uint8_t *data,
                        size_t len, uint32_t n, struct lh_error *error)
{
    int retval;

    forget(r);
    retval = read_all(r, data, len, n, error);
    if (retval) {
        r->n = 0;
    }
    return retval;
}

bool
agent_batch_reader_next(struct agent_batch_reader *r,
                        struct agent_postcard *postcard)
{
    if (r->next == r->n) {
        return false;
    }
    *postcard = r->postcards[r->next++];
    return true;
}

void
agent_batch_reader_set_left_out(struct agent_batch_reader *r,
                                uint32_t left_out)
{
    for (size_t i = 0; i < r->n_templates; i++) {
        r->templates[i]->left_out = left_out;
    }
}

size_t
agent_batch_reader_n_templates(const struct agent_batch_reader *r)
{
    return r->n_templates;
}

const struct hop_template *
agent_batch_reader_template(const struct agent_batch_reader *r, size_t i)
{
    assert(i < r->n_templates);
    return r->templates[i];
}
