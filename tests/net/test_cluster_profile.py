# SPDX-License-Identifier: Apache-2.0
# A profile of a cluster is that of one process on the same input, also where
# there are two copies, or a server is dead: real nats-server, real
# lasthop-servers.

import collections
import json
import random
import threading
import time

import pytest

from cluster import QUIET_S, Cluster
from lab import bindir
from numbered import datagram
from process import run, wait_until
from test_cluster import generated_fixture, network_fixture
from test_cluster_copies import wait_whole
from test_cluster_whole import feed, missing_of, wait_dead

assert network_fixture and generated_fixture    # Fixtures.

REQUESTS = [
    {},
    {"top": 1000, "by": ["link", "ingress", "path", "hosts"]},
    {"links": ["entry"], "by": ["hosts", "flow"], "top": 100},
    {"phf": "{{--bpf tcp}} .*", "by": ["src", "dst"]},
    {"by": ["link"], "interval_ns": 100000000, "top": 7},
]


def one_process(archive, request):
    """What nprof says of an archive, as the API would."""
    argv = [f"{bindir()}/nprof", "-r", archive, "--json"]
    if "by" in request:
        argv += ["--by", ",".join(request["by"])]
    if "top" in request:
        argv += ["--top", str(request["top"])]
    if "interval_ns" in request:
        argv += ["--interval", f"{request['interval_ns'] // 1000000}ms"]
    argv += request.get("links", [] if "phf" in request else ["all"])
    argv += [request["phf"]] if "phf" in request else []
    return json.loads(run(argv))


def rounded(answer):
    """The answer with shares as nprof writes them."""
    return json.loads(json.dumps(answer),
                      parse_float=lambda text: float(f"{float(text):.6g}"))


def check(server, alone, missing):
    """All requests have the answers that one process gave, and lack what is
    missing."""
    for request, wanted in zip(REQUESTS, alone):
        answer = server.ask("profile", **request)
        assert missing_of(answer) == missing
        assert not answer["truncated"]
        for key in ("id", "ok", "missing", "truncated"):
            del answer[key]
        assert wanted["packets"] > 1000
        assert rounded(answer) == wanted


@pytest.mark.parametrize("options", [[], ["--replicas", "2"]])
def test_same_profile_as_one_process(tmp_path, generated, options):
    directory, lines = generated
    alone = [one_process(f"{directory}/archive", r) for r in REQUESTS]
    with Cluster(tmp_path, 3, directory / "topology.json",
                 directory / "rules.jsonl", options) as c:
        c.start()
        c.read(directory / "postcards.pcap")
        c.wait_quiet()
        if options:
            wait_whole(c, "a")
        assert lines
        for name in "abc":
            check(c[name], alone, [])
        c["c"].process.kill()
        if options:
            wait_dead(c["a"], "c")
            wait_until(lambda: not c["a"].ask("profile", by=[])["missing"],
                       QUIET_S, "an answer of which nothing is missing")
            check(c["a"], alone, [])
        else:
            wait_dead(c["a"], "c")
            answer = c["a"].ask("profile", links=["entry"], by=[])
            assert missing_of(answer) == ["c"]
            assert answer["missing"][0]["since_ns"]
            assert 0 < answer["packets"] < 4000


def hosts_of(numbers):
    """How many of these packets each pair of hosts sent."""
    return collections.Counter(
        f"10.0.{n >> 4 & 15}.{n & 15 or 16} > 10.0.0.2" for n in numbers)


def counted(server, n):
    """Checks that packets 0 to n - 1 are counted once, by hosts."""
    answer = server.ask("profile", links=["entry"], by=["hosts"], top=1000)
    found = {node["name"]: node["packets"] for node in answer["tree"]}
    assert missing_of(answer) == []
    assert found == hosts_of(range(n))
    assert answer["packets"] == n


