# SPDX-License-Identifier: Apache-2.0
# A server whose archive's disk is full: reception goes on, what is lost is
# counted, said and noted in the archive, and it recovers by itself.

import json
import os
import socket
import struct
import subprocess

import pytest

import frames
from api import Api
from lab import bindir
from process import Process, wait_until

DPID = 1
TOPOLOGY = {"switches": [{"dpid": "0000000000000001", "name": "s1", "ports": [
    {"no": 1, "edge": True}, {"no": 2, "edge": True}]}], "links": []}
RULE = {"dpid": "0000000000000001", "version": 7, "kind": "flow",
        "actions": "output:2", "instrumented": True, "installed_ns": 1,
        "steps": [{"do": "output", "port": 2}]}


def datagram(number):
    """The postcard of packet 'number', which s1 delivers, by its format's
    document."""
    packet = frames.udp4("02:00:00:00:00:01", "02:00:00:00:00:02", "10.0.0.1",
                         "10.0.0.2", 5000, 7, os.urandom(60),
                         ident=number & 0xffff)
    option = struct.pack("!HBBBBHQIHH", 0xff4c, 1, 5, 1, 0, 0, DPID, 7, 1, 2)
    return struct.pack("!BBHI", 6, 0, 0x6558, 0) + option + packet


class Server:
    """A server with its archive on a small disk of its own."""

    def __init__(self, directory, size, every):
        self.dir = str(directory)
        self.archive = f"{self.dir}/archive"
        os.mkdir(self.archive)
        self.mount(f"size={size}")
        for name, lines in (("topology.json", TOPOLOGY),
                            ("rules.jsonl", RULE)):
            with open(f"{self.dir}/{name}", "w", encoding="utf-8") as stream:
                json.dump(lines, stream)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        self.process = Process("server", [
            f"{bindir()}/lasthop-server", "--rundir", self.dir, "--listen",
            "geneve:%s:%d" % self.address, "--accept", "127.0.0.1",
            "--recorder", "none", "--topology", f"{self.dir}/topology.json",
            "--rules", f"{self.dir}/rules.jsonl", "--archive", self.archive,
            "--round", every], f"{self.dir}/log", daemon=True)
        self.process.wait_for("serving clients")
        self.api = Api(f"{self.dir}/server.sock")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.n_sent = 0

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs",
                        self.archive], check=True)

    def stats(self):
        return self.api.call("stats")["stats"]

    def send(self, n):
        """Sends 'n' packets and waits until they are histories."""
        for _ in range(n):
            self.socket.sendto(datagram(self.n_sent), self.address)
            self.n_sent += 1
        wait_until(lambda: self.stats()["histories"] == self.n_sent, 10,
                   "the histories")

    def close(self):
        self.process.stop()
        subprocess.run(["umount", self.archive], check=True)


@pytest.fixture(params=["200k", "1m"], ids=["blocks", "merged"])
def server(tmp_path, request):
    # With a round of 1 ms files end soon, and are merged.
    made = Server(tmp_path, request.param,
                  "1ms" if request.param == "1m" else "20ms")
    made.merges = request.param == "1m"
    yield made
    made.close()


def merge(server):
    """Sends few packets at a time until small blocks have been merged."""
    while server.stats()["archive_blocks"] < 200:
        server.send(5)
    wait_until(lambda: server.stats()["archive_merges"] > 0, 60, "a merge")


def test_full_disk_loses_says_so_and_recovers(server):
    if server.merges:
        merge(server)
        assert server.stats()["archive_lost"] == 0
    while server.stats()["archive_lost"] == 0:
        server.send(200)
        assert server.n_sent < 50000
    full = server.stats()
    health = server.api.call("health")
    assert health["health"] == "degraded"
    assert "histories-not-stored" in [problem["code"] for problem in
                                      health["problems"]]
    assert full["archived"] > 0
    assert full["kernel_drops"] == 0
    assert "No space left on device" in server.process.output()

    # Reception goes on, and the sums hold.
    server.send(200)
    wait_until(lambda: server.stats()["archive_held"] == 0, 10, "a round")
    stats = server.stats()
    assert stats["archived"] + stats["archive_lost"] == stats["histories"]
    assert stats["delivered"] == server.n_sent

    # With room again it writes again, by itself.
    server.mount("remount,size=20m")
    server.send(200)
    wait_until(lambda: server.stats()["archived"] >= full["archived"] + 200,
               10, "the archive to go on")
    server.process.wait_for("writing again")
    lost = server.stats()["archive_lost"]
    wait_until(lambda: server.stats()["archive_held"] == 0, 10, "a round")

    found = server.api.query(".*")
    stats = server.stats()
    assert len(found) == stats["archived"]
    assert stats["archive_lost"] == lost
    assert stats["archived"] + lost == server.n_sent
