/* SPDX-License-Identifier: Apache-2.0 */
/* bytes - one bounded cursor for every binary format, in network byte order.
 *
 * A reader never reads past its end and a writer never writes past its end.
 * The first access that does not fit marks the cursor as failed; from then on
 * reads give 0, writes do nothing, and nothing moves.  So a decoder may read a
 * whole record and ask once, at its end, whether all of it was there.
 *
 *     struct bytes_reader r = bytes_reader(data, len);
 *     uint16_t class = bytes_get_u16(&r);
 *     const uint8_t *body = bytes_get(&r, bytes_get_u8(&r));
 *     if (r.failed) {
 *         return TRUNCATED;
 *     }
 *
 * The bytes_be*() and bytes_put_be*() functions move single values where the
 * bounds are already known, as in a parser's fast path.
 *
 * Ownership: cursors borrow the memory they walk.
 *
 * Threads: plain data. */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether 'n' bytes, few of them, are equal: memcmp() without a call. */
static inline bool
bytes_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint64_t x, y;

    if (n < sizeof x) {
        uint32_t v[4];

        if (n < sizeof v[0]) {
            return !memcmp(a, b, n);
        }
        memcpy(&v[0], a, sizeof v[0]);
        memcpy(&v[1], b, sizeof v[1]);
        memcpy(&v[2], a + n - sizeof v[2], sizeof v[2]);
        memcpy(&v[3], b + n - sizeof v[3], sizeof v[3]);
        return v[0] == v[1] && v[2] == v[3];
    }
    for (size_t i = 0; i + sizeof x < n; i += sizeof x) {
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        if (x != y) {
            return false;
        }
    }
    memcpy(&x, a + n - sizeof x, sizeof x);
    memcpy(&y, b + n - sizeof y, sizeof y);
    return x == y;
}

/* Copies 'n' bytes, few of them: memcpy() without a call. */
static inline void
bytes_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    uint64_t first, last;
    uint32_t a, b;

    if (n > 2 * sizeof first) {
        memcpy(to, from, n);
    } else if (n >= sizeof first) {
        memcpy(&first, from, sizeof first);
        memcpy(&last, from + n - sizeof last, sizeof last);
        memcpy(to, &first, sizeof first);
        memcpy(to + n - sizeof last, &last, sizeof last);
    } else if (n >= sizeof a) {
        memcpy(&a, from, sizeof a);
        memcpy(&b, from + n - sizeof b, sizeof b);
        memcpy(to, &a, sizeof a);
        memcpy(to + n - sizeof b, &b, sizeof b);
    } else {
        for (size_t i = 0; i < n; i++) {
            to[i] = from[i];
        }
    }
}

static inline uint16_t
bytes_be16(const uint8_t *p)
{
    return (uint16_t) (p[0] << 8 | p[1]);
}

static inline uint32_t
bytes_be24(const uint8_t *p)
{
    return (uint32_t) p[0] << 16 | (uint32_t) p[1] << 8 | p[2];
}

static inline uint32_t
bytes_be32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 |
           (uint32_t) p[2] << 8 | p[3];
}

static inline uint64_t
bytes_be64(const uint8_t *p)
{
    return (uint64_t) bytes_be32(p) << 32 | bytes_be32(p + 4);
}

static inline void
bytes_put_be16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t) (value >> 8);
    p[1] = (uint8_t) value;
}

static inline void
bytes_put_be24(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t) (value >> 16);
    p[1] = (uint8_t) (value >> 8);
    p[2] = (uint8_t) value;
}

static inline void
bytes_put_be32(uint8_t *p, uint32_t value)
{
    bytes_put_be16(p, (uint16_t) (value >> 16));
    bytes_put_be16(p + 2, (uint16_t) value);
}

static inline void
bytes_put_be64(uint8_t *p, uint64_t value)
{
    bytes_put_be32(p, (uint32_t) (value >> 32));
    bytes_put_be32(p + 4, (uint32_t) value);
}

struct bytes_reader {
    const uint8_t *data;
    size_t len; /* Of all of 'data'. */
    size_t ofs; /* Of the next byte to read; <= len. */
    bool failed;
};

