# SPDX-License-Identifier: Apache-2.0
# A bridge with several controllers: roles, generation IDs, and one history of
# its tables whoever changed them.

import re
import socket
import struct

import pytest

from api import Api
from lab import UNDER_COLLECTOR, bindir
from many_controllers import (EQUAL, ERROR, EXPERIMENTER, FLOW_REMOVED,
                              MASTER, NO_CHANGE, PACKET_IN, PORT_STATUS,
                              SLAVE, Controller, message)
from process import Process, wait_until
from recorder import Recorder, pretty
from scripted_switch import Switch

ADD, MODIFY, DELETE = 0, 1, 3
ALL = 0xfffffffc


def network(lab):
    """One bridge, three hosts."""
    lab.add_bridge("s1")
    for n in (1, 2, 3):
        lab.add_host(f"h{n}", "s1", f"10.0.0.{n}/24")
    lab.add_collector()
    lab.start()


def set_controllers(lab, targets, protocols="OpenFlow10,OpenFlow13"):
    """Points the bridge at 'targets', one connection each."""
    lab.vsctl("set", "bridge", "s1", f"protocols={protocols}")
    lab.vsctl("set-controller", "s1", *targets)
    for uuid in lab.vsctl("--columns=_uuid", "--format=csv", "--no-headings",
                          "list", "controller").split():
        lab.vsctl("set", "controller", uuid, "max_backoff=1000",
                  "inactivity_probe=0")


def start_recorder(lab, controllers, *options):
    """A recorder with a listener for each controller; returns it and where
    the bridge is to connect."""
    recorder = Recorder(lab, f"geneve:{UNDER_COLLECTOR}")
    recorder.options = [o for o in recorder.options
                        if not o.startswith(("--listen", "--controller"))]
    listens = []
    for n, controller in enumerate(controllers):
        listens.append(f"unix:{lab.dir}/listen{n}.sock")
        recorder.options += [f"--listen={listens[-1]}",
                             f"--controller={controller.target}"]
    recorder.options += options
    return recorder.start(), listens


def connect(lab, versions=(4, 4)):
    """Two controllers behind a recorder, in the state `instrumented`."""
    controllers = [Controller(f"{lab.dir}/controller{n}.sock", version)
                   for n, version in enumerate(versions)]
    recorder, listens = start_recorder(lab, controllers)
    set_controllers(lab, listens)
    for controller in controllers:
        controller.accept()
    wait_ready(recorder, len(controllers))
    return recorder, controllers


def wait_ready(recorder, n):
    """Waits until all connections are of use."""
    wait_until(lambda: [c["state"] for c in recorder.stats()["switches"]] ==
               ["instrumented"] * n, 20, "all connections")


def rules(lab):
    """What the switch has of the controllers' rules: priority -> actions."""
    found = {}
    for line in lab.ofctl("dump-flows", "s1").splitlines():
        match = re.search(r"cookie=(0x[0-9a-f]+).*priority=(\d+)"
                          r".*?actions=(.*)", line)
        if match and not match[1].startswith("0x6c617374686f70"):
            found[int(match[2])] = match[3]
    return found


def recorded(recorder):
    """What the log has standing: priority -> actions."""
    return {rule["priority"]: rule["actions"] for rule in recorder.table(1)
            if rule["kind"] == "flow"}


def bare(actions):
    """Actions without what the recorder has added."""
    return re.sub(r"clone\([^)]*\([^)]*\)\),|note:[0-9a-f.]+,?", "", actions)


def roles_script(a, b, base):
    """What two controllers see who contend for the switch, with generation
    IDs from 'base' on: a switch does not forget those it saw."""
    told = [a.role(MASTER, base + 5), b.role(SLAVE, base + 5)]
    b.flow(ADD, 10, 1, 2)                       # Refused to a slave.
    b.flow(DELETE, 0, 1, 2)
    told += [b.take()]
    a.flow(ADD, 11, 1, 2)
    told += [a.take(), b.role(MASTER, base + 4)]       # Stale.
    b.flow(ADD, 12, 1, 2)
    told += [b.take(), b.role(MASTER, base + 6)]       # a is now slave.
    a.flow(ADD, 13, 1, 3)
    a.flow(MODIFY, 11, 1, 3)
    b.flow(MODIFY, 11, 1, 3)
    b.flow(ADD, 14, 2, 3)
    told += [b.take(), a.take()]
    told += [a.role(MASTER, base + 5)]                 # Stale.
    if a.version != 1:
        told += [a.role(NO_CHANGE), b.role(NO_CHANGE)]
    told += [a.role(EQUAL, 0)]
    a.flow(ADD, 15, 3, 1)
    told += [a.take(), b.take()]
    return told


def run_roles(controllers, base):
    """The same without packets, checked and with generation IDs from 0."""
    told = []
    for entries in roles_script(*controllers, base):
        told.append([])
        for kind, xid, body in entries:
            if kind in (PACKET_IN, PORT_STATUS):
                continue
            # What nobody asked for is a role status, an ONF extension of 1.3.
            assert any(100 < xid <= c.xid for c in controllers) or \
                (kind, xid) == (EXPERIMENTER, 0)
            for n in (4, 5, 6):
                body = body.replace(struct.pack(">Q", base + n),
                                    struct.pack(">Q", n))
            told[-1].append((kind, xid, body))
    return told


