# SPDX-License-Identifier: Apache-2.0
# What goes on without the recorder, and what a controller sees that connects
# to the bridge itself.

from lab import UNDER_COLLECTOR
from process import wait_until
from recorder import CONTROLLER_PORT, Recorder, start_controller
from test_strip import assert_same, look, strip

FLOOD = 0xfffffffb
FLOWS = [
    {"priority": 100, "cookie": 7, "match": {"dl_type": 0x0800},
     "actions": [{"type": "OUTPUT", "port": 2}]},
    {"priority": 101, "cookie": 8, "match": {"dl_type": 0x0800, "in_port": 2},
     "actions": [{"type": "OUTPUT", "port": 1}]},
    {"priority": 50, "cookie": 9, "match": {"dl_type": 0x0806},
     "actions": [{"type": "OUTPUT", "port": FLOOD}]},
    {"priority": 60, "cookie": 10, "idle_timeout": 900,
     "match": {"dl_type": 0x0800, "nw_proto": 6},
     "actions": [{"type": "OUTPUT", "port": 2}]},
    {"priority": 70, "match": {"dl_type": 0x88b5}, "hard_timeout": 2,
     "actions": [{"type": "OUTPUT", "port": 2}]},
]


def seen(controller):
    """The rules as a controller reads them."""
    return controller.call("flows", dpid=1)["flows"]


def is_written(recorder):
    """Whether the flow log has all that was recorded."""
    log = recorder.stats()["flow_log"]
    return log["notes"] == log["written"]


def directly(lab, controller):
    """The operator points the bridge at the controller itself."""
    lab.set_controller(f"tcp:127.0.0.1:{CONTROLLER_PORT}")
    wait_until(lambda: controller.call("switches")["switches"] == [1], 20,
               "the bridge to reach the controller")


def test_rules_work_on_and_are_the_controllers_again_after_a_strip(lab):
    lab.add_bridge("s1")
    for number in (1, 2):
        lab.add_host(f"h{number}", "s1", f"10.0.0.{number}/24")
    lab.add_collector()
    lab.start()
    controller = start_controller(lab)
    directly(lab, controller)
    assert not controller.call("flow", dpid=1, flows=FLOWS[:4])["errors"]
    before, rules = look(lab), seen(controller)
    lab.vsctl("set-controller", "s1", Recorder.target)
    recorder = Recorder(lab, "geneve:" + UNDER_COLLECTOR).start()
    recorder.wait_ready().wait_controller(controller)
    assert not controller.call("flow", dpid=1, flows=FLOWS)["errors"]
    assert len(recorder.table(1)) == len(FLOWS) + 1     # And the miss.
    wait_until(lambda: is_written(recorder), what="the log to be written")

    recorder.process.kill()
    assert "tun_metadata63" in lab.ofctl("dump-flows", "s1")
    assert lab.hosts["h1"].ping("10.0.0.2"), "packets go on"
    wait_until(lambda: "0x88b5" not in lab.ofctl("dump-flows", "s1"), 20,
               "a rule with a timeout to expire")

    directly(lab, controller)
    assert seen(controller) != rules, "what was injected is seen"
    code, out, err = strip(lab)
    assert (code, err) == (0, ""), out + err
    assert seen(controller) == rules
    assert_same(look(lab), before)
    assert lab.hosts["h1"].ping("10.0.0.2")


def test_a_bridge_that_gets_its_first_controller_loses_its_rules(lab):
    """Open vSwitch's own doing, with no recorder near: why a bridge is to have
    its controller before it has rules that matter."""
    lab.add_bridge("s1")
    lab.start()
    lab.ofctl("add-flow", "s1", "priority=3,actions=drop")
    lab.vsctl("set-controller", "s1", "tcp:127.0.0.1:1")
    wait_until(lambda: "priority=3" not in lab.ofctl("dump-flows", "s1"),
               what="the rules to go")
    lab.ofctl("add-flow", "s1", "priority=3,actions=drop")
    lab.vsctl("set-controller", "s1", "tcp:127.0.0.1:2")
    assert "priority=3" in lab.ofctl("dump-flows", "s1"), "another controller"
    lab.vsctl("del-controller", "s1")
    wait_until(lambda: "priority=3" not in lab.ofctl("dump-flows", "s1"),
               what="the rules to go with the last controller")
