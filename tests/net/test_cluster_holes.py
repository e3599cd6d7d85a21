# SPDX-License-Identifier: Apache-2.0
# What a cluster has lost is told: live filters hear of it, and answers about
# these times say so, whichever server is asked, also when it was started
# again: real nats-server, real lasthop-servers.

import json
import socket

from cluster import QUIET_S, Cluster, now_ns
from lab import bindir
from numbered import datagram
from process import Process, wait_until
from test_bad_input import told
from test_cluster import network_fixture
from test_cluster_whole import ask

assert network_fixture      # A fixture.

S = 10 ** 9


def note_hole(nats, name, since_ns, until_ns):
    """What server `name` notes when it has given messages up."""
    text = json.dumps({"holes": [
        {"what": "postcards", "n": 7, "since_ns": since_ns,
         "until_ns": until_ns, "found_ns": now_ns()}]}).encode()
    with socket.create_connection(("127.0.0.1", nats.port), 10) as conn:
        conn.sendall(b'CONNECT {"verbose":false}\r\n'
                     b"PUB $KV.lh-meta.hole.%s %d\r\n%s\r\nPING\r\n" % (
                         name.encode(), len(text), text))
        said = b""
        while b"PONG" not in said:
            said += conn.recv(4096)
            assert b"-ERR" not in said


def test_a_dead_server_had_more_than_it_told(tmp_path, network):
    """What was archived in the last second of a server is missing, too."""
    with Cluster(tmp_path, 1, *network) as c:
        c.start()
        until = now_ns()
        c.nats.put("lh-meta", {"server.z": json.dumps({
            "version": "1", "wire_min": 1, "wire_max": 3, "started_ns": 1,
            "since_ns": until - 60 * S, "until_ns": until})})

        def names(since):
            return [m["server"] for m in ask(c["a"], since=since)[1]["missing"]]
        wait_until(lambda: names(until - S) == ["z"], QUIET_S, "z to be known")
        assert names(until + 2 * S) == ["z"]
        assert names(until + 9 * S) == []


def test_who_does_not_listen_does_not_answer(tmp_path, network):
    with Cluster(tmp_path, 2, *network, ["--cluster-lease", "30s"]) as c:
        c.start()
        c["b"].process.kill()
        missing = ask(c["a"])[1]["missing"]
        assert [m["why"] for m in missing] == ["it does not answer"]
        with c["a"].api() as api:
            assert [m["why"] for m in api.call("profile", by=[])["missing"]] \
                == ["it does not answer"]


def follow(cluster):
    """ndb and netwatch, as they follow what server a tells."""
    server = ["-s", f"{cluster['a'].dir}/server.sock"]
    with open(f"{cluster.dir}/net.watch", "w", encoding="ascii") as file:
        file.write("holes: no black-holes\n")
    argvs = {"ndb": [*server, "-e", "break .", "-e", "continue"],
             "netwatch": [*server, "--json", f"{cluster.dir}/net.watch"]}
    programs = [Process(name, [f"{bindir()}/{name}", *argv],
                        f"{cluster.dir}/{name}.log")
                for name, argv in argvs.items()]
    wait_until(lambda: len(cluster["a"].ask("trigger.list")["triggers"]) ==
               len(programs), QUIET_S, "live filters")
    return programs


def test_what_is_lost_is_told(tmp_path, network):
    with Cluster(tmp_path, 2, *network) as c:
        c.start()
        c["a"].send(datagram(0))
        c.wait_quiet()
        programs = follow(c)
        until = now_ns()
        hole = {"server": "z", "since_ns": until - 20 * S,
                "until_ns": until - 10 * S, "what": "postcards",
                "messages": 7,
                "why": "NATS lost 7 messages of postcards that it had "
                       "acknowledged"}
        with c["a"].api() as api:
            api.call("trigger.add", phf=". *")
            note_hole(c.nats, "z", hole["since_ns"], hole["until_ns"])
            missed = api.event(QUIET_S)
        for program in programs:
            program.wait_for(hole["why"], QUIET_S)
            program.kill()
        assert missed["event"] == "missed" and missed["n"] == 0
        assert {key: missed[key] for key in ("since_ns", "until_ns", "why")} \
            == {key: hole[key] for key in ("since_ns", "until_ns", "why")}

        def all_know():
            return all(ask(s)[1]["missing"] == [hole] for s in c.live())
        wait_until(all_know, QUIET_S, "both servers to know")
        for times in ({"until": hole["since_ns"]},
                      {"since": hole["until_ns"] + 1}):
            assert ask(c["b"], **times)[1]["missing"] == []
        with c["b"].api() as api:
            assert api.call("profile", by=[])["missing"] == [hole]
        assert "NATS lost what it had acknowledged" in told(
            f"{bindir()}/ndb", "-s", f"{c['a'].dir}/server.sock", "-e",
            "find .")[1]

        c["b"].process.kill()
        c["b"].start().wait_ready()
        wait_until(lambda: hole in ask(c["b"])[1]["missing"], QUIET_S,
                   "the server that was away to know")
