/* SPDX-License-Identifier: Apache-2.0 */
/* pcapng - writes the capture file format of Wireshark. */
#include <config.h>
#include "lib/pcapng.h"

#include <string.h>

/* Blocks. */
#define SECTION         0x0a0d0d0au
#define INTERFACE       1u
#define ENHANCED_PACKET 6u

#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1

/* Options. */
enum {
    OPT_END = 0,
    OPT_COMMENT = 1,
    SHB_USERAPPL = 4,
    IF_NAME = 2,
    IF_DESCRIPTION = 3,
    IF_TSRESOL = 9,
    EPB_FLAGS = 2,
    EPB_PACKETID = 5
};

#define MAX_OPTION 65535

/* Numbers are in the host's byte order, which the byte order magic tells:
 * dumpcap takes no other from a pipe. */
static void
put_u16(struct byte_buf *buf, unsigned int value)
{
    uint16_t v = (uint16_t) value;

    byte_buf_put(buf, &v, sizeof v);
}

static void
put_u32(struct byte_buf *buf, uint32_t value)
{
    byte_buf_put(buf, &value, sizeof value);
}

static void
put_u64(struct byte_buf *buf, uint64_t value)
{
    byte_buf_put(buf, &value, sizeof value);
}

/* 'len' bytes and zeros up to a multiple of four. */
static void
put_padded(struct byte_buf *buf, const void *data, size_t len)
{
    byte_buf_put(buf, data, len);
    memset(byte_buf_extend(buf, -len & 3), 0, -len & 3);
}

static void
put_option(struct byte_buf *buf, unsigned int code, const void *data,
           size_t len)
{
    put_u16(buf, code);
    put_u16(buf, (unsigned int) len);
    put_padded(buf, data, len);
}

/* The longest beginning of 'text' that fits an option and ends no character
 * in its middle. */
static size_t
option_length(const char *text)
{
    size_t len = strlen(text);

    if (len > MAX_OPTION) {
        len = MAX_OPTION;
        while (len && ((unsigned char) text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    return len;
}

static void
put_text(struct byte_buf *buf, unsigned int code, const char *text)
{
    if (text) {
        put_option(buf, code, text, option_length(text));
    }
}

/* Begins a block; returns where it does. */
static size_t
begin(struct byte_buf *buf, uint32_t type)
{
    size_t ofs = buf->len;

    put_u32(buf, type);
    put_u32(buf, 0);
    return ofs;
}

/* Ends its options and the block that begins at 'ofs'. */
static void
end(struct byte_buf *buf, size_t ofs)
{
    uint32_t len;

    put_option(buf, OPT_END, NULL, 0);
    len = (uint32_t) (buf->len + 4 - ofs);
    put_u32(buf, len);
    memcpy(buf->data + ofs + 4, &len, sizeof len);
}

void
pcapng_put_section(struct byte_buf *buf, const char *program,
                   const char *comment)
{
    size_t ofs = begin(buf, SECTION);

    put_u32(buf, BYTE_ORDER_MAGIC);
    put_u16(buf, 1); /* Version 1.0. */
    put_u16(buf, 0);
    put_u64(buf, UINT64_MAX); /* As long as it is. */
    put_text(buf, OPT_COMMENT, comment);
    put_text(buf, SHB_USERAPPL, program);
    end(buf, ofs);
}

void
pcapng_put_interface(struct byte_buf *buf, const char *name,
                     const char *description)
{
    static const uint8_t nanoseconds = 9;
    size_t ofs = begin(buf, INTERFACE);

    put_u16(buf, LINKTYPE_ETHERNET);
    put_u16(buf, 0);
    put_u32(buf, 0); /* No limit of the length. */
    put_text(buf, IF_NAME, name);
    put_text(buf, IF_DESCRIPTION, description);
    put_option(buf, IF_TSRESOL, &nanoseconds, 1);
    end(buf, ofs);
}

void
pcapng_put_packet(struct byte_buf *buf, const struct pcapng_packet *packet)
{
    size_t ofs = begin(buf, ENHANCED_PACKET);
    uint32_t flags = packet->direction == PCAPNG_INBOUND ? 1 : 2;

    put_u32(buf, packet->interface);
    /* The upper half first, in any byte order. */
    put_u32(buf, (uint32_t) (packet->time_ns >> 32));
    put_u32(buf, (uint32_t) packet->time_ns);
    put_u32(buf, packet->caplen);
    put_u32(buf, packet->len);
    put_padded(buf, packet->data, packet->caplen);
    put_text(buf, OPT_COMMENT, packet->comment);
    if (packet->direction != PCAPNG_UNKNOWN) {
        put_option(buf, EPB_FLAGS, &flags, sizeof flags);
    }
    if (packet->has_packet_id) {
        put_option(buf, EPB_PACKETID, &packet->packet_id,
                   sizeof packet->packet_id);
    }
    end(buf, ofs);
}
