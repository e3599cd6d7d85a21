/* SPDX-License-Identifier: Apache-2.0 */
/* of_hello - OpenFlow 1.3.1 and later, section 7.5.1; before, the lower of the
 * two versions counts. */
#include <config.h>

#include "recorder/of_hello.h"

#include "lib/bytes.h"
#include "recorder/of_wire.h"

#define ELEMENT_VERSIONBITMAP 1
#define MAX_VERSION           31

uint32_t
of_hello_versions(const uint8_t *msg, size_t len)
{
    struct bytes_reader r = bytes_reader(msg, len);

    bytes_get(&r, OF_WIRE_HEADER_LEN);
    while (bytes_left(&r) >= 4) {
        uint16_t type = bytes_get_u16(&r);
        uint16_t element_len = bytes_get_u16(&r);

        if (element_len < 4) {
            break;
        }

        const uint8_t *body = bytes_get(&r, element_len - 4u);

        if (body && type == ELEMENT_VERSIONBITMAP && element_len >= 8) {
            return bytes_be32(body) & ~1u;
        }
        /* Elements are padded to a multiple of 8 bytes. */
        bytes_get(&r, (8 - element_len % 8) % 8);
    }

    unsigned version = msg[0] < MAX_VERSION ? msg[0] : MAX_VERSION - 1;

    return ((1u << (version + 1)) - 1) & ~1u;
}

uint8_t
of_hello_agree(uint32_t a, uint32_t b)
{
    uint32_t both = a & b;
    uint8_t version = 0;

    while (both >>= 1) {
        version++;
    }
    return version;
}
