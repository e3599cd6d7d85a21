# SPDX-License-Identifier: Apache-2.0
# Flow monitors: a controller's own look the same through the recorder, and
# the recorder sees what others do.

import os
import re
import socket
import struct
import subprocess
import threading

import pytest

from api import Api
from lab import UNDER_COLLECTOR, bindir
from process import wait_until

NAMES = {1: "OpenFlow10", 4: "OpenFlow13", 5: "OpenFlow14", 6: "OpenFlow15"}
HELLO, ERROR, EXPERIMENTER, PACKET_IN, FLOW_MOD = 0, 1, 4, 10, 14
NICIRA, ONF = 0x2320, 0x4f4e4600
INITIAL, ADD, DELETE, MODIFY, ACTIONS, OWN = 1, 2, 4, 8, 16, 64
ALL = INITIAL | ADD | DELETE | MODIFY | ACTIONS
ANY = 0xffffffff
MATCH_ALL = bytes.fromhex("0001000400000000")


def message(version, kind, xid, body=b""):
    """A whole OpenFlow message."""
    return struct.pack(">BBHI", version, kind, 8 + len(body), xid) + body


def multipart(version, xid, kind, body):
    """A multipart request."""
    if version == 1:
        return message(1, 16, xid, struct.pack(">HH", kind, 0) + body)
    return message(version, 18, xid, struct.pack(">HH4x", kind, 0) + body)


def monitor(version, xid, *parts):
    """A request; a part is (number, flags, table, output port)."""
    body = b""
    for number, flags, table, port in parts:
        old = flags & 0x1f | (0x20 if flags & OWN else 0)
        if version == 1:
            body += struct.pack(">IHHHB5x", number, old, port & 0xffff, 0,
                                table)
        elif version == 4:
            body += struct.pack(">IHHIB3x", number, old, 4, port, table) \
                + MATCH_ALL
        else:
            body += struct.pack(">IIIHBB", number, port, ANY, flags, table,
                                0) + MATCH_ALL
    if version == 1:
        return multipart(1, xid, 0xffff,
                         struct.pack(">II4x", NICIRA, 2) + body)
    if version == 4:
        return multipart(4, xid, 0xffff, struct.pack(">II", ONF, 1870) + body)
    return multipart(version, xid, 16, body)


def cancel(version, xid, number):
    """The end of a monitor."""
    if version == 1:
        return message(1, 4, xid, struct.pack(">III", NICIRA, 21, number))
    if version == 4:
        return message(4, 4, xid, struct.pack(">III", ONF, 1870, number))
    return multipart(version, xid, 16, struct.pack(
        ">IIIHBB", number, ANY, ANY, 0, 0, 2) + MATCH_ALL)


class Wire:
    """The controller's end of a connection."""

    def __init__(self, connection, version):
        self.socket = connection
        self.socket.settimeout(20)
        self.version = version
        bitmap = struct.pack(">HHI", 1, 8, 1 << version)
        self.send(message(version, HELLO, 1, bitmap))
        assert self.receive()[1] == HELLO
        if version == 1:    # Commands hold the table's number.
            self.send(message(1, EXPERIMENTER, 2,
                              struct.pack(">IIB7x", NICIRA, 15, 1)))

    def send(self, *messages):
        """Writes messages."""
        self.socket.sendall(b"".join(messages))

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, "closed"
            data += part
        return data

    def receive(self):
        """The next message."""
        head = self._exactly(8)
        return head + self._exactly(struct.unpack(">H", head[2:4])[0] - 8)

    def sync(self):
        """What comes before the reply to a barrier."""
        ask, reply = (18, 19) if self.version == 1 else (20, 21)
        self.send(message(self.version, ask, 0xfffffff0))
        seen = []
        while True:
            msg = self.receive()
            if msg[1] == reply:
                return seen
            if msg[1] != PACKET_IN:     # The hosts' own business.
                seen.append(msg)


