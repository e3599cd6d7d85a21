# SPDX-License-Identifier: Apache-2.0
# Live filters of clients of a cluster, where servers come and go.

from contextlib import ExitStack

from cluster import QUIET_S, Cluster
from numbered import datagram, number_of
from process import wait_until
from test_cluster import network_fixture

assert network_fixture      # A fixture.

N_EACH = 2000   # Filters of one client.
N_KNOWN = 32768  # Filters that servers know at most.


def owners(cluster):
    """Of the filters that NATS knows of, also of those that were removed."""
    return [key.split(".")[1] for key in cluster.nats.keys("lh-meta",
                                                           "trigger.>")]


def wait_owners(cluster, expected):
    """Until there are these."""
    wait_until(lambda: owners(cluster) == expected, QUIET_S,
               f"filters of {expected}")


def next_number(api):
    """That of the next match."""
    while True:
        event = api.event(QUIET_S)
        if event["event"] == "history":
            return number_of(event["history"])


def test_filters_of_dead_servers_go(tmp_path, network):
    with Cluster(tmp_path, 3, *network) as c:
        c.start()
        with c["b"].api() as dies, c["c"].api() as stays:
            for _ in range(2):
                dies.call("trigger.add", phf=". *")
            stays.call("trigger.add", phf=". *")
            wait_owners(c, ["b", "b", "c"])
            c["b"].process.kill()
            c.wait_owned()
            # What was set before is told by whoever has the shards now.
            c["a"].send(datagram(1))
            assert next_number(stays) == 1
            assert owners(c) == ["b", "b", "c"]
            c["a"].ask("cluster.forget", name="b")
            wait_owners(c, ["c"])
            c["a"].send(datagram(2))
            assert next_number(stays) == 2
        wait_owners(c, [])


def test_filters_of_servers_that_leave_go(tmp_path, network):
    with Cluster(tmp_path, 2, *network) as c:
        c.start()
        with c["b"].api() as client:
            client.call("trigger.add", phf=". *")
            wait_owners(c, ["b"])
            c["b"].process.signal(15)
            assert c["b"].process.wait(40) == 0
            # NATS knows that there was one.
            assert b"DEL" in c.nats.last("lh-meta", "trigger.b.>")
        c["b"].start().wait_ready()
        wait_owners(c, [])


def test_each_of_many_filters_is_told(tmp_path, network):
    """More than one letter between servers has room for."""
    with Cluster(tmp_path, 2, *network) as c, ExitStack() as stack:
        c.start()
        clients = [stack.enter_context(c[name].api())
                   for name in ("a", "a", "b", "b", "b")]
        for client in clients:
            for _ in range(N_EACH):
                client.call("trigger.add", phf=". *")
        wait_until(lambda: len(owners(c)) == N_EACH * len(clients), QUIET_S,
                   "all servers to know all filters")
        c["a"].send(datagram(1))
        for client in clients:
            told = 0
            while told < N_EACH:
                event = client.event(QUIET_S)
                assert event["event"] in ("history", "missed"), event
                told += event.get("n", 1)
        assert sum(s.stats()["trigger_histories"] for s in c.live()) == 1


def test_filters_that_find_no_room_are_told(tmp_path, network):
    with Cluster(tmp_path, 2, *network) as c:
        c.start()
        c.nats.put("lh-meta", {f"trigger.z.{'0' * 16}.{n}": ". *"
                               for n in range(N_KNOWN)})
        wait_until(lambda: len(owners(c)) == N_KNOWN, QUIET_S, "all filters")
        with c["a"].api() as client:
            client.call("trigger.add", phf=". *")
            missed = client.event(QUIET_S)
        assert missed["event"] == "missed" and not missed["n"]
        assert "too many live filters" in missed["why"]
        c["b"].process.wait_for("live filters of all servers' clients", 30)
        c["a"].ask("cluster.forget", name="z")
        # Nothing else stands still meanwhile.
        c.wait_owned()
        assert not any(s.stats()["cluster_fenced"] for s in c.live())
