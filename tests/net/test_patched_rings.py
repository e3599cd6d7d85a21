# SPDX-License-Identifier: Apache-2.0
# The rings of the patched switch under readers that are away, slow, killed or
# mad: forwarding goes on, and what is not told is counted, exactly.

import itertools
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

import frames
import rings as ring_module
from lab import HERE, PYTHON, Lab
from process import Failed, wait_until
from rings import DROPPED, GAP, POSTCARD, Gap, Rings

SMALL = 65536       # Bytes of the smallest ring.
SIZES = itertools.cycle((8 << 20, 4 << 20))


@pytest.fixture(name="net", scope="module")
def make_net():
    """h1 - s1 - s2 - h2, with rules that name themselves."""
    with Lab(patched=True) as lab:
        for name in ("s1", "s2"):
            lab.add_bridge(name)
        lab.add_host("h1", "s1", "10.0.0.1/24")
        lab.add_link("s1", "s2")
        lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.start()
        lay_rules(lab)
        yield lab


@pytest.fixture(name="rings")
def make_rings(net):
    """The switch's rings, made anew, with this test as the reader."""
    resize(net, next(SIZES))
    settled(net)        # Rings are there.
    rings = Rings(net.process("ovs-vswitchd").pid)
    rings.attach()
    yield rings
    rings.close()


def lay_rules(lab):
    """Forwards both ways by rules 1 to 4; rule 9 drops."""
    for bridge, versions in (("s1", (1, 2)), ("s2", (3, 4))):
        for version, (port, other) in zip(versions, ((1, 2), (2, 1))):
            lab.ofctl("add-flow", bridge, f"in_port={port},actions="
                      f"postcard(version={version}),output:{other}")
    lab.ofctl("add-flow", "s1", "priority=40000,udp,tp_dst=99,actions="
              "postcard(version=9)")


def can_be_reached(lab):
    """Whether all bridges talk OpenFlow."""
    try:
        return [lab.ofctl("show", name) for name in lab.bridges]
    except Failed:
        return []


def resize(lab, size):
    """Gives new rings that size."""
    lab.vsctl("set", "Open_vSwitch", ".",
              f"other-config:lasthop-ring-size={size}")


def received(lab):
    """Packets that came into the ports of both bridges."""
    total = 0
    for name in lab.bridges:
        for line in lab.ofctl("dump-ports", name).splitlines():
            if "rx pkts=" in line:
                total += int(line.split("rx pkts=")[1].split(",")[0])
    return total


def batch(lab, n, port=7):
    """'n' packets from h1 to h2."""
    return [frames.udp4(lab.hosts["h1"].mac, lab.hosts["h2"].mac, "10.0.0.1",
                        "10.0.0.2", 1000 + i % 1000, port, b"x" * (i % 40))
            for i in range(n)]


def settled(lab):
    """What was received, after all that h1 has sent."""
    wait_until(lambda: lab.hosts["h1"].ping("10.0.0.2"), what="an answer")
    return received(lab)


def send(lab, n, port=7):
    """Sends 'n' packets, not faster than the switch takes them."""
    for i in range(0, n, 100):
        lab.hosts["h1"].send(*batch(lab, min(100, n - i), port))
        last = settled(lab)
    return last


def told(records):
    """(postcards, postcards that gaps told of)."""
    return (sum(r.type in (POSTCARD, DROPPED) for r in records),
            sum(r.count for r in records if r.type == GAP))


def test_no_reader_ever(net):
    """Nothing is recorded, all is forwarded, and that is counted."""
    before = settled(net)
    rings = Rings(net.process("ovs-vswitchd").pid)
    counted = rings.counters()
    wanted = send(net, 500) - before
    assert wanted >= 1000
    # Hosts may send packets of their own meanwhile.
    wait_until(lambda: (rings.counters() - counted)["unread"] ==
               received(net) - before, what="all received to be counted")
    grown = rings.counters() - counted
    assert not grown["postcards"] and not grown["dropped"]
    assert {ring.head for ring in rings.find()} == {0}
    rings.close()


