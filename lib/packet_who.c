/* SPDX-License-Identifier: Apache-2.0 */
/* packet_who - who sent a packet to whom. */
#include <config.h>

#include "lib/packet_who.h"

#include <stdbool.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"

uint16_t
packet_who_proto(enum header_kind kind)
{
    switch (kind) {
    case HEADER_IP4_TCP:
    case HEADER_IP6_TCP:
        return HDR_IP_TCP;
    case HEADER_IP4_UDP:
    case HEADER_IP6_UDP:
        return HDR_IP_UDP;
    case HEADER_IP4_ICMP:
        return HDR_IP_ICMP;
    case HEADER_IP6_ICMP:
        return HDR_IP_ICMP6;
    case HEADER_IP4_OTHER:
    case HEADER_IP6_OTHER:
    case HEADER_IP4_PORTS:
    case HEADER_IP6_PORTS:
    case HEADER_TYPE:
    case HEADER_ARP:
    case HEADER_IP4_OPTIONS:
    case N_HEADER_FORMS:
    default:
        return 0;
    }
}

void
packet_who_find(const struct history *h, struct packet_who *who,
                uint8_t ports[4])
{
    const struct history_hop *hop = &h->hops[0];
    struct hdr hdr;
    size_t i = 0;

    memset(who, 0, sizeof *who);
    while (i < h->n_hops && !h->hops[i].caplen) {
        i++;
    }
    if (i == h->n_hops || h->hops[i].caplen < 14) {
        return;
    }
    hop = &h->hops[i];
    hdr_parse(hop->header, hop->caplen, &hdr);
    if (hdr.is_ip4 || hdr.is_ip6) {
        who->proto = hdr.ip_proto;
        who->n_addr = hdr.is_ip4 ? 4 : 16;
        who->src = hop->header + hdr.l3_ofs + (hdr.is_ip4 ? 12 : 8);
    } else {
        who->proto = hdr.eth_type;
        who->n_addr = 6;
        who->dst = hop->header;
        who->src = hop->header + 6;
        return;
    }
    who->dst = who->src + who->n_addr;
    if (hdr.l4_ofs && (hdr.src_port || hdr.dst_port)) {
        bytes_put_be16(ports, hdr.src_port);
        bytes_put_be16(ports + 2, hdr.dst_port);
        who->n_ports = 4;
        who->ports = ports;
    } else if (hdr.l4_ofs) {
        ports[0] = hdr.icmp_type;
        ports[1] = hdr.icmp_code;
        who->n_ports = 2;
        who->ports = ports;
    }
}
