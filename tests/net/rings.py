# SPDX-License-Identifier: Apache-2.0
# The rings of a patched Open vSwitch, read (docs/formats/ring.md).
"""
    rings = Rings(lab.process("ovs-vswitchd").pid)
    rings.attach()
    ...
    for record in rings.read(): print(record.type, record.template.bridge)

A ring exists from the first packet that its thread observes; Rings finds new
ones whenever it is used.  Also a program: `rings.py drain PID` reads the rings
of that switch, `rings.py drain FOLDER` those of all whose program is there, and
throws away what is in them, until it gets SIGTERM.
"""

import collections
import ctypes
import fcntl
import mmap
import os
import signal
import struct
import sys
import time

NAME = "memfd:lasthop-ring"
MAGIC = b"LASTHOPR"
READER = 4096                   # Offset of the reader's page.
RECORDS = 8192                  # Offset of the records.
POSTCARD, TEMPLATE, GAP, SKIP, DROPPED = range(1, 6)
COUNTERS = ("postcards", "dropped", "templates", "unsampled", "unread", "gaps")

Template = collections.namedtuple(
    "Template", "dpid in_port flags outputs trail reason bridge")
Record = collections.namedtuple(
    "Record", "type seq template time_ns packet_len reason data")
Gap = collections.namedtuple(
    "Gap", "type seq first_ns last_ns count counts")


def parse_template(data):
    """A Template of its bytes; 'outputs' are (port, flags), 'trail' entries
    (table, version or None, is_miss)."""
    dpid, in_port, flags, n_outputs, n_trail, reason_len, bridge = \
        struct.unpack_from("=QIHHHH16s", data)
    offset = 40
    outputs = [struct.unpack_from("=HH", data, offset + 4 * i)
               for i in range(n_outputs)]
    offset += 4 * n_outputs
    trail = []
    for i in range(n_trail):
        version, table, bits = struct.unpack_from("=IBB", data, offset + 8 * i)
        trail.append((table, version if bits & 1 else None, bool(bits & 2)))
    offset += 8 * n_trail
    reason = data[offset:offset + reason_len].decode()
    return Template(dpid, in_port, flags, outputs, trail, reason,
                    bridge.rstrip(b"\0").decode())


class Ring:
    """One ring, mapped.  Keeps working when its writer is gone."""

    def __init__(self, path):
        self.file = open(path, "r+b", buffering=0)
        self.map = mmap.mmap(self.file.fileno(), 0)
        if self.map[:8] != MAGIC:
            raise ValueError("not a ring")
        self.size, = struct.unpack_from("=Q", self.map, 16)
        self.thread = self.map[40:56].rstrip(b"\0").decode()
        self.tail, = struct.unpack_from("=Q", self.map, READER)
        self.templates = {}

    def close(self):
        """Lets go of it."""
        self.file.close()

    def word(self, offset, form="Q"):
        """A number of the mapped memory, read at once."""
        kind = {"Q": ctypes.c_uint64, "I": ctypes.c_uint32}[form]
        return kind.from_buffer(self.map, offset).value

    def set_word(self, offset, value, form="Q"):
        """Writes a number there, at once."""
        kind = {"Q": ctypes.c_uint64, "I": ctypes.c_uint32}[form]
        kind.from_buffer(self.map, offset).value = value

    @property
    def head(self):
        """Bytes ever written."""
        return self.word(128)

    @property
    def is_closed(self):
        """Whether nothing more will be written."""
        return self.word(240, "I") == 1

    def counters(self):
        """What the switch has counted, by name."""
        return {name: self.word(192 + 8 * i)
                for i, name in enumerate(COUNTERS)}

    def attach(self, epoch):
        """Becomes the reader: what is there so far is skipped.  Raises
        BlockingIOError when another one is."""
        fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.templates = {}
        self.set_word(READER + 8, epoch, "I")
        self.tail = self.head
        self.set_word(READER, self.tail)

    def adopt(self, epoch):
        """Becomes the reader of a ring that may be new: of one that was
        recorded from its start, nothing is skipped."""
        if self.word(READER + 8, "I") and not self.tail:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            self.attach(epoch)

    def set_threshold(self, threshold):
        """Asks for the packets up to that threshold only."""
        self.set_word(READER + 12, threshold, "I")

    def drain(self):
        """Throws away what is there."""
        self.tail = self.head
        self.set_word(READER, self.tail)

    def read(self):
        """Takes and returns what is there: Records and Gaps."""
        taken, head = [], self.head
        while self.tail != head:
            offset = RECORDS + self.tail % self.size
            size, kind, _, slot = struct.unpack_from("=IBBH", self.map, offset)
            assert size >= 8 and size % 8 == 0 and size <= head - self.tail
            self.tail += size
            if kind == SKIP:
                continue
            seq, = struct.unpack_from("=Q", self.map, offset + 8)
            if kind == TEMPLATE:
                length, = struct.unpack_from("=I", self.map, offset + 24)
                self.templates[slot] = parse_template(
                    self.map[offset + 32:offset + 32 + length])
            elif kind == GAP:
                first, last, count, n = struct.unpack_from("=QQQI", self.map,
                                                           offset + 16)
                counts = dict(struct.iter_unpack(
                    "=QQ", self.map[offset + 48:offset + 48 + 16 * n]))
                taken.append(Gap(kind, seq, first, last, count, counts))
            else:
                assert kind in (POSTCARD, DROPPED)
                when, length, caplen, reason = struct.unpack_from(
                    "=QIHH", self.map, offset + 16)
                taken.append(Record(
                    kind, seq, self.templates.get(slot), when, length, reason,
                    self.map[offset + 32:offset + 32 + caplen]))
        self.set_word(READER, self.tail)
        self.set_word(READER + 16, time.time_ns())
        return taken