static inline struct bytes_reader
bytes_reader(const uint8_t *data, size_t len)
{
    struct bytes_reader r = {data, len, 0, false};

    return r;
}

static inline size_t
bytes_left(const struct bytes_reader *r)
{
    return r->failed ? 0 : r->len - r->ofs;
}

/* The next 'n' bytes, which the reader then stands behind, or NULL (and the
 * reader has failed) when fewer are left.  Never NULL for 'n' of 0 unless the
 * reader has failed or walks no memory at all. */
static inline const uint8_t *
bytes_get(struct bytes_reader *r, size_t n)
{
    if (r->failed || n > r->len - r->ofs) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->data + r->ofs;

    r->ofs += n;
    return p;
}

static inline uint8_t
bytes_get_u8(struct bytes_reader *r)
{
    const uint8_t *p = bytes_get(r, 1);

    return p ? *p : 0;
}

static inline uint16_t
bytes_get_u16(struct bytes_reader *r)
{
    const uint8_t *p = bytes_get(r, 2);

    return p ? bytes_be16(p) : 0;
}

static inline uint32_t
bytes_get_u24(struct bytes_reader *r)
{
    const uint8_t *p = bytes_get(r, 3);

    return p ? bytes_be24(p) : 0;
}

static inline uint32_t
bytes_get_u32(struct bytes_reader *r)
{
    const uint8_t *p = bytes_get(r, 4);

    return p ? bytes_be32(p) : 0;
}

static inline uint64_t
bytes_get_u64(struct bytes_reader *r)
{
    const uint8_t *p = bytes_get(r, 8);

    return p ? bytes_be64(p) : 0;
}

struct bytes_writer {
    uint8_t *data;
    size_t size; /* Of all of 'data'. */
    size_t len;  /* Bytes written; <= size. */
    bool failed;
};

static inline struct bytes_writer
bytes_writer(uint8_t *data, size_t size)
{
    struct bytes_writer w = {data, size, 0, false};

    return w;
}

/* Room for the next 'n' bytes, not set, which the writer then stands behind,
 * or NULL (and the writer has failed) when they do not fit. */
static inline uint8_t *
bytes_room(struct bytes_writer *w, size_t n)
{
    if (w->failed || n > w->size - w->len) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->data + w->len;

    w->len += n;
    return p;
}

static inline void
bytes_put(struct bytes_writer *w, const void *data, size_t n)
{
    uint8_t *p = bytes_room(w, n);

    if (p && n) {
        memcpy(p, data, n);
    }
}

static inline void
bytes_put_zeros(struct bytes_writer *w, size_t n)
{
    uint8_t *p = bytes_room(w, n);

    if (p && n) {
        memset(p, 0, n);
    }
}

static inline void
bytes_put_u8(struct bytes_writer *w, uint8_t value)
{
    bytes_put(w, &value, 1);
}

static inline void
bytes_put_u16(struct bytes_writer *w, uint16_t value)
{
    uint8_t *p = bytes_room(w, 2);

    if (p) {
        bytes_put_be16(p, value);
    }
}

static inline void
bytes_put_u24(struct bytes_writer *w, uint32_t value)
{
    uint8_t *p = bytes_room(w, 3);

    if (p) {
        bytes_put_be24(p, value);
    }
}

static inline void
bytes_put_u32(struct bytes_writer *w, uint32_t value)
{
    uint8_t *p = bytes_room(w, 4);

    if (p) {
        bytes_put_be32(p, value);
    }
}

static inline void
bytes_put_u64(struct bytes_writer *w, uint64_t value)
{
    uint8_t *p = bytes_room(w, 8);

    if (p) {
        bytes_put_be64(p, value);
    }
}

/* Hexadecimal text, for test vectors, JSON and people.  bytes_to_hex() writes
 * 2 * 'n' digits and a NUL into 'text'.  bytes_from_hex() reads an even number
 * of digits, at most 'size' bytes of them, and returns how many bytes, or
 * SIZE_MAX when 'text' is anything else. */
void bytes_to_hex(const uint8_t *data, size_t n, char *text);
size_t bytes_from_hex(const char *text, uint8_t *data, size_t size);

#endif /* lib/bytes.h */
