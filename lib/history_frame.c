/* SPDX-License-Identifier: Apache-2.0 */
/* history_frame - a history on a socket, as bytes between lines of JSON. */
#include <config.h>
#include "lib/history_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/history_codec.h"
#include "lib/hop_time.h"

#define TYPE_HISTORY 1

/* Of a clock; the other bits are 0. */
#define CLOCK_IS_KNOWN 1

/* --- Writing ------------------------------------------------------------- */

/* True when an earlier hop is of the same switch. */
static bool
was_before(const struct history *h, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (h->hops[j].dpid == h->hops[i].dpid) {
            return true;
        }
    }
    return false;
}

/* A network of hundreds of hops is looked through no further than is quick. */
static size_t
n_looked_at(const struct history *h)
{
    return h->n_hops < 256 ? h->n_hops : 256;
}

/* Each switch that has a name once. */
static void
put_names(const struct history *h, const struct topology *topology,
          struct byte_buf *body)
{
    size_t count_at = body->len, n_hops = n_looked_at(h);
    uint16_t n = 0;

    byte_buf_extend(body, 2);
    for (size_t i = 0; topology && i < n_hops; i++) {
        const struct topology_switch *sw =
            topology_find(topology, h->hops[i].dpid);
        size_t len = sw && sw->name ? strlen(sw->name) : 0;

        if (len && len <= UINT8_MAX && !was_before(h, i)) {
            byte_buf_put_u64(body, sw->dpid);
            byte_buf_put_u8(body, (uint8_t) len);
            byte_buf_put(body, sw->name, len);
            n++;
        }
    }
    bytes_put_be16(body->data + count_at, n);
}

/* Each switch of whose clock something is told once. */
static void
put_clocks(const struct history *h, const struct topology *topology,
           struct byte_buf *body)
{
    size_t count_at = body->len, n_hops = n_looked_at(h);
    uint16_t n = 0;

    byte_buf_extend(body, 2);
    for (size_t i = 0; topology && i < n_hops; i++) {
        const struct topology_switch *sw =
            topology_find(topology, h->hops[i].dpid);

        if (sw && sw->clock.is_told && !was_before(h, i)) {
            byte_buf_put_u64(body, sw->dpid);
            byte_buf_put_u32(body, sw->clock.host);
            byte_buf_put_u8(body, sw->clock.is_known ? CLOCK_IS_KNOWN : 0);
            byte_buf_put_u64(body, (uint64_t) sw->clock.offset_ns);
            byte_buf_put_u64(body, sw->clock.error_ns);
            byte_buf_put_u64(body, sw->clock.at_ns);
            n++;
        }
    }
    bytes_put_be16(body->data + count_at, n);
}

bool
history_frame_wants_clocks(const struct history *h,
                           const struct topology *topology)
{
    return topology && topology_has_clocks(topology) &&
           hop_time_is_across(h, topology);
}

int
history_frame_write(const struct history *h, const struct topology *topology,
                    unsigned int version, struct byte_buf *body)
{
    struct history_encoder *encoder = history_encoder_create();
    int retval = history_encoder_add(encoder, h);

    if (!retval) {
        put_names(h, topology, body);
        if (version >= HISTORY_FRAME_CLOCKS) {
            put_clocks(h, topology, body);
        }
        history_encoder_finish(encoder, body);
    }
    history_encoder_destroy(encoder);
    return retval;
}

void
history_frame_head(unsigned int version, size_t len, uint64_t id,
                   uint32_t trigger, uint8_t head[HISTORY_FRAME_HEAD])
{
    head[0] = HISTORY_FRAME_MARK;
    head[1] = TYPE_HISTORY;
    bytes_put_be16(head + 2, (uint16_t) version);
    bytes_put_be32(head + 4, (uint32_t) len);
    bytes_put_be64(head + 8, id);
    bytes_put_be32(head + 16, trigger);
}

/* --- Reading ------------------------------------------------------------- */

int
history_frame_read_head(const uint8_t head[HISTORY_FRAME_HEAD],
                        struct history_frame_info *info)
{
    info->version = bytes_be16(head + 2);
    info->len = bytes_be32(head + 4);
    info->id = bytes_be64(head + 8);
    info->trigger = bytes_be32(head + 16);
    return head[0] == HISTORY_FRAME_MARK && head[1] == TYPE_HISTORY &&
                   info->version >= HISTORY_FRAME_PLAIN &&
                   info->version <= HISTORY_FRAME_CLOCKS &&
                   info->len <= HISTORY_FRAME_MAX
               ? 0
               : EBADMSG;
}

static void
read_clocks(struct bytes_reader *r, struct topology_builder *builder)
{
    uint16_t n = bytes_get_u16(r);

    while (n-- && !r->failed) {
        uint64_t dpid = bytes_get_u64(r);
        struct topology_clock clock = {.is_told = true};

        clock.host = bytes_get_u32(r);
        clock.is_known = bytes_get_u8(r) & CLOCK_IS_KNOWN;
        clock.offset_ns = (int64_t) bytes_get_u64(r);
        clock.error_ns = bytes_get_u64(r);
        clock.at_ns = bytes_get_u64(r);
        if (!r->failed) {
            topology_builder_set_clock(builder, dpid, &clock);
        }
    }
}

static struct topology *
read_names(struct bytes_reader *r, unsigned int version)
{
    struct topology_builder *builder = topology_builder_create();
    uint16_t n = bytes_get_u16(r);

    while (n-- && !r->failed) {
        uint64_t dpid = bytes_get_u64(r);
        size_t len = bytes_get_u8(r);
        const uint8_t *text = bytes_get(r, len);
        char name[UINT8_MAX + 1];

        if (text) {
            memcpy(name, text, len);
            name[len] = '\0';
            topology_builder_add_switch(builder, dpid, name, 0, NULL);
        }
    }
    if (version >= HISTORY_FRAME_CLOCKS) {
        read_clocks(r, builder);
    }
    return topology_build(builder, 0);
}

int
history_frame_read(const uint8_t *body, size_t len, unsigned int version,
                   struct history **hp, struct topology **names,
                   struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(body, len);
    struct history_decoder *decoder = NULL;
    struct history_record record;
    int retval;

    *hp = NULL;
    *names = read_names(&r, version);
    if (r.failed) {
        lh_error_set(error, "what it says of switches ends early");
        retval = EBADMSG;
    } else {
        retval =
            history_decoder_create(body + r.ofs, len - r.ofs, &decoder, error);
    }
    if (!retval) {
        retval = history_decoder_next(decoder, &record, error);
    }
    if (!retval) {
        retval = history_decoder_read(decoder, record.offset, hp, error);
    } else if (retval == ENODATA) {
        lh_error_set(error, "there is no history in it");
        retval = EBADMSG;
    }
    history_decoder_destroy(decoder);
    if (retval) {
        topology_unref(*names);
        *names = NULL;
    } else if (topology_has_clocks(*names)) {
        (*hp)->clocks = topology_ref(*names);
    }
    return retval;
}