class Rings:
    """The rings of one process."""

    def __init__(self, pid):
        self.pid = pid
        self.rings = {}         # Inode -> Ring.
        self.epoch = 0

    def find(self):
        """All rings, those gone included.  New ones are attached to if the
        others are."""
        folder = f"/proc/{self.pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            names = []
        for name in names:
            path = os.path.join(folder, name)
            try:
                if NAME not in os.readlink(path):
                    continue
                inode = os.stat(path).st_ino
                if inode not in self.rings:
                    ring = Ring(path)
                    self.rings[inode] = ring
                    if self.epoch:
                        ring.adopt(self.epoch)
            except (OSError, ValueError):
                continue        # Gone, or not yet one.
        return list(self.rings.values())

    def attach(self):
        """Becomes the reader, or another one, of all rings."""
        self.epoch = (self.epoch or time.monotonic_ns() % 2**31) + 1
        for ring in self.find():
            ring.attach(self.epoch)

    def close(self):
        """Lets go of all rings."""
        for ring in self.rings.values():
            ring.close()
        self.rings = {}

    def read(self):
        """Takes and returns what is in all rings."""
        return [record for ring in self.find() for record in ring.read()]

    def drain(self):
        """Throws away what is in all rings."""
        for ring in self.find():
            ring.drain()

    def counters(self):
        """The sums of what the rings have counted."""
        total = collections.Counter()
        for ring in self.find():
            total.update(ring.counters())
        return total


def switches(folder):
    """Process IDs of all ovs-vswitchd whose program is below 'folder'."""
    found = []
    for name in os.listdir("/proc"):
        try:
            program = os.readlink(f"/proc/{name}/exe")
        except OSError:
            continue
        if program.startswith(folder) and program.endswith("/ovs-vswitchd"):
            found.append(int(name))
    return found


def drain(pids):
    """Drains the rings of the switches that pids() names, until SIGTERM."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    known, looked = {}, 0.0
    while not ended:
        now = time.monotonic()
        if now - looked > 0.2:      # Looking for new ones is what costs.
            is_first, looked = not looked, now
            known = {pid: known.get(pid) or Rings(pid) for pid in pids()}
            for rings in known.values():
                try:
                    rings.find() if rings.epoch else rings.attach()
                except BlockingIOError:
                    continue        # It has a reader.
            if is_first:
                print("ready", flush=True)
        for rings in known.values():
            for ring in rings.rings.values():
                if ring.head != ring.tail:
                    ring.drain()
        time.sleep(0.001)


def main(arguments):
    """The program."""
    if len(arguments) != 2 or arguments[0] != "drain":
        sys.exit("usage: rings.py drain PID|FOLDER")
    which = arguments[1]
    drain(lambda: [int(which)] if which.isdigit() else switches(which))


if __name__ == "__main__":
    main(sys.argv[1:])