@pytest.mark.parametrize("version", [4, 1])
def test_roles_are_as_without_recorder(lab, version):
    network(lab)
    direct = [Controller(f"{lab.dir}/direct{n}.sock", version)
              for n in (0, 1)]
    set_controllers(lab, [c.target for c in direct])
    for controller in direct:
        controller.accept()
    expected = run_roles(direct, 1000)
    table = rules(lab)
    assert len(table) == 3 + (version == 1), table
    assert sum(entry[0] == ERROR for told in expected for entry in told) >= 4
    lab.vsctl("del-controller", "s1")
    lab.ofctl("del-flows", "s1")

    recorder, controllers = connect(lab, (version, version))
    told = run_roles(controllers, 2000)
    assert told == expected
    got = rules(lab)
    assert {p: bare(acts) for p, acts in got.items()} == table
    assert all("clone(" in acts for acts in got.values()), got
    wait_until(lambda: recorded(recorder) == table, 5, "the log to agree")
    roles = [c["role"] for c in recorder.stats()["switches"]]
    # 1.0 has no generation IDs: there the first had taken over again.
    assert sorted(roles) == ["equal", "slave" if version == 1 else "master"]


def test_own_messages_wait_for_a_link_that_may_change_the_switch(lab):
    network(lab)
    recorder, (a, b) = connect(lab)
    a.flow(ADD, 20, 1, ALL)
    a.role(SLAVE, 1)
    b.role(SLAVE, 1)
    lab.vsctl("add-port", "s1", "new", "--", "set", "interface", "new",
              "type=internal", "ofport_request=9")
    a.wait_for(PORT_STATUS)
    b.wait_for(PORT_STATUS)
    wait_until(lambda: recorder.stats()["switches"][0]["instr"]["own_waited"],
               5, "the rewriting to wait")
    assert "output:9" not in rules(lab)[20]
    b.role(EQUAL)
    wait_until(lambda: "output:9" in rules(lab)[20], 5, "the rewriting")
    # One flow of port statuses, though it came twice.
    assert recorder.stats()["switches"][0]["instr"]["echoes"] >= 1
    a.role(EQUAL)
    lab.vsctl("del-port", "s1", "new")
    wait_until(lambda: "output:9" not in rules(lab)[20], 5, "the port to go")


def test_two_equal_controllers_at_once_leave_one_truth(lab):
    network(lab)
    recorder, (a, b) = connect(lab)
    for n in range(120):
        a.flow(ADD, 1000 + n % 7, 1, 2)
        b.flow(MODIFY if n % 3 else DELETE, 1000, 1, 3)
    a.barrier()
    b.barrier()
    wait_until(lambda: recorded(recorder) ==
               {p: bare(acts) for p, acts in rules(lab).items()},
               5, "log and switch to agree")
    a.flow(ADD, 1, 1, 2)
    b.flow(ADD, 2, 1, 2)
    a.barrier()
    b.barrier()
    got = rules(lab)
    assert {1, 2} <= set(got)
    assert all("clone(" in acts for acts in got.values()), got
    assert recorder.stats()["switches"][0]["instr"]["unordered"] == 0


def test_each_controller_hears_of_a_removed_rule_once(lab):
    network(lab)
    recorder, (a, b) = connect(lab)
    a.flow(ADD, 30, 1, 2, flags=1)
    a.flow(ADD, 31, 2, 1, flags=1, idle=1)
    a.barrier()
    b.flow(DELETE, 0, 1, 2)
    b.barrier()
    for controller in (a, b):
        priorities = set()
        for _ in (0, 1):
            _, _, body = controller.wait_for(FLOW_REMOVED)
            priorities.add(int.from_bytes(body[8:10], "big"))
        assert priorities == {30, 31}
        assert not [e for e in controller.take() if e[0] == FLOW_REMOVED]
    assert recorded(recorder) == rules(lab) == {}


def test_versions_may_differ(lab):
    network(lab)
    recorder, (a, b) = connect(lab, (4, 1))
    a.flow(ADD, 40, 1, ALL)
    b.flow(ADD, 41, 2, 3)
    a.barrier()
    assert b.take() == []
    wait_until(lambda: set(rules(lab)) == {40, 41}, 5, "both rules")
    got = rules(lab)
    assert all("clone(" in acts for acts in got.values()), got
    lab.vsctl("add-port", "s1", "new", "--", "set", "interface", "new",
              "type=internal", "ofport_request=9")
    wait_until(lambda: "output:9" in rules(lab)[40], 5, "the rewriting")
    assert recorded(recorder)[40] == "ALL"
    versions = [c["of_version"] for c in recorder.stats()["switches"]]
    assert sorted(versions) == [1, 4], pretty(versions)