def test_old_histories_are_where_shards_were(tmp_path, network):
    """Two of four servers give their shards away and keep what is in their
    archives: no owner of these shards has it, so it is counted history by
    history, once though both have it."""
    with Cluster(tmp_path, 4, *network, ["--replicas", "2"]) as c:
        c.start()
        n = feed(c)
        counted(c["a"], n)
        shards = {name: {s["shard"] for s in c[name].status()["stores"]}
                  for name in "bcd"}
        pair = next(x + y for x, y in ("bc", "bd", "cd")
                    if shards[x] & shards[y])
        for name in pair:
            c["a"].ask("cluster.drain", name=name)
        wait_until(lambda: not any(
            c[name].status()["stores"] or c[name].status()["shards"]
            for name in pair), 60, f"{pair} to give all away")
        counted(c["a"], n)
        counted(c[pair[0]], n)
        for number in range(n, n + 400):
            c["a"].send(datagram(number))
        c.wait_quiet()
        counted(c[pair[1]], n + 400)


# Of a request that is counted history by history.
SLOW = {"phf": "{{--bpf udp}} .*", "by": ["hosts"]}
N_GONE = 80         # More than parts of profiles that a server works on.


def test_clients_that_go_away_leave_nothing_behind(tmp_path, network):
    with Cluster(tmp_path, 3, *network) as c:
        c.start()
        n = feed(c)
        rng = random.Random(5)
        for _ in range(N_GONE):
            with c["a"].api() as api:
                api.socket.sendall(json.dumps(
                    {"id": 1, "op": "profile", **SLOW}).encode() + b"\n")
                time.sleep(rng.random() * 0.03)
        assert c["a"].ask("profile", **SLOW)["packets"] == n
        counted(c["a"], n)
        counted(c["b"], n)
        wait_until(lambda: sum(s.stats()["cluster_cancelled"]
                               for s in c.live()) > 0, 10,
                   "parts that were told to end")


class Asker(threading.Thread):
    """Asks a server for a profile."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.answer = None

    def run(self):
        with self.server.api() as api:
            self.answer = api.call("profile", deadline=60, **SLOW)

    def wait(self):
        """Its answer."""
        self.join(60)
        assert self.answer, "no answer"
        return self.answer


@pytest.mark.parametrize("options", [[], ["--replicas", "2"]])
def test_a_server_dies_during_a_profile(tmp_path, network, options):
    """What is missing is said, and what is there is counted once."""
    with Cluster(tmp_path, 3, *network, options) as c:
        c.start()
        n = feed(c)
        rng = random.Random(7)
        without, n_missing = None, 0
        for how in ["stopped", *range(6)]:
            if how == "stopped":    # It says nothing, then it is dead.
                c["c"].process.signal(19)
            asker = Asker(c["a"])
            asker.start()
            time.sleep(0.3 if how == "stopped" else rng.random() * 0.06)
            c["c"].process.kill()
            answer = asker.wait()
            assert missing_of(answer) in ([], ["c"])
            if missing_of(answer):
                n_missing += 1
                assert answer["missing"][0]["why"]
            if options or not missing_of(answer):
                assert answer["packets"] == n
            else:
                without = without or answer["packets"]
                assert answer["packets"] == without < n
            c["c"].start()
            c["c"].wait_ready()
            c.wait_owned()
            c.wait_quiet()
            wait_until(lambda: missing_of(c["a"].ask("profile", **SLOW)) == [],
                       QUIET_S, "c in answers again")
        assert n_missing > 0 or options
        counted(c["b"], n)


def test_what_is_wrong_with_a_request_is_said(tmp_path, network):
    with Cluster(tmp_path, 1, *network) as c:
        c.start()
        feed(c)
        with c["a"].api() as api:
            for request, why in [
                    ({"links": ["nowhere:2"]}, "bad-request"),
                    ({"phf": "{{--doid 1}}"}, "bad-filter"),
                    ({"interval_ns": 1, "since": 0}, "bad-request")]:
                api.socket.sendall(json.dumps(
                    {"id": 9, "op": "profile", **request}).encode() + b"\n")
                answer = api.read()
                assert answer["error"]["code"] == why, answer
