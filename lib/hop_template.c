/* SPDX-License-Identifier: Apache-2.0 */
/* hop_template - what a switch that emits postcards itself knows of a packet's
 * visit. */
#include <config.h>
#include "lib/hop_template.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/of_port.h"

/* In the ring. */
#define RING_HEAD_LEN   40
#define RING_OUTPUT_LEN 4
#define RING_TRAIL_LEN  8
#define RING_MAX_LEN    1024

_Static_assert(sizeof(struct hop_template) == 48, "no padding is hashed");
_Static_assert(sizeof(struct hop_output) == RING_OUTPUT_LEN, "as there");
_Static_assert(sizeof(struct hop_trail) == RING_TRAIL_LEN, "as there");
_Static_assert(HOP_TEMPLATE_MAX_SIZE <= UINT16_MAX, "fits 'size'");
/* What is longest fits into the ring. */
_Static_assert(RING_HEAD_LEN + HOP_TEMPLATE_MAX_OUTPUTS * RING_OUTPUT_LEN +
                       HOP_TEMPLATE_MAX_TRAIL * RING_TRAIL_LEN +
                       HOP_TEMPLATE_MAX_REASON + 7 <=
                   RING_MAX_LEN,
               "fits a record");

static void
copy_text(char *to, const char *from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        to[i] = from[i] >= 0x20 && from[i] <= 0x7e ? from[i] : '?';
    }
}

static size_t
text_len(const char *text, size_t len, size_t max_len)
{
    return text ? strnlen(text, len < max_len ? len : max_len) : 0;
}

void
hop_template_make(union hop_template_buf *buf,
                  const struct hop_template_parts *parts)
{
    struct hop_template *t = &buf->t;
    size_t n_outputs = parts->n_outputs, n_trail = parts->n_trail;
    size_t reason_len =
        text_len(parts->reason, parts->reason_len, HOP_TEMPLATE_MAX_REASON);
    size_t size;

    *t = (struct hop_template){.dpid = parts->dpid,
                               .in_port = parts->in_port,
                               .flags = parts->flags & HOP_FLAGS};
    if (n_outputs > HOP_TEMPLATE_MAX_OUTPUTS ||
        n_trail > HOP_TEMPLATE_MAX_TRAIL) {
        t->flags |= HOP_TRUNCATED;
    }
    if (n_outputs > HOP_TEMPLATE_MAX_OUTPUTS) {
        n_outputs = HOP_TEMPLATE_MAX_OUTPUTS;
    }
    if (n_trail > HOP_TEMPLATE_MAX_TRAIL) {
        n_trail = HOP_TEMPLATE_MAX_TRAIL;
    }
    t->n_outputs = (uint8_t) n_outputs;
    t->n_trail = (uint8_t) n_trail;
    t->reason_len = (uint8_t) reason_len;
    copy_text(t->bridge, parts->bridge,
              text_len(parts->bridge, parts->bridge_len,
                       HOP_TEMPLATE_BRIDGE_LEN - 1));

    size = sizeof *t + n_trail * sizeof *parts->trail +
           n_outputs * sizeof *parts->outputs + reason_len + 1;
    size = (size + 7) & ~(size_t) 7;
    assert(size <= sizeof *buf);
    t->size = (uint16_t) size;
    memset(buf->bytes + sizeof *t, 0, size - sizeof *t);

    struct hop_trail *trail = (struct hop_trail *) (t + 1);
    struct hop_output *outputs = (struct hop_output *) (trail + n_trail);

    for (size_t i = 0; i < n_trail; i++) {
        bool is_known = parts->trail[i].flags & HOP_TRAIL_VERSION;

        trail[i].version = is_known ? parts->trail[i].version : 0;
        trail[i].table = parts->trail[i].table;
        trail[i].flags = parts->trail[i].flags & HOP_TRAIL_FLAGS;
    }
    for (size_t i = 0; i < n_outputs; i++) {
        outputs[i].port = parts->outputs[i].port;
        outputs[i].flags = parts->outputs[i].flags & HOP_OUTPUT_FLAGS;
    }
    copy_text((char *) (outputs + n_outputs), parts->reason, reason_len);
    t->hash = XXH3_64bits(buf->bytes + sizeof t->hash, size - sizeof t->hash);
}