def encode(lab, version, *lines):
    """The flow-mods that ovs-ofctl makes of 'lines'."""
    path = f"{lab.dir}/encode.sock"
    if os.path.exists(path):
        os.unlink(path)
    found = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(0.1)
        with subprocess.Popen(
                ["ovs-ofctl", "--no-names", "-O", NAMES[version], "add-flows",
                 f"unix:{path}", "-"], stdin=subprocess.PIPE) as child:
            child.stdin.write("\n".join(lines).encode() + b"\n")
            child.stdin.close()
            while child.poll() is None:
                try:
                    connection = listener.accept()[0]
                except TimeoutError:
                    continue
                found += serve(connection, version)
    assert len(found) == len(lines), lines
    return found


def serve(connection, version):
    """Plays a switch that agrees to everything; the flow-mods it was sent."""
    wire = Wire.__new__(Wire)
    wire.socket, wire.version = connection, version
    connection.settimeout(20)
    wire.send(message(version, HELLO, 1))
    found = []
    try:
        while True:
            msg = wire.receive()
            if msg[1] == FLOW_MOD or (msg[1] == EXPERIMENTER
                                      and msg[12:16] == b"\0\0\0\x0d"):
                found.append(msg)
            elif msg[1] == (18 if version == 1 else 20):
                wire.send(msg[:1] + bytes([msg[1] + 1]) + msg[2:])
    except (AssertionError, ConnectionError):
        connection.close()
    return found


class Pair:
    """s1 through the recorder and s2 directly, one controller for both."""

    def __init__(self, lab, version):
        self.lab, self.version, self.xid = lab, version, 100
        for name in ("s1", "s2"):
            lab.add_bridge(name)
            for number in (1, 2, 3):
                lab.add_host(f"{name}h{number}", name, f"10.0.0.{number}/24")
        lab.add_collector()
        lab.start()
        listeners = [socket.socket(socket.AF_UNIX) for _ in "12"]
        for path, listener in zip(("up", "s2.up"), listeners):
            listener.bind(f"{lab.dir}/{path}")
            listener.listen()
            listener.settimeout(20)
        self.recorder = lab.spawn(
            "recorder",
            [f"{bindir()}/lasthop-recorder",
             f"--listen=unix:{lab.dir}/s1.up",
             f"--controller=unix:{lab.dir}/up",
             f"--postcards=geneve:{UNDER_COLLECTOR}", f"--ovsdb={lab.db}",
             f"--state={lab.dir}/state", f"--rundir={lab.dir}"],
            netns=lab.sw)
        self.recorder.wait_for("listening for switches")
        for name in ("s1", "s2"):
            lab.vsctl("set-controller", name, f"unix:{lab.dir}/{name}.up")
        self.wires = [Wire(listener.accept()[0], version)
                      for listener in listeners]
        for listener in listeners:
            listener.close()
        self.sync()
        self.recorder.wait_for("s1): instrumented")

    def flows(self, *lines):
        """Sends flow-mods to both."""
        for msg in encode(self.lab, self.version, *lines):
            self.xid += 1
            self.send(msg[:4] + struct.pack(">I", self.xid) + msg[8:])

    def send(self, msg):
        """Sends a message to both."""
        for wire in self.wires:
            wire.send(msg)

    def by_hand(self, command, *argv):
        """ovs-ofctl to both bridges."""
        for bridge in ("s1", "s2"):
            self.lab.ofctl(command, bridge, *argv,
                           version=NAMES[self.version])

    def sync(self):
        """What both say: through the recorder, directly."""
        return [wire.sync() for wire in self.wires]

    def same(self):
        """The same, once it is known to be equal."""
        through, direct = self.sync()
        assert [text(m) for m in through] == [text(m) for m in direct]
        assert through == direct
        return [text(m) for m in direct]


