# SPDX-License-Identifier: Apache-2.0
# What the programs say and do when what they are given is wrong.
"""No network is made here: the programs run in this network namespace, on
ports of 127.0.0.1 that are free.  A daemon that is fed garbage must stay, count
and serve; what cannot start ends with one line that says what and where."""

import json
import os
import random
import signal
import socket
import struct
import subprocess
import time

import pytest

from api import Api
from frames import udp4
from lab import bindir, memory_bound
from process import Process, run, wait_until

HELLO = bytes([4, 0, 0, 8, 0, 0, 0, 1])
FEATURES_REPLY = struct.pack("!BBHIQIBBHII", 4, 6, 32, 0, 0x7, 0, 1, 0, 0,
                             0, 0)
FORMAT_CARD = "!HBBBBHQIHH"


def program(name):
    return os.path.join(bindir(), name)


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def told(*argv, env=None):
    """Exit status and what a program says that is to end by itself."""
    done = subprocess.run([str(arg) for arg in argv], text=True, timeout=20,
                          capture_output=True, check=False, env=env,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def memory(pid):
    """Resident kB of a process."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        line = next(l for l in status if l.startswith("VmRSS"))
    return int(line.split()[1])


def ticks(pid):
    """CPU time of a process, in clock ticks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def card(dpid, in_port, out_port, frame, version=1):
    """A postcard as a switch sends it."""
    option = struct.pack(FORMAT_CARD, 0xff4c, 1, 5, 1, 0, 0, dpid, version,
                         in_port, out_port)
    return struct.pack("!BBHI", len(option) // 4, 0, 0x6558, 0) + option \
        + frame


def packet(number):
    return udp4("02:00:00:00:00:01", "02:00:00:00:00:02", "10.0.0.1",
                "10.0.0.2", 1000, 9, ident=number)


class Server:
    """A lasthop-server that receives on 127.0.0.1."""

    def __init__(self, path, *options, accept="127.0.0.1"):
        self.dir = str(path)
        self.port = free_port(socket.SOCK_DGRAM)
        argv = [program("lasthop-server"), "--listen",
                f"geneve:127.0.0.1:{self.port}", "--rundir", self.dir,
                "--window", "200ms", "--round", "100ms", *options]
        if accept:
            argv += ["--accept", accept]
        self.process = Process("server", argv, f"{path}/server.log",
                               daemon=True)
        self.api = Api(f"{path}/server.sock")
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect(("127.0.0.1", self.port))

    def stats(self):
        return self.api.call("stats")["stats"]

    def wait_stat(self, name, value):
        wait_until(lambda: self.stats()[name] >= value, 10, f"{name} {value}")
        return self.stats()

    def close(self):
        self.api.close()
        self.udp.close()
        self.process.stop()
        assert self.process.fault() is None, self.process.fault()


@pytest.fixture
def serve(tmp_path):
    """Starts a Server, stopped at the end: it must still be there then."""
    servers = []

    def start(*options, **more):
        servers.append(Server(tmp_path, *options, **more))
        return servers[-1]
    yield start
    for server in servers:
        server.close()


def write(path, value):
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream)
    return str(path)


def switch(dpid, *ports, edge=()):
    return {"dpid": f"{dpid:016x}", "name": f"s{dpid}", "ports": [
        {"no": no, "name": f"s{dpid}-p{no}", "edge": no in edge}
        for no in ports]}


def link(a, port_a, b, port_b):
    return {"a": {"dpid": f"{a:016x}", "port": port_a},
            "b": {"dpid": f"{b:016x}", "port": port_b}}


# --- the server ---------------------------------------------------------------

def test_ten_thousand_hostile_datagrams_are_counted(serve, tmp_path):
    server = serve("--archive", f"{tmp_path}/archive", "--recorder", "none")
    random_ = random.Random(1)
    good = card(1, 1, 2, packet(1))
    before = memory(server.process.pid)
    for number in range(10000):
        kind = number % 4
        if kind == 0:       # Noise.
            data = random_.randbytes(random_.randrange(200))
        elif kind == 1:     # A postcard that ends early.
            data = good[:random_.randrange(len(good))]
        elif kind == 2:     # One with a few wrong bytes.
            data = bytearray(good)
            for _ in range(3):
                data[random_.randrange(len(data))] = random_.randrange(256)
        else:               # More than is read.
            data = good + random_.randbytes(random_.choice((3000, 60000)))
        server.udp.send(data)
        if number % 50 == 49:   # Nothing may be lost on its way.
            server.wait_stat("datagrams", number + 1)
    server.udp.send(card(1, 1, 2, packet(2)))
    server.wait_stat("datagrams", 10001)
    wait_until(lambda: not server.stats()["open_postcards"], 10,
               "all packets to be closed")
    stats = server.stats()
    assert stats["kernel_drops"] == 0
    assert stats["received"] == 10001 == sum(stats[name] for name in (
        "postcards", "foreign", "other", "truncated", "malformed",
        "no_option", "unknown_format", "unknown_index"))
    assert stats["cut_datagrams"] == 2500
    assert all(stats[name] for name in ("other", "truncated", "malformed",
                                        "no_option", "unknown_format"))
    assert stats["postcards"] == sum(stats[name] for name in (
        "assembled", "duplicates", "ambiguous", "dropped_busy",
        "dropped_full", "dropped_memory", "open_postcards"))
    assert memory(server.process.pid) - before < memory_bound(60000)
    assert len(server.process.output().splitlines()) < 10
    assert server.api.query("{{--bpf udp port 9}}")


def test_strangers_are_warned_of_once_each_with_the_remedy(serve, tmp_path):
    write(f"{tmp_path}/net", {"switches": [switch(1, 1, 2)], "links": []})
    server = serve("--recorder", "none", "--topology", f"{tmp_path}/net",
                   accept="127.0.0.9")
    for number in range(300):
        server.udp.send(card(1, 1, 2, packet(number)))
    server.wait_stat("foreign", 300)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))
        other.sendto(card(1, 1, 2, packet(1)), server.udp.getpeername())
    server.wait_stat("foreign", 301)
    output = server.process.output()
    for address in ("127.0.0.1", "127.0.0.2"):
        assert output.count(f"postcards from {address} refused") == 1
        assert f"--accept {address} takes them" in output
    assert server.stats()["postcards"] == 0


