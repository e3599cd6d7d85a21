#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The hosts' end of the traffic: small servers, clients and raw frames.
"""
usage: traffic.py tcp-serve PORT          echo in capitals, IPv4 and IPv6
       traffic.py udp-serve PORT          the same by UDP
       traffic.py tcp-request ADDRESS PORT TEXT [TIMEOUT [SOURCE-PORT]]
       traffic.py udp-request ADDRESS PORT TEXT [TIMEOUT [SOURCE-PORT]]
       traffic.py send IFACE              frames in hex, a line each, on stdin
       traffic.py capture IFACE           prints each frame that comes in

Servers and capture print "ready" when they are, and run until ended.  Requests
print the reply; exit status 1 when none came within TIMEOUT (2) seconds.
"""

import socket
import struct
import sys
import threading

ETH_P_ALL = 3
PACKET_OUTGOING = 4
# packet(7): the kernel takes a VLAN tag off the frame and tells it beside.
SOL_PACKET = 263
PACKET_AUXDATA = 8
TP_STATUS_VLAN_VALID = 1 << 4


def say(text):
    print(text, flush=True)


def answer_tcp(connection):
    """Sends back in capitals what comes, until the peer closes."""
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data.upper())


def serve_tcp(port):
    listener = socket.create_server(("::", int(port)),
                                    family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    say("ready")
    while True:
        connection, peer = listener.accept()
        say(f"connection from {peer[0].removeprefix('::ffff:')} "
            f"port {peer[1]}")
        threading.Thread(target=answer_tcp, args=(connection,),
                         daemon=True).start()


def serve_udp(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", int(port)))
    say("ready")
    while True:
        data, peer = server.recvfrom(65536)
        say(f"datagram from {peer[0].removeprefix('::ffff:')} port {peer[1]}")
        server.sendto(data.upper(), peer)


def request(kind, address, port, text, timeout="2", source_port="0"):
    """Sends 'text', prints the reply and returns whether there was one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as client:
        client.settimeout(float(timeout))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("", int(source_port)))
        try:
            client.connect((address, int(port)))
            client.sendall(text.encode())
            reply = client.recv(65536)
        except OSError as error:
            print(error, file=sys.stderr)
            return False
    say(reply.decode())
    return True


def send(interface):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        for line in sys.stdin:
            wire.send(bytes.fromhex(line))


def capture(interface):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                       socket.htons(ETH_P_ALL)) as wire:
        wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        wire.bind((interface, ETH_P_ALL))
        say("ready")
        while True:
            frame, beside, _flags, where = wire.recvmsg(65536, 256)
            if where[2] != PACKET_OUTGOING:
                say(with_tag(frame, beside).hex())


def with_tag(frame, beside):
    """'frame' as it was on the wire, given what recvmsg() told 'beside'."""
    for level, kind, data in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _len, _snaplen, _mac, _net, tci, tpid = struct.unpack(
                "=IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


def main(word=None, *arguments):
    if word == "tcp-serve":
        serve_tcp(*arguments)
    elif word == "udp-serve":
        serve_udp(*arguments)
    elif word == "tcp-request":
        return request(socket.SOCK_STREAM, *arguments)
    elif word == "udp-request":
        return request(socket.SOCK_DGRAM, *arguments)
    elif word == "send":
        send(*arguments)
    elif word == "capture":
        capture(*arguments)
    else:
        sys.exit(__doc__.strip())
    return True


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]) else 1)
