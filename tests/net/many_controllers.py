# SPDX-License-Identifier: Apache-2.0
# Controllers that a test plays itself, message by message: OpenFlow 1.3 and
# 1.0 as bytes, over a Unix socket that a bridge or the recorder connects to.

import os
import socket
import struct
import time

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, EXPERIMENTER = 0, 1, 2, 3, 4
FEATURES_REQUEST, FEATURES_REPLY = 5, 6
PACKET_IN, FLOW_REMOVED, PORT_STATUS, FLOW_MOD = 10, 11, 12, 14
MULTIPART_REQUEST, MULTIPART_REPLY = 18, 19
ROLE_REQUEST, ROLE_REPLY = 24, 25
NO_CHANGE, EQUAL, MASTER, SLAVE = 0, 1, 2, 3


def message(version, kind, xid, body=b""):
    return struct.pack(">BBHI", version, kind, 8 + len(body), xid) + body


def match_port(port):
    """An OXM match on in_port, padded."""
    return struct.pack(">HHIIxxxx", 1, 12, 0x80000004, port)


def flow_mod(command, priority, port, out, *, flags=0, idle=0):
    """The body of a 1.3 flow-mod: in_port 'port' to port 'out'."""
    actions = struct.pack(">HHIHxxxxxx", 0, 16, out, 0xffff)
    instructions = struct.pack(">HHxxxx", 4, 8 + len(actions)) + actions
    return struct.pack(">QQBBHHHIIIHxx", 0, 0, 0, command, idle, 0, priority,
                       0xffffffff, 0xffffffff, 0xffffffff, flags) + \
        match_port(port) + (instructions if command < 3 else b"")


def flow_mod_10(command, priority, port, out):
    """The same for 1.0."""
    match = struct.pack(">IH", 0x3820ff & ~1, port) + bytes(34)
    actions = struct.pack(">HHHH", 0, 8, out, 0xffff)
    return match + struct.pack(">QHHHHIHH", 0, command, 0, 0, priority,
                               0xffffffff, 0xffff, 0) + actions


class Controller:
    """One of the controllers of one switch."""

    def __init__(self, path, version=4):
        self.path = path
        self.version = version
        self.xid = 100
        self.seen = []      # Everything but answers to echoes and barriers.
        self.socket = None
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.listener.settimeout(30)

    @property
    def target(self):
        return f"unix:{self.path}"

    def accept(self):
        """Takes the switch's connection and says HELLO; returns self."""
        while True:
            self.close()
            self.socket = self.listener.accept()[0]
            self.socket.settimeout(20)
            try:
                self.socket.sendall(message(self.version, HELLO, 1))
                self.barrier()
            except (EOFError, ConnectionError):
                continue    # A bridge gives up after a second; it will retry.
            self.seen.clear()
            return self

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def receive(self):
        """The next message that is no echo, as (type, xid, body)."""
        while True:
            _, kind, size, xid = struct.unpack(">BBHI", self.exactly(8))
            body = self.exactly(size - 8)
            if kind != ECHO_REQUEST:
                return kind, xid, body
            self.socket.sendall(message(self.version, ECHO_REPLY, xid, body))

    def send(self, kind, body=b""):
        """Sends a message and returns its transaction ID."""
        self.xid += 1
        self.socket.sendall(message(self.version, kind, self.xid, body))
        return self.xid

    def barrier(self):
        """Waits until all is done that was sent; what came meanwhile is then
        in self.seen."""
        request = 18 if self.version == 1 else 20
        xid = self.send(request)
        while True:
            got = self.receive()
            if got[:2] == (request + 1, xid):
                return
            self.seen.append(got)

    def take(self):
        """What was seen since the last take()."""
        self.barrier()
        seen, self.seen = self.seen, []
        return [entry for entry in seen if entry[0] != HELLO]

    def role(self, role, generation=0):
        """Asks for a role; what came of it."""
        if self.version == 1:
            self.send(EXPERIMENTER, struct.pack(">III", 0x2320, 10, role - 1))
        else:
            self.send(ROLE_REQUEST, struct.pack(">IxxxxQ", role, generation))
        return self.take()

    def flow(self, command, priority, port, out, **options):
        """Sends a flow-mod."""
        make = flow_mod_10 if self.version == 1 else flow_mod
        return self.send(FLOW_MOD, make(command, priority, port, out,
                                        **options))

    def wait_for(self, kind, deadline=10):
        """Waits until a message of that type was seen and takes it."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            self.barrier()
            for entry in self.seen:
                if entry[0] == kind:
                    self.seen.remove(entry)
                    return entry
        raise AssertionError(f"no message of type {kind}: {self.seen}")