def test_a_switch_nobody_knows_is_named_and_its_packets_are_kept(
        serve, tmp_path):
    write(f"{tmp_path}/net", {"switches": [switch(1, 1, 2)], "links": []})
    server = serve("--recorder", "none", "--topology", f"{tmp_path}/net",
                   "--archive", f"{tmp_path}/archive")
    number = 0

    def warned():
        nonlocal number
        number += 1
        server.udp.send(card(0x77, 1, 2, packet(number)))
        return "postcards of switch 0000000000000077" in \
            server.process.output()
    wait_until(warned, 10, "the warning")
    server.wait_stat("unknown_switch", number)
    assert server.process.output().count("0000000000000077") == 1
    assert "--topology?" in server.process.output()
    wait_until(lambda: server.stats()["histories"] == number, 5, "histories")
    assert len(server.api.query("{{--dpid 0x77}}")) == number


def test_a_topology_that_contradicts_the_postcards_invents_nothing(
        serve, tmp_path):
    # The file says s1:2 - s2:1; the packet went s1:2 -> s3:1.
    write(f"{tmp_path}/net", {
        "switches": [switch(1, 1, 2, edge=[1]), switch(2, 1, 2, edge=[2]),
                     switch(3, 1, 2, edge=[2])],
        "links": [link(1, 2, 2, 1)]})
    server = serve("--recorder", "none", "--topology", f"{tmp_path}/net",
                   "--archive", f"{tmp_path}/archive")
    server.udp.send(card(1, 1, 2, packet(1)))
    server.udp.send(card(3, 1, 2, packet(1)))
    # And one that left by a port, and one at a switch, that are not there.
    server.udp.send(card(1, 1, 9, packet(2)))
    server.udp.send(card(0x99, 7, 8, packet(3)))
    server.wait_stat("postcards", 4)
    wait_until(lambda: server.stats()["open_postcards"] == 0, 5, "the window")
    found = server.api.query(".")
    assert sum(len(h["hops"]) for h in found) >= 4
    by_ident = {}
    for history in found:
        ident = history["hops"][0]["header"][36:40]
        by_ident.setdefault(ident, []).append(history)
    # Not joined by a link that is not there; what is missing is named.
    assert sorted(len(h["hops"]) for h in by_ident["0001"]) == [1, 1], found
    first = next(h["verdict"] for h in by_ident["0001"]
                 if h["hops"][0]["switch"] == "s1")
    assert (first["name"], first["port"], first["reason"]) == (
        "lost", 2, "not seen at s2 port 1")
    [history] = by_ident["0002"]
    assert history["verdict"]["reason"] == "output to a port that is not there"
    [history] = by_ident["0003"]
    assert (history["verdict"]["name"], history["verdict"]["reason"]) == (
        "open", "the switch is not in the topology")


