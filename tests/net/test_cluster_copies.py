# SPDX-License-Identifier: Apache-2.0
# With --replicas 2 a dead disk costs nothing: real nats-server, real
# lasthop-servers, whose directories are deleted.

import json
import shutil

from cluster import QUIET_S, Cluster, Traffic, wait_sent
from process import wait_until
from test_cluster import datagram, network_fixture, numbers_of

assert network_fixture      # A fixture.


def ask(server):
    """The numbers of all packets, as a client of the server is told."""
    with server.api() as api:
        return numbers_of([json.dumps(h) for h in api.query(".*")])


def check(server, numbers):
    """The answer is whole, and has nothing twice."""
    found = ask(server)
    assert len(found) == len(set(found)), "some came twice"
    missing = sorted(set(numbers) - set(found))
    assert not missing, f"{len(missing)} of {len(numbers)}: {missing[:30]}"
    assert found == numbers


def wait_whole(cluster, name):
    """Until all is there in two copies, as that server knows it."""
    def is_whole():
        copies = cluster[name].status()["copies"]
        return not (copies["short"] or copies["unknown"] or
                    copies["fetching"])
    wait_until(is_whole, QUIET_S, "two copies of everything")


def lose_disk(server):
    """The machine dies, and its disk with it."""
    server.process.kill()
    shutil.rmtree(server.archive)


def test_a_disk_dies_and_then_another(tmp_path, network):
    with Cluster(tmp_path, 3, *network, ["--replicas", "2"]) as c:
        c.start()
        traffic = Traffic(datagram, [c["a"]], 100)
        traffic.start()
        wait_sent(traffic, 1000)
        lose_disk(c["b"])
        wait_sent(traffic, 1000)
        numbers = traffic.end()
        c.wait_owned()
        c.wait_quiet()
        check(c["a"], numbers)
        wait_until(lambda: c["a"].status()["copies"]["short"], QUIET_S,
                   "that stores are known to have one copy only")

        c["b"].start().wait_ready()
        c.wait_owned()
        wait_whole(c, "a")
        assert c["b"].stats()["cluster_fetched"] > 0
        check(c["b"], numbers)

        lose_disk(c["c"])
        check(c["a"], numbers)
        assert c["a"].process.is_running() and c["b"].process.is_running()


def test_who_gives_what_a_disk_lacks_dies(tmp_path, network):
    """A disk is replaced, and while it fetches what it lacks one of those who
    have it is killed, again and again: in the end all is there in two copies,
    and nothing twice."""
    with Cluster(tmp_path, 3, *network, ["--replicas", "2"]) as c:
        c.start()
        traffic = Traffic(datagram, [c["a"]], 200)
        traffic.start()
        wait_sent(traffic, 4000)
        numbers = traffic.end()
        c.wait_quiet()
        wait_whole(c, "a")
        n_midway = 0
        for giver in "cac":
            lose_disk(c["b"])
            c["b"].start().wait_ready()
            wait_until(lambda: c["b"].status()["copies"]["fetching"] or
                       c["b"].stats()["cluster_fetched"], QUIET_S,
                       "that b fetches")
            before = c["b"].stats()["cluster_fetched"]
            c[giver].process.kill()
            c[giver].start().wait_ready()
            c.wait_owned()
            wait_whole(c, "a")
            check(c["b"], numbers)
            n_midway += c["b"].stats()["cluster_fetched"] > before
        assert n_midway > 0
        c["a"].process.kill()
        check(c["b"], numbers)
