# SPDX-License-Identifier: Apache-2.0
# OpenFlow as bytes: a connection, messages, and what of them can be compared.
"""
The messages of random tests are written in the text form of ovs-ofctl, which
encodes them (encode()); all others are built here field by field.  Versions
are numbers on the wire: 1 is OpenFlow 1.0, 4 is 1.3, 5 is 1.4, 6 is 1.5.

    wire = Wire(socket, 4)
    wire.handshake()
    wire.send(message(4, FLOW_MOD, 7, body))
    answers = wire.sync()       # Everything up to the reply to a barrier.

comparable(answers) gives a list of which two are equal where a controller
could not tell the one from the other.
"""

import os
import socket
import struct
import subprocess

NAMES = {1: "OpenFlow10", 2: "OpenFlow11", 3: "OpenFlow12", 4: "OpenFlow13",
         5: "OpenFlow14", 6: "OpenFlow15"}

HELLO, ERROR, ECHO_REQUEST, EXPERIMENTER = 0, 1, 2, 4
FEATURES_REQUEST, FEATURES_REPLY, GET_CONFIG, SET_CONFIG = 5, 6, 7, 9
PACKET_IN, FLOW_REMOVED, PORT_STATUS, PACKET_OUT, FLOW_MOD = 10, 11, 12, 13, 14
GROUP_MOD, PORT_MOD, TABLE_MOD = 15, 16, 17     # From 1.1 on.
METER_MOD, BUNDLE_CONTROL, BUNDLE_ADD = 29, 33, 34
NO_BUFFER = 0xffffffff

# Multipart types.
DESC, FLOW, AGGREGATE, TABLE, PORT, QUEUE, GROUP, GROUP_DESC = range(8)
GROUP_FEATURES, METER, METER_CONFIG, METER_FEATURES = range(8, 12)
TABLE_FEATURES, PORT_DESC, TABLE_DESC, QUEUE_DESC = range(12, 16)

NICIRA, ONF = 0x2320, 0x4f4e4600
LLDP = b"\x88\xcc"


def message(version, kind, xid, body=b""):
    """A whole OpenFlow message."""
    return struct.pack(">BBHI", version, kind, 8 + len(body), xid) + body


def multipart_type(version):
    """The type of a multipart request; that of the reply is one more."""
    return 16 if version == 1 else 18


def multipart(version, xid, kind, body=b""):
    """A multipart request."""
    head = struct.pack(">HH" if version == 1 else ">HH4x", kind, 0)
    return message(version, multipart_type(version), xid, head + body)


def barrier(version, xid):
    """A barrier request."""
    return message(version, 18 if version == 1 else 20, xid)


def with_xid(msg, xid):
    """'msg' with another transaction ID."""
    return msg[:4] + struct.pack(">I", xid) + msg[8:]


def port_number(version, port):
    """A port number as it is in messages of that version."""
    if version > 1 and port >= 0xff00:
        return struct.pack(">I", 0xffff0000 | port)
    return struct.pack(">H" if version == 1 else ">I", port)


class Wire:
    """One end of a connection that speaks one version."""

    def __init__(self, connection, version):
        self.socket = connection
        self.socket.settimeout(20)
        self.version = version
        self._buffer = b""
        self._sync_xid = 0xf0000000

    def close(self):
        """Ends the connection."""
        self.socket.close()

    def send(self, *messages):
        """Writes messages."""
        self.socket.sendall(b"".join(messages))

    def _exactly(self, size):
        while len(self._buffer) < size:
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError("the other side closed the connection")
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def receive(self):
        """The next message, whole."""
        head = self._exactly(8)
        return head + self._exactly(struct.unpack(">H", head[2:4])[0] - 8)

    def hello(self):
        """Its HELLO, of one version."""
        bitmap = struct.pack(">HHI", 1, 8, 1 << self.version)
        return message(self.version, HELLO, 1, bitmap)

    def handshake(self):
        """HELLOs that agree on the version."""
        self.send(self.hello())
        assert self.receive()[1] == HELLO

    def sync(self):
        """All messages up to the reply to a barrier, without that."""
        self._sync_xid += 1
        self.send(barrier(self.version, self._sync_xid))
        reply = 19 if self.version == 1 else 21
        seen = []
        while True:
            msg = self.receive()
            if msg[1] == reply and \
                    msg[4:8] == struct.pack(">I", self._sync_xid):
                return seen
            seen.append(msg)


# --- encoding ---------------------------------------------------------------


