# SPDX-License-Identifier: Apache-2.0
# Two alike switches: one a program meets directly, the other through the
# recorder; and what the program said and heard.
"""
    with Pair(directory) as pair:       # ovs-ofctl; the recorder is attached.
        pair.ofctl("OpenFlow13", "add-flow", "actions=drop")
        assert not pair.difference()    # Since the last call.

Switches, ports and clock are those of twins.py: dummies, for which time goes
on only by warp().  Messages are compared one by one and bit for bit, but for

  - transaction IDs that the switch makes itself;
  - what ovs-ofctl puts into its echo requests, which is random: the answer
    has to hold it;
  - how long there has been a port or a queue: that began with the switch;
  - the time since a rule was changed, which only OpenFlow 1.0 shows: that begins
    anew when the recorder rewrites it (docs/limits.md);
  - the order of the records of one reply, which is that of the switch's hash
    tables, and where a reply is cut into messages;
  - frames of link discovery in the statistics of ports: the recorder sends
    them, on the wires, and nothing else would explain them.
"""

import os
import struct
import subprocess
from itertools import zip_longest

from lab import bindir
from openflow import (ECHO_REQUEST, FEATURES_REPLY, PORT, QUEUE, multipart_type,
                      parts, records, show, without_lldp, without_time)
from process import Failed, Process, environment, run, wait_until
from tap import Tap
from twins import COLLECTOR, Switch

HELLO, ECHO_REPLY = 0, 3


class Pair:
    """See the top of this file."""

    def __init__(self, directory, postcards=f"geneve:{COLLECTOR}"):
        self.dir = str(directory)
        self.postcards = postcards
        for side in ("a", "b"):
            os.makedirs(f"{self.dir}/{side}")
        self.direct = Switch(f"{self.dir}/a")
        self.through = Switch(f"{self.dir}/b")
        self.switches = (self.direct, self.through)
        self.recorder = None
        self.taps = ()

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_exc):
        self.close()
        fault = self.recorder.fault()
        if fault and not kind:
            raise Failed(fault)

    def options(self):
        """Of the recorder, beside the common ones."""
        return ["--attach=br0", "--serve=br0"]

    def sockets(self):
        """Where the program connects to, and where those lead."""
        return [(f"{self.dir}/tap-a", f"{self.dir}/a/br0.mgmt"),
                (f"{self.dir}/tap-b", f"{self.dir}/br0.mgmt")]

    def connect(self):
        """Lets the switches and the program meet, where they do not wait to
        be connected to."""

    def _start(self):
        for switch in self.switches:
            switch.start()
        self.recorder = Process(
            "recorder",
            [f"{bindir()}/lasthop-recorder", *self.options(),
             f"--postcards={self.postcards}", f"--ovsdb={self.through.db}",
             f"--state={self.dir}/state", f"--rundir={self.dir}",
             "--verbose"], f"{self.dir}/recorder.log", env=self.through.env)
        self.recorder.wait_for("listening for ")
        self.taps = [Tap(*sockets) for sockets in self.sockets()]
        self.connect()
        self.recorder.wait_for(" instrumented")
        self.call("time/stop")
        self.through.read()

    def close(self):
        """Ends everything."""
        for tap in self.taps:
            tap.close()
        for process in (self.recorder, *self.switches):
            if process:
                process.stop()

    def call(self, method, *params):
        """ovs-appctl to both."""
        return [switch.control.call(method, *params)
                for switch in self.switches]

    def receive(self, port, frame):
        """A frame comes in at a port of both."""
        self.call("netdev-dummy/receive", f"p{port}", frame.hex())

    def warp(self, ms):
        """Time goes on for both."""
        self.call("time/warp", ms, min(ms, 500))

    def run(self, *argv, stdin=""):
        """Runs a program for both at once, with the tap's socket in the place
        of "SWITCH"; returns their (exit status, output, errors)."""
        children = []
        for tap in self.taps:
            children.append(subprocess.Popen(
                [word.replace("SWITCH", f"unix:{tap.path}") for word in argv],
                text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=environment(OVS_RUNDIR=self.dir)))
        for child in children:
            try:
                child.stdin.write(stdin)
                child.stdin.close()
            except BrokenPipeError:
                pass    # It has ended already.
            child.stdin = None
        results = []
        for tap, child in zip(self.taps, children):
            out, err = child.communicate(timeout=20)
            results.append((child.returncode, out.replace(tap.path, "TAP"),
                            err.replace(tap.path, "TAP")))
        return results

    def difference(self):
        """What was said and heard differently since the last call, as text;
        None if nothing was."""
        lldp = self.through.read()
        try:
            wait_until(lambda: len(self.taps[0].connections)
                       == len(self.taps[1].connections), 5)
        except Failed:
            pass
        direct, through = (tap.take() for tap in self.taps)
        if len(direct) != len(through):
            return f"{len(direct)} connections, and {len(through)}"
        lines = []
        for a, b in zip(direct, through):
            lines += compare("said", said(a), said(b))
            lines += compare("heard", heard(a, {}), heard(b, lldp))
        return "\n".join(lines) or None

    def dump(self):
        """What the switch behind the recorder really has, as text."""
        where = f"unix:{self.dir}/b/br0.mgmt"
        return "\nin the switch:\n" + "".join(
            run(["ovs-ofctl", "-O", "OpenFlow15", command, where],
                env=self.through.env)
            for command in ("dump-flows", "dump-groups"))


