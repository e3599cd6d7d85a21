# SPDX-License-Identifier: Apache-2.0
# Answers of a cluster that keeps two copies are whole when a server is dead,
# and say so; and say what they lack where they are not: real nats-server, real
# lasthop-servers.

import json

from cluster import QUIET_S, Cluster
from numbered import datagram, numbers_of
from process import wait_until
from test_cluster import network_fixture
from test_cluster_copies import wait_whole

assert network_fixture      # A fixture.

N = 600


def ask(server, **members):
    """The numbers of the packets in an answer, and the event `end`."""
    with server.api() as api:
        api.call("query", phf=". *", **members)
        found = []
        while True:
            event = api.event()
            if event["event"] == "history":
                found.append(json.dumps(event["history"]))
            elif event["event"] == "end":
                return numbers_of(found), event


def missing_of(end):
    """The servers that the answer lacks."""
    return sorted(m["server"] for m in end["missing"])


def wait_dead(server, name):
    """Until the server knows that the other one is dead."""
    wait_until(lambda: not next(
        s for s in server.status()["servers"]
        if s["name"] == name)["alive"], QUIET_S, f"{name} to be found dead")


def feed(cluster):
    """Packets 0 to N - 1, until all are archived in all copies; returns N."""
    for number in range(N):
        cluster["a"].send(datagram(number))
    cluster.wait_quiet()
    if cluster["a"].status()["n_copies"] > 1:
        wait_whole(cluster, "a")
    return N


def test_nothing_is_missing_that_another_copy_has(tmp_path, network):
    with Cluster(tmp_path, 3, *network, ["--replicas", "2"]) as c:
        c.start()
        feed(c)
        assert ask(c["a"])[0] == list(range(N))

        # Nobody knows yet that it is dead.
        c["c"].process.kill()
        found, end = ask(c["a"])
        assert found == list(range(N)) and missing_of(end) == []
        wait_dead(c["a"], "c")
        found, end = ask(c["a"])
        assert found == list(range(N)) and missing_of(end) == []

        # Shards whose copies were on these two cannot be answered for now.
        c["b"].process.kill()
        wait_dead(c["a"], "b")
        found, end = ask(c["a"])
        assert len(found) < N and "b" in missing_of(end)
        assert next(m for m in end["missing"]
                    if m["server"] == "b")["since_ns"]
        # Of times when there was nothing, nothing is missing.
        assert ask(c["a"], until=1)[1]["missing"] == []

        c["b"].start().wait_ready()
        c.wait_owned()
        found, end = ask(c["a"])
        assert found == list(range(N)) and missing_of(end) == []
