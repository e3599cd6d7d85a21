/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_wire - what stands in front of postcards on the bus. */
#include <config.h>

#include "server/cluster_wire.h"

#include <errno.h>

#include "lib/bytes.h"

#define FLAG_FILE 0x01

void
cluster_wire_put_cards(struct byte_buf *out,
                       const struct cluster_cards_head *head)
{
    byte_buf_put_u8(out, CLUSTER_WIRE_VERSION);
    byte_buf_put_u64(out, head->door);
    byte_buf_put_u64(out, head->number);
    byte_buf_put_u8(out, head->is_file ? FLAG_FILE : 0);
    byte_buf_put_u64(out, head->watermark_ns);
}

int
cluster_wire_get_cards(const uint8_t *data, size_t size,
                       struct cluster_cards_head *head, const uint8_t **batch,
                       size_t *len, struct lh_error *error)
{
    struct bytes_reader in = bytes_reader(data, size);
    uint8_t version = bytes_get_u8(&in), flags;

    if (!in.failed && version != CLUSTER_WIRE_VERSION) {
        lh_error_set(error,
                     "postcards in version %u, known here is %d: upgrade the "
                     "server that reads them first",
                     version, CLUSTER_WIRE_VERSION);
        return ENOTSUP;
    }
    head->door = bytes_get_u64(&in);
    head->number = bytes_get_u64(&in);
    flags = bytes_get_u8(&in);
    head->is_file = flags & FLAG_FILE;
    head->watermark_ns = bytes_get_u64(&in);
    if (in.failed || flags & ~FLAG_FILE || !head->number) {
        lh_error_set(error, "a malformed message of postcards");
        return EBADMSG;
    }
    *batch = data + in.ofs;
    *len = bytes_left(&in);
    return 0;
}
