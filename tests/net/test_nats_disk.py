# SPDX-License-Identifier: Apache-2.0
# No room on the disk under NATS: postcards wait at the doors, are lost and
# counted when there is no room there either, and all goes on when there is.

from cluster import is_nats_old
from cluster_net import ClusterNet
from numbered import datagram, numbers_of, write_network
from process import wait_until

MEMORY = ["--cluster-memory", "1M"]


def send(server, first, n):
    """Postcards of numbers from 'first' on; the next one."""
    for number in range(first, first + n):
        server.send(datagram(number))
    wait_until(lambda: received(server) >= first + n, 10, "the postcards")
    return first + n


def received(server):
    """By all that is known of them."""
    stats = server.stats()
    return stats["cluster_acknowledged"] + stats["cluster_waiting"] \
        + stats["cluster_lost"] + stats["kernel_drops"]


def test_nats_has_no_room(tmp_path):
    with ClusterNet(tmp_path, 2, *write_network(tmp_path), MEMORY,
                    nats_disk="48m") as cluster:
        a, nats = cluster["a"], cluster.nats["nats"]
        cluster.start()
        n = send(a, 0, 500)
        cluster.wait_quiet()
        nats.fill_disk()
        n = send(a, n, 500)
        wait_until(lambda: any(text in a.process.output() for text in (
            "NATS has no room on its disk", "NATS cannot be reached",
            "they were not acknowledged")), 20, "the server to say so")
        assert a.stats()["cluster_lost"] == 0
        while not a.stats()["cluster_lost"]:
            assert n < 200000
            n = send(a, n, 2000)
        a.process.wait_for("postcards for the cluster are lost")

        nats.free_disk()
        if is_nats_old():
            nats.restart()      # It stands still for good.
        wait_until(lambda: not a.stats()["cluster_waiting"], 60,
                   "postcards that wait to be acknowledged")
        lost = a.stats()["cluster_lost"]
        assert lost > 0
        n = send(a, n, 500)
        cluster.wait_quiet()
        stats = a.stats()
        assert stats["cluster_lost"] == lost and not stats["kernel_drops"]
        assert stats["cluster_acknowledged"] == n - lost
        cluster.stop()
        found = numbers_of(cluster.histories())
        assert len(found) == len(set(found)) == n - lost
        assert set(range(1000)) | set(range(n - 500, n)) <= set(found)
