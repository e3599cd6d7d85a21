# SPDX-License-Identifier: Apache-2.0
# Which rules send postcards: selections, pause and resume, the cap, and
# lasthopctl, on a real switch.

import json
import re
import subprocess

import pytest

from lab import UNDER_COLLECTOR, bindir
from process import environment, wait_until
from recorder import Recorder, capture, start_controller
from test_recorder_postcards import connect, frame_of, network, postcards_of

ALL = 0xfffffffc
GENEVE = f"geneve:{UNDER_COLLECTOR}"
OWN = "cookie=0x6c617374686f70"


def ctl(lab, *argv, status=0):
    """What lasthopctl prints."""
    done = subprocess.run(
        [f"{bindir()}/lasthopctl", "--rundir", lab.dir, *argv], text=True,
        timeout=30, check=False, capture_output=True, env=environment())
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def output(port):
    return [{"type": "OUTPUT", "port": port}]


def dump(lab, bridge="s1"):
    """The rules of the switch itself, without what changes by itself."""
    text = lab.ofctl("dump-flows", bridge)
    return sorted(re.sub(r"(duration|n_packets|n_bytes|idle_age)=[^,]*, ", "",
                         line).strip()
                  for line in text.splitlines() if "actions=" in line)


def rules_of(lab, bridge="s1"):
    """Those that are not the recorder's own."""
    return [line for line in dump(lab, bridge) if OWN not in line]


def wait_packets(lab, text, number, bridge="s1"):
    """Waits until the one rule with 'text' has counted so many packets."""
    def count():
        lines = [line for line in lab.ofctl("dump-flows", bridge).splitlines()
                 if text in line]
        assert len(lines) == 1, lines
        return int(re.search(r"n_packets=(\d+)", lines[0]).group(1))
    wait_until(lambda: count() == number,
               what=f"{number} packets of the rule with {text}")


def words(frames):
    """The payloads of the packets that postcards tell of."""
    return {word.decode() for card in postcards_of(frames)
            for word in re.findall(rb"<([a-z0-9]+)>", card.inner)}


def say(host, word):
    host.send(frame_of(b"<" + word.encode() + b">" + b"." * 20))


def rule_named(recorder, priority):
    return next(r for r in recorder.table(1) if r["kind"] == "flow" and
                r["priority"] == priority)


@pytest.mark.parametrize("of_version", ["1.0", "1.3"])
def test_only_selected_rules_send_postcards(lab, of_version):
    h1, h2, h3 = network(lab)
    selections = f"{lab.dir}/selections"
    with open(selections, "w", encoding="utf-8") as file:
        file.write("include one match=in_port=1\n"
                   "exclude two cookie=2 # never matches first\n")
    controller = start_controller(lab, of_version=of_version)
    recorder = Recorder(lab, GENEVE, [f"--select={selections}"]).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "cookie": 1, "match": {"in_port": 1},
         "actions": output(2)},
        {"priority": 20, "cookie": 2, "match": {"in_port": 2},
         "actions": output(1)}])
    collector = capture(lab, "under0", lab.col)
    at_h1 = h1.capture()
    say(h2, "unselected")
    wait_until(lambda: any(b"<unselected>" in f for f in at_h1.frames()),
               what="the packet of the rule that is not selected")
    say(h1, "selected")
    wait_until(lambda: "selected" in words(collector.frames()),
               what="a postcard of the rule that is")
    assert words(collector.frames()) == {"selected"}
    assert rule_named(recorder, 10)["instrumented"] is True
    assert rule_named(recorder, 20)["instrumented"] is False
    version = rule_named(recorder, 20)["version"]

    # The controller sees what it wrote.
    seen = controller.call("flows", dpid=1)["flows"]
    assert sorted(f["priority"] for f in seen) == [10, 20]
    assert "clone" not in json.dumps(seen)

    # Changed at run time, in place: versions and counters stay.
    wait_packets(lab, "priority=20,in_port=", 1)
    text = ctl(lab, "select", "add", "--before", "one",
               "include b match=in_port=2")
    assert "2 of 2 rules send postcards, 1 rewritten" in text
    wait_until(lambda: "clone" in "".join(
        line for line in dump(lab) if "priority=20," in line),
        what="the rule to be rewritten")
    wait_packets(lab, "priority=20,in_port=", 1)
    say(h2, "now")
    wait_until(lambda: "now" in words(collector.frames()),
               what="a postcard of the rule that is selected now")
    rule = rule_named(recorder, 20)
    assert (rule["instrumented"], rule["version"]) == (True, version)
    assert ctl(lab, "select", "list").splitlines() == [
        "include b match=in_port=2", "include one match=in_port=1",
        "exclude two cookie=2"]

    # Kept when the recorder starts again without the file.
    assert recorder.process.stop() == 0
    recorder.options = [o for o in recorder.options
                        if not o.startswith("--select")]
    ctl(lab, "status", status=1)
    recorder.start().wait_ready()
    assert "include b match" in ctl(lab, "select", "list")
    ctl(lab, "select", "delete", "b", "one", "two")
    assert ctl(lab, "select", "list") == ""
    assert rule_named(recorder, 20)["version"] == version


