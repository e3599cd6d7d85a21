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
from openflow import (ECHO_REQUEST, EXPERIMENTER, FEATURES_REPLY, FLOW_REMOVED,
                      NICIRA, ONF, PACKET_IN, PORT, QUEUE, multipart_type,
                      parts, records, show, without_lldp, without_time)
from process import Failed, Process, environment, run, wait_until
from tap import Tap
from twins import COLLECTOR, Control, Switch

HELLO, ECHO_REPLY = 0, 3
FLOW_MONITOR = 16       # A multipart type, from OpenFlow 1.4 on.


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
        self.monitors = []      # [Process, its Control] each.

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
        self.end_monitor()
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

    def monitor(self, *argv):
        """Starts a program for both that stays and takes commands
        (tell_monitor()), with its switch in the place of "SWITCH"."""
        for tap in self.taps:
            control = f"{tap.path}.ctl"
            child = Process("monitor", [
                word.replace("SWITCH", f"unix:{tap.path}") for word in
                (argv[0], f"--unixctl={control}", *argv[1:])],
                f"{tap.path}.log", env=environment(OVS_RUNDIR=self.dir))
            self.monitors.append([child, None])
            wait_until(lambda child=child, control=control:
                       os.path.exists(control) or not child.is_running(),
                       what="the monitor")
            if not child.is_running():
                raise Failed(f"a monitor has ended:\n{child.output()}")
            self.monitors[-1][1] = self._control(control)
        self.settle()

    @staticmethod
    def _control(path):
        """Its command socket, which is there before it listens."""
        def connect():
            try:
                return Control(path)
            except ConnectionRefusedError:
                return None
        return wait_until(connect, what="the monitor's socket")

    def tell_monitor(self, method, *params):
        """A command to the monitors."""
        for _child, control in self.monitors:
            control.call(method, *params)

    def settle(self):
        """All that is to be told to the monitors is; packet-ins wait for the
        clock."""
        self.tell_monitor("ofctl/barrier")
        self.warp(1)
        self.tell_monitor("ofctl/barrier")

    def end_monitor(self):
        """Ends the monitors."""
        for child, control in self.monitors:
            if control:
                control.socket.close()
            child.stop()
        self.monitors = []

    def difference(self, is_monitored=False):
        """What was said and heard differently since the last call, as text;
        None if nothing was.  To who monitors Open vSwitch tells of packets,
        and of rules that have gone, when it comes to it."""
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
            lines += compare("heard", *(
                sorted(found, key=unasked) if is_monitored else found
                for found in (heard(a, {}), heard(b, lldp))))
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
            # What a flow monitor tells unasked is compared as it comes.
            key = (xid(msg), part) if xid(msg) in own else len(found)
            if key not in replies:
                replies[key] = []
                found.append(((plain[:2], xid(msg), part, replies[key]), msg))
            told = monitored(version, part, body)
            replies[key] += [
                without_hard_age(msg, without_time(version, part, r))
                for r in (records(version, part, body) if told is None
                          else told)]
            replies[key].sort()
        elif kind == ECHO_REPLY:
            asked = [m for m in connection.sent if m[1] == ECHO_REQUEST
                     and m[8:] == msg[8:]]
            found.append(((plain[:8], len(asked)), msg))
        elif kind == FEATURES_REPLY and version == 1:
            found.append((plain[:32] + b"".join(sorted(
                plain[i:i + 48] for i in range(32, len(plain), 48))), msg))
        elif kind == FLOW_REMOVED:
            found.append((without_duration(plain), msg))
        else:
            found.append((plain, msg))
    return found


def unasked(item):
    """A packet-in's or flow-removed's place among what was heard."""
    kind = item[1][1]
    return kind if kind in (EXPERIMENTER, PACKET_IN, FLOW_REMOVED) else 0


def without_duration(msg):
    """A flow-removed without the fraction of a second, which goes on until the
    switch comes to it."""
    at = {1: 64, 6: msg.rfind(b"\x80\x02\0\x08") + 8}.get(msg[0], 24)
    return msg[:at] + bytes(4) + msg[at + 4:]


def monitored(version, part, body):
    """The records of what a flow monitor tells; None of other replies."""
    if part == 0xffff and struct.unpack_from(">II", body) in (
            (NICIRA, 2), (ONF, 1870)):
        body = body[12 if version == 1 else 8:]
    elif part != FLOW_MONITOR or version < 5:
        return None
    found = []
    while len(body) >= 4:
        size = struct.unpack_from(">H", body)[0] or len(body)
        found.append(body[:size])
        body = body[size:]
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
