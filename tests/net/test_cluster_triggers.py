# SPDX-License-Identifier: Apache-2.0
# Live filters of clients of a cluster, where servers come and go.

from cluster import QUIET_S, Cluster
from numbered import datagram, number_of
from process import wait_until
from test_cluster import network_fixture

assert network_fixture      # A fixture.


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
