/* SPDX-License-Identifier: Apache-2.0 */
/* byte_buf - bytes being written, in a buffer that grows.
 *
 *     struct byte_buf buf = BYTE_BUF_INIT;
 *     byte_buf_put_uvarint(&buf, 300);
 *     write(fd, buf.data, buf.len);
 *     byte_buf_uninit(&buf);
 *
 * Varints are LEB128: seven bits per byte, least significant first, the top
 * bit set on all bytes but the last.  Signed ones are zigzag coded first (0,
 * -1, 1, -2 become 0, 1, 2, 3).  Fixed integers are in network byte order.
 *
 * Reading back is the job of the bounded cursor of lib/bytes.h; the functions
 * that read its varints are here, beside those that write them.
 *
 * Ownership: `data` is the buffer's own, until byte_buf_uninit() or
 * byte_buf_take().
 *
 * Threads: plain data. */
#ifndef LIB_BYTE_BUF_H
#define LIB_BYTE_BUF_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"

struct byte_buf {
    uint8_t *data; /* Owned; NULL while nothing was put. */
    size_t len;
    size_t allocated;
};

#define BYTE_BUF_INIT                                                         \
    {                                                                         \
        NULL, 0, 0                                                            \
    }

void byte_buf_uninit(struct byte_buf *);
/* Empties it and keeps the memory. */
void byte_buf_clear(struct byte_buf *);
/* Gives the bytes to the caller, for free(), and empties the buffer. */
uint8_t *byte_buf_take(struct byte_buf *, size_t *len);

/* Makes room for 'n' more bytes, at least one. */
void byte_buf_reserve(struct byte_buf *, size_t n);

/* Room for 'n' more bytes, which are counted in and not set. */
static inline uint8_t *
byte_buf_extend(struct byte_buf *buf, size_t n)
{
    uint8_t *room;

    /* Also for none, so that there is a place to point to. */
    if (!buf->data || buf->allocated - buf->len < n) {
        byte_buf_reserve(buf, n);
    }
    room = buf->data + buf->len;
    buf->len += n;
    return room;
}

void byte_buf_put(struct byte_buf *, const void *, size_t n);
void byte_buf_put_u32(struct byte_buf *, uint32_t);
void byte_buf_put_u64(struct byte_buf *, uint64_t);
void byte_buf_put_long_uvarint(struct byte_buf *, uint64_t);
void byte_buf_put_svarint(struct byte_buf *, int64_t);

static inline void
byte_buf_put_u8(struct byte_buf *buf, uint8_t value)
{
    *byte_buf_extend(buf, 1) = value;
}

static inline void
byte_buf_put_uvarint(struct byte_buf *buf, uint64_t value)
{
    if (value < 0x80) {
        byte_buf_put_u8(buf, (uint8_t) value); /* Most are. */
    } else {
        byte_buf_put_long_uvarint(buf, value);
    }
}

/* Read back; a varint that does not fit into 64 bits fails the reader. */
uint64_t byte_buf_get_long_uvarint(struct bytes_reader *);
int64_t byte_buf_get_svarint(struct bytes_reader *);

static inline uint64_t
byte_buf_get_uvarint(struct bytes_reader *r)
{
    if (!r->failed && r->ofs < r->len && r->data[r->ofs] < 0x80) {
        return r->data[r->ofs++]; /* Most are. */
    }
    return byte_buf_get_long_uvarint(r);
}

#endif /* lib/byte_buf.h */
