# SPDX-License-Identifier: Apache-2.0
# What a person at a cluster is told: by lasthopctl, and by servers that cannot
# be part of it.

import json
import subprocess
import time

import pytest

from cluster import Cluster, Nats
from lab import bindir
from numbered import write_network
from process import Process, wait_until

SHARDS = ["--cluster-shards", "4"]


@pytest.fixture(name="network")
def network_fixture(tmp_path):
    """Topology and rules of a network of one switch."""
    return write_network(tmp_path)


def ctl(server, *words):
    """Exit status of lasthopctl, what it prints, and what it complains of."""
    done = subprocess.run([f"{bindir()}/lasthopctl", "--rundir", server.dir,
                           *words], capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def refused(cluster, text, *options):
    """A server with 'options' says 'text' and ends, and not well."""
    server = Process("refused", [
        f"{bindir()}/lasthop-server", *cluster.options, "--rundir",
        f"{cluster.dir}/refused", *options], f"{cluster.dir}/refused.log")
    server.wait_for(text, 30)
    assert server.wait(30) != 0


def test_nats_that_is_gone_is_said_at_once(tmp_path, network):
    with Cluster(tmp_path, 1, *network, SHARDS) as cluster:
        cluster.start()
        server = cluster["a"]
        assert ctl(server, "status", "--check")[0] == 0
        cluster.nats.kill()
        wait_until(lambda: server.status()["state"] == "away", 30)
        why = f"NATS at {cluster.nats.url} cannot be reached"
        began = time.monotonic()
        status, said, _ = ctl(server, "status", "--check")
        assert time.monotonic() - began < 20, "it waited for NATS"
        assert status == 3 and why in said, said
        assert why in server.status()["why"]
        _, said, _ = ctl(server, "cluster", "status")
        assert f"it is away: {why}" in said, said
        assert server.ask("health")["problems"][0]["code"] == "no-nats"
        cluster.nats.start()
        wait_until(lambda: server.status()["why"] is None, 30)
        cluster.wait_owned()
        wait_until(lambda: ctl(server, "status", "--check")[0] == 0, 30)


def test_a_name_or_a_directory_that_is_taken_is_refused(tmp_path, network):
    with Cluster(tmp_path, 2, *network, SHARDS) as cluster:
        cluster.start()
        refused(cluster, 'another server of the name "a" is part of this',
                "--name", "a", "--archive", f"{tmp_path}/twin")
        refused(cluster, f"{tmp_path}/a/archive/lock: another server",
                "--name", "c", "--archive", f"{tmp_path}/a/archive")
        cluster.wait_owned()
        # One that is killed and started again is no twin of its own.
        cluster["a"].process.kill()
        cluster["a"].start().wait_ready()
        cluster.wait_owned()
        cluster.stop()


def test_draining_says_who_is_left(tmp_path, network):
    with Cluster(tmp_path, 2, *network, SHARDS) as cluster:
        cluster.start()
        a = cluster["a"]
        assert 'no server "z" answers' in ctl(a, "cluster", "drain", "z")[2]
        assert 'the name "a.b"' in ctl(a, "cluster", "drain", "a.b")[2]
        status, said, complaint = ctl(a, "cluster", "drain", "b")
        assert (status, complaint) == (0, "") and said.startswith("b gives")
        wait_until(lambda: len(a.status()["shards"]) == 4, 30)
        assert a.ask("health")["problems"] == []
        status, said, _ = ctl(a, "--json", "cluster", "drain", "b")
        assert json.loads(said) == {"draining": "b", "others": 1}
        status, said, complaint = ctl(a, "cluster", "drain", "a")
        assert status == 0 and "no other server takes shards" in complaint
        wait_until(lambda: "shards-without-owner" in
                   [p["code"] for p in a.ask("health")["problems"]], 30)
        assert ctl(a, "status", "--check")[0] == 3
        cluster.stop()


def test_no_password_is_told(tmp_path, network):
    with Cluster(tmp_path, 1, *network, SHARDS) as cluster:
        cluster.nats = Nats(f"{tmp_path}/locked", more="""
            authorization { user: lh, password: s3cret }""")
        at = cluster.nats.url.removeprefix("nats://")
        cluster.nats.start()
        server = cluster["a"]
        for user, text in (("lh:wr0ng", f"NATS at nats://{at} cannot be "
                            "reached: Authorization Violation"),
                           ("lh:s3cret", "is part of it")):
            cluster.options[1] = f"nats://{user}@{at}"
            server.start()
            server.process.wait_for(text, 30)
            assert user.split(":")[1] not in server.process.output()
            assert user.split(":")[1] not in json.dumps(server.status())
            server.process.kill()


def test_what_nats_has_no_room_for_is_named(tmp_path, network):
    with Cluster(tmp_path, 1, *network,
                 [*SHARDS, "--cluster-bytes", "3G"]) as cluster:
        cluster.nats.start()        # Of 6 GB.
        server = cluster["a"].start()
        server.process.wait_for("max_file of its jetstream", 30)
        assert "of 3072 MB (--cluster-bytes)" in server.status()["why"]
        assert ctl(server, "status", "--check")[0] == 3
