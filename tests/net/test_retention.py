# SPDX-License-Identifier: Apache-2.0
# What the flow log keeps: for how long, for whom, and in how much room; and a
# disk that is full when the recorder starts.

import os
import sqlite3
import subprocess
import time

import pytest

from api import ApiError
from lab import UNDER_COLLECTOR, bindir
from process import Process, run, wait_until
from recorder import Recorder, start_controller
from test_recorder_gone import is_written

GENEVE = "geneve:" + UNDER_COLLECTOR


def flow(cookie):
    return {"priority": 10, "cookie": cookie,
            "match": {"eth_type": 0x0800, "ipv4_dst": f"10.1.0.{cookie}"},
            "actions": [{"type": "OUTPUT", "port": 1}]}


class Net:
    """A switch, its controller, and a recorder."""

    def __init__(self, lab):
        self.lab = lab
        lab.add_bridge("s1")
        lab.add_host("h1", "s1", "10.0.0.1/24")
        lab.add_collector()
        lab.start()
        self.controller = start_controller(lab)
        self.recorder = None
        self.restart("--keep=0")
        lab.set_controller(self.recorder.target)
        self.wait()

    def wait(self):
        self.recorder.wait_ready().wait_controller(self.controller)

    def restart(self, *options):
        if self.recorder:
            self.recorder.process.stop()
        self.recorder = Recorder(self.lab, GENEVE, options).start()

    def change(self, cookie):
        """A rule comes and goes; the time while it stood."""
        assert not self.controller.call("flow", dpid=1,
                                        flow=flow(cookie))["errors"]
        wait_until(lambda: cookie in self.cookies(), what="the rule")
        at_ns = time.time_ns()
        assert not self.controller.call(
            "flow", dpid=1, command="delete_strict",
            flow=flow(cookie))["errors"]
        wait_until(lambda: cookie not in self.cookies(), what="its end")
        return at_ns

    def cookies(self, **at):
        """Of the controller's rules."""
        return [int(str(r["cookie"]), 0)
                for r in self.recorder.table(1, **at) if r["kind"] == "flow"]

    def knows(self, at_ns, cookie):
        """Whether the table of then can be told; it must be right."""
        try:
            assert self.cookies(at=at_ns) == [cookie]
        except ApiError as error:
            assert error.error["code"] == "not-found"
            assert "the log begins at" in error.error["message"]
            return False
        return True

    def retain(self, name, **since):
        with self.recorder.api() as api:
            api.call("retain", name=name, **since)

    def retained(self):
        return {f["name"]: f["since_ns"]
                for f in self.recorder.stats()["flow_log"]["retained"]}


def test_the_log_keeps_what_one_of_several_servers_needs(lab):
    net = Net(lab)
    moments = [net.change(cookie) for cookie in (1, 2, 3)]
    assert [net.knows(*m) for m in zip(moments, (1, 2, 3))] == [True] * 3

    # A real server says so itself, under one name for one archive.
    server = [f"{bindir()}/lasthop-server", "--listen",
              f"geneve:{UNDER_COLLECTOR}:6081", "--archive",
              f"{lab.dir}/archive"]
    for _ in range(2):
        process = lab.spawn("server", server, netns=lab.col)
        wait_until(net.retained, 20, what="the server to say what it needs")
        process.stop()
    [(name, since_ns)] = net.retained().items()
    assert name.endswith(f":{os.path.realpath(lab.dir)}/archive")
    assert since_ns < moments[0]
    net.retain(name)
    assert net.retained() == {}

    # Two floors: the earlier one holds, over a restart too.
    net.retain("a", since=moments[1])
    net.retain("b", since=moments[2])
    net.restart("--keep=1s")
    net.wait()
    wait_until(lambda: not net.knows(moments[0], 1),
               what="what nobody needs to be deleted")
    assert net.knows(moments[1], 2) and net.knows(moments[2], 3)
    assert net.retained() == {"a": moments[1], "b": moments[2]}
    assert " for 2 servers" in run([f"{bindir()}/lasthopctl", "--rundir",
                                    lab.dir, "status"])

    # One needs nothing any more.
    net.retain("a")
    net.restart("--keep=1s")
    net.wait()
    wait_until(lambda: not net.knows(moments[1], 2),
               what="what only the first one needed to be deleted")
    assert net.knows(moments[2], 3)

    # The other one has gone.
    net.restart("--keep=1s", "--retain-for=500ms")
    net.recorder.process.wait_for('server "b" has not been heard since')
    net.wait()
    wait_until(lambda: not net.knows(moments[2], 3), what="all to be deleted")
    assert net.retained() == {}
    assert net.cookies() == []