/* --- The ring's form. -----------------------------------------------------
 */

#define GET(P, TYPE)                                                          \
    ({                                                                        \
        TYPE value_;                                                          \
        memcpy(&value_, (P), sizeof value_);                                  \
        value_;                                                               \
    })

int
hop_template_from_ring(const uint8_t *data, size_t len,
                       union hop_template_buf *buf, struct lh_error *error)
{
    struct hop_trail trail[HOP_TEMPLATE_MAX_TRAIL];
    struct hop_output outputs[HOP_TEMPLATE_MAX_OUTPUTS];
    size_t n_outputs, n_trail, reason_len, need, ofs = RING_HEAD_LEN;

    if (len < RING_HEAD_LEN || len > RING_MAX_LEN) {
        lh_error_set(error, "a template of %zu bytes", len);
        return EINVAL;
    }
    n_outputs = GET(data + 14, uint16_t);
    n_trail = GET(data + 16, uint16_t);
    reason_len = GET(data + 18, uint16_t);
    need = RING_HEAD_LEN + n_outputs * RING_OUTPUT_LEN +
           n_trail * RING_TRAIL_LEN + reason_len;
    if (n_outputs > HOP_TEMPLATE_MAX_OUTPUTS ||
        n_trail > HOP_TEMPLATE_MAX_TRAIL ||
        reason_len > HOP_TEMPLATE_MAX_REASON || need > len) {
        lh_error_set(error,
                     "a template of %zu bytes with %zu outputs, a trail of "
                     "%zu and a reason of %zu bytes",
                     len, n_outputs, n_trail, reason_len);
        return EINVAL;
    }
    memcpy(outputs, data + ofs, n_outputs * RING_OUTPUT_LEN);
    ofs += n_outputs * RING_OUTPUT_LEN;
    memcpy(trail, data + ofs, n_trail * RING_TRAIL_LEN);
    ofs += n_trail * RING_TRAIL_LEN;

    uint32_t in_port = GET(data + 8, uint32_t);

    hop_template_make(
        buf, &(struct hop_template_parts){
                 .dpid = GET(data, uint64_t),
                 .in_port = in_port < OF_PORT_NONE ? in_port : OF_PORT_UNKNOWN,
                 .flags = GET(data + 12, uint16_t),
                 .bridge = (const char *) data + 20,
                 .bridge_len = HOP_TEMPLATE_BRIDGE_LEN,
                 .outputs = outputs,
                 .n_outputs = n_outputs,
                 .trail = trail,
                 .n_trail = n_trail,
                 .reason = (const char *) data + ofs,
                 .reason_len = reason_len,
             });
    return 0;
}

static uint16_t
wire_port(uint32_t port)
{
    return (uint16_t) (port < OF_PORT_NONE ? port : OF_PORT_NONE);
}

void
hop_template_to_ring(const struct hop_template *t, struct byte_buf *out)
{
    uint32_t in_port = wire_port(t->in_port);
    uint16_t counts[4] = {t->flags, t->n_outputs, t->n_trail, t->reason_len};
    size_t len;

    byte_buf_put(out, &t->dpid, sizeof t->dpid);
    byte_buf_put(out, &in_port, sizeof in_port);
    byte_buf_put(out, counts, sizeof counts);
    byte_buf_put(out, t->bridge, sizeof t->bridge);
    memset(byte_buf_extend(out, 4), 0, 4);
    byte_buf_put(out, hop_template_outputs(t),
                 t->n_outputs * sizeof(struct hop_output));
    byte_buf_put(out, hop_template_trail(t),
                 t->n_trail * sizeof(struct hop_trail));
    byte_buf_put(out, hop_template_reason(t), t->reason_len);
    len = RING_HEAD_LEN + t->n_outputs * sizeof(struct hop_output) +
          t->n_trail * sizeof(struct hop_trail) + t->reason_len;
    memset(byte_buf_extend(out, -len & 7), 0, -len & 7);
}

