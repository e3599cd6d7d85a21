#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# How long live filters of a cluster are silent when a server dies, and what a
# query over several servers costs beside that of one.
"""
usage: net_cluster.py [--runs N] [--servers N] [--queries N]

Three servers at default settings on one nats-server, postcards of two flows
into one of them, a filter on all packets there.  Another server is killed
(SIGKILL), or stopped (SIGSTOP), N times each; told is the time from the last
match before to the first after, of the flow whose histories that server
archives (`store`), and of packets whose postcards it joins (`shard`: of each
shard; the median and the longest).

Then queries that all servers answer, and the same of each server's archive by
a server that is alone: the difference to the slowest.

Needs root, for nothing but network namespaces.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "net"))

# pylint: disable=wrong-import-position
import frames
from api import Api
from cluster import Cluster
from lab import bindir
from numbered import write_network
from process import Process, wait_until

N_FLOWS = 48
RATE = 600      # Packets of each flow a second.


def postcard(flow, number):
    """That of a packet of a flow."""
    packet = frames.udp4("02:00:00:00:00:01", "02:00:00:00:00:02", "10.0.0.1",
                         "10.0.0.2", 5000 + flow, 7,
                         number.to_bytes(8, "big") + os.urandom(24),
                         ident=number & 0xffff)
    option = bytes.fromhex("ff4c0105") + bytes(
        [1, 0, 0, 0]) + (1).to_bytes(8, "big") + (7).to_bytes(4, "big") \
        + (1).to_bytes(2, "big") + (2).to_bytes(2, "big")
    return bytes.fromhex("0600655800000000") + option + packet


def flow_of(history):
    """The number of a history's flow."""
    header = bytes.fromhex(history["hops"][0]["header"])
    return int.from_bytes(header[34:36], "big") - 5000


def shard_of(history, n_shards):
    """The shard of the packet (docs/formats/cluster.md)."""
    x = int(history["packet_id"], 16)
    x = ((x ^ (x >> 32)) * 0x9e3779b97f4a7c15) & (1 << 64) - 1
    return ((x >> 32) * n_shards) >> 32


class Load(threading.Thread):
    """Packets of some flows."""

    def __init__(self, server, flows):
        super().__init__(daemon=True)
        self.server = server
        self.flows = flows
        self.ends = threading.Event()

    def run(self):
        number, due = 1, time.monotonic()
        while not self.ends.is_set():
            for flow in self.flows:
                self.server.send(postcard(flow, number))
                number += 1
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))


class Watch(threading.Thread):
    """When which flow, and which shard, was told of."""

    def __init__(self, server, n_shards):
        super().__init__(daemon=True)
        self.api = server.api()
        self.api.call("trigger.add", phf=". *")
        self.n_shards = n_shards
        self.told = []      # (when, flow, shard).
        self.ends = threading.Event()

    def run(self):
        while not self.ends.is_set():
            try:
                event = self.api.event(0.2)
            except TimeoutError:
                continue
            if event["event"] == "history":
                history = event["history"]
                self.told.append((time.monotonic(), flow_of(history),
                                  shard_of(history, self.n_shards)))


def longest_silence(times):
    """Between two in a row."""
    return max(b - a for a, b in zip(times, times[1:]))


def emit(case, metric, values, unit):
    """Prints a figure: the median of values."""
    print(json.dumps({
        "bench": f"net_cluster {case}", "metric": metric,
        "value": round(statistics.median(values), 3), "unit": unit,
        "runs": len(values), "min": round(min(values), 3),
        "max": round(max(values), 3)}), flush=True)


def flows_of(cluster, name):
    """Flows whose histories that server archives."""
    for flow in range(N_FLOWS):
        cluster["a"].send(postcard(flow, flow))
    cluster.wait_quiet()
    others = {n for n in cluster.servers if n != name}
    found = {}
    for owner in (name, *others):
        for line in cluster.lines_of(owner):
            found[flow_of(json.loads(line))] = owner
    return found


class Measured(Cluster):
    """A cluster whose archives can be looked at one by one."""

    def lines_of(self, name):
        """Histories of one server."""
        servers, self.servers = self.servers, {name: self.servers[name]}
        try:
            return self.histories()
        finally:
            self.servers = servers


