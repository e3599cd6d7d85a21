# SPDX-License-Identifier: Apache-2.0
# A cluster is upgraded server by server, under traffic: what goes over the bus
# is of the version that the oldest knows until that is gone.  Old servers are
# those of today that say that they know the first version only.

from cluster import Cluster, Traffic, wait_sent
from numbered import datagram
from process import wait_until
from test_cluster import LEASE, check, network_fixture, settle

assert network_fixture      # A fixture.

OLD = ["--wire-versions", "1-1"]
RAISED_S = 90       # When all have known a newer version for half a minute.


def wires(cluster):
    """What each server that lives says is spoken."""
    return [server.status()["wire"] for server in cluster.live()]


def newest(server):
    """The highest version that the server itself knows."""
    return wait_until(lambda: next(
        (s["wire_max"] for s in server.status()["servers"]
         if s["name"] == server.name), 0), 30, "what it tells of itself")


def start(cluster, names):
    """Starts them, until each shard has an owner."""
    for name in names:
        cluster[name].start()
        cluster[name].wait_ready()
    cluster.wait_owned()


def wait_spoken(cluster, wire):
    """Until all speak that version."""
    wait_until(lambda: set(wires(cluster)) == {wire}, RAISED_S,
               f"version {wire} on the bus")


def test_servers_are_upgraded_one_by_one(tmp_path, network):
    with Cluster(tmp_path, 4, *network, LEASE) as cluster:
        cluster.nats.start()
        for name in "abd":
            cluster[name].options = OLD
        start(cluster, "ab")
        assert set(wires(cluster)) == {1}

        # A new one joins, and speaks as they do, for good.
        start(cluster, "c")
        top = newest(cluster["c"])
        assert top > 1 and newest(cluster["a"]) == 1
        traffic = Traffic(datagram, [cluster[name] for name in "abc"], 50)
        traffic.start()
        wait_sent(traffic, 1000)
        assert set(wires(cluster)) == {1}

        # The old ones are replaced, the first in order, the second after it
        # was killed: until it is back it may come back as it was.
        for name in "ab":
            rest = [s for s in cluster.live() if s.name != name]
            traffic.servers = rest
            cluster["c"].ask("cluster.drain", name=name)
            wait_until(lambda n=name: not cluster[n].status()["shards"]
                       and not cluster[n].status()["stores"]
                       and not cluster[n].status()["waiting"], 60,
                       f"{name} to drain")
            if name == "a":
                cluster[name].process.signal(15)
                assert cluster[name].process.wait(40) == 0
            else:
                cluster[name].process.kill()
            wait_sent(traffic, 500)
            assert set(wires(cluster)) == {1}
            cluster[name].options = []
            start(cluster, name)
            wait_sent(traffic, 500)
        wait_spoken(cluster, top)
        traffic.servers = [cluster[name] for name in "abc"]
        wait_sent(traffic, 1000)

        # One that is too old says so, takes no part, and harms nobody.
        late = cluster["d"].start().process
        late.wait_for(f"speaks version {top} on the bus, and this server up "
                      "to 1: install the version", 30)
        assert late.wait(30) != 0
        assert "is part of it" not in late.output()
        wait_sent(traffic, 500)
        assert set(wires(cluster)) == {top}
        assert "d" not in [s["name"] for s in cluster["a"].status()["servers"]]
        numbers = settle(cluster, traffic)
        assert sum(s.stats()["cluster_lost"] for s in cluster.live()) == 0
        check(cluster, numbers)


def test_one_that_died_old_counts_until_it_is_forgotten(tmp_path, network):
    with Cluster(tmp_path, 2, *network, LEASE) as cluster:
        cluster.nats.start()
        cluster["a"].options = OLD
        start(cluster, "ab")
        traffic = Traffic(datagram, [cluster["b"]], 50)
        traffic.start()
        wait_sent(traffic, 500)
        cluster["a"].process.kill()
        wait_until(lambda: not next(
            s for s in cluster["b"].status()["servers"]
            if s["name"] == "a")["alive"], 30, "a to be found dead")
        cluster.wait_owned()
        wait_sent(traffic, 500)
        assert wires(cluster) == [1]
        cluster["b"].ask("cluster.forget", name="a")
        wait_spoken(cluster, newest(cluster["b"]))
        wait_sent(traffic, 500)
        numbers = settle(cluster, traffic)

        # It comes back, and is told that it is too old now.
        late = cluster["a"].start().process
        late.wait_for("install the version of lasthop that the others have",
                      30)
        assert late.wait(30) != 0
        cluster["a"].options = []
        start(cluster, "a")
        cluster.wait_quiet()
        check(cluster, numbers)
