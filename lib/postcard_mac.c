/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_mac - postcards in the destination MAC, both ways. */
#include <config.h>
#include "lib/postcard_mac.h"

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/of_port.h"

#define MACS_LEN       12
#define ETH_LEN        14
#define VID_MASK       0x0fff
#define CODE_MASK      0x0fff
#define RESERVED_CODES 4080 /* Codes from here on are reserved ports. */
#define RESERVED_PORTS 0xfff0u

bool
postcard_mac_port_code(uint32_t port, uint16_t *code)
{
    if (port <= POSTCARD_MAC_MAX_PORT) {
        *code = (uint16_t) port;
    } else if (port == OF_PORT_GROUP) {
        *code = RESERVED_CODES;
    } else if (port > RESERVED_PORTS && port <= OF_PORT_NONE) {
        *code = (uint16_t) (port - RESERVED_PORTS + RESERVED_CODES);
    } else {
        return false;
    }
    return true;
}

void
postcard_mac_address(uint32_t version, uint16_t port_code, uint16_t index,
                     uint8_t mac[6])
{
    bytes_put_be24(mac, version);
    bytes_put_be24(mac + 3, (uint32_t) (port_code & CODE_MASK) << 12 |
                                (index & CODE_MASK));
}

static uint32_t
port_of_code(const struct postcard_mac_config *config, uint64_t dpid,
             uint16_t code)
{
    uint32_t port;

    if (code == RESERVED_CODES) {
        return OF_PORT_GROUP;
    } else if (code > RESERVED_CODES) {
        return code - RESERVED_CODES + RESERVED_PORTS;
    } else if (config->find_port &&
               config->find_port(config->aux, dpid, code, &port)) {
        return port;
    }
    return code;
}

enum postcard_result
postcard_mac_decode(const struct postcard_mac_config *config,
                    const uint8_t *data, size_t len, uint8_t *buf, size_t size,
                    struct postcard *p)
{
    struct bytes_reader r = bytes_reader(data, len);
    uint32_t version = bytes_get_u24(&r);
    uint32_t port_index = bytes_get_u24(&r);
    const uint8_t *eth_src = bytes_get(&r, 6);
    uint16_t tpid = bytes_get_u16(&r);
    uint16_t tci = bytes_get_u16(&r);
    uint64_t dpid;

    if (len >= ETH_LEN && tpid != HDR_ETH_VLAN) {
        return POSTCARD_OTHER;
    } else if (r.failed) {
        return POSTCARD_TRUNCATED;
    } else if ((tci & VID_MASK) != config->vlan) {
        return POSTCARD_OTHER;
    } else if (bytes_left(&r) < 2) {
        return POSTCARD_TRUNCATED;
    } else if (!config->find_switch(config->aux, port_index & CODE_MASK,
                                    &dpid)) {
        return POSTCARD_UNKNOWN_SWITCH;
    }

    struct bytes_writer w =
        bytes_writer(buf, size < UINT16_MAX ? size : UINT16_MAX);

    bytes_put_zeros(&w, 6);
    bytes_put(&w, eth_src, 6);

    size_t room = w.size - w.len;
    size_t rest = bytes_left(&r) < room ? bytes_left(&r) : room;

    bytes_put(&w, bytes_get(&r, rest), rest);
    if (w.failed) {
        return POSTCARD_TRUNCATED;
    }
    *p = (struct postcard){
        .dpid = dpid,
        .time_ns = p->time_ns,
        .version = version,
        .in_port = OF_PORT_UNKNOWN,
        .out_port = port_of_code(config, dpid, (uint16_t) (port_index >> 12)),
        .version_bits = POSTCARD_MAC_VERSION_BITS,
        .caplen = (uint16_t) w.len,
        .header = buf,
    };
    if (p->out_port == OF_PORT_GROUP) {
        p->flags = POSTCARD_GROUP;
    }
    return POSTCARD_OK;
}

size_t
postcard_mac_encode(const struct postcard *p, uint16_t vlan, uint16_t index,
                    uint16_t port_code, uint8_t *out, size_t size)
{
    struct bytes_writer w = bytes_writer(out, size);
    uint8_t mac[6];

    if (p->caplen < ETH_LEN) {
        return 0;
    }
    postcard_mac_address(p->version, port_code, index, mac);
    bytes_put(&w, mac, sizeof mac);
    bytes_put(&w, p->header + 6, 6);
    bytes_put_u16(&w, HDR_ETH_VLAN);
    bytes_put_u16(&w, vlan & VID_MASK);
    bytes_put(&w, p->header + MACS_LEN, (size_t) p->caplen - MACS_LEN);
    return w.failed ? 0 : w.len;
}
