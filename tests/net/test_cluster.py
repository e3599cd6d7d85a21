# SPDX-License-Identifier: Apache-2.0
# A cluster archives what one server would have, and what was acknowledged at
# a door exactly once, whoever dies: real nats-server, real lasthop-servers.

import json
import os
import signal
import struct

import pytest

import frames
from cluster import Cluster, Traffic, histories, wait_sent
from lab import bindir
from process import run, wait_until

LEASE = ["--cluster-lease", "2400ms"]
TOPOLOGY = {"switches": [{"dpid": "0000000000000001", "name": "s1", "ports": [
    {"no": 1, "edge": True}, {"no": 2, "edge": True}]}], "links": []}
RULE = {"dpid": "0000000000000001", "version": 7, "kind": "flow",
        "actions": "output:2", "instrumented": True, "installed_ns": 1,
        "steps": [{"do": "output", "port": 2}]}
MARK = b"lasthop-number"


def datagram(number):
    """The postcard of packet 'number', which s1 delivers."""
    packet = frames.udp4("02:00:00:00:00:01", "02:00:00:00:00:02",
                         f"10.0.{number >> 4 & 15}.{number & 15 or 16}",
                         "10.0.0.2", 5000 + number % 50, 7,
                         MARK + struct.pack("!Q", number) + os.urandom(20),
                         ident=number & 0xffff)
    option = struct.pack("!HBBBBHQIHH", 0xff4c, 1, 5, 1, 0, 0, 1, 7, 1, 2)
    return struct.pack("!BBHI", 6, 0, 0x6558, 0) + option + packet


def numbers_of(lines):
    """The numbers of packets in histories."""
    numbers = []
    for line in lines:
        header = bytes.fromhex(json.loads(line)["hops"][0]["header"])
        at = header.index(MARK) + len(MARK)
        numbers.append(struct.unpack("!Q", header[at:at + 8])[0])
    return sorted(numbers)


@pytest.fixture(name="network")
def network_fixture(tmp_path):
    """Topology and rules of a network of one switch."""
    topology, rules = tmp_path / "topology.json", tmp_path / "rules.jsonl"
    topology.write_text(json.dumps(TOPOLOGY))
    rules.write_text(json.dumps(RULE) + "\n")
    return topology, rules


@pytest.fixture(name="generated", scope="module")
def generated_fixture(tmp_path_factory):
    """Postcards of a network with all that befalls them, and what one process
    makes of them."""
    directory = tmp_path_factory.mktemp("generated")
    run([f"{bindir()}/lasthop-gen", "-q", "--count", "4000", "--rate", "4000",
         "--nat", "10%", "--flood", "5%", "--lose", "1%", "--duplicate", "1%",
         "--reorder", "10%:2ms", "--no-truth", directory])
    run([f"{bindir()}/lasthop-server", "--read", directory / "postcards.pcap",
         "--topology", directory / "topology.json", "--rules",
         directory / "rules.jsonl", "--recorder", "none", "--archive",
         directory / "archive"])
    lines = histories(str(directory / "archive"))
    assert len(lines) > 3900
    return directory, lines


@pytest.mark.parametrize(
    "n", [1, 2, 3] + ([5] if os.environ.get("LASTHOP_SOAK") else []))
def test_same_histories_as_one_process(tmp_path, generated, n):
    directory, lines = generated
    with Cluster(tmp_path, n, directory / "topology.json",
                 directory / "rules.jsonl") as cluster:
        cluster.start()
        cluster.read(directory / "postcards.pcap")
        cluster.wait_quiet()
        cluster.stop()
        assert cluster.histories() == lines


def settle(cluster, traffic):
    """Ends the traffic and waits until all of it is archived."""
    numbers = traffic.end()
    cluster.wait_owned()
    cluster.wait_quiet()
    return numbers


def check(cluster, numbers):
    """Each was archived once."""
    cluster.stop()
    found = numbers_of(cluster.histories())
    assert len(found) == len(set(found)), "some were archived twice"
    assert found == numbers