def test_a_topology_with_a_typo_is_refused_with_its_place(tmp_path):
    port = free_port(socket.SOCK_DGRAM)
    path = f"{tmp_path}/net"
    for text, said in (
            ('{"switches": [{"dpid": "1"}],\n "links": [}', "net:2:"),
            ('{"switches": [{"dpid": "x"}], "links": []}',
             "switches[0].dpid"),
            ('{"switches": [{"dpid": "1"}], "links": [{"a": {"dpid": "1",'
             ' "port": 1}, "b": {"dpid": "1", "port": "one"}}]}',
             "links[0].b.port"),
            ("", "net")):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        code, output = told(program("lasthop-server"), "--listen",
                            f"geneve:127.0.0.1:{port}", "--topology", path,
                            "--recorder", "none", "--rundir", tmp_path)
        assert code == 2 and said in output, output
        assert len(output.splitlines()) == 1, output


def test_a_damaged_archive_serves_what_is_whole(serve, tmp_path):
    archive = f"{tmp_path}/archive"
    server = serve("--recorder", "none", "--archive", archive)
    for number in range(40):    # A block every ten.
        server.udp.send(card(1, 1, 2, packet(number)))
        if number % 10 == 9:
            server.wait_stat("archived", number + 1)
    server.process.kill()
    [segment] = [name for name in sorted(os.listdir(archive))
                 if name.startswith("segment-")]
    path = f"{archive}/{segment}"
    blocks = server_blocks(path)
    with open(path, "r+b") as stream:
        stream.seek(blocks[1] + 70)
        byte = stream.read(1)[0]
        stream.seek(blocks[1] + 70)
        stream.write(bytes([byte ^ 0x10]))
        stream.truncate(os.path.getsize(path) - 5)
    second = serve("--recorder", "none", "--archive", archive)
    output = second.process.output()
    assert f"{segment}: cut " in output, output
    assert f"at byte {blocks[-1]}" in output, output
    found = second.api.query(".")
    assert 0 < len(found) < 40
    second.process.wait_for("damaged blocks are left out of answers")
    output = second.process.output()
    assert f"{segment}: byte {blocks[1]} to " in output, output
    assert "it held times from 2" in output, output
    second.udp.send(card(1, 1, 2, packet(1000)))
    second.wait_stat("archived", 1)
    for source in (["-r", archive], ["-s", f"{tmp_path}/server.sock"]):
        code, output = told(program("ndb"), *source, "--json", "-e",
                            "find . --limit 1000")
        assert code == 0
        assert f"{segment}: byte {blocks[1]} to " in output, output
        assert output.count('"packet_id"') == len(found) + 1, output


def server_blocks(path):
    """Where the blocks of histories of an archive's file begin."""
    begins, offset = [], 0
    with open(path, "rb") as stream:
        while True:
            stream.seek(offset)
            header = stream.read(64)
            if len(header) < 64:
                return begins
            if header[5] in (1, 4):
                begins.append(offset)
            offset += 64 + struct.unpack("!I", header[44:48])[0]


