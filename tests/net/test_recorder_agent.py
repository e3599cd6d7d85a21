# SPDX-License-Identifier: Apache-2.0
# --postcards=agent: switches that make postcards themselves, and those that
# cannot.

import json

from lab import UNDER_COLLECTOR
from process import wait_until
from recorder import Recorder, capture, start_controller
from test_encapsulations import switch
from test_recorder_postcards import network
from test_select import ctl, output, say, words

AGENT = "--postcards=agent"
GENEVE = f"--postcards=geneve:{UNDER_COLLECTOR}"


def start(lab, *postcards, of_version="1.3"):
    controller = start_controller(lab, of_version=of_version)
    recorder = Recorder(lab, options=[f"--ovsdb={lab.db}", *postcards]).start()
    lab.set_controller(recorder.target)
    recorder.wait_ready().wait_controller(controller)
    controller.call("flow", dpid=1, flows=[
        {"priority": 10, "match": {"in_port": 1}, "actions": output(2)}])
    return controller, recorder


def test_a_switch_that_cannot_uses_what_else_is_given(lab):
    h1, _h2, _h3 = network(lab)
    by_geneve = capture(lab, "under0", lab.col)
    start(lab, AGENT, GENEVE)
    now = switch(lab)
    assert now["state"] == "instrumented" and not now["makes_postcards"]
    assert [p["encap"] for p in now["postcard_ports"]] == ["geneve"]
    say(h1, "one")
    wait_until(lambda: "one" in words(by_geneve.frames()), what="geneve")
    assert "postcard(" not in lab.ofctl("dump-flows", "s1")


def test_a_switch_that_cannot_is_recorded_and_said_so(lab):
    network(lab)
    start(lab, AGENT)
    now = switch(lab)
    assert now["state"] == "recorded" and not now["makes_postcards"]
    assert "no action postcard(version=N)" in now["why"]
    assert "lasthop-mode" in json.dumps(
        lab.vsctl("get", "bridge", "s1", "other_config"))

    # Nothing of it stays.
    ctl(lab, "pause", "s1")
    wait_until(lambda: "lasthop-mode=off" in
               lab.vsctl("get", "bridge", "s1", "other_config").replace(
                   '"', ""), what="the bridge to be told")
