#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What it costs a switch to tell what becomes of each packet, by every way.
"""
usage: net_patched.py [--seconds N] [--runs N] [--table | --only WAY]

h1 - s1 - s2 - s3 - h2, static rules, the patched switch of ovs-patches/ (userspace
datapath, veth pairs), iperf3 on the same machine: 64-byte UDP packets as fast as
they go, then one TCP stream. Runs with the bridges off and in mode postcard (a
reader drains the rings) alternate; "kept" is the median over runs of the rate in mode postcard
by that of the run off beside it, "added CPU" the difference of the CPU time of ovs-vswitchd for each
packet and bridge.

With --table every other way stands beside it: the postcards of stock actions
(geneve and mac, made by lasthop-recorder, received by lasthop-server), Open
vSwitch's own sFlow and IPFIX of every packet, and a mirror of every port to
tcpdump; with the bytes that leave the switch for each packet and bridge.

Needs root and iperf3. Prints JSON lines.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "net"))

# pylint: disable=wrong-import-position
from lab import HERE as NET, PYTHON, UNDER_COLLECTOR, Lab, bindir
from process import run, wait_until
from rings import Rings

UDP_PAYLOAD = 64 - 14 - 20 - 8
SNAP = 96
BRIDGES = ("s1", "s2", "s3")

_numbers = itertools.count(1)   # A log of its own for each server.


class Network(Lab):
    """The chain, with a collector and a place to mirror to at each bridge."""

    def __init__(self):
        super().__init__(patched=True)
        for name in BRIDGES:
            self.add_bridge(name)
        self.add_host("h1", "s1", "10.0.0.1/24")
        self.add_link("s1", "s2")
        self.add_link("s2", "s3")
        self.add_host("h2", "s3", "10.0.0.2/24")
        self.add_collector(mac=True)
        for name in BRIDGES:
            self.add_tap(name, f"{name}-tap")

    def start(self):
        super().start()
        self.set_mode("off")
        for name in BRIDGES:
            for port, other in ((1, 2), (2, 1)):
                self.ofctl("add-flow", name,
                           f"in_port={port},actions=output:{other}")
        wait_until(lambda: self.hosts["h1"].ping("10.0.0.2"),
                   what="the first packet")

    def set_mode(self, mode):
        """Off or postcard."""
        for name in BRIDGES:
            self.vsctl("set", "bridge", name,
                       f"other-config:lasthop-mode={mode}")
        wait_until(lambda: self.appctl("lasthop/show").count(
            f": {mode}") >= len(BRIDGES), what=f"mode {mode}")

    def switch_cpu(self):
        """Nanoseconds that ovs-vswitchd has run."""
        folder = f"/proc/{self.process('ovs-vswitchd').pid}/task"
        total = 0
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total

    def crossings(self):
        """Packets that the chain's rules took, for each bridge anew; when
        nothing comes any more."""
        last = None
        while True:
            text = "".join(self.ofctl("dump-flows", name, f"table=0,in_port={port}")
                           for name in BRIDGES for port in (1, 2))
            now = sum(map(int, re.findall(r"n_packets=(\d+)", text)))
            if now == last:
                return now
            last = now
            time.sleep(1)   # Flows tell rules now and then what they count.

    def iperf(self, *options):
        """Runs iperf3 from h1 to h2; returns the receiver's sums."""
        server = self.spawn(f"iperf3-{next(_numbers)}",
                            ["iperf3", "-s", "-1", "--forceflush"],
                            netns=self.hosts["h2"].netns)
        server.wait_for("Server listening")
        end = json.loads(self.hosts["h1"].run("iperf3", "-J", "-c",
                                              "10.0.0.2", *options))["end"]
        server.wait()
        return end.get("sum_received") or end["sum"]

    def measure(self, seconds, told=None):
        """A dict of what one run gives; told() counts what was sent away."""
        crossed, cpu = self.crossings(), self.switch_cpu()
        bytes_told = told() if told else 0
        udp = self.iperf("-u", "-b", "0", "-l", str(UDP_PAYLOAD), "-t",
                         str(seconds))
        cpu = self.switch_cpu() - cpu
        bytes_told = told() - bytes_told if told else 0
        crossed = self.crossings() - crossed
        tcp = self.iperf("-t", str(seconds))
        return {"udp": (udp["packets"] - udp["lost_packets"]) / udp["seconds"],
                "cpu": cpu / crossed, "bytes": bytes_told / crossed,
                "tcp": tcp["bits_per_second"] / 1e6}