# --- the recorder -------------------------------------------------------------

class Recorder:
    """A lasthop-recorder without switches; 'controller' may listen or not."""

    def __init__(self, path, *options, limit=None):
        self.port = free_port(socket.SOCK_STREAM)
        self.controller_port = free_port(socket.SOCK_STREAM)
        self.controller = None
        argv = [program("lasthop-recorder"),
                f"--listen=tcp:127.0.0.1:{self.port}",
                f"--controller=tcp:127.0.0.1:{self.controller_port}",
                f"--state={path}/state", f"--rundir={path}", *options]
        if limit:
            argv = ["prlimit", f"--nofile={limit}"] + argv
        self.process = Process("recorder", argv, f"{path}/recorder.log",
                               daemon=True)
        self.api = Api(f"{path}/recorder.sock")

    def listen(self):
        """The controller begins to accept connections, and is silent."""
        self.controller = socket.socket()
        self.controller.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.controller.bind(("127.0.0.1", self.controller_port))
        self.controller.listen(100)
        return self

    def connect(self, data=b""):
        """A switch that connects and sends 'data'."""
        switch_ = socket.create_connection(("127.0.0.1", self.port))
        switch_.settimeout(25)
        switch_.sendall(data)
        return switch_

    def pair(self, data=HELLO, answer=HELLO):
        """A switch and its controller that have agreed on OpenFlow 1.3."""
        switch_ = self.connect(data)
        self.controller.settimeout(10)
        controller, _ = self.controller.accept()
        controller.settimeout(10)
        controller.sendall(answer)
        return switch_, controller

    def stats(self):
        return self.api.call("stats")["stats"]

    def close(self):
        self.api.close()
        if self.controller:
            self.controller.close()
        assert self.process.stop() == 0, self.process.output()
        assert self.process.fault() is None, self.process.fault()


@pytest.fixture
def record(tmp_path):
    """Starts a Recorder, stopped at the end: it must still be there then."""
    recorders = []

    def start(*options, **more):
        recorders.append(Recorder(tmp_path, *options, **more))
        return recorders[-1]
    yield start
    for recorder in recorders:
        recorder.close()


def is_closed(peer):
    """Reads until the other side closes."""
    try:
        while peer.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def read_messages(peer, wanted):
    """OpenFlow messages up to the first of type 'wanted', which is last."""
    data = b""
    while True:
        while len(data) >= 8 and len(data) >= struct.unpack(
                "!H", data[2:4])[0]:
            length = struct.unpack("!H", data[2:4])[0]
            message, data = data[:length], data[length:]
            if message[1] == wanted:
                return message
        more = peer.recv(65536)
        assert more, "closed"
        data += more


def test_silent_and_half_peers_are_let_go(record):
    recorder = record().listen()
    no_features, controller = recorder.pair()
    read_messages(no_features, 5)
    half, _ = recorder.pair()
    half.sendall(FEATURES_REPLY[:4] + read_messages(half, 5)[4:8]
                 + FEATURES_REPLY[8:] + bytes([4, 10, 0xff, 0xff]) * 100)
    peers = [no_features, half,
             recorder.connect(),
             recorder.connect(HELLO[:5]),
             recorder.connect(HELLO + bytes([4, 2, 0])),
             recorder.connect(HELLO)]
    wait_until(lambda: len(recorder.stats()["switches"]) == 6, 5, "all")
    begin = time.monotonic()
    for peer in peers:
        assert is_closed(peer)
    assert 10 < time.monotonic() - begin < 20
    assert is_closed(controller)
    output = recorder.process.output()
    assert "sent no HELLO in 15 s" in output
    assert f"controller tcp:127.0.0.1:{recorder.controller_port} sent no " \
        "HELLO in 15 s" in output
    assert "half a message (400 bytes) and nothing more for 15 s" in output
    assert "sent no FEATURES_REPLY in 15 s" in output
    assert recorder.stats()["switches"] == []


