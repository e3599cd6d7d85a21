# SPDX-License-Identifier: Apache-2.0
# Answers of a cluster that keeps two copies are whole when a server is dead,
# and say so; and say what they lack where they are not: real nats-server, real
# lasthop-servers.

import json

from cluster import QUIET_S, Cluster
from lab import bindir
from numbered import datagram, numbers_of
from process import run, wait_until
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


def wait_nothing_missing(server, is_always_whole=True):
    """Until an answer says that nothing is missing: the copies of those that
    live have come as far as those of the dead.  It is whole all the time, or
    else as soon as it says so."""
    def is_whole():
        found, end = ask(server)
        assert found == list(range(N)) or \
            (end["missing"] and not is_always_whole)
        return not end["missing"]
    wait_until(is_whole, QUIET_S, "an answer of which nothing is missing")


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


def shards_of(server):
    """Of which the server has a copy."""
    return {s["shard"] for s in server.status()["stores"]}


def test_nothing_is_missing_that_another_copy_has(tmp_path, network):
    with Cluster(tmp_path, 3, *network, ["--replicas", "2"]) as c:
        c.start()
        feed(c)
        assert ask(c["a"])[0] == list(range(N))

        c["c"].process.kill()
        wait_nothing_missing(c["a"])
        wait_dead(c["a"], "c")
        wait_nothing_missing(c["a"])
        assert ask(c["a"])[1]["missing"] == []

        # Shards whose copies were on these two cannot be answered for now.
        c["b"].process.kill()
        wait_dead(c["a"], "b")
        found, end = ask(c["a"])
        assert len(found) < N and "b" in missing_of(end)
        assert next(m for m in end["missing"]
                    if m["server"] == "b")["since_ns"]
        # Of times when there was nothing, nothing is missing.
        assert ask(c["a"], until=1)[1]["missing"] == []

        # The first one may not have heard yet that the second one is back.
        c["b"].start().wait_ready()
        c.wait_owned()
        wait_nothing_missing(c["a"], is_always_whole=False)


def test_what_was_cut_off_is_not_missed(tmp_path, network):
    """Stores that change hands before anything is in them leave files of which
    all was cut off; that is not taken for what retention has removed."""
    with Cluster(tmp_path, 3, *network, ["--replicas", "2"]) as c:
        c.start()
        for server in c.servers.values():
            server.process.signal(15)
            assert server.process.wait(40) == 0
            server.start().wait_ready()
            c.wait_owned()
        feed(c)
        assert any(not path.stat().st_size
                   for path in tmp_path.glob("?/archive/shard-*/*.lha"))
        c["c"].process.kill()
        wait_nothing_missing(c["a"])


def test_what_others_own_now_is_vouched_for(tmp_path, network):
    """Servers that have come take a shard of one whose disk has what it was
    before, also when that one was started again since.  By their names b and c
    have shard 13 of three servers, not c of five, and not c without b."""
    with Cluster(tmp_path, 5, *network, ["--replicas", "2"]) as c:
        late = [c.servers.pop(name) for name in "de"]
        c.start()
        feed(c)
        assert 13 in shards_of(c["b"]) & shards_of(c["c"])
        for server in late:
            c.servers[server.name] = server.start()
        wait_until(lambda: 13 not in shards_of(c["c"]), QUIET_S,
                   "another to have the shard")

        c["c"].process.kill()
        c["c"].start().wait_ready()
        c.wait_owned()
        c["b"].process.kill()
        wait_dead(c["c"], "b")
        c.wait_owned()
        wait_nothing_missing(c["c"], is_always_whole=False)
        assert 13 not in shards_of(c["c"])


def wait_running(cluster, n):
    """Until each server runs so many parts of queries."""
    wait_until(lambda: all(s.stats()["queries_running"] == n
                           for s in cluster.live()), QUIET_S,
               f"{n} queries on each server")


def begin(server, **members):
    """A client that asks for everything and reads nothing of it."""
    api = server.api()
    api.socket.sendall(json.dumps(
        {"id": 1, "op": "query", "phf": ".*", **members}).encode() + b"\n")
    return api


def ended(cluster):
    """Parts of queries that were told to end; and those that were not, but
    heard nothing any more."""
    stats = [s.stats() for s in cluster.live()]
    return ([s["cluster_cancelled"] for s in stats],
            [s["cluster_silent"] for s in stats])


def test_cancel_reaches_all_servers(tmp_path):
    """What is found does not fit on its way to a client that does not read, so
    no server's part ends by itself."""
    n = 12000
    run([f"{bindir()}/lasthop-gen", "-q", "--count", str(n), "--rate", "40000",
         "--no-truth", tmp_path])
    with Cluster(tmp_path, 3, tmp_path / "topology.json",
                 tmp_path / "rules.jsonl") as c:
        c.start()
        c.read(tmp_path / "postcards.pcap")
        c.wait_quiet()

        client = begin(c["b"])
        wait_running(c, 1)
        client.socket.sendall(b'{"id":2,"op":"cancel","query":1}\n')
        wait_running(c, 0)
        assert ended(c) == ([1, 1, 1], [0, 0, 0])
        events = []
        while not events or events[-1].get("event") != "end":
            events.append(client.read())
        assert events[-1]["cancelled"]
        assert client.read()["id"] == 2
        client.close()

        # It goes away without a word.
        client = begin(c["c"], order="desc")
        wait_running(c, 1)
        client.close()
        wait_running(c, 0)
        assert ended(c) == ([2, 2, 2], [0, 0, 0])

        # The server that asked the others dies.
        client = begin(c["c"])
        wait_running(c, 1)
        c["c"].process.kill()
        wait_running(c, 0)
        assert ended(c) == ([2, 2], [1, 1])
        client.close()