def shards_of(server):
    """What it has of the first stage, if it has some of the second."""
    status = server.status()
    return status["stores"] and [s["shard"] for s in status["shards"]]


def fail_over(cluster, runs):
    """Kills and stops b, and looks at what is told meanwhile."""
    owners = flows_of(cluster, "b")
    at_b = next(f for f, owner in owners.items() if owner == "b")
    at_a = next(f for f, owner in owners.items() if owner == "a")
    n_shards = cluster["a"].status()["n_shards"]
    load = Load(cluster["a"], [at_b, at_a])
    load.start()
    for case, number in (("kill", signal.SIGKILL), ("stop", signal.SIGSTOP)):
        stores, shards, longest = [], [], []
        for _ in range(runs):
            gone = wait_until(lambda: shards_of(cluster["b"]), 60, "b")
            watch = Watch(cluster["a"], n_shards)
            watch.start()
            time.sleep(3)
            cluster["b"].process.signal(number)
            time.sleep(9)
            watch.ends.set()
            watch.join()
            stores.append(longest_silence(
                [at for at, flow, _ in watch.told if flow == at_b]))
            of_shards = [longest_silence(
                [at for at, flow, k in watch.told
                 if flow == at_a and k == shard]) for shard in gone]
            shards.append(statistics.median(of_shards))
            longest.append(max(of_shards))
            if number == signal.SIGSTOP:
                cluster["b"].process.signal(signal.SIGCONT)
            else:
                cluster["b"].process.kill()
                cluster["b"].start().wait_ready()
            time.sleep(3)   # What it had is not its own any more.
            cluster.wait_owned()
        emit(case, "store", stores, "s")
        emit(case, "shard_median", shards, "s")
        emit(case, "shard_longest", longest, "s")
    load.ends.set()
    load.join()


def ask(api, members):
    """How long a query takes, in ms, and how many it finds."""
    began = time.monotonic()
    api.call("query", 60, **members)
    n = 0
    while True:
        event = api.event(60)
        if event["event"] == "end":
            assert not event.get("missing"), event
            return (time.monotonic() - began) * 1000, n
        n += event["event"] == "history"


QUERIES = {
    "first": {"phf": ". *", "limit": 1},
    "some": {"phf": ". *", "limit": 200},
    "none": {"phf": "{{--dpid 99}}"},
}


def fan_out(cluster, runs):
    """Queries of all, and of each alone."""
    cluster.wait_quiet()
    together = {name: [] for name in QUERIES}
    with cluster["a"].api() as api:
        for _ in range(runs):
            for name, query in QUERIES.items():
                together[name].append(ask(api, query)[0])
    cluster.stop()
    alone = {name: [] for name in QUERIES}
    for server in cluster.servers.values():
        rundir = f"{server.dir}/alone"
        os.makedirs(rundir, exist_ok=True)
        process = Process("alone", [
            f"{bindir()}/lasthop-server", "--rundir", rundir, "--archive",
            server.archive, "--recorder", "none", "--listen",
            f"geneve:127.0.0.1:{server.port}"], f"{rundir}/log")
        process.wait_for("serving clients")
        with Api(f"{rundir}/server.sock") as api:
            took = {name: [] for name in QUERIES}
            for _ in range(runs):
                for name, query in QUERIES.items():
                    took[name].append(ask(api, query)[0])
            for name, values in took.items():
                alone[name].append(statistics.median(values))
        process.stop()
    for name in QUERIES:
        emit(f"query {name}", "all", together[name], "ms")
        slowest = max(alone[name])
        emit(f"query {name}", "slowest_alone", [slowest], "ms")
        emit(f"query {name}", "overhead",
             [max(0.0, value - slowest) for value in together[name]], "ms")


def main():
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--queries", type=int, default=31,
                        help="runs of each query")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="net-cluster-") as directory:
        with Measured(directory, arguments.servers,
                      *write_network(directory)) as cluster:
            cluster.start()
            fail_over(cluster, arguments.runs)
            fan_out(cluster, arguments.queries)


if __name__ == "__main__":
    sys.exit(main())
