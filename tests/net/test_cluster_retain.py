# SPDX-License-Identifier: Apache-2.0
# --retain in a cluster: the shards of a server share the bytes that it may
# have, and each copy of a shard gives up its oldest by itself: real nats-server,
# real lasthop-servers.

import glob
import json
import os

from cluster import QUIET_S, Cluster, histories
from lab import bindir
from process import run, wait_until
from test_cluster_whole import missing_of, wait_dead

RETAIN = 600 << 10
# How far what is written is from the order of time.
SLACK_NS = 1000000000


def times_of(lines):
    """When each history began."""
    return {line: min(h["time_ns"] for h in json.loads(line)["hops"])
            for line in lines}


def size_of(archive):
    """Bytes of all files of an archive."""
    return sum(os.path.getsize(path) for path in
               glob.glob(f"{archive}/shard-*/segment-*"))


def shards_of(server):
    """Which histories it has of each shard."""
    shards = {}
    for path in glob.glob(f"{server.archive}/shard-*"):
        shards.setdefault(os.path.basename(path)[:8], set()).update(
            histories(path))
    return shards


def check_oldest_gone(times, here, there):
    """Of each shard a server has what began after the oldest that it has, and
    since it has something of each shard it has everything."""
    since_ns = 0
    for shard, lines in here.items():
        assert lines, f"{shard} is empty"
        oldest_ns = min(times[line] for line in lines)
        since_ns = max(since_ns, oldest_ns)
        assert {line for line in there[shard]
                if times[line] > oldest_ns + SLACK_NS} <= lines
    everything = set().union(*here.values())
    assert {line for line in times
            if times[line] > since_ns + SLACK_NS} <= everything
    assert len(everything) < len(times), "nothing is gone"


def start_again(cluster):
    """All servers, after they were stopped."""
    for server in cluster.servers.values():
        server.start()
    for server in cluster.servers.values():
        server.wait_ready()
    cluster.wait_owned()


def generate(directory, i):
    """Ten thousand packets of minute i, and what one process makes of them."""
    run([f"{bindir()}/lasthop-gen", "-q", "--count", "10000", "--rate", "1000",
         "--start", f"2026-03-01T10:{10 + i}:00Z", "--seed", "7",
         "--no-truth", directory])
    run([f"{bindir()}/lasthop-server", "--read", directory / "postcards.pcap",
         "--topology", directory / "topology.json", "--rules",
         directory / "rules.jsonl", "--recorder", "none", "--archive",
         directory / "archive"])
    return times_of(histories(f"{directory}/archive"))


def test_copies_give_up_the_oldest(tmp_path):
    times = {}
    for i in range(4):
        times.update(generate(tmp_path / f"{i}", i))
    with Cluster(tmp_path, 2, tmp_path / "0" / "topology.json",
                 tmp_path / "0" / "rules.jsonl", ["--replicas", "2"]) as c:
        plain = list(c.options)
        retain = plain + ["--retain", f"{RETAIN >> 10}K"]
        c.options = retain
        c.start()
        for i in range(4):
            if i:
                start_again(c)  # With a new file for each shard.
            c.options = plain   # Who reads a file has no archive.
            c.read(tmp_path / f"{i}" / "postcards.pcap")
            c.options = retain
            c.wait_quiet()
            if i < 3:
                c.stop()
        wait_until(lambda: all(size_of(s.archive) <= RETAIN
                               for s in (c["a"], c["b"])),
                   QUIET_S, "no more bytes than are allowed")

        a, b = shards_of(c["a"]), shards_of(c["b"])
        assert len(a) == len(b) == 16
        check_oldest_gone(times, a, b)
        check_oldest_gone(times, b, a)

        # An answer has what is left of either copy, once.
        both = set().union(*a.values(), *b.values())
        with c["a"].api() as api:
            found = sorted(h["hops"][0]["time_ns"] for h in api.query(".*"))
        assert len(found) == len(both)
        assert c["b"].ask("profile", links=["entry"],
                          by=[])["packets"] == len(both)

        # The other one may have had more of what is old.
        c["b"].process.kill()
        wait_dead(c["a"], "b")
        assert missing_of(c["a"].ask("profile", links=["entry"],
                                     by=[])) == ["b"]
