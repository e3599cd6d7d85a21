#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The recorder's speed and memory: directly, and through it, in one run.
"""
usage: bench_recorder.py [--sink | --bridge] [--short] [--runs N] [--boost]

Runs ofload (a controller) on real bridges, directly and through the recorder
by turns (needs root), and on ofsink (switches that do nothing) through the
recorder, which shows what the recorder itself costs.  --sink and --bridge run
one part alone; --boost puts all of it before other work of the machine.  On
bridges with a controller it also measures with --no-watch, to show what is
left of the cost of the recorder's own flow monitor.  Prints JSON lines:
medians of the runs, with all their values; `ratio` is the median of the runs'
ratios.
"""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "net"))

# pylint: disable=wrong-import-position
from api import Api
from lab import UNDER_COLLECTOR, Lab
from process import Process, environment, in_netns, wait_until

BUILD = os.environ.get("LASTHOP_BUILD") or os.path.join(HERE, "..", "build")
TLV_MAP = "{class=0xff4c,type=1,len=20}->tun_metadata63"


class Tool:
    """ofload or ofsink, told what to do line by line."""

    def __init__(self, name, *argv, netns=None):
        self.name = name
        self.child = subprocess.Popen(
            in_netns(netns, [f"{BUILD}/bench/{name}", *argv]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended")
        return json.loads(line)

    def __call__(self, *words):
        self.child.stdin.write(" ".join(map(str, words)) + "\n")
        self.child.stdin.flush()
        return self.answer()

    def stop(self):
        self.child.kill()
        self.child.wait()


def load(port, netns=None, version=4):
    """A controller that listens; the version is as on the wire."""
    tool = Tool("ofload", f"127.0.0.1:{port}", "--version", str(version),
                netns=netns)
    tool.answer()
    return tool


def free_ports(n):
    """Ports that nobody listens at now."""
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def boost(*pids):
    """Puts these processes' sessions before all others."""
    for pid in pids:
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
            f.write("-19")


class Cost:
    """What a process used: CPU seconds, of its first thread alone and of
    all, and resident memory."""

    def __init__(self, pid):
        self.pid = pid
        self.cpu_main, self.cpu, self.rss = 0, 0, 0
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/schedstat",
                      encoding="ascii") as f:
                ns = int(f.read().split()[0])
            self.cpu += ns / 1e9
            if int(tid) == pid:
                self.cpu_main = ns / 1e9
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            self.rss = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def emit(metric, unit, value, runs=None, **more):
    """Prints a line."""
    line = {"bench": "recorder", "metric": metric, "unit": unit,
            "value": round(value, 4)}
    runs = runs or [value]
    line.update(runs=len(runs), min=round(min(runs), 4),
                max=round(max(runs), 4))
    line.update(more)
    print(json.dumps(line), flush=True)


def compare(metric, unit, pairs):
    """Prints medians of [(direct, recorder)], or [(direct, recorder, pipe)],
    and of their ratios."""
    median = statistics.median
    ratios = [p[1] / p[0] for p in pairs]
    piped = [p[2] for p in pairs if len(p) > 2]
    more = {} if not piped else {
        "pipe": round(median(piped), 2),
        "pipe_ratio": round(median(p[2] / p[0] for p in pairs), 3),
        "ratio_to_pipe": round(median(p[1] / p[2] for p in pairs), 3)}
    emit(metric, unit, median(p[1] for p in pairs), [p[1] for p in pairs],
         direct=round(median(p[0] for p in pairs), 2),
         ratio=round(median(ratios), 3), ratio_min=round(min(ratios), 3),
         ratio_max=round(max(ratios), 3), **more)


def logged(path):
    """Waits until the recorder has written its log down."""
    with Api(path) as api:
        wait_until(lambda: not api.call("stats")["stats"]["flow_log"]["queued"],
                   120, "the log to be written")


# --- The sink. --------------------------------------------------------------

class Sink:
    """ofload, the recorder and ofsink with 'n' switches."""

    def __init__(self, n, is_boosted=False):
        self.dir = tempfile.mkdtemp(prefix="lasthop-bench-")
        up, down = free_ports(2)
        self.load = load(up)
        self.recorder = Process(
            "recorder",
            [f"{BUILD}/bin/lasthop-recorder", f"--listen=tcp:127.0.0.1:{down}",
             f"--controller=tcp:127.0.0.1:{up}", f"--state={self.dir}",
             f"--rundir={self.dir}", "--postcards=geneve:127.0.0.1,port=cards"],
            f"{self.dir}/recorder.log", env=environment())
        if is_boosted:
            boost(self.recorder.pid)
        self.recorder.wait_for("listening for switches")
        self.sink = Tool("ofsink", f"127.0.0.1:{down}", str(n))
        self.sink("connect")
        self.setup = self.load("wait", n)["setup_us"]

    def cost(self):
        return Cost(self.recorder.pid)

    def logged(self):
        logged(f"{self.dir}/recorder.sock")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.load.stop()
        self.sink.stop()
        self.recorder.stop()
        shutil.rmtree(self.dir)


def sink_rates(runs, n, is_boosted):
    """Rewritten flow-mods per second of CPU, and memory per rule."""
    values = {"wall": [], "main": [], "all": [], "memory": []}
    read = []
    for _ in range(runs):
        with Sink(1, is_boosted) as s:
            before = s.cost()
            added = s.load("add", n, 0, 0)
            answered = s.cost()
            s.logged()
            s.load("add", 1, n, 0)
            after = s.cost()
            values["wall"].append(added["per_s"])
            values["main"].append(n / (answered.cpu_main - before.cpu_main))
            values["all"].append(n / (after.cpu - before.cpu))
            values["memory"].append((after.rss - before.rss) / n)
            before = s.cost()
            got = s.load("read")
            assert got["rules"] == n + 1, got
            after = s.cost()
            read.append(n / (after.cpu_main - before.cpu_main))
    median = statistics.median
    emit(f"sink: flow-mods, {n} rules", "per second", median(values["wall"]),
         values["wall"])
    emit(f"sink: flow-mods, {n} rules", "per CPU second of the event loop",
         median(values["main"]), values["main"])
    emit(f"sink: flow-mods, {n} rules, with the log", "per CPU second",
         median(values["all"]), values["all"])
    emit(f"sink: memory, {n} rules", "bytes per rule",
         median(values["memory"]), values["memory"])
    emit(f"sink: flow statistics, {n} rules",
         "rules per CPU second of the event loop", median(read), read)


def sink_switches(runs, n_switches, n, is_boosted):
    """Connection set-up, flow-mods and packet-ins of many switches."""
    setups, rates, trips, p99 = [], [], [], []
    for _ in range(runs):
        with Sink(n_switches, is_boosted) as s:
            setups.append(s.setup["max"] / 1e3)
            rates.append(s.load("add", n, 0, 0)["per_s"])
            s.logged()
            got = s.sink("packet-ins", max(n // 20 // n_switches, 1), 4)
            trips.append(got["per_s"])
            p99.append(got["us"]["p99"] / 1e3)
    median = statistics.median
    emit(f"sink: set-up of {n_switches} switches, the last", "ms",
         median(setups), setups)
    emit(f"sink: flow-mods, {n_switches} switches", "per second",
         median(rates), rates)
    emit(f"sink: packet-in to flow-mod, {n_switches} switches, 4 at a time",
         "per second", median(trips), trips, p99_ms=round(median(p99), 3))


def run_sink(arguments):
    n = 20000 if arguments.short else 100000
    sink_rates(arguments.runs, n, arguments.boost)
    for n_switches in (1, 10) if arguments.short else (1, 10, 100):
        sink_switches(arguments.runs, n_switches, n // 2,
                      arguments.boost)


# --- Real bridges. ----------------------------------------------------------

def connect(name, protocol, port):
    """What gives a bridge its controller, for ovs-vsctl."""
    return ["--", f"--id=@{name}", "create", "controller",
            f"target=\"tcp:127.0.0.1:{port}\"", "max_backoff=1000",
            "connection_mode=out-of-band", "--", "set", "bridge", name,
            f"protocols={protocol}", f"controller=@{name}"]


class Bridges:
    """'n' bridges with a controller of their own, and 'n' behind the
    recorder; with 'has_pipe' one more behind a proxy that only copies."""

    def __init__(self, n, *options, is_boosted=False, version=4,
                 has_pipe=False):
        self.n = n
        protocol = {1: "OpenFlow10", 4: "OpenFlow13"}[version]
        self.lab = lab = Lab()
        lab.__enter__()
        self.names = ([f"d{i}" for i in range(n)], [f"r{i}" for i in range(n)])
        for name in self.names[0] + self.names[1] + ["p0"] * has_pipe:
            lab.add_bridge(name)
        for name in (self.names[0][0], self.names[1][0]):
            lab.add_tap(name, f"{name}-a")
            lab.add_tap(name, f"{name}-b")
        lab.add_collector()
        lab.start()
        self.direct = load(6653, lab.sw, version)
        self.through = load(6654, lab.sw, version)
        self.recorder = lab.spawn(
            "recorder",
            [f"{BUILD}/bin/lasthop-recorder", "--listen=tcp:127.0.0.1:6663",
             "--controller=tcp:127.0.0.1:6654", f"--state={lab.dir}/state",
             f"--rundir={lab.dir}", f"--postcards=geneve:{UNDER_COLLECTOR}",
             f"--ovsdb={lab.db}", *options], netns=lab.sw)
        if is_boosted:
            boost(os.getpid(), self.recorder.pid,
                  lab.process("ovs-vswitchd").pid)
        wait_until(lambda: os.path.exists(f"{lab.dir}/recorder.sock"),
                   what="the recorder")
        command = []
        for names, port in zip(self.names, (6653, 6663)):
            for name in names:
                command += connect(name, protocol, port)
        lab.vsctl(*command)
        self.setups = (self.direct("wait", n)["setup_us"],
                       self.through("wait", n)["setup_us"])
        self.pipe, self.piped = None, None
        if has_pipe:
            self.piped = load(6655, lab.sw, version)
            self.pipe = Tool("ofpipe", "127.0.0.1:6673", "127.0.0.1:6655",
                             netns=lab.sw)
            self.pipe.answer()
            if is_boosted:
                boost(self.pipe.child.pid)
            lab.vsctl(*connect("p0", protocol, 6673))
            self.piped("wait", 1)

    def logged(self):
        logged(f"{self.lab.dir}/recorder.sock")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for tool in (self.direct, self.through, self.piped, self.pipe):
            if tool:
                tool.stop()
        self.lab.__exit__(*exception)

    def pairs(self, runs, measure):
        """[(measure(direct), measure(through))], and measure(piped) if there
        is one, each first by turns; the tables are emptied between."""
        result = []
        for i in range(runs):
            tools = [t for t in (self.direct, self.through, self.piped) if t]
            first = i % len(tools)
            values = {}
            for tool in tools[first:] + tools[:first]:
                values[tool] = measure(tool)
                tool("delete")
                self.logged()
            result.append(tuple(values[tool] for tool in tools))
        return result

    def instrumented(self):
        """The actions that a rule "output:1" has on the switch."""
        self.through("add", 1, 0, 0)
        text = self.lab.ofctl("dump-flows", "r0", "tcp")
        self.through("delete")
        return re.search(r"actions=(.*)", text)[1]


def bridge_rates(b, runs, n, note=""):
    """Flow-mods with and without barriers, and what they cost."""
    for every in (0, 100, 10, 1):
        count = n if every == 0 or every > 10 else n // 10
        name = (f"bridge: flow-mods, {count} rules, "
                + (f"a barrier every {every}" if every else "one barrier")
                + note)
        costs = []

        def measure(tool, count=count, every=every, costs=costs):
            pids = b.lab.process("ovs-vswitchd").pid, b.recorder.pid
            before = [Cost(pid).cpu_main for pid in pids]
            got = tool("add", count, 0, every)["per_s"]
            used = [(Cost(pid).cpu_main - was) / count * 1e6
                    for pid, was in zip(pids, before)]
            costs.append((tool, *used))
            return got

        compare(name, "per second", b.pairs(runs, measure))
        for index, who in ((1, "the switch"), (2, "the recorder")):
            through = [c[index] for c in costs if c[0] is b.through]
            direct = [c[index] for c in costs if c[0] is b.direct]
            emit(f"{name}: CPU of {who}", "us per flow-mod",
                 statistics.median(through), through,
                 direct=round(statistics.median(direct), 2))


def bridge_ceiling(b, runs, n):
    """What the bridge itself makes of the instrumented rules."""
    actions = b.instrumented()
    b.lab.ofctl("add-tlv-map", "d0", TLV_MAP)
    pairs = []
    for _ in range(runs):
        plain = b.direct("add", n, 0, 0)
        b.direct("delete")
        b.direct("template", actions)
        longer = b.direct("add", n, 0, 0)
        b.direct("template", "output:1")
        b.direct("delete")
        pairs.append((plain["per_s"], longer["per_s"]))
    compare("bridge: the same instrumented rules sent directly",
            "per second", pairs)


def bridge_latency(b, runs, n, gap_us):
    """Round trips of a flow-mod and a barrier."""
    for tool in (b.direct, b.through):
        tool("trips", 100, 0)
    got = b.pairs(runs, lambda tool: tool("trips", n, gap_us)["us"])
    for share in ("p50", "p99"):
        added = [(r[share] - d[share]) / 1e3 for d, r in got]
        emit(f"bridge: flow-mod and barrier, {gap_us} us apart, {share}, "
             "added by the recorder", "ms", statistics.median(added), added,
             direct_ms=round(statistics.median(d[share] for d, _ in got) / 1e3,
                             3),
             recorder_ms=round(statistics.median(r[share] for _, r in got)
                               / 1e3, 3))


def bridge_react(b, runs, n):
    """From a frame in by packet-in, flow-mod and packet-out to a frame
    out."""
    for name, tool in ((b.names[0][0], b.direct), (b.names[1][0], b.through)):
        tool.taps = f"{name}-a-far", f"{name}-b-far"

    for window in (1, 16):
        got = b.pairs(runs, lambda tool: (
            tool("punt"), tool("react", n, window, *tool.taps))[1])
        assert all(d["frames"] == r["frames"] == n for d, r in got), got
        compare(f"bridge: frame to packet-in to frame, {window} at a time",
                "per second", [(d["per_s"], r["per_s"]) for d, r in got])
        added = [(r["us"]["p99"] - d["us"]["p99"]) / 1e3 for d, r in got]
        emit(f"bridge: frame to packet-in to frame, {window} at a time, p99, "
             "added by the recorder", "ms", statistics.median(added), added)


def bridge_read(b, runs, n, note=""):
    """A table read back by flow statistics, and memory."""
    pairs = []
    before = Cost(b.recorder.pid)
    for tool in (b.direct, b.through):
        tool("add", n, 0, 1000)
    b.logged()
    after = Cost(b.recorder.pid)
    for i in range(runs):
        values = {}
        tools = [b.direct, b.through]
        for tool in tools if i % 2 else reversed(tools):
            got = tool("read")
            assert got["rules"] == n, got
            values[tool] = got["per_s"]
        pairs.append(tuple(values[tool] for tool in tools))
    peak = Cost(b.recorder.pid)
    for tool in (b.direct, b.through):
        tool("delete")
    b.logged()
    compare(f"bridge: flow statistics, {n} rules{note}", "rules per second",
            pairs)
    emit(f"bridge: memory, {n} rules{note}", "bytes per rule",
         (after.rss - before.rss) / n, after_reading=round(
             (peak.rss - before.rss) / n, 1))


def bridge_many(n_bridges, runs, n, is_boosted):
    """Set-up of and flow-mods on so many bridges at once."""
    with Bridges(n_bridges, is_boosted=is_boosted) as b:
        emit(f"bridge: set-up of {n_bridges} bridges, the last", "ms",
             b.setups[1]["max"] / 1e3, direct=b.setups[0]["max"] / 1e3)
        compare(f"bridge: flow-mods on {n_bridges} bridges, {n} rules",
                "per second",
                b.pairs(runs, lambda tool: tool("add", n, 0, 0)["per_s"]))


def run_bridge(arguments):
    runs, n = arguments.runs, 10000 if arguments.short else 30000
    sizes = (10000,) if arguments.short else (10000, 100000)
    is_boosted = arguments.boost
    with Bridges(1, is_boosted=is_boosted) as b:
        emit("bridge: set-up of 1 bridge", "ms",
             b.setups[1]["max"] / 1e3, direct=b.setups[0]["max"] / 1e3)
        bridge_latency(b, runs, 500 if arguments.short else 2000, 200)
        bridge_react(b, runs, 500 if arguments.short else 2000)
        bridge_ceiling(b, runs, n)
    with Bridges(1, is_boosted=is_boosted, has_pipe=True) as b:
        bridge_rates(b, runs, n)
    with Bridges(1, "--no-watch", is_boosted=is_boosted) as b:
        bridge_rates(b, runs, n, ", --no-watch")
    for size in sizes:
        with Bridges(1, is_boosted=is_boosted) as b:
            bridge_read(b, runs, size)
    with Bridges(1, is_boosted=is_boosted, version=1) as b:
        bridge_rates(b, runs, n, ", OpenFlow 1.0")
        bridge_read(b, runs, sizes[0], ", OpenFlow 1.0")
    for n_bridges in (10,) if arguments.short else (10, 100):
        bridge_many(n_bridges, runs, n, is_boosted)


def main():
    parser = argparse.ArgumentParser(
        description="The recorder's speed and memory.")
    parser.add_argument("--sink", action="store_true")
    parser.add_argument("--bridge", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--boost", action="store_true")
    parser.add_argument("--runs", type=int)
    arguments = parser.parse_args()
    arguments.runs = arguments.runs or (3 if arguments.short else 5)
    if arguments.boost:
        boost(os.getpid())
    if not arguments.bridge:
        run_sink(arguments)
    if not arguments.sink:
        run_bridge(arguments)


if __name__ == "__main__":
    main()