def received_bytes(net, netns, *interfaces):
    """A function that counts the bytes that came in there."""
    def count():
        total = 0
        for name in interfaces:
            link = json.loads(run(["ip", "-j", "-s", "link", "show", name],
                                  netns=netns))[0]
            total += link["stats64"]["rx"]["bytes"]
        return total
    return count


# --- the ways; each is a context manager that gives told() or None -----------

@contextlib.contextmanager
def off(_net):
    """Nothing is told."""
    yield None


@contextlib.contextmanager
def postcard(net):
    """Mode postcard, the rings drained."""
    net.set_mode("postcard")
    net.spawn("drain", [PYTHON, f"{NET}/rings.py", "drain",
                        net.process("ovs-vswitchd").pid]).wait_for("ready")
    rings = Rings(net.process("ovs-vswitchd").pid)
    try:
        yield lambda: sum(ring.head for ring in rings.find())
        text = net.appctl("lasthop/show")
        dropped = re.search(r"all rings: .*dropped:(\d+)", text).group(1)
        if dropped != "0":
            print(f"dropped so far: {dropped}", file=sys.stderr)
    finally:
        rings.close()
        net.process("drain").stop()
        net.set_mode("off")


@contextlib.contextmanager
def stock(net, postcards, told):
    """Postcards by stock actions, received by lasthop-server."""
    recorder = net.spawn("recorder", [
        f"{bindir()}/lasthop-recorder", *(f"--attach={b}" for b in BRIDGES),
        f"--postcards={postcards}", f"--ovsdb={net.db}",
        f"--state={net.dir}/state", f"--rundir={net.dir}"], netns=net.sw)
    server = net.spawn("server", [
        f"{bindir()}/lasthop-server",
        *(["--listen", f"geneve:{UNDER_COLLECTOR}:6081"]
          if postcards.startswith("geneve") else ["--capture", "mac0"]),
        "--archive", f"{net.dir}/archive", f"--rundir={net.dir}"],
        netns=net.col)
    try:
        wait_until(lambda: all(
            re.search("clone|tun_metadata|max_len",
                      net.ofctl("dump-flows", name)) for name in BRIDGES),
            30, "the postcards")
        wait_until(lambda: net.hosts["h1"].ping("10.0.0.2"))
        yield told
    finally:
        recorder.stop()
        server.stop()
        wait_until(lambda: not any(
            "clone" in net.ofctl("dump-flows", name) for name in BRIDGES),
            30, "the end of the postcards")
        for name in BRIDGES:
            net.ofctl("del-flows", name, "cookie=0x6c617374686f7001/-1")
            run(["rm", "-rf", f"{net.dir}/state", f"{net.dir}/archive"])


def geneve(net):
    """Geneve postcards."""
    return stock(net, f"geneve:{UNDER_COLLECTOR}",
                 received_bytes(net, net.col, "under0"))


def mac(net):
    """mac postcards, out of band."""
    return stock(net, "mac:%b-mac,vlan=4000",
                 received_bytes(net, net.col, "mac0"))


@contextlib.contextmanager
def exporter(net, table, column, **columns):
    """Open vSwitch's own exports of every packet to the collector."""
    net.spawn("sink", [PYTHON, "-c", "import socket\n"
                       "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                       "s.bind(('', 4739))\n"
                       "print('ready', flush=True)\n"
                       "while True: s.recv(65536)"],
              netns=net.col).wait_for("ready")
    words = [f"{name}={value}" for name, value in columns.items()]
    for name in BRIDGES:
        net.vsctl("--", "--id=@e", "create", table,
                  f'targets="{UNDER_COLLECTOR}:4739"', *words, "--", "set",
                  "bridge", name, f"{column}=@e")
    try:
        yield received_bytes(net, net.col, "under0")
    finally:
        for name in BRIDGES:
            net.vsctl("clear", "bridge", name, column)
        net.process("sink").stop()