def ask_log(lab, sql):
    with sqlite3.connect(f"file:{lab.dir}/state/flow.db?mode=ro",
                         uri=True) as log:
        return log.execute(sql).fetchone()[0]


def size(lab):
    """Of what is in the log."""
    return ask_log(lab, "PRAGMA page_size") * (
        ask_log(lab, "PRAGMA page_count") -
        ask_log(lab, "PRAGMA freelist_count"))


def test_the_log_takes_no_more_than_its_size(lab):
    net = Net(lab)
    first = net.change(1)
    for _ in range(4):
        for command in ("add", "delete_strict"):
            net.controller.call("flow", dpid=1, command=command, flows=[
                {**flow(i % 250), "priority": 20 + i // 250}
                for i in range(1500)])
    wait_until(lambda: net.cookies() == [], 20, what="the rules to be gone")
    middle = net.change(2)
    assert not net.controller.call("flow", dpid=1, flow=flow(3))["errors"]
    wait_until(lambda: is_written(net.recorder), what="the log to be written")
    full = size(lab)
    assert full > 1000000

    # Not what is needed.
    net.retain("a", since=first)
    net.restart("--keep=0", "--keep-size=300K")
    net.wait()
    net.recorder.process.wait_for("takes more than --keep-size")
    assert net.knows(first, 1) and net.knows(middle, 2)
    net.retain("a")
    net.restart("--keep=0", "--keep-size=300K")
    net.wait()
    wait_until(lambda: not net.knows(first, 1), what="the oldest to go")
    wait_until(lambda: size(lab) <= 300 << 10, 20, "the log to be small")
    # What stands is whole.
    assert net.cookies() == [3]
    assert ask_log(lab, "PRAGMA integrity_check") == "ok"


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a disk of its own, to be filled."""
    path = str(tmp_path / "disk")
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", path],
                   check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def fill(disk):
    """Leaves no room at all."""
    with open(f"{disk}/filler", "wb", buffering=0) as file:
        size = 65536
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def start(disk):
    """The command of a recorder whose log is there."""
    rundir = os.path.dirname(disk)
    return [f"{bindir()}/lasthop-recorder", f"--listen=unix:{rundir}/s",
            "--controller=tcp:127.0.0.1:9", f"--state={disk}/state",
            f"--rundir={rundir}"]


def start_on(disk):
    """Its status and what it says, when it cannot."""
    done = subprocess.run(start(disk), text=True, check=False, timeout=30,
                          capture_output=True)
    return done.returncode, done.stderr


def test_a_disk_that_is_full_at_the_start_is_named(small_disk):
    fill(small_disk)
    status, said = start_on(small_disk)
    assert status == 1
    assert f"{small_disk}/state has 0 KiB left" in said, said
    assert "make room there, or give another --state" in said
    os.unlink(f"{small_disk}/filler")

    # One that has a log already says so too, and goes on when there is room.
    recorder = Process("recorder", start(small_disk), f"{small_disk}/../log",
                       daemon=True)
    recorder.wait_for("listening for switches")
    recorder.stop()
    fill(small_disk)
    status, said = start_on(small_disk)
    assert status == 1 and "KiB left" in said, said
    os.unlink(f"{small_disk}/filler")
    recorder = Process("recorder", start(small_disk), f"{small_disk}/../log",
                       daemon=True)
    recorder.wait_for("listening for switches")
    recorder.stop()
