/* SPDX-License-Identifier: Apache-2.0 */
/* of_framing - where a message ends, and whether it is one at all. */
#include <config.h>

#include "recorder/of_framing.h"

#include "recorder/of_wire.h"

enum of_framing_result
of_framing_next(struct of_framing *f, const uint8_t *data, size_t len,
                size_t *msg_len, struct lh_error *error)
{
    struct of_wire_header h;

    if (!of_wire_header(data, len, &h)) {
        *msg_len = OF_WIRE_HEADER_LEN;
        return OF_FRAMING_MORE;
    }
    *msg_len = h.length;
    if (h.length < OF_WIRE_HEADER_LEN) {
        lh_error_set(error,
                     "not OpenFlow: a message of %u bytes is shorter than "
                     "its header",
                     h.length);
        return OF_FRAMING_GARBAGE;
    }
    if (!f->seen_hello && h.type != OF_WIRE_HELLO) {
        lh_error_set(error,
                     "not OpenFlow: begins with %02x %02x %02x %02x instead "
                     "of a HELLO",
                     data[0], data[1], data[2], data[3]);
        return OF_FRAMING_GARBAGE;
    }
    if (!h.version ||
        (h.version > OF_FRAMING_MAX_VERSION && h.version > f->hello_version &&
         h.type != OF_WIRE_HELLO)) {
        lh_error_set(error, "not OpenFlow: a message of version 0x%02x",
                     h.version);
        return OF_FRAMING_GARBAGE;
    }
    if (len < h.length) {
        return OF_FRAMING_MORE;
    }
    f->seen_hello = true;
    if (h.type == OF_WIRE_HELLO && h.version > f->hello_version) {
        f->hello_version = h.version;
    }
    return OF_FRAMING_MESSAGE;
}