def sflow(net):
    """sFlow, every packet, the same number of bytes."""
    return exporter(net, "sflow", "sflow", agent="br-under", header=SNAP,
                    sampling=1, polling=0)


def ipfix(net):
    """IPFIX, every packet a record."""
    return exporter(net, "ipfix", "ipfix", sampling=1, obs_domain_id=1,
                    obs_point_id=1, cache_max_flows=0)


@contextlib.contextmanager
def mirror(net):
    """Every packet that comes in, mirrored to tcpdump."""
    for name in BRIDGES:
        far = f"{name}-tap-far"
        run(["ip", "link", "set", far, "promisc", "on"], netns=net.sw)
        net.spawn(f"tcpdump-{name}", ["tcpdump", "-i", far, "-s", str(SNAP),
                                      "-w", "/dev/null", "-U"],
                  netns=net.sw).wait_for("listening")
        net.vsctl("--", "--id=@p", "get", "port", f"{name}-tap", "--",
                  "--id=@i", "get", "port", net.bridges[name].ports[1], "--",
                  "--id=@o", "get", "port", net.bridges[name].ports[2], "--",
                  "--id=@m", "create", "mirror", "name=m",
                  "select_src_port=@i,@o", "output_port=@p", "--", "set",
                  "bridge", name, "mirrors=@m")
    # Open vSwitch 3.1 leaves flows that it has as they are after this.
    net.appctl("revalidator/purge")
    try:
        yield received_bytes(net, net.sw,
                             *(f"{name}-tap-far" for name in BRIDGES))
    finally:
        for name in BRIDGES:
            net.vsctl("clear", "bridge", name, "mirrors")
            net.process(f"tcpdump-{name}").stop()


# --- figures -------------------------------------------------------------------

def emit(case, metric, values, unit, digits=3):
    """Prints the line of one figure."""
    value, low, high = (round(f(values), digits)
                        for f in (statistics.median, min, max))
    print(json.dumps({"bench": f"net_patched {case}", "metric": metric,
                      "value": value, "unit": unit, "runs": len(values),
                      "min": low, "max": high}), flush=True)


def compare(net, way, arguments):
    """Runs 'way' and nothing in turn, and prints what is kept."""
    kept_udp, kept_tcp, added, sizes, rates = [], [], [], [], []
    for run_number in range(arguments.runs):
        both = {}
        order = [off, way] if run_number % 2 == 0 else [way, off]
        for one in order:
            with one(net) as told:
                both[one] = net.measure(arguments.seconds, told)
        kept_udp.append(both[way]["udp"] / both[off]["udp"])
        kept_tcp.append(both[way]["tcp"] / both[off]["tcp"])
        added.append(both[way]["cpu"] - both[off]["cpu"])
        sizes.append(both[way]["bytes"])
        rates.append(both[off]["udp"])
    name = way.__name__
    emit(name, "udp_64 kept", kept_udp, "1")
    emit(name, "tcp kept", kept_tcp, "1")
    emit(name, "added CPU per packet and bridge", added, "ns", 1)
    emit(name, "told per packet and bridge", sizes, "bytes", 1)
    emit(name, "udp_64 off", rates, "packets/s", 0)


def main():
    parser = argparse.ArgumentParser(
        description="What telling of every packet costs the switches.")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--table", action="store_true",
                        help="the other ways, too")
    parser.add_argument("--only", choices=[w.__name__ for w in WAYS])
    arguments = parser.parse_args()

    ways = [postcard] + (WAYS[1:] if arguments.table else [])
    if arguments.only:
        ways = [way for way in WAYS if way.__name__ == arguments.only]
    for way in ways:
        with Network() as net:
            net.start()
            compare(net, way, arguments)


WAYS = [postcard, geneve, mac, sflow, ipfix, mirror]

if __name__ == "__main__":
    main()