class Encoder:
    """ovs-ofctl, sending to a switch that only listens."""

    def __init__(self, directory):
        self.path = f"{directory}/encoder.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(0.1)

    def close(self):
        """Ends it."""
        self.listener.close()
        os.unlink(self.path)

    def encode(self, version, command, lines, options=()):
        """What "ovs-ofctl COMMAND SWITCH -" sends for 'lines': as many
        messages."""
        child = subprocess.Popen(
            ["ovs-ofctl", "--no-names", "-O", NAMES[version], *options,
             command, f"unix:{self.path}", "-"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        child.stdin.write("\n".join(lines) + "\n")
        child.stdin.close()
        sent = []
        try:
            while child.poll() is None:
                try:
                    connection = self.listener.accept()[0]
                except TimeoutError:
                    continue
                sent += self._serve(Wire(connection, version))
        finally:
            errors = child.stderr.read()
            child.stderr.close()
            child.wait()
        kind = FLOW_MOD if command == "add-flows" else GROUP_MOD
        sent = [m for m in sent if m[1] == kind or (
            m[1] == EXPERIMENTER and m[12:16] in (b"\0\0\0\x0d",
                                                  b"\0\0\0\x1f"))]
        assert len(sent) == len(lines), (errors, lines)
        return sent

    @staticmethod
    def _serve(wire):
        wire.handshake()
        seen = []
        try:
            while True:
                msg = wire.receive()
                seen.append(msg)
                if msg[1] == (18 if wire.version == 1 else 20):
                    wire.send(msg[:1] + bytes([msg[1] + 1]) + msg[2:])
        except (EOFError, ConnectionError):
            wire.close()
            return seen


def actions_of(flow_mod):
    """The bytes of the actions of an encoded flow-mod: what a packet-out
    takes."""
    if flow_mod[0] == 1:
        if flow_mod[1] == FLOW_MOD:
            return flow_mod[72:]
        size = struct.unpack(">H", flow_mod[40:42])[0]
        return flow_mod[48 + (size + 7) // 8 * 8:]
    size = struct.unpack(">H", flow_mod[50:52])[0]
    rest = flow_mod[48 + (size + 7) // 8 * 8:]
    if rest[:2] != b"\0\x04":
        return b""
    return rest[8:struct.unpack(">H", rest[2:4])[0]]


def match_of(flow_mod):
    """The bytes of the match, padded."""
    assert flow_mod[0] >= 4
    size = struct.unpack(">H", flow_mod[50:52])[0]
    return flow_mod[48:48 + (size + 7) // 8 * 8]


def packet_out(version, xid, in_port, actions, frame, buffer_id=NO_BUFFER):
    """A packet-out."""
    body = struct.pack(">I", buffer_id) + port_number(version, in_port)
    if version == 6:
        in_port_field = struct.pack(">HH", 0x8000, 4) \
            + port_number(version, in_port)
        match = struct.pack(">HH", 1, 12) + in_port_field
        body = struct.pack(">IHH", buffer_id, len(actions), 0) \
            + match.ljust(16, b"\0")
    else:
        body += struct.pack(">H", len(actions))
        body += b"" if version == 1 else bytes(6)
    return message(version, PACKET_OUT, xid, body + actions + frame)


# --- comparing --------------------------------------------------------------

# How a record of a multipart reply tells its length: a number, or where its
# 16-bit length stands.
_LENGTHS_10 = {FLOW: ("at", 0), TABLE: 64, PORT: 104, QUEUE: 32,
               GROUP: ("at", 0), GROUP_DESC: ("at", 0)}
_LENGTHS_13 = {FLOW: ("at", 0), TABLE: 24, PORT: 112, QUEUE: 40,
               GROUP: ("at", 0), GROUP_DESC: ("at", 0), METER: ("at", 4),
               METER_CONFIG: ("at", 2), TABLE_FEATURES: ("at", 0),
               PORT_DESC: 64}
_LENGTHS_14 = {**_LENGTHS_13, PORT: ("at", 0), QUEUE: ("at", 0),
               PORT_DESC: ("at", 4), TABLE_DESC: ("at", 0),
               QUEUE_DESC: ("at", 6)}
_LENGTHS_12 = {FLOW: ("at", 0), TABLE: 128, PORT: 104, QUEUE: 32,
               GROUP: ("at", 0), GROUP_DESC: ("at", 0), PORT_DESC: 64}
_LENGTHS_11 = {**_LENGTHS_12, TABLE: 88}


def _lengths(version):
    return {1: _LENGTHS_10, 2: _LENGTHS_11, 3: _LENGTHS_12,
            4: _LENGTHS_13}.get(version, _LENGTHS_14)


def records(version, kind, body):
    """The records of a multipart reply's body; the whole where there are
    none."""
    rule = _lengths(version).get(kind)
    found = []
    while body and rule:
        size = rule if isinstance(rule, int) else \
            struct.unpack_from(">H", body, rule[1])[0]
        if not 0 < size <= len(body):
            break
        found.append(body[:size])
        body = body[size:]
    return found + [body] if body else found


def without_time(version, kind, record):
    """'record' without how long there has been a port or a queue: these began
    when the switch did."""
    if kind == PORT and version >= 4:
        at = 104 if version == 4 else 8
        return record[:at] + bytes(8) + record[at + 8:]
    if kind == QUEUE and version >= 4:
        at = 32 if version == 4 else 40
        return record[:at] + bytes(8) + record[at + 8:]
    return record


def without_lldp(messages, lldp):
    """'messages' with the port statistics less the frames that the recorder
    has sent itself: port -> (frames, bytes)."""
    found = []
    for msg in messages:
        version = msg[0]
        if msg[1] == multipart_type(version) + 1 and \
                msg[8:10] == struct.pack(">H", PORT):
            head = 12 if version == 1 else 16
            msg = msg[:head] + b"".join(
                _port_without(version, record, lldp)
                for record in records(version, PORT, msg[head:]))
        found.append(msg)
    return found


def _port_without(version, record, lldp):
    at, size = {1: (0, 2), 5: (4, 4), 6: (4, 4)}.get(version, (0, 4))
    number = int.from_bytes(record[at:at + size], "big") & 0xffff
    n, n_bytes = lldp.get(number, (0, 0))
    at = 24 if version > 4 else 16
    less = {at: n, at + 16: n_bytes}
    if version > 4:     # The dummies' own counters, by name.
        for name, value in ((b"\x0dtx_q0_packets", n),
                            (b"\x0btx_q0_bytes", n_bytes)):
            if name in record:
                less[record.index(name) + len(name)] = value
    for at, value in less.items():
        value = struct.unpack_from(">Q", record, at)[0] - value
        record = record[:at] + struct.pack(">Q", value & (1 << 64) - 1) \
            + record[at + 8:]
    return record


def is_flow_removed(msg):
    """Whether it is one, Nicira's or the standard's."""
    return msg[1] == FLOW_REMOVED or (
        msg[1] == EXPERIMENTER and msg[8:16] == b"\0\0\x23\x20\0\0\0\x0e")


def without_duration(msg):
    """A flow-removed without the fraction of a second that its rule lived, or
    all of that time after a timeout: the switch says it a bit later."""
    if msg[0] == 1:
        reason, at = (26, 28) if msg[1] == EXPERIMENTER else (58, 60)
    elif msg[0] == 6:
        reason, at = 9, msg.index(b"\x80\x02\0\x08") + 4     # OXS
    else:
        reason, at = 18, 20
    if msg[reason] > 1:
        return msg[:at + 4] + bytes(4) + msg[at + 8:]
    return msg[:at] + bytes(8) + msg[at + 8:]


_NICIRA_PARTS = {0: FLOW, 7: GROUP, 8: GROUP_DESC}


def parts(msg):
    """(type, body) of a multipart reply; Nicira's own are as if they were the
    standard's."""
    part = struct.unpack(">H", msg[8:10])[0]
    body = msg[12:] if msg[0] == 1 else msg[16:]
    if part == 0xffff and body[:4] == struct.pack(">I", NICIRA):
        part = _NICIRA_PARTS.get(body[7], part)
        return part, body if part == 0xffff else body[12:]
    return part, body


def comparable(messages):
    """Messages as lists of which content and order matter: answers, packet-ins
    and port changes in their order, flow-removeds and the records of
    statistics sorted, because the switch's own order is that of its hash
    tables and threads."""
    answers, packets, ports, removed = [], [], [], []
    open_replies = {}
    for msg in messages:
        version, kind = msg[0], msg[1]
        if kind == multipart_type(version) + 1:
            part, body = parts(msg)
            found = [without_time(version, part, r)
                     for r in records(version, part, body)]
            entry = open_replies.pop(msg[4:8], None)
            if entry is None:
                entry = ("multipart", part, msg[4:8].hex(), [])
                answers.append(entry)
            entry[3].extend(found)
            entry[3].sort()
            if msg[11] & 1:
                open_replies[msg[4:8]] = entry
        elif is_flow_removed(msg):
            removed.append(("message", without_duration(msg)))
        elif kind == PACKET_IN or (
                kind == EXPERIMENTER
                and msg[12:16] in (b"\0\0\0\x11", b"\0\0\0\x1e")):
            packets.append(("message", msg))
        elif kind == PORT_STATUS:
            ports.append(("message", msg))
        elif version == 1 and kind == FEATURES_REPLY:
            answers.append(("message", msg[:32] + b"".join(sorted(
                msg[i:i + 48] for i in range(32, len(msg), 48)))))
        else:
            answers.append(("message", msg))
    return [answers, packets, ports, sorted(removed)]


def show(msg):
    """A message as ovs-ofctl prints it."""
    done = subprocess.run(["ovs-ofctl", "ofp-print", msg.hex()], text=True,
                          capture_output=True, check=False, timeout=20)
    return done.stdout.split("\n0000")[0].rstrip()
