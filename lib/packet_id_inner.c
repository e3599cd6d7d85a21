/* SPDX-License-Identifier: Apache-2.0 */
/* packet_id_inner - the name of the packet inside a tunnel's. */
#include <config.h>

#include "lib/packet_id.h"

uint64_t
packet_id_inner(const struct packet_id_config *config, const uint8_t *data,
                size_t len)
{
    struct hdr h, inner;
    size_t ofs;
    uint16_t type;
    uint32_t tunnel_id;
    uint64_t id;

    hdr_parse(data, len, &h);
    if (hdr_inner(data, len, &h, &ofs, &type, &tunnel_id) == HDR_TUNNEL_NONE) {
        return 0;
    }
    if (type) {
        hdr_parse_l3(data + ofs, len - ofs, type, &inner);
    } else {
        hdr_parse(data + ofs, len - ofs, &inner);
    }
    return packet_id(config, data + ofs, len - ofs, &inner, &id) ==
                   PACKET_ID_OK
               ? id
               : 0;
}
