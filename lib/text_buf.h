/* SPDX-License-Identifier: Apache-2.0 */
/* text_buf - text put together in a buffer that may be too small.
 *
 *     struct text_buf t = text_buf(buf, size);
 *
 *     text_buf_put(&t, "ttl %u", ttl);
 *     return t.len;
 *
 * What does not fit is cut; the text always ends in a NUL, unless the buffer
 * has no bytes at all.
 *
 * Ownership: the buffer is borrowed.
 *
 * Threads: plain data. */
#ifndef LIB_TEXT_BUF_H
#define LIB_TEXT_BUF_H 1

#include <stddef.h>
#include <stdint.h>

struct text_buf {
    char *text;
    size_t size;
    size_t len; /* strlen(text). */
};

/* An empty text in 'size' bytes at 'text'. */
struct text_buf text_buf(char *text, size_t size);

void text_buf_put(struct text_buf *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Addresses, from network byte order: "10.0.0.1", "2001:db8::1",
 * "02:00:00:00:00:01". */
void text_buf_put_ip4(struct text_buf *, const uint8_t *address);
void text_buf_put_ip6(struct text_buf *, const uint8_t *address);
void text_buf_put_mac(struct text_buf *, const uint8_t *address);

#endif /* lib/text_buf.h */