def test_one_is_killed_under_traffic(tmp_path, network):
    with Cluster(tmp_path, 3, *network, LEASE) as cluster:
        cluster.start()
        traffic = Traffic(datagram, [cluster["a"]], 100)
        traffic.start()
        wait_sent(traffic, 1000)
        cluster["b"].process.kill()
        wait_sent(traffic, 3000)
        cluster["b"].start().wait_ready()
        numbers = settle(cluster, traffic)
        stats = cluster["a"].stats()
        assert stats["cluster_acknowledged"] == len(numbers)
        assert stats["cluster_lost"] == 0
        check(cluster, numbers)


def test_one_is_stopped_for_a_while(tmp_path, network):
    with Cluster(tmp_path, 2, *network, LEASE) as cluster:
        cluster.start()
        traffic = Traffic(datagram, [cluster["a"]], 100)
        traffic.start()
        wait_sent(traffic, 500)
        cluster["b"].process.signal(signal.SIGSTOP)
        wait_until(lambda: len(cluster["a"].status()["shards"]) == 64, 30,
                   "the other to take over")
        wait_sent(traffic, 500)
        cluster["b"].process.signal(signal.SIGCONT)
        wait_sent(traffic, 500)
        numbers = settle(cluster, traffic)
        check(cluster, numbers)


def test_nats_is_killed_and_comes_back(tmp_path, network):
    with Cluster(tmp_path, 2, *network, LEASE) as cluster:
        cluster.start()
        traffic = Traffic(datagram, [cluster["a"], cluster["b"]], 100)
        traffic.start()
        wait_sent(traffic, 500)
        cluster.nats.kill()
        wait_sent(traffic, 500)
        cluster.nats.start()
        wait_sent(traffic, 500)
        numbers = settle(cluster, traffic)
        check(cluster, numbers)


def test_drained_and_joined_under_traffic(tmp_path, network):
    with Cluster(tmp_path, 3, *network, LEASE) as cluster:
        cluster.start()
        traffic = Traffic(datagram, list(cluster.servers.values()), 100)
        traffic.start()
        wait_sent(traffic, 500)
        cluster["a"].ask("cluster.drain", name="c")
        wait_until(lambda: not cluster["c"].status()["shards"]
                   and not cluster["c"].status()["stores"], 30, "c to drain")
        wait_sent(traffic, 500)
        numbers = settle(cluster, traffic)
        check(cluster, numbers)


def test_queries_are_answered_by_all(tmp_path, network):
    with Cluster(tmp_path, 3, *network, LEASE) as cluster:
        cluster.start()
        for number in range(400):
            cluster["a"].send(datagram(number))
        cluster.wait_quiet()
        # A history can be found when its round is over.
        for name in "abc":
            with cluster[name].api() as api:
                found = list(api.query(". *"))
            times = [h["hops"][0]["time_ns"] for h in found]
            assert times == sorted(times)
            assert numbers_of(json.dumps(h) for h in found) == \
                list(range(400))
        spans = [s for s in cluster["a"].status()["servers"]
                 if s["since_ns"]]
        assert len(spans) == 3
        cluster["c"].process.kill()
        wait_until(lambda: not next(
            s for s in cluster["a"].status()["servers"]
            if s["name"] == "c")["alive"], 30, "c to be found dead")
        with cluster["a"].api() as api:
            api.call("query", phf=". *")
            events = []
            while not events or events[-1]["event"] != "end":
                events.append(api.event())
        assert [m["server"] for m in events[-1]["missing"]] == ["c"]
        assert events[-1]["missing"][0]["since_ns"]


def test_what_differs_is_refused(tmp_path, network):
    with Cluster(tmp_path, 1, *network) as cluster:
        cluster.start()
        other = cluster["a"]
        done = run([f"{bindir()}/lasthop-server", *cluster.options, "--name",
                    "z", "--archive", f"{tmp_path}/z", "--cluster-shards", "8"],
                   check=False, deadline=30)
        assert other.process.is_running()
        assert done == ""