def xid(msg):
    """The transaction ID of a message."""
    return msg[4:8]


def said(connection):
    """What the program sent, comparable: its own IDs are the same each time,
    those of its answers are the switch's."""
    own = {xid(m) for m in connection.sent
           if m[1] not in (HELLO, ECHO_REPLY)}
    found = []
    for msg in connection.sent:
        plain = msg if xid(msg) in own else msg[:4] + bytes(4) + msg[8:]
        if msg[1] == ECHO_REQUEST:
            plain = msg[:8]
        found.append((plain, msg))
    return found


def heard(connection, lldp):
    """What it got, comparable: a list of (what is to be equal, message)."""
    own = {xid(m) for m in connection.sent}
    found = []
    replies = {}
    for msg, plain in zip(connection.received,
                          without_lldp(connection.received, lldp)):
        version, kind = msg[0], msg[1]
        if kind == HELLO or kind == ECHO_REQUEST or xid(msg) not in own:
            plain = plain[:4] + bytes(4) + plain[8:]
        if kind == multipart_type(version) + 1:
            part, body = parts(plain)
            key = (xid(msg), part)
            if key not in replies:
                replies[key] = []
                found.append(((plain[:2], xid(msg), part, replies[key]), msg))
            replies[key] += [
                without_hard_age(msg, without_time(version, part, r))
                for r in records(version, part, body)]
            replies[key].sort()
        elif kind == ECHO_REPLY:
            asked = [m for m in connection.sent if m[1] == ECHO_REQUEST
                     and m[8:] == msg[8:]]
            found.append(((plain[:8], len(asked)), msg))
        elif kind == FEATURES_REPLY and version == 1:
            found.append((plain[:32] + b"".join(sorted(
                plain[i:i + 48] for i in range(32, len(plain), 48))), msg))
        else:
            found.append((plain, msg))
    return found


def without_hard_age(msg, record):
    """A record of Nicira's flow statistics without the time since the rule was
    changed."""
    if msg[0] == 1 and msg[8:10] == b"\xff\xff" and msg[19] == 0:
        return record[:22] + bytes(2) + record[24:]
    return record


def compare(verb, direct, through):
    """Lines about what differs."""
    lines = []
    for a, b in zip_longest(direct, through):
        if a and b and a[0] == b[0]:
            continue
        if a and b and isinstance(a[0], tuple) and a[0][:3] == b[0][:3]:
            lines += [f"{verb} directly only: {r.hex()}" for r in a[0][3]
                      if r not in b[0][3]]
            lines += [f"{verb} through only:  {r.hex()}" for r in b[0][3]
                      if r not in a[0][3]]
            continue
        for name, item in (("directly", a), ("through", b)):
            lines.append(f"{verb} {name}: " +
                         (f"{show(item[1])}\n    {item[1].hex()}" if item
                          else "nothing"))
    return lines
