# SPDX-License-Identifier: Apache-2.0
# A cluster archives what one server would have: real nats-server, real
# lasthop-servers.  What may befall them is in test_cluster_faults.py.

import glob
import json
import os
import struct
import time

import pytest

from cluster import Cluster, Traffic, histories, wait_sent
from lab import bindir
from nats_credentials import write_credentials
from numbered import datagram, numbers_of, write_network
from process import Process, run, wait_until

LEASE = ["--cluster-lease", "2400ms"]


@pytest.fixture(name="network")
def network_fixture(tmp_path):
    """Topology and rules of a network of one switch."""
    return write_network(tmp_path)


@pytest.fixture(name="generated", scope="module")
def generated_fixture(tmp_path_factory):
    """Postcards of a network with all that befalls them, and what one process
    makes of them."""
    directory = tmp_path_factory.mktemp("generated")
    run([f"{bindir()}/lasthop-gen", "-q", "--count", "4000", "--rate", "4000",
         "--nat", "10%", "--flood", "5%", "--lose", "1%", "--duplicate", "1%",
         "--reorder", "10%:2ms", "--identical", "5%", "--stamps", "us",
         "--no-truth", directory])
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
    # Nobody loses a shard, however busy the machine is: who has it next
    # counts again what it does again.
    with Cluster(tmp_path, n, directory / "topology.json",
                 directory / "rules.jsonl",
                 ["--cluster-lease", "10s"]) as cluster:
        cluster.start()
        cluster.read(directory / "postcards.pcap")
        cluster.wait_quiet()
        check_cards(cluster, directory / "postcards.pcap")
        cluster.stop()
        assert cluster.histories() == lines
        if n == 1:
            check_repair(cluster, lines)


def check_cards(cluster, path):
    """Every postcard of the file is in a history, or a double of one."""
    stats = [server.stats() for server in cluster.live()]
    assert sum(s["assembled"] + s["duplicates"] + s["ambiguous"]
               for s in stats) == sum(1 for _ in timed_datagrams(path))
    assert sum(s["duplicates"] for s in stats) > 0
    assert sum(s["open_postcards"] + s["cluster_late"] for s in stats) == 0


def check_repair(cluster, lines):
    """A shard of a server that was stopped is repaired as any archive is, and
    served again: only what stood in the damaged place is gone."""
    shard = f"{cluster['a'].archive}/shard-00"
    whole = set(histories(shard))
    segment = max(glob.glob(f"{shard}/*.lha"), key=os.path.getsize)
    with open(segment, "r+b") as file:
        file.seek(os.path.getsize(segment) // 2)
        file.write(b"damaged" * 8)
    run([f"{bindir()}/lasthopctl", "archive", "repair", shard])
    gone = whole - set(histories(shard))
    assert gone
    cluster["a"].start().wait_ready()
    cluster.wait_owned()
    cluster.stop()
    assert set(cluster.histories()) == set(lines) - gone


def timed_datagrams(path):
    """Of each frame of a capture of postcards: its time in seconds, the last
    byte of its sender's address, and what is in it."""
    with open(path, "rb") as file:
        data = file.read()
    unit = 1e9 if data[:4] == bytes.fromhex("4d3cb2a1") else 1e6
    at = 24
    while at < len(data):
        seconds, fraction, size, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16:at + 16 + size]
        at += 16 + size
        yield seconds + fraction / unit, frame[29], frame[42:]


def without_times(line):
    """A history as text, but for when it was."""
    history = json.loads(line)
    for hop in history["hops"]:
        del hop["time_ns"]
    return json.dumps(history, sort_keys=True)


def test_switches_at_several_servers(tmp_path):
    """Each switch sends to one of three servers; but for times, what they
    receive makes the histories that one process makes."""
    run([f"{bindir()}/lasthop-gen", "-q", "--count", "300", "--rate", "100",
         "--nat", "20%", "--mixed", "20%", "--flood", "10%", "--no-truth",
         tmp_path])
    network = [f"{tmp_path}/topology.json", f"{tmp_path}/rules.jsonl"]
    run([f"{bindir()}/lasthop-server", "--read", f"{tmp_path}/postcards.pcap",
         "--topology", network[0], "--rules", network[1], "--recorder",
         "none", "--archive", f"{tmp_path}/alone"])
    expected = sorted(map(without_times, histories(f"{tmp_path}/alone")))
    assert len(expected) == 300
    # However busy the machine is, a packet's postcards come in that time.
    with Cluster(tmp_path, 3, *network, ["--window", "10s"]) as cluster:
        cluster.start()
        servers = list(cluster.servers.values())
        first = None
        for at, sender, payload in timed_datagrams(
                f"{tmp_path}/postcards.pcap"):
            first = first or time.monotonic() - at
            # At the pace at which packets were sent.
            time.sleep(max(0, first + at - time.monotonic()))
            servers[sender % 3].send(payload)
        cluster.wait_quiet()
        cluster.stop()
        assert sorted(map(without_times, cluster.histories())) == expected


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


def test_credentials_of_nats(tmp_path, network):
    creds = f"{tmp_path}/user.creds"
    with Cluster(tmp_path, 1, *network, ["--cluster-shards", "4"]) as cluster:
        with open(f"{cluster.nats.dir}/conf", "a", encoding="ascii") as conf:
            conf.write(write_credentials(tmp_path))
        cluster.nats.start()
        refused = cluster["a"].start().process
        refused.wait_for("uthorization", 30)
        refused.kill()
        cluster.options += ["--cluster-credentials", creds]
        cluster["a"].start().wait_ready()
        cluster.wait_owned()
        assert cluster["a"].status()["state"] == "working"


def test_nats_that_takes_short_messages_only(tmp_path, network):
    with Cluster(tmp_path, 1, *network, ["--cluster-shards", "4"]) as cluster:
        path = f"{cluster.nats.dir}/conf"
        with open(path, encoding="ascii") as file:
            conf = file.read()
        with open(path, "a", encoding="ascii") as file:
            file.write("\nmax_payload: 65536\n")
        cluster.nats.start()
        server = cluster["a"].start()
        server.process.wait_for("max_payload of nats-server is 65536", 30)
        cluster.nats.kill()
        with open(path, "w", encoding="ascii") as file:
            file.write(conf)
        cluster.nats.start()
        server.wait_ready()
        cluster.wait_owned()


def test_what_differs_is_refused(tmp_path, network):
    with Cluster(tmp_path, 1, *network) as cluster:
        other = cluster["a"].start()
        other.process.wait_for("waiting for NATS", 30)
        cluster.nats.start()
        other.wait_ready()
        done = run([f"{bindir()}/lasthop-server", *cluster.options, "--name",
                    "z", "--archive", f"{tmp_path}/z", "--cluster-shards", "8"],
                   check=False, deadline=30)
        assert other.process.is_running()
        assert done == ""
        refused = Process("z", [
            f"{bindir()}/lasthop-server", *cluster.options, "--name", "z",
            "--archive", f"{tmp_path}/z", "--cluster-lease", "5s"],
            f"{tmp_path}/z.log")
        refused.wait_for("last 1800 ms and not 5000: start this server "
                         "without --cluster-lease", 30)
        assert refused.wait(30) != 0
        refused = Process("z", [
            f"{bindir()}/lasthop-server", *cluster.options, "--name", "z",
            "--archive", f"{tmp_path}/z", "--wire-versions", "4-5"],
            f"{tmp_path}/z.log")
        refused.wait_for("upgrade all servers to a version in between", 30)
        assert refused.wait(30) != 0
