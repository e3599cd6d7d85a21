# SPDX-License-Identifier: Apache-2.0
# Frames built byte by byte, so that a test knows exactly what it sent.
"""
udp(src=h1, dst=h2, ..) and friends take addresses as text and give whole
Ethernet frames with right checksums.
"""

import ipaddress
import socket
import struct


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ethernet(src, dst, ethertype, payload, vlan=None):
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, vlan)
    frame = mac(dst) + mac(src) + tag + struct.pack("!H", ethertype) + payload
    return frame.ljust(60, b"\0")


def ipv4(src, dst, protocol, payload, ttl=64, ident=0, tos=0):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), ident,
                         0, ttl, protocol, 0, socket.inet_aton(src),
                         socket.inet_aton(dst))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] \
        + payload


def ipv6(src, dst, protocol, payload, hop_limit=64, label=0):
    return struct.pack("!IHBB", 0x60000000 | label, len(payload), protocol,
                       hop_limit) \
        + ipaddress.IPv6Address(src).packed \
        + ipaddress.IPv6Address(dst).packed + payload


def pseudo(src, dst, protocol, length):
    a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if a.version == 4:
        return a.packed + b.packed + struct.pack("!BBH", 0, protocol, length)
    return a.packed + b.packed + struct.pack("!II", length, protocol)


def udp_datagram(src, dst, sport, dport, data):
    header = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    value = checksum(pseudo(src, dst, 17, len(header + data)) + header + data)
    return header[:6] + struct.pack("!H", value or 0xffff) + data


def udp4(eth_src, eth_dst, src, dst, sport, dport, data=b"lasthop", **ip):
    return ethernet(eth_src, eth_dst, 0x0800, ipv4(
        src, dst, 17, udp_datagram(src, dst, sport, dport, data), **ip))


def udp6(eth_src, eth_dst, src, dst, sport, dport, data=b"lasthop", **ip):
    return ethernet(eth_src, eth_dst, 0x86dd, ipv6(
        src, dst, 17, udp_datagram(src, dst, sport, dport, data), **ip))


def arp_request(eth_src, src, dst):
    return ethernet(eth_src, "ff:ff:ff:ff:ff:ff", 0x0806, struct.pack(
        "!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac(eth_src),
        socket.inet_aton(src), b"\0" * 6, socket.inet_aton(dst)))
