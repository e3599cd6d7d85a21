# SPDX-License-Identifier: Apache-2.0
# Every operation and every event of docs/api.schema.json, asked of a recorder
# and a server on a real network, with every line held against the schema.

import time

import pytest

import frames
from cluster import Cluster, free_port
from lab import Lab, bindir
from process import run, wait_until
from stack import Stack

jsonschema = pytest.importorskip("jsonschema")

# pylint: disable=wrong-import-position
from schema import DEFS, Checked, seen_events, seen_ops     # noqa: E402

UDP9 = {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": 9}
N_PACKETS = 200
N_TRIGGERS = 60


def output(port):
    return {"type": "OUTPUT", "port": port}


class Net:
    """   h1 -- s1 -- s2 -- h2   and a bridge "lone" without a controller."""

    def __init__(self, lab):
        self.lab = lab
        self.n_sent = 0
        for name in ("s1", "s2", "lone"):
            lab.add_bridge(name)
        lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.add_collector()
        lab.start()
        self.lone = lab.bridges.pop("lone")
        stack = self.stack = Stack(lab, threads=2)
        stack.start()
        self.began_ns = time.time_ns()
        self.link, self.host = (lab.bridges["s1"].port_to("s2"),
                                lab.bridges["s1"].port_to("h1"))
        # Rules of every form: tables, edits, groups and meters.
        stack.controller.call("meter", dpid=1, meter={
            "meter_id": 3, "flags": "KBPS",
            "bands": [{"type": "DROP", "rate": 100000}]})
        stack.controller.call("group", dpid=1, group={
            "type": "SELECT", "group_id": 5,
            "buckets": [{"weight": 1, "actions": [output(self.link)]},
                        {"weight": 1, "actions": [
                            {"type": "SET_FIELD", "field": "eth_src",
                             "value": "02:00:00:00:00:55"},
                            output(self.link)]}]})
        flow = stack.flow
        flow(1, cookie=0x11, priority=10, match={"in_port": self.host},
             actions=[{"type": "GOTO_TABLE", "table_id": 1}])
        flow(1, cookie=0x12, table_id=1, priority=10,
             match={"eth_type": 0x0800},
             actions=[{"type": "DEC_NW_TTL"}, output(self.link)])
        flow(1, cookie=0x13, table_id=1, priority=5, match={},
             actions=[output(self.link)])
        flow(1, cookie=0x14, priority=9, match={"in_port": self.link},
             actions=[output(self.host)])
        flow(1, cookie=0x16, table_id=1, priority=60,
             match={"eth_type": 0x0800, "ip_proto": 17, "udp_dst": 10},
             actions=[{"type": "GROUP", "group_id": 5}])
        flow(2, cookie=0x21, priority=10, match={"in_port": 1},
             actions=[output(2)])
        flow(2, cookie=0x22, priority=10, match={"in_port": 2},
             actions=[output(1)])
        assert self.h1.ping("10.0.0.2")

    def send(self, n):
        """So many packets, none like another."""
        self.h1.send(*[frames.ethernet(
            self.h1.mac, self.h2.mac, 0x0800,
            frames.ipv4(self.h1.ip, self.h2.ip, 17, frames.udp_datagram(
                self.h1.ip, self.h2.ip, 1000, 7000, b"%020d" % i), ident=i))
            for i in range(self.n_sent, self.n_sent + n)])
        self.n_sent += n


@pytest.fixture(scope="module")
def net():
    with Lab() as lab:
        yield Net(lab)


@pytest.fixture(scope="module")
def server(net):
    with Checked(f"{net.lab.dir}/server.sock") as client:
        yield client


@pytest.fixture(scope="module")
def recorder(net):
    with Checked(f"{net.lab.dir}/recorder.sock") as client:
        yield client


def test_who_is_there(server, recorder):
    for client in (server, recorder):
        client.call("hello", protocol=1, client="schema", binary=False)
        for op in ("clients", "log.level", "stats", "status", "topology"):
            client.call(op)
    for op in ("health", "recorder.status", "recorder.stats",
               "trigger.list"):
        server.call(op)
    status = server.call("recorder.status")["status"]
    assert {s["name"]: s["state"] for s in status["switches"]} == {
        "s1": "instrumented", "s2": "instrumented"}


def test_changes_as_they_come(net, recorder):
    with Checked(f"{net.lab.dir}/recorder.sock") as follower:
        follower.call("subscribe", rules=True, rounds=True)
        follower.wait_event("synced")
        follower.wait_event("round")
        net.stack.flow(1, cookie=0x15, table_id=1, priority=50, match=UDP9,
                       actions=[])
        rule = follower.wait_event("rule")["rule"]
        assert (rule["cookie"], rule["match"]) == ("0x15", "udp,tp_dst=9")
        net.stack.flow(1, "delete_strict", table_id=1, priority=50,
                       match=UDP9)
        gone = follower.wait_event("removed")
        assert gone["version"] == rule["version"]
    net.stack.flow(2, "modify", cookie=0x21, priority=10,
                   match={"in_port": 1}, actions=[
                       {"type": "SET_FIELD", "field": "eth_src",
                        "value": "02:00:00:00:00:77"}, output(2)])


def test_the_past(net, server, recorder):
    for client in (server, recorder):
        table = client.call("table", dpid=1, groups=True)
        rules = {r["cookie"]: r for r in table["rules"] if r["kind"] == "flow"}
        assert table["groups"][0]["buckets"] and table["meters"]
        client.call("flow", dpid=1, version=rules["0x12"]["version"])
        diff = client.call("diff", dpid=2, **{"from": net.began_ns})
        assert diff["added"] and not diff["removed"]
        assert client.call("diff", dpid=1, **{"from": net.began_ns})[
            "groups"]["added"]
        changes = client.call("changes", since=net.began_ns, limit=5)
        assert len(changes["changes"]) == 5 and changes["truncated"]
        while changes["truncated"]:
            changes = client.call("changes", after=changes["cursor"])
        # Straight, dropped, by a group (several ways), and why not.
        flow = f"in_port={net.host},udp,nw_dst=10.0.0.2,nw_ttl=64,tp_dst="
        why = client.call("why", dpid=1, flow=flow + "7",
                          version_not=rules["0x14"]["version"])
        assert why["verdict"]["name"] == "forwarded" and why["not"]["fields"]
        assert client.call("why", dpid=1, flow=flow + "10")["alternatives"]
        assert client.call("why", dpid=1, flow="in_port=77")[
            "verdict"]["name"] == "dropped"
        [history] = server.query("{{--bpf icmp[icmptype] = icmp-echo}}")
        hop = history["hops"][0]
        client.call("why", dpid=hop["dpid"], packet=hop["header"],
                    in_port=hop["in_port"], at=hop["time_ns"],
                    seen=hop["versions"])


def test_what_is_instrumented(net, recorder):
    recorder.call("select.add", selection="include web match=tcp,tp_dst=80")
    assert recorder.call("select.list")["selections"][0]["name"] == "web"
    recorder.call("select.load", text="exclude x cookie=0x22\n")
    recorder.call("select.delete", name="x")
    [switch] = [s for s in recorder.call("pause", switches=["s1"])["switches"]
                if s.get("name") == "s1"]
    assert switch["paused"] and switch["carded"] == 0
    recorder.call("resume")
    recorder.call("retain", name="schema", since=net.began_ns)
    recorder.call("retain", name="schema")
    recorder.call("collectors", name="a", servers=[
        {"name": "a", "address": "192.0.2.1:6081", "alive": True}])
    recorder.call("attach", bridge="lone",
                  socket=f"unix:{net.lab.dir}/lone.mgmt")
    wait_until(lambda: any(
        s.get("name") == "lone" and s["state"] == "instrumented"
        for s in recorder.call("status")["status"]["switches"]),
        what="the bridge to be instrumented")
    recorder.call("detach", bridge="lone")
    wait_until(lambda: all(
        s["state"] == "instrumented" and s["switch"] == "done"
        for s in recorder.call("status")["status"]["switches"]),
        what="all to send postcards again")


def test_packets_to_come_and_a_client_that_is_slow(net, server):
    with Checked(f"{net.lab.dir}/server.sock") as slow:
        first = slow.call("trigger.add", phf=".*", name="all")["trigger"]
        for _ in range(1, N_TRIGGERS):
            slow.call("trigger.add", phf="{{--bpf udp port 7000}}")
        limited = server.call("trigger.add", phf="{{--bpf udp port 7000}}",
                              rate=1)["trigger"]
        before = server.call("stats")["stats"]["events_missed"]
        wait_until(lambda: net.send(N_PACKETS) or
                   server.call("stats")["stats"]["events_missed"] > before,
                   60, "a client that does not read to miss something")
        assert server.wait_event("history")["trigger"] == limited
        server.wait_event("limited")
        # It reads again, and hears how much it missed.
        assert slow.wait_event("missed")["n"] > 0
        slow.call("trigger.pause", trigger=first, deadline=60)
        slow.call("trigger.resume", trigger=first, deadline=60)
        slow.call("trigger.delete", trigger=first, deadline=60)
        slow.wait_event("end")
    server.call("trigger.delete", trigger=limited)


def test_packets_of_the_past(net, server):
    wait_until(lambda: server.call("stats")["stats"]["archived"] >= 600
               or net.send(200), 30, "enough packets to be stored")
    # Who reads nothing for a moment hears how far queries are, unless they end
    # as soon as it reads again.
    for _ in range(8):
        with Checked(f"{net.lab.dir}/server.sock") as client:
            for _ in range(16):
                client.call("query", phf=".*", order="asc")
            began_ns = time.monotonic_ns()
            wait_until(lambda began=began_ns:
                       time.monotonic_ns() - began > 600 * 10**6 and
                       any(c["waiting_bytes"] for c in
                           server.call("clients")["clients"]),
                       what="queries to wait for longer than progress is told")
            ended = 0
            while ended < 16 and "progress" not in seen_events:
                ended += client.event(60)["event"] == "end"
        if "progress" in seen_events:
            break
    with Checked(f"{net.lab.dir}/server.sock") as client:
        client.send({"id": "long", "op": "query", "phf": ".*"},
                    {"id": "enough", "op": "cancel", "query": "long"})
        assert client.wait_event("end", "long")["cancelled"]
        client.call("stats")
    found = server.call("query", phf=".*", limit=2, order="desc")["id"]
    end = server.wait_event("end", found)
    assert (end["n"], end["truncated"]) == (2, True)
    profile = server.call("profile", by=["link", "hosts", "flow"],
                          interval_ns=60 * 10**9)
    assert profile["packets"] and profile["series"]


def test_a_cluster(tmp_path):
    topology, rules = tmp_path / "topology.json", tmp_path / "rules.jsonl"
    topology.write_text('{"switches": [], "links": []}')
    rules.write_text("")
    with Cluster(tmp_path, 2, topology, rules) as cluster:
        at = f"127.0.0.1:{free_port()}"
        cluster["b"].options = ["--agents", at]
        cluster.start()
        with Checked(f"{cluster['a'].dir}/server.sock") as client:
            def agents_at():
                servers = client.call("cluster.status")["cluster"]["servers"]
                return {s["name"]: s["agents_at"] for s in servers}

            wait_until(lambda: agents_at() == {"a": "", "b": at}, 30,
                       "a to know where agents reach b")
            assert f"agents to {at}\n" in run(
                [f"{bindir()}/lasthopctl", "-s",
                 f"{cluster['a'].dir}/server.sock", "cluster", "status"])

            def is_dead():
                servers = client.call("cluster.status")["cluster"]["servers"]
                return not next(s for s in servers
                                if s["name"] == "b")["alive"]
            client.call("cluster.drain", name="b")
            cluster["b"].process.kill()
            wait_until(is_dead, 30, "b to be found dead")
            client.call("cluster.forget", name="b")
            assert client.call("status")["status"]["cluster"]["name"] == "a"


def test_nothing_of_the_schema_was_left_out():
    """The last of this file: each operation had a good answer here, and each
    event came."""
    assert sorted(DEFS["answers"].keys() - seen_ops) == []
    assert sorted(DEFS["events"].keys() - seen_events) == []
    assert sorted(DEFS["requests"].keys() ^ DEFS["answers"].keys()) == []