def test_terms_of_selections_are_seen_in_the_switch(lab):
    network(lab)
    controller = start_controller(lab)
    recorder = Recorder(lab, GENEVE).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "cookie": 0x11, "match": {"in_port": 1},
         "actions": output(2)},
        {"priority": 20, "cookie": 0x12, "match": {"in_port": 2},
         "actions": output(1)},
        {"priority": 30, "cookie": 0x22, "table_id": 2,
         "match": {"in_port": 1}, "actions": output(3)}])

    def cut():
        """Priority -> bytes of a packet in a postcard (0: none is sent)."""
        found = {}
        for line in rules_of(lab):
            lengths = re.findall(r"max_len=(\d+)", line)
            found[int(re.search(r"priority=(\d+)", line).group(1))] = \
                int(lengths[0]) if lengths else 0
        return found
    assert cut() == {10: 96, 20: 96, 30: 96}
    for selection, expected in (
            ("include a table=1-3 snap-len=200", {10: 0, 20: 0, 30: 200}),
            ("include a cookie=0x10/0xf0", {10: 96, 20: 96, 30: 0}),
            ("include a bridge=s1 match=in_port=2 snap-len=128",
             {10: 0, 20: 128, 30: 0}),
            ("exclude a cookie=0x12", {10: 96, 20: 0, 30: 96}),
            ("include a bridge=other", {10: 0, 20: 0, 30: 0})):
        ctl(lab, "select", "add", selection)
        wait_until(lambda: cut() == expected, 5, f"what {selection} selects")
        ctl(lab, "select", "delete", "a")
    wait_until(lambda: cut() == {10: 96, 20: 96, 30: 96}, 5, "all again")
    assert [r["priority"] for r in recorder.table(1) if r["kind"] == "flow"
            and not r["instrumented"]] == []