def test_every_packet_is_told_with_ports_and_rules(net, rings):
    """Two postcards each, from the bridges it crossed, in order of time."""
    send(net, 100)
    send(net, 3, port=99)
    mine = [r for r in rings.read()
            if r.data[12:14] == b"\x08\x00" and r.data[23] == 17]
    s1 = [r for r in mine if r.template.bridge == "s1"]
    s2 = [r for r in mine if r.template.bridge == "s2"]
    assert (len(s1), len(s2)) == (103, 100)
    sent = batch(net, 100)
    for record, frame in zip(s1, sent):
        assert record.data == frame[:96] and record.packet_len == len(frame)
        assert record.template.dpid == 1 and record.template.in_port == 1
        assert record.template.outputs == [(2, 0)]
        assert record.template.trail == [(0, 1, False)]
        assert not record.template.reason
    for record, frame in zip(s2, sent):
        assert record.data == frame[:96]
        assert record.template.outputs == [(2, 0)]
        assert record.template.trail == [(0, 3, False)]
    for record in s1[100:]:
        assert record.template.outputs == []
        assert record.template.trail == [(0, 9, False)]
        assert record.template.reason
    assert max(r.time_ns for r in s1[:100]) <= max(r.time_ns for r in s2)
    assert abs(s1[0].time_ns - time.time_ns()) < 60e9


def test_ring_too_small(net, rings):
    """Packets received are postcards and packets that gaps tell of."""
    rings.close()
    resize(net, SMALL)
    before = settled(net)
    rings = Rings(net.process("ovs-vswitchd").pid)
    rings.attach()
    counted = rings.counters()
    records = []
    for i in range(5):
        send(net, 200)
        if i == 2:
            records += rings.read()
            assert told(records)[0] > 0
    records += rings.read()
    wait_until(lambda: records.extend(rings.read()) or told(records)[1] ==
               (rings.counters() - counted)["dropped"],
               what="the gap to be told")
    dropped = (rings.counters() - counted)["dropped"]
    assert dropped > 0
    # Hosts may send packets of their own meanwhile.
    wait_until(lambda: (lambda grown: grown["postcards"] + grown["dropped"])(
        rings.counters() - counted) == received(net) - before,
        what="all received to be counted")
    gaps = [r for r in records if isinstance(r, Gap)]
    assert all(set(gap.counts) <= {1, 2} for gap in gaps)
    assert sum(sum(gap.counts.values()) for gap in gaps) == dropped
    rings.close()


def test_reader_is_killed(net, rings):
    """The next one is told the templates again and goes on."""
    rings.close()
    pid = net.process("ovs-vswitchd").pid
    # pylint: disable=consider-using-with
    reader = subprocess.Popen([PYTHON, f"{HERE}/rings.py", "drain", str(pid)],
                              stdout=subprocess.PIPE)
    assert reader.stdout.readline() == b"ready\n"
    second = Rings(pid)
    with pytest.raises(BlockingIOError):    # There is one already.
        second.attach()
    send(net, 200)
    reader.send_signal(signal.SIGKILL)
    reader.wait()
    reader.stdout.close()
    settled(net)
    second.attach()
    send(net, 200)
    records = second.read()
    assert all(record.template for record in records)
    assert sum(r.data[23] == 17 for r in records) == 400
    second.close()


def scribble(ring, seed, stop):
    """Writes nonsense into a ring's pages until told to stop."""
    chance = random.Random(seed)
    n = 0
    while not stop.is_set():
        value = chance.choice((0, 1, 2**64 - 1, ring.head,
                               ring.head + chance.randrange(-65536, 65536),
                               chance.getrandbits(64))) % 2**64
        where = chance.choice((ring_module.READER,) * 3 + (0,))
        offset = where + 8 * chance.randrange(4 if where else 32)
        ring.set_word(offset, value)
        n += 1
    return n


def test_nonsense_in_the_shared_pages(net, rings):
    """The switch lives and forwards; a sane reader then reads again."""
    switch = net.process("ovs-vswitchd")
    stop = threading.Event()
    threads = [threading.Thread(target=scribble, args=(ring, seed, stop))
               for seed, ring in enumerate(rings.find())]
    try:
        for thread in threads:
            thread.start()
        for _ in range(3):
            before = settled(net)
            assert send(net, 200) - before >= 400
            assert "all rings:" in net.appctl("lasthop/show")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert switch.is_running()
    assert net.hosts["h1"].ping("10.0.0.2")
    rings.close()
    resize(net, SMALL)      # Their headers are what was written there.
    settled(net)
    rings = Rings(switch.pid)
    rings.attach()
    send(net, 100)
    assert sum(r.data[23] == 17 for r in rings.read()) == 200
    rings.close()