def test_a_controller_that_is_not_there_is_named_and_may_come(record):
    recorder = record()
    for _ in range(40):
        assert is_closed(recorder.connect(HELLO))
    lines = [line for line in recorder.process.output().splitlines()
             if f"controller tcp:127.0.0.1:{recorder.controller_port}: "
             "Connection refused" in line]
    assert 0 < len(lines) <= 10, lines
    assert "will try again" in lines[0]
    recorder.listen()
    switch_, controller = recorder.pair()
    assert read_messages(controller, 0) == HELLO
    switch_.close()
    assert is_closed(controller)


def test_a_thousand_hostile_switches_leave_nothing_behind(record):
    recorder = record().listen()
    random_ = random.Random(2)
    recorder.pair()[0].close()
    before = memory(recorder.process.pid)
    switch_, controller = recorder.pair()
    for number in range(1000):
        data = random_.randbytes(random_.randrange(1, 300))
        if number % 2:      # Framed well, with random types and bodies.
            data = HELLO + b"".join(
                struct.pack("!BBHI", 4, random_.randrange(36), 8 + len(body),
                            random_.randrange(4)) + body
                for body in (data, data[:40], data[:16]))
        peer = recorder.connect()
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        recorder.controller.accept()[0].sendall(HELLO)
        assert is_closed(peer)
    wait_until(lambda: len(recorder.stats()["switches"]) == 1, 10,
               "only one switch")
    assert recorder.stats()["accepted"] == 1002
    assert memory(recorder.process.pid) - before < memory_bound(20000)
    assert len(recorder.process.output().splitlines()) < 100
    switch_.sendall(bytes([4, 2, 0, 8, 0, 0, 0, 9]))    # An echo request.
    assert read_messages(controller, 2)[4:] == bytes([0, 0, 0, 9])


def test_no_descriptor_left_is_said_and_costs_no_time(record):
    recorder = record(limit="40:40").listen()
    crowd = []
    for _ in range(60):
        try:
            crowd.append(recorder.connect(HELLO))
        except OSError:
            break
    recorder.process.wait_for("Too many open files")
    before = ticks(recorder.process.pid)
    begin = time.monotonic()
    wait_until(lambda: time.monotonic() - begin > 1, 5)
    assert ticks(recorder.process.pid) - before < 30
    for peer in crowd:
        peer.close()
    for _ in crowd:     # Those that had got through.
        recorder.controller.settimeout(0.3)
        try:
            recorder.controller.accept()[0].close()
        except TimeoutError:
            break
    switch_, controller = recorder.pair()
    assert read_messages(controller, 0) == HELLO
    switch_.close()


def test_a_recorder_that_cannot_start_says_why_in_one_line(tmp_path):
    garbage = tmp_path / "garbage"
    garbage.mkdir()
    (garbage / "flow.db").write_bytes(random.Random(3).randbytes(20000))
    (tmp_path / "file").write_text("")
    full = tmp_path / "full"
    full.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "lasthop-test", full])
    good = ["--listen=tcp:127.0.0.1:0", "--controller=tcp:127.0.0.1:9"]
    try:
        for state, said in ((garbage, f"{garbage}/flow.db: cannot read"),
                            (tmp_path / "file", "Not a directory"),
                            (tmp_path / "a" / "b", f"{tmp_path}/a/b"),
                            (full, "Read-only file system")):
            code, output = told(program("lasthop-recorder"), *good,
                                f"--state={state}", f"--rundir={tmp_path}")
            assert code == 1 and said in output, output
            assert len(output.splitlines()) == 1, output
    finally:
        run(["umount", full])


