/* SPDX-License-Identifier: Apache-2.0 */
/* history_frame - a history on a socket, as bytes between lines of JSON. */
#include <config.h>
#include "lib/history_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/history_codec.h"

#define TYPE_HISTORY  1
#define FRAME_VERSION 1

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

/* Each switch that has a name once; a network of hundreds of hops is looked
 * through no further than is quick. */
static void
put_names(const struct history *h, const struct topology *topology,
          struct byte_buf *body)
{
    size_t count_at = body->len, n_hops = h->n_hops < 256 ? h->n_hops : 256;
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

int
history_frame_write(const struct history *h, const struct topology *topology,
                    struct byte_buf *body)
{
    struct history_encoder *encoder = history_encoder_create();
    int retval = history_encoder_add(encoder, h);

    if (!retval) {
        put_names(h, topology, body);
        history_encoder_finish(encoder, body);
    }
    history_encoder_destroy(encoder);
    return retval;
}

void
history_frame_head(size_t len, uint64_t id, uint32_t trigger,
                   uint8_t head[HISTORY_FRAME_HEAD])
{
    head[0] = HISTORY_FRAME_MARK;
    head[1] = TYPE_HISTORY;
    bytes_put_be16(head + 2, FRAME_VERSION);
    bytes_put_be32(head + 4, (uint32_t) len);
    bytes_put_be64(head + 8, id);
    bytes_put_be32(head + 16, trigger);
}

/* --- Reading ------------------------------------------------------------- */

int
history_frame_read_head(const uint8_t head[HISTORY_FRAME_HEAD], size_t *len,
                        uint64_t *id, uint32_t *trigger)
{
    *len = bytes_be32(head + 4);
    *id = bytes_be64(head + 8);
    *trigger = bytes_be32(head + 16);
    return head[0] == HISTORY_FRAME_MARK && head[1] == TYPE_HISTORY &&
                   bytes_be16(head + 2) == FRAME_VERSION &&
                   *len <= HISTORY_FRAME_MAX
               ? 0
               : EBADMSG;
}

static struct topology *
read_names(struct bytes_reader *r)
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
    return topology_build(builder, 0);
}

int
history_frame_read(const uint8_t *body, size_t len, struct history **hp,
                   struct topology **names, struct lh_error *error)
{
    struct bytes_reader r = bytes_reader(body, len);
    struct history_decoder *decoder = NULL;
    struct history_record record;
    int retval;

    *hp = NULL;
    *names = read_names(&r);
    if (r.failed) {
        lh_error_set(error, "the names of switches end early");
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
    }
    return retval;
}
