# SPDX-License-Identifier: Apache-2.0
# --postcards=agent: switches that make postcards themselves, and those that
# cannot.

import json

import pytest

from lab import UNDER_COLLECTOR, Lab
from process import wait_until
from recorder import Recorder, capture, start_controller
from rings import POSTCARD, Rings
from test_attach import call, dump as dump_of, make, start as attach
from test_encapsulations import switch
from test_recorder_postcards import network
from test_select import ctl, output, rules_of, say, words
from test_strip import strip

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


@pytest.fixture
def patched(request):
    """A lab with the patched switch."""
    with Lab(patched=True) as network_:
        yield network_
        network_.close(keep=getattr(request.node, "has_failed", False))


class Cards:
    """What a patched switch has told, one reader of its rings."""

    def __init__(self, lab):
        self.rings = Rings(lab.process("ovs-vswitchd").pid)
        self.rings.attach()

    def of(self, word):
        """Templates of the postcards of packets with that word so far."""
        return [record.template for ring in self.rings.find()
                for record in ring.read()
                if record.type == POSTCARD and word.encode() in record.data]

    def wait(self, word):
        """The template of the one postcard of that packet."""
        found = []

        def is_there():
            found.extend(self.of(word))
            return found
        wait_until(is_there, what=f"the postcard of {word}")
        assert len(found) == 1, found
        return found[0]


def versions(recorder):
    return {rule["cookie"]: rule["version"] for rule in recorder.table(1)
            if rule["kind"] == "flow"}


@pytest.mark.parametrize("of_version", ["1.0", "1.3", "1.5"])
def test_a_patched_switch_tells_the_version_of_its_rule(patched, of_version):
    h1, h2, _h3 = network(patched)
    controller, recorder = start(patched, AGENT, GENEVE, of_version=of_version)
    now = switch(patched)
    assert now["state"] == "instrumented" and now["makes_postcards"]
    cards = Cards(patched)

    # The rule that matched; a miss; what the controller sees is its own.
    say(h1, "one")
    card = cards.wait("one")
    [version] = versions(recorder).values()
    assert (card.bridge, card.in_port) == ("s1", 1)
    assert [port for port, _flags in card.outputs] == [2]
    assert card.trail == [(0, version, False)]
    say(h2, "two")
    card = cards.wait("two")
    assert card.trail == [(0, None, True)]
    assert "miss" in card.reason or of_version == "1.0"
    dump = patched.ofctl("dump-flows", "s1")
    assert f"actions=postcard(version={version}),output:2" in \
        dump.replace('"', "").replace("s1-h2", "2")
    assert "clone" not in dump and "resubmit" not in dump
    [flow] = controller.call("flows", dpid=1)["flows"]
    assert "OUTPUT" in json.dumps(flow).upper()
    assert "0x2320" not in json.dumps(flow) and \
        "EXPERIMENTER" not in json.dumps(flow).upper()

    # A recorder that comes again changes nothing.
    before = rules_of(patched)
    assert recorder.process.stop() == 0
    recorder.start().wait_ready()
    assert rules_of(patched) == before
    assert list(versions(recorder).values()) == [version]

    # Paused, the switch tells nothing, and goes on forwarding.
    def mode():
        return patched.vsctl("get", "bridge", "s1",
                             "other_config:lasthop-mode").strip().strip('"')
    ctl(patched, "pause", "s1")
    wait_until(lambda: mode() == "off" and "postcard(" not in
               patched.ofctl("dump-flows", "s1"), what="the pause")
    say(h1, "three")
    ctl(patched, "resume", "s1")
    wait_until(lambda: mode() == "postcard" and "postcard(" in
               patched.ofctl("dump-flows", "s1"), what="the end of the pause")
    say(h1, "four")
    wait_until(lambda: cards.of("four"), what="the postcard of four")
    assert not cards.of("three")

    # Nothing stays when it is stripped.
    assert recorder.process.stop() == 0
    text, _ = strip(patched)[1:]
    assert "the bridge's own postcards" in text
    assert "postcard(" not in patched.ofctl("dump-flows", "s1")
    assert "lasthop" not in patched.vsctl("get", "bridge", "s1",
                                          "other_config")


def test_an_attached_bridge_is_left_as_it_was(patched):
    make(patched)
    attach(patched, AGENT).wait_for("s1): instrumented")
    assert "postcard(" in patched.ofctl("dump-flows", "s1")
    assert "postcard(" not in patched.ofctl("dump-flows", "s2")
    call(patched, "detach", bridge="s1")
    assert dump_of(patched, "s1") == dump_of(patched, "s2")
    assert "lasthop" not in patched.vsctl("get", "bridge", "s1",
                                          "other_config")
