# SPDX-License-Identifier: Apache-2.0
# Guests: who comes by --serve, who is turned away, and what an owner is told.

import os
import socket
import subprocess

import pytest

from api import Api
from lab import bindir
from openflow import FLOW_MOD, Encoder, Wire
from process import Process, run, wait_until
from twins import COLLECTOR, Switch

RECORDER = f"{bindir()}/lasthop-recorder"


class Served:
    """A switch with the bridge br0, and the recorder beside it."""

    def __init__(self, directory):
        self.dir = str(directory)
        os.mkdir(f"{self.dir}/ovs")
        self.switch = Switch(f"{self.dir}/ovs")
        self.own = f"{self.dir}/ovs/br0.mgmt"
        self.at = f"{self.dir}/br0.mgmt"
        self.recorder = None

    def start(self, *options):
        """The recorder, which serves br0."""
        self.switch.start()
        self.recorder = Process(
            "recorder",
            [RECORDER, "--serve=br0", f"--postcards=geneve:{COLLECTOR}",
             f"--ovsdb={self.switch.db}", f"--state={self.dir}/state",
             f"--rundir={self.dir}", "--verbose", *options],
            f"{self.dir}/recorder.log", env=self.switch.env, daemon=True)
        self.recorder.wait_for("listening for guests of "
                               f"unix:{self.own} on unix:{self.at}")
        return self.recorder

    def stop(self):
        """Ends both."""
        if self.recorder:
            self.recorder.stop()
        self.switch.stop()
        fault = self.recorder and self.recorder.fault()
        assert not fault, fault

    def call(self, operation, **members):
        """Asks the recorder."""
        with Api(f"{self.dir}/recorder.sock", deadline=20) as api:
            return api.call(operation, **members)

    def ofctl(self, command, *argv, path=None):
        """A guest, or who has connected to 'path', to its end."""
        return subprocess.run(
            ["ovs-ofctl", "-OOpenFlow13", command,
             f"unix:{path or self.at}", *argv], text=True, timeout=30,
            capture_output=True, check=False, env=self.switch.env)

    def wire(self, is_greeted=True):
        """A guest, that has been greeted or not."""
        guest = socket.socket(socket.AF_UNIX)
        guest.connect(self.at)
        wire = Wire(guest, 4)
        if is_greeted:
            wire.handshake()
        return wire


@pytest.fixture
def served(tmp_path):
    """A Served, stopped at the end: it must still be there then."""
    it = Served(tmp_path)
    try:
        yield it
    finally:
        it.stop()


def test_nobody_has_the_switch(served):
    """A guest is told so in the log, and let in by whoever attaches it."""
    process = served.start(f"--controller=unix:{served.dir}/nobody",
                           f"--listen=unix:{served.dir}/switches")
    done = served.ofctl("dump-flows")
    assert done.returncode and not done.stdout, done.stdout
    process.wait_for(
        f"unix:{served.at}: switch 0000000000000001 is not connected: no "
        "controller behind the recorder has it now, and no --attach; who "
        "came by it is let go")
    assert not served.call("stats")["stats"]["switches"]
    assert "lasthop" not in run(["ovs-ofctl", "show", f"unix:{served.own}"])

    with subprocess.Popen(["ovs-ofctl", "-OOpenFlow13", "add-flow",
                           f"unix:{served.at}", "udp,actions=2"],
                          env=served.switch.env) as guest:
        wait_until(lambda: served.call("stats")["stats"]["accepted"] == 2,
                   what="the guest")
        served.call("attach", bridge="br0")
        assert guest.wait(20) == 0
    rule, = [r for r in served.call("table", dpid=1)["rules"]
             if r["kind"] == "flow"]
    assert (rule["match"], rule["actions"]) == ("udp", "output:2")


def test_the_bridge_is_not_there(served):
    process = served.start("--attach=br0", f"--serve=br9,at=unix:{served.dir}"
                           "/nine")
    done = served.ofctl("show", path=f"{served.dir}/nine")
    assert done.returncode and not done.stdout
    process.wait_for(f"unix:{served.dir}/ovs/br9.mgmt: ")
    assert f"who came by unix:{served.dir}/nine is let go" in process.output()


@pytest.mark.parametrize("is_greeted", [True, False])
def test_who_hangs_up_at_once_is_obeyed(served, is_greeted):
    """Commands that were sent are done, recorded and instrumented, with
    nobody there who waits for it, or who had waited to be greeted."""
    served.start("--attach=br0").wait_for(" instrumented")
    encoder = Encoder(served.dir)
    mods = encoder.encode(4, "add-flows", [
        f"priority={n},ip,nw_dst=10.0.0.{n},actions=output:2"
        for n in range(1, 201)])
    encoder.close()
    mods = [msg for msg in mods if msg[1] == FLOW_MOD]
    assert len(mods) == 200
    if is_greeted:
        wire = served.wire()
        wire.send(*mods)
    else:
        wire = served.wire(is_greeted=False)
        wire.send(wire.hello(), *mods)
    wire.close()

    def there():
        rules = [r for r in served.call("table", dpid=1)["rules"]
                 if r["kind"] == "flow"]
        return len(rules) == 200 and all(r["instrumented"] for r in rules)
    wait_until(there, 20, "all rules")
    wait_until(lambda: served.ofctl("dump-flows", "ip", path=served.own)
               .stdout.count("tun_metadata63") == 200, 20, "their postcards")
    shown = served.ofctl("dump-flows").stdout
    assert shown.count("actions=output:2") == 200
    assert "tun_metadata" not in shown


