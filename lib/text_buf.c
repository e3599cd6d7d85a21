/* SPDX-License-Identifier: Apache-2.0 */
/* text_buf - text put together in a buffer that may be too small. */
#include <config.h>
#include "lib/text_buf.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

struct text_buf
text_buf(char *text, size_t size)
{
    if (size) {
        text[0] = '\0';
    }
    return (struct text_buf){text, size, 0};
}

void
text_buf_put(struct text_buf *t, const char *format, ...)
{
    if (t->len + 1 >= t->size) {
        return;
    }

    va_list args;

    va_start(args, format);

    int n = vsnprintf(t->text + t->len, t->size - t->len, format, args);

    va_end(args);
    if (n > 0) {
        size_t room = t->size - t->len - 1;

        t->len += (size_t) n < room ? (size_t) n : room;
    }
}

void
text_buf_put_ip4(struct text_buf *t, const uint8_t *address)
{
    char text[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, address, text, sizeof text);
    text_buf_put(t, "%s", text);
}

void
text_buf_put_ip6(struct text_buf *t, const uint8_t *address)
{
    char text[INET6_ADDRSTRLEN];

    inet_ntop(AF_INET6, address, text, sizeof text);
    text_buf_put(t, "%s", text);
}

void
text_buf_put_mac(struct text_buf *t, const uint8_t *address)
{
    text_buf_put(t, "%02x:%02x:%02x:%02x:%02x:%02x", address[0], address[1],
                 address[2], address[3], address[4], address[5]);
}