def test_pause_leaves_the_table_as_the_controller_wrote_it(lab):
    h1, h2, h3 = network(lab)
    plain = [
        "table=0,priority=10,in_port=1,actions=output:2",
        "table=0,priority=20,in_port=2,actions=ALL",
        "table=0,priority=5,ip,actions=write_actions(output:3),goto_table:3",
        "table=3,priority=7,udp,actions=group:5",
    ]
    group = "group_id=5,type=all,bucket=output:1,bucket=output:2"
    lab.ofctl("add-group", "s1", group)
    for rule in plain:
        lab.ofctl("add-flow", "s1", rule)
    wanted = rules_of(lab)
    wanted_group = lab.ofctl("dump-groups", "s1")
    controller, recorder = connect(lab, GENEVE)
    controller.call("group", dpid=1, group={
        "type": "ALL", "group_id": 5,
        "buckets": [{"actions": output(1)}, {"actions": output(2)}]})
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "match": {"in_port": 1}, "actions": output(2)},
        {"priority": 20, "match": {"in_port": 2}, "actions": output(ALL)},
        {"priority": 5, "match": {"eth_type": 0x800}, "actions": [
            {"type": "WRITE_ACTIONS", "actions": output(3)},
            {"type": "GOTO_TABLE", "table_id": 3}]},
        {"priority": 7, "table_id": 3,
         "match": {"eth_type": 0x800, "ip_proto": 17},
         "actions": [{"type": "GROUP", "group_id": 5}]}])
    collector = capture(lab, "under0", lab.col)
    at_h2, at_h3 = h2.capture(), h3.capture()
    assert rules_of(lab) != wanted
    say(h1, "before")
    wait_until(lambda: "before" in words(collector.frames()), what="postcard")
    versions = {r["priority"]: r["version"] for r in recorder.table(1)
                if r["kind"] == "flow"}

    text = ctl(lab, "pause")
    assert "s1: paused, 0 of 4 rules send postcards" in text
    wait_until(lambda: rules_of(lab) == wanted, what="the table as it was")
    assert lab.ofctl("dump-groups", "s1") == wanted_group
    # Of ours only what keeps the postcard port apart and finds links.
    assert [re.search(r"priority=\d+,(\w+)", line).group(1)
            for line in dump(lab) if OWN in line] == ["in_port", "dl_dst"]
    say(h2, "all")
    wait_until(lambda: any(b"<all>" in f for f in at_h3.frames()),
               what="a packet while paused")
    say(h1, "paused")
    wait_until(lambda: any(b"<paused>" in f for f in at_h2.frames()),
               what="a packet while paused")
    wait_packets(lab, "priority=10,in_port=", 2)
    status = json.loads(ctl(lab, "--json", "status"))["status"]
    assert [s["state"] for s in status["switches"]] == ["paused"]
    assert not any(r["instrumented"] for r in recorder.table(1))

    # Also after a restart, until it is resumed.
    assert recorder.process.stop() == 0
    recorder.start()
    wait_until(lambda: 1 in recorder.states(), what="the switch")
    recorder.wait_ready()
    assert rules_of(lab) == wanted

    text = ctl(lab, "resume", "s1")
    assert "s1: instrumented, 4 of 4 rules send postcards" in text
    wait_until(lambda: "clone" in "".join(rules_of(lab)), what="postcards")
    wait_until(lambda: "NO_FWD" not in lab.ofctl(
        "show", "s1", version="OpenFlow10"), what="the port to be open")
    say(h1, "after")
    wait_until(lambda: "after" in words(collector.frames()), what="postcard")
    assert words(collector.frames()) == {"before", "after"}
    # Nothing left the port that is no postcard: ALL met it while it was shut.
    assert all(p.option for p in postcards_of(collector.frames()))
    wait_packets(lab, "priority=10,in_port=", 3)
    assert {r["priority"]: r["version"] for r in recorder.table(1)
            if r["kind"] == "flow"} == versions
    assert controller.call("events")["events"] == [] or not [
        e for e in controller.call("events")["events"]
        if e.get("type") in ("error", "flow_removed")]


def switch(lab):
    return json.loads(ctl(lab, "status", "-j"))["status"]["switches"][0]


def test_above_the_cap_the_lowest_priority_stops(lab):
    h1, h2, h3 = network(lab)
    selections = f"{lab.dir}/selections"
    with open(selections, "w", encoding="utf-8") as file:
        file.write("include bulk match=in_port=1 priority=10\n"
                   "include rest priority=200\n")
    controller = start_controller(lab)
    recorder = Recorder(lab, GENEVE, [f"--select={selections}",
                                      "--max-postcards=100"]).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "match": {"in_port": 1}, "actions": output(2)},
        {"priority": 20, "match": {"in_port": 2}, "actions": output(1)}])
    collector = capture(lab, "under0", lab.col)

    def burst():
        h1.send(*[frame_of(b"<bulk>" + bytes([i]) * 20) for i in range(200)])
        h2.send(*[frame_of(b"<rest>" + bytes([i]) * 20) for i in range(5)])
        return switch(lab)["postcards"]["shed_rules"]

    with recorder.api() as api:
        api.call("subscribe", rounds=True)
        wait_until(lambda: switch(lab)["postcards"], what="the first round")
        assert wait_until(burst, what="a rule to be given up") == 1
        wait_until(lambda: switch(lab)["switch"] == "done", what="the switch")
        rounds = []
        while not rounds or rounds[-1]["tx_packets"] < 200:
            event = api.event()
            rounds += [event] if event["event"] == "round" else []
        assert {e["dpid"] for e in rounds} == {"0000000000000001"}
        assert [e["time_ns"] for e in rounds] == sorted(
            e["time_ns"] for e in rounds)
    assert rule_named(recorder, 10)["instrumented"] is False
    assert rule_named(recorder, 20)["instrumented"] is True
    ctl(lab, "status", "--check", status=3)
    say(h2, "stays")
    wait_until(lambda: "stays" in words(collector.frames()),
               what="a postcard of the selection that stays")


