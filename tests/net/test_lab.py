# SPDX-License-Identifier: Apache-2.0
# The lab itself: what the other tests on real networks take for granted.

import os
import shutil
import signal
import subprocess
import sys

import pytest

from lab import PYTHON, UNDER_COLLECTOR, Lab, netns_owner, netns_prefix
from process import Failed, run, wait_until

NORMAL = "priority=0,actions=normal"


def line_of(lab, n_bridges):
    """Declares bridges in a line with a host at each end."""
    names = [f"s{i + 1}" for i in range(n_bridges)]
    for name in names:
        lab.add_bridge(name)
    for a, b in zip(names, names[1:]):
        lab.add_link(a, b)
    return (lab.add_host("h1", names[0], "10.0.0.1/24", "fd00::1/64"),
            lab.add_host("h2", names[-1], "10.0.0.2/24", "fd00::2/64"))


def learn(lab):
    """Makes all bridges learning switches."""
    for name in lab.bridges:
        lab.ofctl("add-flow", name, NORMAL)


def test_traffic_crosses_learning_bridges(lab):
    h1, h2 = line_of(lab, 3)
    lab.start()
    assert not h1.ping(h2.ip, wait=0.2), "a secure bridge forwards nothing"
    learn(lab)

    assert h1.ping(h2.ip, count=3)
    assert h1.ping(h2.ip6, count=3)
    for kind in ("tcp", "udp"):
        h2.serve(kind, 7000)
        assert h1.request(kind, h2.ip, 7000, "over four") == "OVER FOUR"
        assert h1.request(kind, h2.ip6, 7000, "over six") == "OVER SIX"
    assert h1.request("tcp", h2.ip, 7001, timeout=1) is None


def test_raw_frames_arrive_as_they_were_sent(lab):
    h1, h2 = line_of(lab, 2)
    lab.start()
    learn(lab)
    frame = (bytes.fromhex("0200000000020200000000010800") + b"lasthop"
             ).ljust(60, b"\0")

    capture = h2.capture()
    h1.send(frame, frame)
    wait_until(lambda: capture.frames().count(frame) == 2, what="the frames")
    capture.stop()


def test_ports_and_datapath_ids_are_as_declared(lab):
    lab.add_bridge("s1", 0x1234)
    lab.add_bridge("s2")
    assert lab.add_link("s1", "s2") == (1, 1)
    assert lab.add_link("s1", "s2") == (2, 2)
    lab.add_host("h1", "s1", "10.0.0.1/24")
    lab.start()

    assert lab.bridges["s1"].port_to("s2") == 1
    assert lab.bridges["s1"].port_to("h1") == 3
    shown = lab.ofctl("show", "s1")
    assert "dpid:0000000000001234" in shown
    assert "1(s1-s2)" in shown and "2(s1-s2.2)" in shown
    with pytest.raises(KeyError):
        lab.bridges["s2"].port_to("h1")


def test_a_geneve_port_reaches_the_collector(lab):
    h1, h2 = line_of(lab, 2)
    lab.add_collector()
    lab.start()
    lab.vsctl("add-port", "s1", "geneve", "--", "set", "interface", "geneve",
              "type=geneve", f"options:remote_ip={UNDER_COLLECTOR}",
              "options:key=7", "ofport_request=100")
    lab.ofctl("add-flow", "s1", "actions=output:100")
    capture = lab.spawn("tcpdump", [
        "tcpdump", "-l", "-n", "-i", "under0", "udp port 6081"],
        netns=lab.col).wait_for("listening on")

    h1.send((b"\xff" * 6 + b"\x02" * 6 + b"\x08\x00").ljust(60, b"\0"))
    capture.wait_for("Geneve, Flags [none], vni 0x7")
    assert h2.ip == "10.0.0.2"


