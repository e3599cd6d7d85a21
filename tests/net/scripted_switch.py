# SPDX-License-Identifier: Apache-2.0
# Switches that a test plays itself, message by message, for what Open vSwitch
# does not do: OpenFlow 1.3 as bytes, an empty table.

import socket
import struct
import threading

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, EXPERIMENTER = 0, 1, 2, 3, 4
FEATURES_REQUEST, FEATURES_REPLY = 5, 6
PACKET_IN, PACKET_OUT, FLOW_MOD = 10, 13, 14
MULTIPART_REQUEST, MULTIPART_REPLY = 18, 19
BARRIER_REQUEST, BARRIER_REPLY = 20, 21
MULTIPART_FLOW, MULTIPART_PORT_DESC = 1, 13
NAME = "br0"


def message(kind, xid, body=b"", version=4):
    return struct.pack(">BBHI", version, kind, 8 + len(body), xid) + body


def features(dpid, auxiliary=0):
    """The body of a FEATURES_REPLY."""
    return struct.pack(">QIBB2xII", dpid, 0, 254, auxiliary, 0, 0)


def port(number, name):
    """A port in a port description."""
    return struct.pack(">I4x6s2x16sIIIIIIII", number,
                       bytes([2, 0, 0, 0, 0, number & 0xff]), name.encode(),
                       0, 0, 0, 0, 0, 0, 0, 0)


PORTS = port(1, "p1") + port(2, "p2") + port(0xfffffffe, NAME)  # Of NAME.


def answer(kind, body, dpid=1, auxiliary=0, ports=b""):
    """What a switch with an empty table answers: (type, body), or None."""
    if kind == FEATURES_REQUEST:
        return FEATURES_REPLY, features(dpid, auxiliary)
    if kind == ECHO_REQUEST:
        return ECHO_REPLY, body
    if kind == MULTIPART_REQUEST:
        is_ports = body[:2] == struct.pack(">H", MULTIPART_PORT_DESC)
        return MULTIPART_REPLY, body[:2] + bytes(6) + ports * is_ports
    if kind == BARRIER_REQUEST:
        return BARRIER_REPLY, b""
    if kind == EXPERIMENTER and body[:8] == struct.pack(">II", 0x2320, 25):
        # An empty TLV map.
        return EXPERIMENTER, struct.pack(">IIIH10x", 0x2320, 26, 256, 64)
    return None


class Switch:
    """One connection of a switch, which a thread of its own plays."""

    def __init__(self, path, dpid=1, auxiliary=0, ports=b""):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)   # Waits when too many do.
        self.socket.settimeout(60)
        self.dpid = dpid
        self.auxiliary = auxiliary
        self.ports = ports
        self.seen = []          # (type, body) of what has no answer.
        self.answers = True     # False: reads, and answers nothing.
        self.reads = threading.Event()
        self.reads.set()        # Cleared: does not read from its socket.
        self.send(HELLO, 1)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def send(self, kind, xid, body=b""):
        try:
            self.socket.sendall(message(kind, xid, body))
        except OSError:
            pass

    def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            self.reads.wait()
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _serve(self):
        try:
            while True:
                _, kind, size, xid = struct.unpack(">BBHI", self.exactly(8))
                body = self.exactly(size - 8)
                reply = self.reply(kind, body)
                if reply is not None and self.answers:
                    self.send(reply[0], xid, reply[1])
                elif kind not in (HELLO, ECHO_REPLY):
                    self.seen.append((kind, body))
        except (EOFError, OSError):
            self.seen.append(("end", b""))

    def reply(self, kind, body):
        """As answer(); for a switch that has more to say."""
        return answer(kind, body, self.dpid, self.auxiliary, self.ports)

    def got(self, kind):
        """The bodies of what came of that type."""
        return [body for k, body in self.seen if k == kind]

    def close(self):
        self.reads.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(20)
        self.socket.close()
