/* SPDX-License-Identifier: Apache-2.0 */
/* byte_buf - bytes being written, in a buffer that grows. */
#include <config.h>

#include "lib/byte_buf.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

void
byte_buf_uninit(struct byte_buf *buf)
{
    free(buf->data);
    *buf = (struct byte_buf) BYTE_BUF_INIT;
}

void
byte_buf_clear(struct byte_buf *buf)
{
    buf->len = 0;
}

uint8_t *
byte_buf_take(struct byte_buf *buf, size_t *len)
{
    uint8_t *data = buf->data;

    *len = buf->len;
    *buf = (struct byte_buf) BYTE_BUF_INIT;
    return data;
}

void
byte_buf_reserve(struct byte_buf *buf, size_t n)
{
    size_t wanted = buf->len + n;

    if (!buf->data || wanted > buf->allocated) {
        buf->allocated = wanted + wanted / 2 + 64;
        buf->data = lh_alloc_array(buf->data, buf->allocated, 1);
    }
}

void
byte_buf_put(struct byte_buf *buf, const void *data, size_t n)
{
    if (n) {
        memcpy(byte_buf_extend(buf, n), data, n);
    }
}

void
byte_buf_put_u32(struct byte_buf *buf, uint32_t value)
{
    bytes_put_be32(byte_buf_extend(buf, 4), value);
}

void
byte_buf_put_u64(struct byte_buf *buf, uint64_t value)
{
    bytes_put_be64(byte_buf_extend(buf, 8), value);
}

void
byte_buf_put_long_uvarint(struct byte_buf *buf, uint64_t value)
{
    uint8_t *p = byte_buf_extend(buf, 10);
    size_t n = 0;

    while (value >= 0x80) {
        p[n++] = (uint8_t) (value | 0x80);
        value >>= 7;
    }
    p[n++] = (uint8_t) value;
    buf->len -= 10 - n;
}

void
byte_buf_put_svarint(struct byte_buf *buf, int64_t value)
{
    uint64_t bits = (uint64_t) value;

    byte_buf_put_uvarint(buf, (bits << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

uint64_t
byte_buf_get_long_uvarint(struct bytes_reader *r)
{
    uint64_t value = 0;

    for (unsigned int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = bytes_get_u8(r);

        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            return r->failed ? 0 : value;
        }
    }
    r->failed = true;
    return 0;
}

int64_t
byte_buf_get_svarint(struct bytes_reader *r)
{
    uint64_t bits = byte_buf_get_uvarint(r);

    return (int64_t) ((bits >> 1) ^ (bits & 1 ? UINT64_MAX : 0));
}