def test_mac_collector_ports_reach_one_interface(lab):
    line_of(lab, 2)
    lab.add_collector(mac=True)
    lab.start()
    capture = lab.spawn("tcpdump", [
        "tcpdump", "-l", "-n", "-e", "-i", "mac0"],
        netns=lab.col).wait_for("listening on")

    for bridge in lab.bridges.values():
        lab.ofctl("add-flow", bridge.name, "actions=drop")
        frame = f"{bridge.dpid:02x}" * 12 + "88b5" + "00" * 46
        lab.ofctl("packet-out", bridge.name, f"in_port=controller,"
                  f"packet={frame},actions=output:{bridge.mac_port}")
        capture.wait_for(":".join([f"{bridge.dpid:02x}"] * 6))


def test_a_restarted_vswitchd_has_no_flows(lab):
    h1, h2 = line_of(lab, 1)
    lab.start()
    learn(lab)
    assert h1.ping(h2.ip)

    lab.process("ovs-vswitchd").kill()
    lab.start_vswitchd()
    wait_until(lambda: _flows(lab, "s1") == [], what="the empty bridge")
    learn(lab)
    assert h1.ping(h2.ip)


def _flows(lab, bridge):
    try:
        return lab.ofctl("dump-flows", bridge).splitlines()[1:]
    except Failed:
        return None


def test_two_labs_do_not_meet(lab):
    line_of(lab, 1)
    lab.start()
    with Lab() as other:
        h1, h2 = line_of(other, 1)
        other.start()
        learn(other)
        assert h1.ping(h2.ip)
        assert not lab.hosts["h1"].ping(h2.ip, wait=0.2)


@pytest.mark.parametrize("script", [
    "exit 3", "sleep 100", "echo 'x.c:1:2: runtime error: shift'; exit 0"])
def test_a_daemon_that_ends_badly_is_told(script, capsys):
    network = Lab()
    with pytest.raises(Failed, match="daemon: (ended|a sanitizer)"):
        with network:
            daemon = network.spawn("daemon", ["sh", "-c", script],
                                   daemon=True)
            if "exit" in script:
                daemon.wait()
    assert network.dir in capsys.readouterr().err
    shutil.rmtree(network.dir)


LEAVES_BY_SIGNAL = """
import sys
sys.path.insert(0, sys.argv[1])
from lab import Lab
with Lab() as lab:
    lab.add_bridge("s1")
    lab.add_host("h1", "s1", "10.0.0.1/24")
    lab.start()
    print(lab.prefix, lab.dir, *(p.pid for p in lab._processes), flush=True)
    lab.spawn("idle", ["sleep", "1000"]).wait(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(number):
    here = os.path.dirname(os.path.abspath(__file__))
    with subprocess.Popen([PYTHON, "-c", LEAVES_BY_SIGNAL, here], text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as child:
        prefix, directory, *pids = child.stdout.readline().split()
        child.send_signal(number)
        child.communicate(timeout=20)

    assert child.returncode != 0
    assert prefix not in run(["ip", "netns", "list"])
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}")
    assert not os.path.exists(directory)


def test_a_killed_lab_is_swept_by_the_next():
    here = os.path.dirname(os.path.abspath(__file__))
    with subprocess.Popen([PYTHON, "-c", LEAVES_BY_SIGNAL, here], text=True,
                          stdout=subprocess.PIPE) as child:
        prefix, directory, *pids = child.stdout.readline().split()
        child.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}")
                               for pid in pids), what="its programs to end")
    shutil.rmtree(directory)
    with Lab():
        assert prefix not in run(["ip", "netns", "list"])


def test_a_sweep_spares_what_others_use():
    assert netns_owner(netns_prefix() + "hub") == os.getpid()
    assert netns_owner("lh11999-hub") == 11999
    assert netns_owner("lh11999-12x-sw (id: 3)") == 11999
    assert netns_owner("lh11999") is None and netns_owner("web-1") is None
    netns = f"{netns_prefix()}spare"
    run(["ip", "netns", "add", netns])
    try:
        with Lab():
            assert netns in run(["ip", "netns", "list"])
    finally:
        run(["ip", "netns", "delete", netns])


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
