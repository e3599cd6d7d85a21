# SPDX-License-Identifier: Apache-2.0
# What is told about the past of a real network: by the recorder, through the
# server, and by ndb.

import json
import time

import pytest

from api import ApiError
from lab import Lab, bindir
from process import run, wait_until
from stack import Stack

UDP9 = {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": 9}


def output(port):
    return {"type": "OUTPUT", "port": port}


class Net:
    """   h1 -- s1 -- s2 -- h2   """

    def __init__(self, lab):
        self.lab = lab
        for name in ("s1", "s2"):
            lab.add_bridge(name)
        lab.add_link("s1", "s2")
        self.h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
        self.h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
        lab.add_collector()
        lab.start()
        self.stack = Stack(lab)
        self.began_ns = time.time_ns()
        self.stack.start()
        self.api = self.stack.server
        link, host = (lab.bridges["s1"].port_to("s2"),
                      lab.bridges["s1"].port_to("h1"))
        flow = self.stack.flow
        # s1: two tables and a register on the way out, ARP by itself.
        flow(1, cookie=0x11, priority=10, match={"in_port": host},
             actions=[{"type": "GOTO_TABLE", "table_id": 1}])
        flow(1, cookie=0x12, table_id=1, priority=10,
             match={"eth_type": 0x0800},
             actions=[{"type": "DEC_NW_TTL"}, output(link)])
        flow(1, cookie=0x13, table_id=1, priority=5, match={},
             actions=[output(link)])
        flow(1, cookie=0x14, priority=9, match={"in_port": link},
             actions=[output(host)])
        flow(2, cookie=0x21, priority=10, match={"in_port": 1},
             actions=[output(2)])
        flow(2, cookie=0x22, priority=10, match={"in_port": 2},
             actions=[output(1)])
        assert self.h1.ping("10.0.0.2")
        self.link, self.host = link, host
        self.open_ns = time.time_ns()
        # From here on s1 drops UDP port 9 for table 1, s2 changes a rule.
        flow(1, cookie=0x15, table_id=1, priority=50, match=UDP9, actions=[])
        flow(2, "modify", cookie=0x21, priority=10, match={"in_port": 1},
             actions=[{"type": "SET_FIELD", "field": "eth_src",
                       "value": "02:00:00:00:00:77"}, output(2)])
        flow(1, "delete_strict", table_id=1, priority=5, match={})
        self.shut_ns = time.time_ns()

    def versions(self, dpid, **at):
        """Cookie -> version of the controller's rules."""
        rules = self.api.call("table", dpid=dpid, **at)["rules"]
        return {int(r["cookie"], 16): r["version"] for r in rules
                if r["kind"] == "flow"}

    def ndb(self, *commands, check=True, options=()):
        argv = [f"{bindir()}/ndb", "-s", f"{self.lab.dir}/server.sock",
                "--color", "never", *options]
        for command in commands:
            argv += ["-e", command]
        return run(argv, check=check)


@pytest.fixture(scope="module")
def net():
    with Lab() as lab:
        yield Net(lab)


def refused(net, op, **members):
    with pytest.raises(ApiError) as error:
        net.api.call(op, **members)
    return error.value.error["code"], error.value.error["message"]


UDP = "in_port=2,udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_dst=9"


def test_why_tells_the_rules_of_then_and_of_now(net):
    then = net.versions(1, at=net.open_ns)
    now = net.versions(1)
    flow = UDP.replace("in_port=2", f"in_port={net.host}")
    answer = net.api.call("why", dpid=1, at=net.open_ns, flow=flow)
    assert ([(s["table"], s["version"]) for s in answer["steps"]]
            == [(0, then[0x11]), (1, then[0x12])])
    assert [o["port"] for o in answer["outputs"]] == [net.link]
    assert answer["verdict"] == {"name": "forwarded"}
    assert answer["alternatives"] == [] and answer["uncertain"] == []
    assert {"field": "nw_ttl", "before": "64", "after": "63"} in (
        answer["steps"][1]["edits"])
    answer = net.api.call("why", dpid=1, flow=flow)
    assert ([(s["table"], s["version"]) for s in answer["steps"]]
            == [(0, now[0x11]), (1, now[0x15])])
    assert answer["verdict"]["name"] == "dropped"
    assert f"v{now[0x15]}" in answer["verdict"]["reason"]


def test_why_tells_why_not(net):
    now = net.versions(1)
    flow = UDP.replace("in_port=2", f"in_port={net.host}")
    told = net.api.call("why", dpid=1, flow=flow,
                        version_not=now[0x12])["not"]
    assert told["shadowed_by"] == now[0x15] and told["reached"]
    told = net.api.call("why", dpid=1, flow=flow,
                        version_not=now[0x14])["not"]
    assert told["fields"] == [{"field": "in_port", "rule": str(net.link),
                               "packet": str(net.host)}]


def test_why_takes_the_bytes_of_a_history(net):
    [history] = [h for h in net.api.query(
        "{{--bpf icmp[icmptype] = icmp-echo}}") if h["hops"]][:1]
    for hop in history["hops"]:
        answer = net.api.call("why", dpid=hop["dpid"], packet=hop["header"],
                              in_port=hop["in_port"], at=hop["time_ns"],
                              seen=hop["versions"])
        assert [o["port"] for o in answer["outputs"]] == hop["out_ports"]
        assert set(hop["versions"]) <= {s["version"]
                                        for s in answer["steps"]}


def test_diff_tells_what_came_went_and_changed(net):
    diff = net.api.call("diff", dpid=1, **{"from": net.open_ns,
                                           "to": net.shut_ns})
    assert [int(r["cookie"], 16) for r in diff["added"]] == [0x15]
    [gone] = diff["removed"]
    assert int(gone["cookie"], 16) == 0x13
    assert gone["removed_reason"] == "delete"
    assert gone["who"].startswith("tcp:")
    assert diff["modified"] == []
    diff = net.api.call("diff", dpid=2, **{"from": net.open_ns})
    assert diff["added"] == diff["removed"] == []
    [changed] = diff["modified"]
    assert changed["differs"] == ["actions"]
    assert (changed["before"]["actions"], changed["after"]["actions"]) == (
        "output:2", "set_field:02:00:00:00:00:77->eth_src,output:2")
    again = net.api.call("diff", dpid=2, **{
        "from": changed["before"]["version"],
        "to": changed["after"]["version"]})
    assert [m["after"]["version"] for m in again["modified"]] == [
        changed["after"]["version"]]


def test_changes_are_one_timeline(net):
    told = net.api.call("changes", dpid=1, limit=10000)
    changes = told["changes"]
    assert not told["truncated"]
    whats = [c["what"] for c in changes]
    for what in ("connect", "ready", "rule-made", "rule-removed", "port"):
        assert what in whats, whats
    numbers = [c["change"] for c in changes]
    assert numbers == sorted(numbers)
    made = [c for c in changes if c["what"] == "rule-made"
            and "cookie=0x15" in c["text"]]
    assert len(made) == 1 and made[0]["who"].startswith("tcp:")
    # The same in parts.
    parts, after = [], "0"
    while True:
        part = net.api.call("changes", dpid=1, after=after, limit=3)
        parts += part["changes"]
        after = part["cursor"]
        if not part["truncated"]:
            break
    assert parts == changes
    newest = net.api.call("changes", dpid=1, order="desc", limit=1)
    assert newest["changes"][0]["change"] == numbers[-1]


def test_tables_have_text_that_ofctl_takes(net):
    rules = net.api.call("table", dpid=1)["rules"]
    texts = [r["text"] for r in rules if r["kind"] == "flow"]
    assert len(texts) == 4
    for text in texts:
        run(["ovs-ofctl", "-O", "OpenFlow13", "parse-flow", text])
    answer = net.api.call("flow", dpid=1, version=rules[0]["version"])
    assert answer["rule"]["text"] == rules[0]["text"]


def test_errors_say_what_to_do(net):
    code, text = refused(net, "table", dpid=77)
    assert code == "not-found" and "s1" in text and "s2" in text
    code, text = refused(net, "table", dpid=1, at="-10d")
    assert code == "not-found" and "begins at" in text
    code, text = refused(net, "why", dpid=1, flow="in_port=1,nonsense=2")
    assert code == "bad-request" and "nonsense" in text
    code, text = refused(net, "why", dpid=1)
    assert code == "bad-request" and "packet" in text
    code, text = refused(net, "why", dpid=1, packet="0102", in_port=1)
    assert code == "bad-request" and "Ethernet" in text
    code, text = refused(net, "diff", dpid=1)
    assert code == "bad-request" and "from" in text
    code, text = refused(net, "diff", dpid=1, **{"from": 4000000000})
    assert code == "not-found"
    code, text = refused(net, "changes", order="up")
    assert code == "bad-request"


def test_a_time_without_the_switch_is_blind(net):
    # From the recorder's start until the switch was ready nothing was seen.
    changes = net.api.call("changes", limit=10000)["changes"]
    start = next(c["time_ns"] for c in changes if c["what"] == "start")
    ready = next(c["time_ns"] for c in changes if c["what"] == "ready"
                 and c["dpid"] == "0000000000000001")
    answer = net.api.call("table", dpid=1, at=(start + ready) // 2)
    assert answer["rules"] == []
    assert answer["blind"]["until_ns"] == ready
    assert "blind" not in net.api.call("table", dpid=1)


def test_ndb_tells_it_too(net):
    now = net.versions(1)
    out = net.ndb("find {{--bpf icmp[icmptype] = icmp-echo}} --limit 1",
                  "why")
    assert "   table 0" in out and "=> table 1" in out, out
    assert f"so it is forwarded to port {net.link}" in out, out
    flow = UDP.replace("in_port=2", f"in_port={net.host}")
    out = net.ndb(f"why s1 {flow} not v{now[0x12]}")
    assert f"so it is dropped: v{now[0x15]} in table 1" in out, out
    assert f"v{now[0x12]} would match, but v{now[0x15]}" in out, out
    out = net.ndb(f"diff s2 {net.open_ns} now")
    assert out.count("\n- v") == 1 and out.count("\n+ v") == 1, out
    out = net.ndb("info changes s1")
    assert "rule-made" in out and "ready" in out
    assert json.loads(net.ndb("info table s1 --groups", options=["--json"]))[
        "groups"] == []
    out = net.ndb("info table s1")
    assert f"v{now[0x15]}" in out


def test_follow_shows_what_comes(net):
    process = net.lab.spawn("follow", [
        f"{bindir()}/ndb", "-s", f"{net.lab.dir}/server.sock", "--color",
        "never", "-e", "info changes s1 -1h --follow"])
    wait_until(lambda: "rule-made" in process.output(), 10,
               "what was before")
    net.stack.flow(1, cookie=0x77, table_id=9, priority=3, match={},
                   actions=[])
    wait_until(lambda: "cookie=0x77" in process.output(), 10, "what came")
    process.stop()
    assert process.output().count("cookie=0x77") == 1


def table(net, **at):
    """Number -> text of groups and of meters of s1."""
    answer = net.api.call("table", dpid=1, groups=True, **at)
    return ({g["group"]: g["text"] for g in answer["groups"]},
            {m["meter"]: m["text"] for m in answer["meters"]})


def test_groups_and_meters_are_as_they_were(net):
    call = net.stack.controller.call

    def group(command, *ports):
        return call("group", dpid=1, command=command, group={
            "type": "ALL", "group_id": 7, "buckets": [
                {"actions": [output(port)]} for port in ports]})["errors"]

    def meter(command, rate=100):
        return call("meter", dpid=1, command=command, meter={
            "flags": "KBPS", "meter_id": 3, "bands": [
                {"type": "DROP", "rate": rate}]})["errors"]
    assert group("add", net.link) == [] and meter("add") == []
    net.stack.flow(1, cookie=0x31, table_id=1, priority=60, match=UDP9,
                   actions=[{"type": "METER", "meter_id": 3},
                            {"type": "GROUP", "group_id": 7}])
    first_ns = time.time_ns()
    one = {7: f"group_id=7,type=all,bucket=actions=output:{net.link}"}
    slow = {3: "meter=3,kbps,bands=type=drop,rate=100"}
    assert table(net) == (one, slow)
    assert len(meter("add", 300)) == 1  # There is one.
    assert group("modify", net.link, net.host) == []
    assert meter("modify", 200) == []
    second_ns = time.time_ns()
    two = {7: one[7] + f",bucket=actions=output:{net.host}"}
    fast = {3: "meter=3,kbps,bands=type=drop,rate=200"}
    assert group("delete") == [] and meter("delete") == []
    assert table(net) == ({}, {})
    assert table(net, at=second_ns) == (two, fast)
    assert table(net, at=first_ns) == (one, slow)
    assert table(net, at=net.open_ns) == ({}, {})
    # The texts are what ovs-ofctl takes.
    net.lab.ofctl("add-group", "s2", two[7])
    net.lab.ofctl("add-meter", "s2", fast[3])
    net.lab.ofctl("del-groups", "s2")
    net.lab.ofctl("del-meters", "s2")

    diff = net.api.call("diff", dpid=1, **{"from": first_ns, "to": second_ns})
    [changed] = diff["groups"]["modified"]
    assert (changed["before"]["text"], changed["after"]["text"]) == (
        one[7], two[7])
    [changed] = diff["meters"]["modified"]
    assert (changed["before"]["text"], changed["after"]["text"]) == (
        slow[3], fast[3])
    diff = net.api.call("diff", dpid=1, **{"from": second_ns})
    assert [g["group"] for g in diff["groups"]["removed"]] == [7]
    assert [m["meter"] for m in diff["meters"]["removed"]] == [3]

    flow = UDP.replace("in_port=2", f"in_port={net.host}")
    answer = net.api.call("why", dpid=1, at=first_ns, flow=flow)
    assert [o["port"] for o in answer["outputs"]] == [net.link]
    [bucket] = [s for s in answer["steps"] if "bucket" in s]
    assert (bucket["group"], bucket["bucket"]) == (7, 0)
    assert bucket["version"]

    out = net.ndb("info changes s1")
    assert f"group-set     {two[7]}  (modify)" in out, out
    assert f"meter-set     {fast[3]}  (modify)" in out, out
    assert "meter-gone    meter_id=3  (delete)" in out, out
    out = net.ndb(f"info table s1 {second_ns} --groups")
    assert two[7] in out and fast[3] in out, out
    out = net.ndb(f"diff s1 {second_ns} now")
    assert f"- group  {two[7]}" in out and f"- meter  {fast[3]}" in out, out


def test_roles_are_on_the_timeline(net):
    net.stack.controller.call("role", dpid=1, role=2)
    wait_until(lambda: [c["text"] for c in net.api.call(
        "changes", dpid=1, limit=10000)["changes"] if c["what"] == "role"]
        == ["tcp:127.0.0.1:6653: master"], 10, "the role")


def test_groups_and_meters_changed_meanwhile_are_found(net):
    call = net.stack.controller.call
    for number in (8, 9):
        call("group", dpid=1, group={
            "type": "SELECT", "group_id": number, "buckets": [
                {"weight": 2, "actions": [output(net.link)]},
                {"weight": 1, "actions": [output(net.host)]}]})
        call("meter", dpid=1, meter={
            "flags": ["PKTPS", "BURST"], "meter_id": number, "bands": [
                {"type": "DROP", "rate": 10, "burst_size": 20}]})
    before = table(net)
    assert len(before[0]) == len(before[1]) == 2
    net.lab.process("recorder").stop()
    net.lab.ofctl("del-groups", "s1", "group_id=9")
    net.lab.ofctl("del-meter", "s1", "meter=9")
    net.lab.ofctl("add-meter", "s1", "meter=10,kbps,band=type=drop,rate=5")
    net.stack.start_recorder()

    def is_back():
        try:
            return net.api.call("changes", dpid=1, limit=1, order="desc")
        except ApiError:
            return False
    wait_until(is_back, 10, "the recorder")
    wait_until(lambda: table(net)[1].get(10), 20, "the switch")
    groups, meters = table(net)
    assert groups == {8: before[0][8]}
    assert meters == {8: before[1][8],
                      10: "meter=10,kbps,bands=type=drop,rate=5"}
    # Only what differs is new.
    told = net.api.call("changes", dpid=1, limit=10000)["changes"]
    again = [c for c in told if c.get("command") == "found"
             and c["what"] in ("group-set", "meter-set")]
    assert [(c["what"], c["meter"]) for c in again] == [("meter-set", 10)]
    gone = [(c["what"], c.get("group", c.get("meter"))) for c in told
            if c.get("reason") == "gone" and c["what"].endswith("-gone")]
    assert sorted(gone) == [("group-gone", 9), ("meter-gone", 9)]