/* --- The form on the wire. ------------------------------------------------
 */

void
hop_template_put(struct byte_buf *out, const struct hop_template *t)
{
    size_t bridge_len = strnlen(t->bridge, sizeof t->bridge);
    const struct hop_output *outputs = hop_template_outputs(t);
    const struct hop_trail *trail = hop_template_trail(t);
    size_t len =
        16 + bridge_len + t->n_outputs * 3u + t->n_trail * 6u + t->reason_len;
    struct bytes_writer w = bytes_writer(byte_buf_extend(out, len), len);

    bytes_put_u64(&w, t->dpid);
    bytes_put_u16(&w, wire_port(t->in_port));
    bytes_put_u16(&w, t->flags);
    bytes_put_u8(&w, t->n_outputs);
    bytes_put_u8(&w, t->n_trail);
    bytes_put_u8(&w, t->reason_len);
    bytes_put_u8(&w, (uint8_t) bridge_len);
    for (size_t i = 0; i < t->n_outputs; i++) {
        bytes_put_u16(&w, outputs[i].port);
        bytes_put_u8(&w, (uint8_t) outputs[i].flags);
    }
    for (size_t i = 0; i < t->n_trail; i++) {
        bytes_put_u32(&w, trail[i].version);
        bytes_put_u8(&w, trail[i].table);
        bytes_put_u8(&w, trail[i].flags);
    }
    bytes_put(&w, hop_template_reason(t), t->reason_len);
    bytes_put(&w, t->bridge, bridge_len);
    assert(!w.failed && w.len == len);
}

int
hop_template_get(struct bytes_reader *r, union hop_template_buf *buf,
                 struct lh_error *error)
{
    struct hop_trail trail[HOP_TEMPLATE_MAX_TRAIL];
    struct hop_output outputs[HOP_TEMPLATE_MAX_OUTPUTS];
    struct hop_template_parts parts = {.outputs = outputs, .trail = trail};

    parts.dpid = bytes_get_u64(r);
    parts.in_port = bytes_get_u16(r);
    if (parts.in_port == OF_PORT_NONE) {
        parts.in_port = OF_PORT_UNKNOWN;
    }
    parts.flags = bytes_get_u16(r);
    parts.n_outputs = bytes_get_u8(r);
    parts.n_trail = bytes_get_u8(r);
    parts.reason_len = bytes_get_u8(r);
    parts.bridge_len = bytes_get_u8(r);
    if (r->failed || parts.n_outputs > HOP_TEMPLATE_MAX_OUTPUTS ||
        parts.n_trail > HOP_TEMPLATE_MAX_TRAIL ||
        parts.reason_len > HOP_TEMPLATE_MAX_REASON ||
        parts.bridge_len >= HOP_TEMPLATE_BRIDGE_LEN) {
        lh_error_set(error, "a template with lists that are too long");
        return EINVAL;
    }
    for (size_t i = 0; i < parts.n_outputs; i++) {
        outputs[i].port = bytes_get_u16(r);
        outputs[i].flags = bytes_get_u8(r);
    }
    for (size_t i = 0; i < parts.n_trail; i++) {
        trail[i].version = bytes_get_u32(r);
        trail[i].table = bytes_get_u8(r);
        trail[i].flags = bytes_get_u8(r);
        trail[i].zero = 0;
    }
    parts.reason = (const char *) bytes_get(r, parts.reason_len);
    parts.bridge = (const char *) bytes_get(r, parts.bridge_len);
    if (r->failed) {
        lh_error_set(error, "a template that ends too early");
        return EINVAL;
    }
    hop_template_make(buf, &parts);
    return 0;
}

struct hop_template *
hop_template_clone(const struct hop_template *t)
{
    struct hop_template *copy = malloc(t->size);

    if (copy) {
        memcpy(copy, t, t->size);
    }
    return copy;
}

bool
hop_template_equal(const struct hop_template *a, const struct hop_template *b)
{
    return a == b || (a && b && a->hash == b->hash && a->size == b->size &&
                      !memcmp(a, b, a->size));
}