def test_threshold_keeps_the_same_packets_everywhere(net, rings):
    """Of each packet both postcards or none, and what is left out is
    counted."""
    for ring in rings.find():
        ring.set_threshold(2**31)
    counted = rings.counters()
    send(net, 400)
    seen = {}
    for record in rings.read():
        if record.data[23] == 17:
            seen.setdefault(record.data[34:44], []).append(
                record.template.bridge)
    kept = sum(len(names) for names in seen.values())
    assert 100 < kept / 2 < 300
    assert (rings.counters() - counted)["unsampled"] >= 800 - kept
    # The other bridge's own threshold makes it fewer, not others.
    for ring in rings.find():
        ring.set_threshold(2**32 - 1)
    net.vsctl("set", "bridge", "s2", "other-config:lasthop-threshold=1")
    try:
        wait_until(lambda: "threshold:0x1 " in net.appctl("lasthop/show"))
        send(net, 50)
        names = [r.template.bridge for r in rings.read() if r.data[23] == 17]
        assert names == ["s1"] * 50
    finally:
        net.vsctl("remove", "bridge", "s2", "other-config",
                  "lasthop-threshold")


def test_settings_change_live(net, rings):
    """Off, on, another snap, another size, without a restart."""
    net.vsctl("set", "bridge", "s1", "other-config:lasthop-mode=off")
    wait_until(lambda: "bridge s1: off" in net.appctl("lasthop/show"))
    send(net, 20)
    assert {r.template.bridge for r in rings.read()
            if r.data[23] == 17} == {"s2"}
    net.vsctl("set", "bridge", "s1", "other-config:lasthop-mode=postcard",
              "other-config:lasthop-snap=64")
    wait_until(lambda: "snap:64" in net.appctl("lasthop/show"))
    send(net, 40)
    sizes = {}
    for record in rings.read():
        if record.data[23] == 17:
            sizes.setdefault(record.template.bridge, []).append(
                len(record.data))
    assert max(sizes["s1"]) == 64 and max(sizes["s2"]) > 64
    net.vsctl("remove", "bridge", "s1", "other-config", "lasthop-snap")
    old = [ring for ring in rings.find() if not ring.is_closed]
    resize(net, 4 * SMALL)
    send(net, 40)
    assert all(ring.is_closed for ring in old)
    assert sum(r.data[23] == 17 for r in rings.read()) == 80


def test_meter_drops_are_told(net, rings):
    """What a meter drops is told after its postcard, with the same packet."""
    net.ofctl("add-meter", "s1", "meter=1,pktps,burst,band=type=drop,rate=1,"
              "burst_size=10")
    net.ofctl("add-flow", "s1", "priority=40001,udp,tp_dst=88,actions="
              "meter:1,postcard(version=8),output:2")
    rings.read()
    send(net, 100, port=88)
    records = [r for r in rings.read()
               if r.data[23] == 17 and r.template.bridge == "s1"]
    dropped = [r for r in records if r.type == DROPPED]
    cards = [r for r in records if r.type == POSTCARD]
    text = net.ofctl("meter-stats", "s1", "meter=1")
    wanted = int(re.search(r"0:\s+packet_count:(\d+)", text).group(1))
    assert len(cards) == 100 and len(dropped) == wanted > 50
    assert {r.reason for r in dropped} == {1}
    assert {r.reason for r in cards} == {0}
    assert {r.template.trail[0] for r in records} == {(0, 8, False)}
    assert {r.data for r in dropped} < {r.data for r in cards}


def test_switch_is_killed_and_started_again(net, rings):
    """What it wrote can still be read, and the new one's rings are found."""
    send(net, 100)
    switch = net.process("ovs-vswitchd")
    os.kill(switch.pid, signal.SIGKILL)
    switch.wait()
    assert sum(r.data[23] == 17 for r in rings.read()) == 200
    again = net.start_vswitchd()
    wait_until(lambda: can_be_reached(net), what="the bridges")
    lay_rules(net)
    assert wait_until(lambda: net.hosts["h1"].ping("10.0.0.2", wait=1))
    new = Rings(again.pid)
    new.attach()
    send(net, 100)
    assert sum(r.data[23] == 17 for r in new.read()) == 200
    new.close()