def text(msg):
    """A message as a person reads it."""
    done = subprocess.run(["ovs-ofctl", "ofp-print", msg.hex()],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


def rules(lab):
    """What the recorder says stands in s1: (table, match) -> rule."""
    with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
        table = api.call("table", dpid=1)["rules"]
    return {(r["table"], r["match"]): r for r in table if r["kind"] == "flow"}


def counters(lab):
    """What instr has counted."""
    with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
        return api.call("stats")["stats"]["switches"][0]["instr"]


@pytest.mark.parametrize("version", NAMES)
def test_monitors_look_the_same(lab, version):
    """Every update, byte by byte."""
    pair = Pair(lab, version)
    pair.flows("priority=5,in_port=1,actions=output:2",
               "table=1,priority=5,ip,actions=output:3")
    pair.same()

    pair.send(monitor(version, 7, (9, ALL, 255, ANY)))
    initial, = pair.same()
    assert initial.count("event=") == 2 and "output:2" in initial

    # What it does itself is abbreviated.
    pair.flows("priority=6,in_port=2,actions=output:1")
    added, = pair.same()
    assert f"event=ABBREV xid={pair.xid:#x}" in added
    pair.flows("priority=6,in_port=2,actions=output:1",
               "modify priority=6,in_port=2,actions=output:3")
    assert len(pair.same()) == 2
    pair.flows("modify priority=6,in_port=2,actions=output:3")
    assert not pair.same()      # It changes nothing.

    # Several rules at once, and action sets, for which ours move.
    pair.flows("priority=7,in_port=3,actions=flood",
               "priority=7,in_port=2,actions=resubmit(,2)" if version == 1
               else "priority=7,in_port=2,actions=write_actions(output:1),"
               "goto_table:2")
    assert len(pair.same()) == 2
    pair.flows("delete in_port=2")
    assert pair.same()

    # A second one wants its own in full, and only what outputs to port 2.
    pair.send(monitor(version, 8, (10, ALL | OWN, 255, 2)))
    assert pair.same()[0].count("event=") == 1
    pair.flows("priority=8,in_port=2,actions=output:2",
               "priority=8,in_port=3,actions=output:3",
               "modify_strict priority=8,in_port=2,actions=output:1",
               "modify_strict priority=8,in_port=2,actions=drop")
    events = "".join(pair.same())
    assert re.findall("event=([A-Z]+)", events) == \
        ["ADDED", "ABBREV", "MODIFIED", "ABBREV"]

    # Others' changes come in full; our rewriting of them does not.
    pair.by_hand("add-flow", "cookie=0x9,priority=20,tcp,actions=output:1")
    assert "event=ADDED" in pair.same()[0]
    wait_until(lambda: "tun_metadata" in lab.ofctl("dump-flows", "s1", "tcp"),
               what="the postcard")
    pair.by_hand("mod-flows", "in_port=1,actions=output:3")
    assert "event=MODIFIED" in pair.same()[0]
    wait_until(lambda: counters(lab)["reinstrumented"] == 2,
               what="the second postcard")
    assert not pair.same()
    pair.by_hand("del-flows", "tcp")
    assert "event=DELETED reason=delete" in pair.same()[0]

    # An end.
    pair.flows("priority=9,in_port=1,actions=output:2")
    pair.send(cancel(version, 9, 9))
    pair.send(cancel(version, 9, 10))
    pair.flows("priority=10,in_port=1,actions=output:2")
    assert "".join(pair.same()).count("event=") == 1


def test_what_is_wrong_is_told_alike(lab):
    """Monitors that are there, are not, and make no sense."""
    pair = Pair(lab, 4)
    pair.send(monitor(4, 7, (0x6c686d00, ALL, 255, ANY)))
    pair.same()     # The number that the recorder took for itself.
    # Open vSwitch 3.1 quotes bytes of its memory in these two, and takes their
    # version from there, so that two switches do not say the same.
    for request in (monitor(4, 8, (0x6c686d00, ALL, 255, ANY)),
                    monitor(4, 9, (5, INITIAL, 255, ANY))):
        pair.send(request)
        said = [[m[1] for m in side] for side in pair.sync()]
        assert said == [[ERROR], [ERROR]]
    pair.send(cancel(4, 10, 99))
    assert "UNKNOWN_MONITOR" in pair.same()[0]
    pair.flows("priority=1,actions=output:1")
    assert "ABBREV" in pair.same()[0]


@pytest.mark.parametrize("version", (1, 4))
def test_the_recorder_sees_what_others_do(lab, version):
    """Learned rules, rules by hand, and rules that end in silence."""
    pair = Pair(lab, version)
    pair.flows("priority=9,dl_type=0x88b5,actions=learn(table=6,cookie=0x77,"
               "priority=3,hard_timeout=2,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
               "output:NXM_OF_IN_PORT[]),output:2",
               "priority=1,actions=normal")
    pair.same()
    lab.hosts["s1h1"].send(bytes.fromhex("020000000002020000000001"
                                         "88b5") + bytes(50))
    key = 6, "dl_dst=02:00:00:00:00:01"
    wait_until(lambda: key in rules(lab), what="the learned rule")
    learned = rules(lab)[key]
    assert (learned["command"], learned["instrumented"],
            learned["hard_timeout"]) == ("learn", False, 2)

    pair.by_hand("add-flow", "cookie=0x5,priority=3,udp,actions=output:1")
    pair.by_hand("mod-flows", "udp,actions=output:2")
    wait_until(lambda: rules(lab).get((0, "udp"), {}).get("actions")
               == "output:2", what="the rule by hand")
    wait_until(lambda: "tun_metadata" in lab.ofctl("dump-flows", "s1", "udp"),
               what="its postcard")
    assert "n_packets=0" in lab.ofctl("dump-flows", "s1", "udp")
    cookies = [re.findall("cookie=(0x[0-9a-f]+)",
                          lab.ofctl("dump-flows", bridge, "udp"))
               for bridge in ("s1", "s2")]     # 1.0 changes it, 1.3 does not.
    assert cookies[0] == cookies[1] == [rules(lab)[0, "udp"]["cookie"]]

    # All is gone: ours is put back, and the recorder knows.
    wait_until(lambda: key not in rules(lab), what="the timeout")
    pair.by_hand("del-flows")
    wait_until(lambda: not rules(lab), what="an empty table")
    wait_until(lambda: lab.ofctl("dump-flows", "s1").count(
        "cookie=0x6c617374686f70") == 3, what="the recorder's own rules")
    pair.flows("priority=4,tcp,actions=output:1")
    pair.same()
    assert rules(lab)[0, "tcp"]["who"].startswith("unix:")
    with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
        gone = api.call("flow", dpid=1, version=learned["version"])["rule"]
    assert gone["removed_reason"] == "hard_timeout"
    assert counters(lab)["contested"] == 0


def forwards(version, masks):
    """A controller's request to be told of group- and meter-mods of others."""
    properties = b"".join(struct.pack(">HHI", kind, 8, mask)
                          for kind, mask in zip((10, 11), masks))
    return (message(version, 28, 21, properties) if version > 4 else
            message(version, 4, 21, struct.pack(">II", 0x2320, 27)
                    + properties))


@pytest.mark.parametrize("version", (4, 5, 6))
def test_meters_of_others_are_on_the_timeline(lab, version):
    """And the controller hears of them only what it asks for."""
    pair = Pair(lab, version)
    configured = message(version, 26, 20)

    def meters():
        with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
            return [(c["what"], c["meter"], c.get("command") or c["reason"],
                     c.get("text")) for c in
                    api.call("changes", dpid=1)["changes"] if "meter" in c]

    pair.send(configured)
    pair.same()
    pair.by_hand("add-meter", "meter=1,kbps,band=type=drop,rate=1000")
    wait_until(meters, what="the meter")
    pair.by_hand("mod-meter", "meter=1,kbps,band=type=drop,rate=2000")
    pair.by_hand("del-meters")
    wait_until(lambda: len(meters()) == 3, what="what became of it")
    assert [m[:3] for m in meters()] == [("meter-set", 1, "add"),
                                         ("meter-set", 1, "modify"),
                                         ("meter-gone", 1, "delete")]
    assert "rate=2000" in meters()[1][3]
    pair.send(configured)
    assert "T_REQUESTFORWARD" not in "".join(pair.same())

    # Meters first, then nothing of others any more: heard all the same.
    for mask, number in ((2, 1), (0, 0)):
        pair.send(forwards(version, (0, mask)))
        pair.send(configured)
        pair.same()
        before = len(meters())
        pair.by_hand("add-meter", "meter=2,kbps,band=type=drop,rate=1000")
        pair.by_hand("del-meter", "meter=2")
        wait_until(lambda: len(meters()) == before + 2, what="the meter")
        heard = "\n".join(pair.same())
        assert heard.count("T_REQUESTFORWARD") == 2 * number


def test_nobody_is_fought_for_long(lab):
    """Somebody who changes a rule whenever we do wins."""
    pair = Pair(lab, 4)
    pair.flows("priority=5,udp,actions=output:1")
    pair.same()

    def is_left_alone():
        now = counters(lab)
        if now["contested"] >= 2 or now["given_up"]:
            return True
        lab.ofctl("mod-flows", "s1", "udp,actions=output:2")
        return False
    wait_until(is_left_alone, deadline=30, what="a rule that is left alone")
    assert counters(lab)["reinstrumented"] < 12

    def has_postcard():
        return "tun_metadata" in lab.ofctl("dump-flows", "s1", "udp")
    if counters(lab)["given_up"]:   # Each time ours had stood before theirs.
        assert not has_postcard()
    else:
        wait_until(has_postcard, deadline=30, what="its postcard, in the end")


class Burst:
    """Flow-mods to s1, again and again, in the background."""

    def __init__(self, pair):
        self.wire, self.stop = pair.wires[0], threading.Event()
        self.messages = encode(pair.lab, pair.version, *(
            f"priority=7,cookie=0x9,tcp,tp_dst={i},actions=output:2"
            for i in range(1, 1001)))
        self.thread = threading.Thread(target=self._send)

    def _send(self):
        while not self.stop.wait(0.02):
            self.wire.send(*self.messages)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.mark.parametrize("version", (1, 4))
def test_what_others_do_in_a_burst_is_seen_after_it(lab, version):
    """The recorder has no monitor meanwhile."""
    pair = Pair(lab, version)
    pair.flows("priority=5,cookie=0x1,udp,actions=output:1",
               "priority=5,cookie=0x2,arp,actions=output:1")
    pair.same()
    was = rules(lab)
    with Burst(pair):
        wait_until(lambda: counters(lab)["watch_suspended"],
                   what="the burst")
        lab.ofctl("add-flow", "s1", "cookie=0x5,priority=9,icmp,actions="
                  "output:3", version=NAMES[version])
        lab.ofctl("mod-flows", "s1", "udp,actions=output:3",
                  version=NAMES[version])
        lab.ofctl("del-flows", "s1", "arp", version=NAMES[version])
        lab.ofctl("del-flows", "s1", "cookie=0x6c617374686f7000/"
                  "0xffffffffffffff00", version=NAMES[version])
    pair.wires[0].sync()
    wait_until(lambda: (0, "arp") not in rules(lab), what="the look")
    now = rules(lab)
    assert now[0, "icmp"]["actions"] == now[0, "udp"]["actions"] == "output:3"
    assert now[0, "udp"]["version"] > was[0, "udp"]["version"]
    assert sum(match.startswith("tcp,tp_dst=") for _, match in now) == 1000
    with Api(f"{lab.dir}/recorder.sock", deadline=20) as api:
        gone = [api.call("flow", dpid=1, version=was[0, match]["version"])
                ["rule"]["removed_reason"] for match in ("udp", "arp")]
    assert gone == ["replaced", "gone"]
    for match in ("udp", "icmp"):
        wait_until(lambda match=match: "tun_metadata" in lab.ofctl(
            "dump-flows", "s1", match), what=f"the postcard of {match}")
    assert lab.ofctl("dump-flows", "s1").count("cookie=0x6c617374686f70") == 3
    assert counters(lab)["foreign"] == 2
