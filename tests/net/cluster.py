# SPDX-License-Identifier: Apache-2.0
# A cluster of real lasthop-servers on a real nats-server, on loopback.
"""
    with Cluster(directory, n=3) as cluster:
        cluster.start()
        cluster.read("postcards.pcap")      # By a server of its own.
        cluster.wait_quiet()
        cluster.stop()
        histories = cluster.histories()     # Sorted, of all archives.

Servers are called a, b, c..; cluster["a"] is one.  Postcards on UDP go to
cluster["a"].send(datagram).
"""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

from api import Api
from lab import bindir
from process import Failed, Process, run, wait_until

QUIET_S = 90    # For all that waits to be archived, on a busy machine.


def free_port(kind=socket.SOCK_STREAM):
    """A port of loopback that nobody has at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nats_program():
    """That of the system, or the one that LASTHOP_NATS_SERVER names."""
    return os.environ.get("LASTHOP_NATS_SERVER") or \
        shutil.which("nats-server") or "/usr/sbin/nats-server"


def is_nats_old():
    """Whether it is older than 2.10 (docs/limits.md)."""
    said = run([nats_program(), "--version"])
    return [int(n) for n in re.findall(r"\d+", said)[:2]] < [2, 10]


class Nats:
    """A nats-server with JetStream; its store survives kill() and start().
    'more' are lines of its configuration."""

    def __init__(self, directory, netns=None, address="127.0.0.1", more=""):
        self.dir = str(directory)
        self.netns = netns
        self.port = 4222 if netns else free_port()
        self.url = f"nats://{address}:{self.port}"
        self.process = None
        self.store = f"{self.dir}/store"
        os.makedirs(self.dir, exist_ok=True)
        with open(f"{self.dir}/conf", "w", encoding="utf-8") as conf:
            conf.write(f'listen: "{address}:{self.port}"\n'
                       f'jetstream {{ store_dir: "{self.store}", '
                       f"max_mem: 256MB, max_file: 6GB }}\n{more}")

    def start(self):
        """Starts it, again with what it had."""
        self.process = Process("nats-server",
                               [nats_program(), "-c", f"{self.dir}/conf"],
                               f"{self.dir}/log", netns=self.netns)
        self.process.wait_for("Server is ready", 30)

    def kill(self):
        """As a crash would."""
        if self.process:
            self.process.kill()

    def ask(self, subject, **members):
        """What it answers to a request."""
        text = json.dumps(members)
        with socket.create_connection(("127.0.0.1", self.port), 20) as conn:
            file = conn.makefile("rwb")
            file.write(b'CONNECT {"verbose":false}\r\nSUB test.answer 1\r\n')
            file.write(f"PUB {subject} test.answer {len(text)}\r\n"
                       f"{text}\r\n".encode())
            file.flush()
            while not (line := file.readline()).startswith(b"MSG"):
                assert line and not line.startswith(b"-ERR"), line
            return json.loads(file.read(int(line.split()[-1])))

    def put(self, bucket, values):
        """Writes keys, all at once."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as conn:
            conn.sendall(b'CONNECT {"verbose":false}\r\n' + b"".join(
                f"PUB $KV.{bucket}.{key} {len(value)}\r\n{value}\r\n".encode()
                for key, value in values.items()) + b"PING\r\n")
            while line := conn.recv(4096):
                assert b"-ERR" not in line, line
                if b"PONG" in line:
                    break

    def keys(self, bucket, keys):
        """Those of a bucket that 'keys' matches, also deleted ones."""
        said = self.ask(f"$JS.API.STREAM.INFO.KV_{bucket}",
                        subjects_filter=f"$KV.{bucket}.{keys}")
        return sorted(subject.split(".", 2)[2]
                      for subject in said["state"].get("subjects") or [])

    def last(self, bucket, keys):
        """The headers of what was written last of the keys."""
        said = self.ask(f"$JS.API.STREAM.MSG.GET.KV_{bucket}",
                        last_by_subj=f"$KV.{bucket}.{keys}")
        return base64.b64decode(said["message"].get("hdrs", ""))