def test_detach_lets_guests_go(served):
    """The bridge is as its owner made it; attached again, it takes guests
    again."""
    process = served.start("--attach=br0").wait_for(" instrumented")
    assert served.ofctl("add-flow", "udp,actions=2").returncode == 0
    guests = [served.wire() for _ in range(3)]
    for wire in guests:
        wire.sync()
    served.call("detach", bridge="br0")
    for wire in guests:
        with pytest.raises((EOFError, ConnectionResetError)):
            while True:
                wire.receive()
        wire.close()
    process.wait_for("not connected any more; who came by "
                     f"unix:{served.at} is let go")
    rules = served.ofctl("dump-flows", path=served.own).stdout
    assert rules.count("actions=") == 1 and "actions=output:2" in rules

    served.call("attach", bridge="br0")
    wait_until(lambda: process.output().count(" instrumented") == 2,
               what="it to be attached again")
    shown = served.ofctl("dump-flows").stdout
    assert shown.count("actions=") == 1 and "actions=output:2" in shown


# --- What cannot start -------------------------------------------------------


BAD_OPTIONS, BAD_START = 2, 1     # Exit statuses.


def told(status, directory, *options):
    """What the recorder says that is to end by itself."""
    done = subprocess.run(
        [RECORDER, "--attach=br0", f"--state={directory}/state",
         f"--rundir={directory}", *options], text=True, timeout=20,
        capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert not done.stdout
    return done.stderr


FORM = "must be BRIDGE, BRIDGE,at=ENDPOINT or BRIDGE,at=ENDPOINT,sock=ENDPOINT"


@pytest.mark.parametrize("option, said", [
    ("", FORM),
    (",at=unix:DIR/x", FORM),
    ("unix:DIR/br0.mgmt", FORM),
    ("br0,to=unix:DIR/x", FORM),
    ("br0,at=unix:DIR/x,at=unix:DIR/y", FORM),
    ("br0,at=DIR/x", "DIR/x: must be tcp:HOST:PORT"),
    ("br0,at=unix:", "unix:: the path must have 1 to 107 bytes"),
    ("br0,at=unix:DIR/" + 108 * "x", "the path must have 1 to 107 bytes"),
    ("br0,at=tcp:127.0.0.1", "tcp:127.0.0.1: must be tcp:HOST:PORT"),
    ("br0,at=tcp:127.0.0.1:70000", '"70000" is no port'),
    ("br0,at=ssl:127.0.0.1:6640", "ssl:127.0.0.1:6640: must be tcp: or unix:"),
    ("br0,sock=ssl:127.0.0.1:6640",
     "ssl:127.0.0.1:6640: must be tcp: or unix:"),
    ("br0,at=unix:DIR/x,sock=unix:DIR/x", "unix:DIR/x is the bridge's own "
     "socket; clients need another one (,at=ENDPOINT)"),
], ids=str)
def test_options_that_are_wrong(option, said, tmp_path):
    option = option.replace("DIR", str(tmp_path))
    text = told(BAD_OPTIONS, tmp_path, f"--serve={option}")
    assert f"--serve={option}: " in text
    assert said.replace("DIR", str(tmp_path)) in text
    assert text.count("\n") == 1


def test_options_that_do_not_fit_together(tmp_path):
    at = f"unix:{tmp_path}/x"
    for there, taken in (
            ([f"--serve=br1,at={at}"], "another --serve"),
            ([f"--listen={at}", f"--controller=unix:{tmp_path}/up"],
             "a --listen")):
        assert f"--serve=br0,at={at}: {taken} is at {at} already; give " \
            "clients another place" in told(BAD_OPTIONS, tmp_path, *there,
                                            f"--serve=br0,at={at}")
    at = f"unix:{tmp_path}/recorder.sock"
    assert f"lasthopctl's socket is at {at} already" in told(
        BAD_OPTIONS, tmp_path, f"--serve=br0,at={at}")
    done = subprocess.run([RECORDER, "--serve=br0"], text=True, timeout=20,
                          capture_output=True, check=False)
    assert done.returncode == BAD_OPTIONS
    assert "--controller is missing" in done.stderr


def test_sockets_that_cannot_be_made(tmp_path):
    path = f"{tmp_path}/x"
    with open(path, "w", encoding="utf-8"):
        pass
    assert f"cannot listen on unix:{path}: {path}: is there and is not a " \
        "socket" in told(BAD_START, tmp_path,
                         f"--serve=br0,at=unix:{path}")
    assert os.path.exists(path)
    os.unlink(path)

    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        assert f"{path}: another process listens there already" in told(
            BAD_START, tmp_path, f"--serve=br0,at=unix:{path}")
        other.setblocking(False)
        other.accept()[0].close()   # It was tried, and is still there.

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        at = f"tcp:127.0.0.1:{other.getsockname()[1]}"
        assert f"cannot listen on {at}: Address already in use" in told(
            BAD_START, tmp_path, f"--serve=br0,at={at}")

    text = told(BAD_START, tmp_path,
                f"--serve=br0,at=unix:{tmp_path}/no/where/x")
    assert f"cannot listen on unix:{tmp_path}/no/where/x: " in text
    assert "No such file or directory" in text


def test_a_socket_that_was_left_behind_is_replaced(served):
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(served.at)
    served.start("--attach=br0")
    assert served.ofctl("show").returncode == 0