@pytest.mark.parametrize("of_version", ["1.0", "1.3"])
def test_above_the_cap_the_busiest_rule_stops_and_comes_back(lab, of_version):
    h1, h2, h3 = network(lab)
    controller = start_controller(lab, of_version=of_version)
    recorder = Recorder(lab, GENEVE, ["--max-postcards=100"]).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "match": {"in_port": 1}, "actions": output(2)},
        {"priority": 20, "match": {"in_port": 2}, "actions": output(1)},
        {"priority": 30, "match": {"in_port": 3}, "actions": output(1)}])
    wait_until(lambda: len(rules_of(lab)) == 3, what="the rules")
    collector = capture(lab, "under0", lab.col)
    before = rule_named(recorder, 10)["version"]
    wait_until(lambda: switch(lab)["postcards"], what="the first round")

    def burst():
        h1.send(*[frame_of(b"<busy>" + bytes([i]) * 20) for i in range(200)])
        h2.send(*[frame_of(b"<calm>" + bytes([i]) * 20) for i in range(2)])
        return switch(lab)["postcards"]["shed_rules"]

    assert wait_until(burst, what="the busiest rule to be given up") == 1
    postcards = switch(lab)["postcards"]
    assert postcards["shed_below"] is None and postcards["shed_pps"] > 100
    wait_until(lambda: switch(lab)["switch"] == "done", what="the switch")
    assert [rule_named(recorder, p)["instrumented"] for p in (10, 20, 30)] == [
        False, True, True]
    assert rule_named(recorder, 10)["version"] == before
    assert rule_named(recorder, 10)["command"] == "capped"
    assert "1 of the busiest rules sends none" in ctl(
        lab, "status", "--check", status=3)
    say(h2, "quiet")
    say(h3, "silent")
    wait_until(lambda: {"quiet", "silent"} <= words(collector.frames()),
               what="postcards of the rules that are not busy")

    # The controller changes it: it stays without.
    controller.call("flow", dpid=1, command="modify", flow={
        "priority": 10, "match": {"in_port": 1}, "actions": output(3)})
    wait_until(lambda: rule_named(recorder, 10)["version"] != before,
               what="the rule to be changed")
    version = rule_named(recorder, 10)["version"]
    assert rule_named(recorder, 10)["instrumented"] is False

    # It is calm, but while that rule takes as many as before it waits.
    wait_until(lambda: rule_named(recorder, 10)["instrumented"], 40,
               what="the rule to come back")
    say(h1, "again")
    wait_until(lambda: "again" in words(collector.frames()),
               what="a postcard of the rule that came back")
    assert switch(lab)["postcards"]["shed_rules"] == 0
    with recorder.api() as api:
        changes = api.call("changes", dpid=1)["changes"]
    assert [c["version"] for c in changes
            if c["what"] == "rule-uninstrumented"] == [before]
    assert [c["version"] for c in changes
            if c["what"] == "rule-instrumented"] == [version]
    notes = [c["text"] for c in changes if c["what"] == "note"]
    assert any(f"at most 100: rule of version {before} with some " in n and
               "sends none now; 2 of 3 rules send postcards" in n
               for n in notes), notes
    assert any(f"rule of version {version} sends them again; 3 of 3" in n
               for n in notes), notes


def test_wrong_commands_say_what_to_do(lab, tmp_path):
    network(lab)
    text = ctl(lab, "status", status=1)
    assert f"{lab.dir}/recorder.sock" in text
    assert "Is lasthop-recorder running?" in text
    for argv in ([], ["paus"], ["select"], ["select", "ad"], ["status", "x"],
                 ["--check", "pause"], ["--nope"], ["attach"],
                 ["select", "load"], ["select", "delete"],
                 ["--timeout", "0", "status"]):
        assert "lasthopctl --help says more" in ctl(lab, *argv, status=2)
    recorder = Recorder(lab, None).start()
    wrong = tmp_path / "wrong"
    wrong.write_text("include a\ninclude b mach=tcp\n", encoding="utf-8")
    text = ctl(lab, "select", "load", str(wrong), status=1)
    assert "line 2, column 11: \"mach\" is no term" in text
    assert ctl(lab, "select", "list") == ""
    text = ctl(lab, "select", "add", "include a table=300", status=1)
    assert "column 17: table: must be tables from 0 to 253" in text
    assert 'no switch that ever connected is called "s7"' in ctl(
        lab, "pause", "s7", status=1)
    assert "no selection \"x\"" in ctl(lab, "select", "delete", "x", status=1)
    assert recorder.process.stop() == 0
    recorder.options.append(f"--select={wrong}")
    failed = subprocess.run(
        [f"{bindir()}/lasthop-recorder", *recorder.options], text=True,
        timeout=20, check=False, capture_output=True, env=environment())
    assert failed.returncode == 1
    assert f"{wrong}: line 2, column 11" in failed.stderr