def test_one_controller_ends_and_the_other_does_not_notice(lab):
    network(lab)
    recorder, (a, b) = connect(lab)
    a.flow(ADD, 50, 1, 2)
    a.barrier()
    known = {r["priority"]: r["version"] for r in recorder.table(1)}
    a.flow(ADD, 51, 1, 3)   # In the middle of changes.
    a.close()
    b.flow(ADD, 52, 2, 3)
    b.barrier()
    a.accept()
    wait_ready(recorder, 2)
    a.flow(ADD, 53, 3, 1)
    a.barrier()
    wait_until(lambda: recorded(recorder) ==
               {p: bare(acts) for p, acts in rules(lab).items()},
               5, "log and switch to agree")
    assert {50, 52, 53} <= set(recorded(recorder))
    now = {r["priority"]: r["version"] for r in recorder.table(1)}
    assert now[50] == known[50]
    assert b.take() == []


@pytest.fixture
def stand(tmp_path):
    """A recorder without a network and its controller."""
    controller = Controller(f"{tmp_path}/controller.sock")
    process = Process("recorder", [
        f"{bindir()}/lasthop-recorder", f"--listen=unix:{tmp_path}/l.sock",
        f"--controller={controller.target}", f"--state={tmp_path}/state",
        f"--rundir={tmp_path}", "--verbose"], f"{tmp_path}/recorder.log")
    process.wait_for("listening for switches")
    yield controller, process, f"{tmp_path}/l.sock", f"{tmp_path}/recorder.sock"
    assert process.stop() == 0, process.output()


def test_auxiliary_connections_are_links_of_the_same_switch(stand):
    controller, process, path, api_path = stand
    early = Switch(path, auxiliary=1)   # Before its main connection.
    early_up = Controller(f"{controller.path}-1")
    early_up.socket = controller.listener.accept()[0]
    early_up.socket.settimeout(20)
    early_up.socket.sendall(message(4, 0, 1))
    main = Switch(path)
    controller.accept()
    with Api(api_path) as api:
        def states():
            found = api.call("stats")["stats"]["switches"]
            return sorted((c.get("auxiliary", 0), c["state"])
                          for c in found) == \
                [(0, "instrumented"), (1, "instrumented")]
        wait_until(states, 10, "both connections")
        early_up.barrier()
        features = early_up.send(5)
        early_up.barrier()
        assert [body[13] for kind, xid, body in early_up.seen
                if (kind, xid) == (6, features)] == [1]
        # A packet-out by it has its version, a rule by it is in the table.
        early_up.send(13, struct.pack(">IIH6x", 0xffffffff, 0xfffffffd, 16) +
                      struct.pack(">HHIHxxxxxx", 0, 16, 2, 0) + bytes(60))
        early_up.flow(ADD, 60, 1, 2)
        early_up.barrier()
        wait_until(lambda: early.got(13) and early.got(14), 5, "the switch")
        priority = struct.pack(">H", 60)
        assert [body for body in early.got(14) if body[22:24] == priority]
        assert not main.got(13) and \
            not [body for body in main.got(14) if body[22:24] == priority]
        stats = api.call("stats")["stats"]["switches"][0]["instr"]
        assert stats["packet_outs"] == 1 and stats["flow_mods"] == 1
        kinds = [r["priority"] for r in api.call("table", dpid=1)["rules"]]
        assert kinds == [60]
        # When the main connection goes, so does this one.
        main.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: early.got("end"), 5, "the auxiliary's end")


def test_switch_that_comes_back_while_its_old_connection_looks_alive(tmp_path):
    controllers = [Controller(f"{tmp_path}/c{n}.sock") for n in (0, 1)]
    listens = [f"{tmp_path}/l{n}.sock" for n in (0, 1)]
    process = Process("recorder", [
        f"{bindir()}/lasthop-recorder",
        *(f"--listen=unix:{path}" for path in listens),
        *(f"--controller={c.target}" for c in controllers),
        f"--state={tmp_path}/state", f"--rundir={tmp_path}", "--verbose"],
        f"{tmp_path}/recorder.log")
    process.wait_for("listening for switches")
    old = [Switch(path) for path in listens]
    for controller in controllers:
        controller.accept()
    with Api(f"{tmp_path}/recorder.sock") as api:
        def all_states():
            return [c["state"] for c in
                    api.call("stats")["stats"]["switches"]]
        wait_until(lambda: all_states() == ["instrumented"] * 2, 10, "both")
        controllers[0].flow(ADD, 70, 1, 2)
        controllers[0].barrier()
        assert len(api.call("table", dpid=1)["rules"]) == 1
        # It dies without a word, and is back with an empty table.
        for switch in old:
            switch.answers = False
        controllers[0].close()
        new = Switch(listens[0])
        controllers[0].accept()
        process.wait_for("its tables were read again", 20)
        wait_until(lambda: api.call("table", dpid=1)["rules"] == [], 5,
                   "the log to know that the rule is gone")
        controllers[0].flow(ADD, 71, 1, 2)
        controllers[0].barrier()
        assert [r["priority"] for r in api.call("table", dpid=1)["rules"]] \
            == [71]
        assert len(new.got(14)) >= 1
    assert process.stop() == 0, process.output()