class Server:
    """One lasthop-server of a cluster."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.dir = f"{cluster.dir}/{name}"
        self.archive = f"{self.dir}/archive"
        self.port = free_port(socket.SOCK_DGRAM)
        self.netns = self.env = None
        self.process = None
        self.options = []       # Its own, besides those of all.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        os.makedirs(self.dir, exist_ok=True)

    def start(self):
        """Starts it, also again."""
        self.process = Process(self.name, [
            f"{bindir()}/lasthop-server", *self.cluster.options, "--name",
            self.name, "--rundir", self.dir, "--archive", self.archive,
            "--listen", f"geneve:127.0.0.1:{self.port}", "--accept",
            "127.0.0.1", *self.options], f"{self.dir}/log", netns=self.netns,
            env=self.env, daemon=True)
        return self

    def is_ready(self):
        """Whether it is part of the cluster."""
        said = self.process.output()
        return "is part of it" in said and "serving clients" in said

    def wait_ready(self):
        """Until it is part of the cluster."""
        self.process.wait_for("is part of it", 30)
        self.process.wait_for("serving clients", 30)

    def api(self):
        """A new client of it."""
        return Api(f"{self.dir}/server.sock")

    def ask(self, op, **members):
        """One answer of its API."""
        with self.api() as api:
            return api.call(op, **members)

    def status(self):
        """What it says of the cluster."""
        return self.ask("cluster.status")["cluster"]

    def stats(self):
        """Its counters."""
        return self.ask("stats")["stats"]

    def send(self, datagram):
        """A postcard to it."""
        self._socket.sendto(datagram, ("127.0.0.1", self.port))


class Cluster:
    """See the top of this file."""

    def __init__(self, directory, n, topology, rules, options=()):
        self.dir = str(directory)
        self.nats = self._new_nats()
        self.options = ["--cluster", self.nats.url, "--topology",
                        str(topology), "--rules", str(rules), "--recorder",
                        "none", *options]
        self.servers = {name: self._new_server(name)
                        for name in "abcdefgh"[:n]}

    def _new_nats(self):
        return Nats(f"{self.dir}/nats")

    def _new_server(self, name):
        return Server(self, name)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        for server in self.servers.values():
            if server.process:
                server.process.signal(18)       # SIGCONT
                server.process.kill()
        self.nats.kill()

    def __getitem__(self, name):
        return self.servers[name]

    def start(self):
        """NATS and all servers, until each shard has an owner."""
        self.nats.start()
        for server in self.servers.values():
            server.start()
        for server in self.servers.values():
            server.wait_ready()
        self.wait_owned()

    def live(self):
        """Servers that run."""
        return [s for s in self.servers.values()
                if s.process and s.process.is_running()]

    def wait_owned(self):
        """Until the servers that run have all shards among them, as each of
        them knows itself."""
        def are_owned():
            shards, stores = [], []
            for server in self.live():
                status = server.status()
                shards += [s["shard"] for s in status["shards"]]
                stores += [(s["copy"], s["shard"]) for s in status["stores"]]
            copies = min(status["n_copies"], len(self.live()))
            return (sorted(shards) == list(range(status["n_shards"]))
                    and sorted(stores) == [
                        (copy, n) for copy in range(copies)
                        for n in range(status["n_stores"])])
        wait_until(are_owned, QUIET_S, "an owner of every shard")

    def read(self, *paths, options=()):
        """Reads capture files into the cluster by a server for that."""
        argv = [f"{bindir()}/lasthop-server", *self.options, "--name",
                "reader", *options]
        for path in paths:
            argv += ["--read", str(path)]
        return run(argv, deadline=120)

    def wait_quiet(self):
        """Until nothing waits anywhere: all that was acknowledged is archived
        and committed.  Doors tell all shards for 3 s after the last postcard
        that it was the last, so what holds for longer stays."""
        since = None, time.monotonic()

        def is_quiet():
            nonlocal since
            waiting, state = self.waiting()
            if waiting or state != since[0]:
                since = None if waiting else state, time.monotonic()
            return time.monotonic() - since[1] > 2
        try:
            wait_until(is_quiet, QUIET_S)
        except Failed as error:
            raise Failed(f"{error}: {self.waiting()}") from error

    def waiting(self):
        """What waits, by kind, and a figure that changes when something is
        done."""
        waiting, state = {}, []
        n_owned, n_all = 0, 0

        def count(kind, n):
            if n:
                waiting[kind] = waiting.get(kind, 0) + n
        for server in self.live():
            status, stats = server.status(), server.stats()
            n_owned += len(status["shards"]) + len(status["stores"])
            n_all = status["n_shards"] + status["n_stores"]
            count("at doors", status["waiting"])
            count("not confirmed", status["kept"])
            for shard in status["shards"]:
                count("in LH1", shard["waiting"])
                count("open", shard["open"])
                count("not committed", shard["uncommitted"])
                count("troubles", 1 if shard["trouble"] else 0)
            for store in status["stores"]:
                count("in LH2", store["waiting"])
                count("not stored", store["uncommitted"])
                count("troubles", 1 if store["trouble"] else 0)
            state.append((stats["histories"], stats["archived"],
                          stats["assembled"]))
        count("without an owner", max(0, n_all - n_owned))
        return waiting, state

    def stop(self):
        """Ends all servers, in order, and none may be at fault."""
        live = self.live()
        for server in live:
            server.process.signal(15)
        for server in live:
            assert server.process.wait(40) == 0, server.process.output()
            assert not server.process.fault()

    def histories(self):
        """Of all archives, as lines of JSON, sorted."""
        lines = []
        for server in self.servers.values():
            if os.path.exists(f"{server.archive}/meta.json"):
                lines += histories(server.archive)
        return sorted(lines)


def histories(archive):
    """Those of an archive, as lines of JSON, sorted."""
    done = subprocess.run(
        [f"{bindir()}/netshark", "-r", archive, "--json", "--all"],
        capture_output=True, text=True, check=False, timeout=120)
    if done.returncode not in (0, 1):
        raise Failed(done.stderr)
    return sorted(done.stdout.splitlines())


class Traffic(threading.Thread):
    """Numbered postcards to servers in turn, at a steady rate."""

    def __init__(self, make, servers, rate):
        super().__init__(daemon=True)
        self.make = make
        self.servers = servers
        self.pause = 1.0 / rate
        self.numbers = []
        self.is_ending = threading.Event()

    def run(self):
        number = 0
        while not self.is_ending.wait(self.pause):
            for _ in range(10):
                self.servers[number % len(self.servers)].send(
                    self.make(number))
                self.numbers.append(number)
                number += 1

    def end(self):
        """Stops sending; the numbers that were sent."""
        self.is_ending.set()
        self.join()
        return self.numbers


def wait_sent(traffic, n):
    """Until so many more were sent."""
    until = len(traffic.numbers) + n
    wait_until(lambda: len(traffic.numbers) >= until, 60, "traffic")


def now_ns():
    """The time."""
    return time.time_ns()