def test_options_that_cannot_work_are_refused(tmp_path):
    recorder = program("lasthop-recorder")
    path = f"unix:{tmp_path}/of.sock"
    for argv, said in (
            (["--controller=tcp:127.0.0.1:6653"],
             "is where the recorder itself listens (--listen=tcp::6653)"),
            (["--controller=tcp:[::1]:7000", "--listen=tcp::7000"],
             "is where the recorder itself listens"),
            (["--controller=tcp:127.0.0.1:7000",
              "--listen=tcp:127.0.0.1:7000"],
             "is where the recorder itself listens"),
            ([f"--controller={path}", f"--listen={path}"],
             "is where the recorder itself listens"),
            (["--controller=tcp:127.0.0.1:99999"], '"99999" is no port'),
            (["--controller=tcp:127.0.0.1:0"], '"0" is no port'),
            (["--controller=tcp:127.0.0.1:6653x"], '"6653x" is no port'),
            (["--controller=tcp:127.0.0.1:9", "--keep=abc"],
             '--keep: "abc" is no span of time such as 7d')):
        code, output = told(recorder, f"--state={tmp_path}/state",
                            f"--rundir={tmp_path}", *argv)
        assert code == 2 and said in output, output
        assert len(output.splitlines()) == 1, output


def test_a_full_disk_does_not_hold_up_the_control_channel(record, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=1m", "lasthop-test", state])
    try:
        recorder = record().listen()
        switch_, controller = recorder.pair()
        with open(state / "ballast", "wb", buffering=0) as ballast:
            with pytest.raises(OSError):
                while True:
                    ballast.write(b"x" * 4096)
        read_messages(switch_, 5)
        switch_.sendall(FEATURES_REPLY[:4] + bytes([0, 0, 0, 0])
                        + FEATURES_REPLY[8:])
        switch_.close()
        for _ in range(20):
            switch_, controller = recorder.pair()
            request = read_messages(switch_, 5)
            switch_.sendall(FEATURES_REPLY[:4] + request[4:8]
                            + FEATURES_REPLY[8:])
            switch_.sendall(bytes([4, 2, 0, 8, 0, 0, 0, 9]))
            assert read_messages(controller, 2)
            switch_.close()
            assert is_closed(controller)
        recorder.process.wait_for("the control channel goes on")
        assert "disk" in recorder.process.output()
        assert recorder.stats()["flow_log"]["failures"]
        os.unlink(state / "ballast")
        recorder.process.wait_for("the flow log has caught up")
        assert recorder.stats()["flow_log"]["lost"] == 0
        recorder.process.stop()
    finally:
        run(["umount", "-l", state])


def test_an_ovsdb_that_is_not_there_is_named(record, tmp_path):
    db = f"unix:{tmp_path}/none.sock"
    recorder = record("--postcards=geneve:192.0.2.1", f"--ovsdb={db}").listen()
    switch_, controller = recorder.pair()
    request = read_messages(switch_, 5)
    switch_.sendall(FEATURES_REPLY[:4] + request[4:8] + FEATURES_REPLY[8:])
    recorder.process.wait_for("no postcards (next try in 10 s)")
    assert db in recorder.process.output(), recorder.process.output()
    switch_.sendall(bytes([4, 2, 0, 8, 0, 0, 0, 9]))
    assert read_messages(controller, 2)


def test_garbage_on_the_recorder_s_socket_is_answered(record, tmp_path):
    recorder = record()
    for line, code in ((b"\xff\xfe\n", "bad-request"),
                       (b"[]\n", "bad-request"),
                       (b'{"id":1,"op":"frob"}\n', "unknown-op"),
                       (b'{"id":1,"op":"flow","dpid":[]}\n', "bad-request"),
                       (b'{"id":1,"op":"table","dpid":1,"at":"x"}\n',
                        "not-found")):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(f"{tmp_path}/recorder.sock")
            client.sendall(line)
            answer = json.loads(client.recv(65536))
            assert not answer["ok"] and answer["error"]["message"], answer
            assert answer["error"]["code"] == code, answer
    with socket.socket(socket.AF_UNIX) as client:   # A line without an end.
        client.settimeout(10)
        client.connect(f"{tmp_path}/recorder.sock")
        for _ in range(100):
            client.sendall(b"x" * 1000000)
        answer = json.loads(client.recv(65536))
        assert answer["error"]["code"] == "limit", answer
    assert memory(recorder.process.pid) < memory_bound(60000)
    assert recorder.stats()["accepted"] == 0


# --- ndb and phfc -------------------------------------------------------------

def test_ndb_ends_as_it_is_told_and_says_why_nothing_is_found(
        serve, tmp_path):
    archive = f"{tmp_path}/archive"
    server = serve("--recorder", "none", "--archive", archive)
    for number in range(500):
        server.udp.send(card(1, 1, 2, packet(number)))
    server.wait_stat("archived", 500)
    ndb = program("ndb")
    for source in (["-r", archive], ["-s", f"{tmp_path}/server.sock"]):
        # A reader that closes the pipe ends it, quietly.
        child = subprocess.Popen(
            [ndb, *source, *["-e", "find . --limit 501"] * 20],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(10) == -signal.SIGPIPE

        # A name cannot be known: said, not only "nothing found".
        code, output = told(ndb, *source, "-e", "find {{--dpid nosuch}}")
        assert code == 1 and "no topology is known" in output, output
        code, output = told(ndb, *source, "-e", "find {{--dpid 2}}",
                            "-e", "find . --since yesterdy")
        assert code == 2 and '"yesterdy": not a time; give ' in output, output

    waiting = Process("ndb", [ndb, "-s", f"{tmp_path}/server.sock", "-e",
                              "break .", "-e", "continue"],
                      f"{tmp_path}/ndb.log")
    wait_until(lambda: server.stats()["triggers"] == 1, 5, "the breakpoint")
    waiting.signal(signal.SIGINT)
    assert waiting.wait() == 130
    assert waiting.output().endswith("ndb: interrupted\n")
    wait_until(lambda: server.stats()["triggers"] == 0, 5, "its end")

    waiting = Process("ndb", [ndb, "-s", f"{tmp_path}/server.sock", "-e",
                              "break .", "-e", "continue"],
                      f"{tmp_path}/ndb2.log")
    wait_until(lambda: server.stats()["triggers"] == 1, 5, "the breakpoint")
    server.process.stop()
    # It waits for the server to come back, and says so.
    wait_until(lambda: "the server closed the connection; waiting for it"
               in waiting.output(), what="what ndb says")
    waiting.signal(signal.SIGINT)
    assert waiting.wait() == 130


def test_an_archive_of_a_newer_version_is_told_from_none(tmp_path):
    (tmp_path / "meta.json").write_text(
        '{"format": "lasthop-archive", "version": 99}')
    port = free_port(socket.SOCK_DGRAM)
    for argv in ([program("ndb"), "-r", tmp_path, "-e", "find ."],
                 [program("lasthop-server"), "--archive", tmp_path,
                  "--rundir", tmp_path, "--listen",
                  f"geneve:127.0.0.1:{port}"]):
        code, output = told(*argv)
        assert code == 2 and len(output.splitlines()) == 1, output
        assert "a newer lasthop wrote it" in output, output
        assert "no archive" not in output
        assert f"{tmp_path}/meta.json" in output


def test_phfc_names_file_and_line(tmp_path):
    path = f"{tmp_path}/histories"
    good = json.dumps({"packet_id": "0" * 16, "verdict": None, "hops": [
        {"n": 0, "parent": None, "dpid": "1", "in_port": 1,
         "out_ports": [2]}]})
    for bad, said in (('{"hops": [', ":2:"), ("\udcff\udcfe", ":2:"),
                      ('{"hops": [{"dpid": "x"}]}', ":2: hops[0]"),
                      ("\0\0\0", ":2: a byte 0 in the line"),
                      ("[" * 100000, ":2:"),
                      ('{"packet_id": "' + "0" * 100000, ":2:")):
        with open(path, "w", encoding="utf-8",
                  errors="surrogateescape") as stream:
            stream.write(f"{good}\n{bad}\n")
        code, output = told(program("phfc"), "match", ".", path)
        assert code == 2, output[-500:]
        assert f"phfc: {path}{said}" in output, output[-500:]
        assert len(output) < 2000
    code, output = told(program("phfc"), "match", ".", "/dev/zero")
    assert code == 2 and "phfc: /dev/zero:1: a line of more than" in output
