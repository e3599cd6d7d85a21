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


def test_what_a_bridge_does_without_its_recorder(lab):
    """With fail-mode secure it goes on as before; with standalone it throws
    the rules away and is a plain switch, until the recorder is back."""
    for name in ("s1", "s2"):
        lab.add_bridge(name)
        for number in (1, 2):
            lab.add_host(f"{name}h{number}", name, f"10.0.0.{number}/24")
    lab.add_collector()
    lab.start()
    lab.vsctl("set-fail-mode", "s2", "standalone")
    controller = start_controller(lab)
    recorder = Recorder(lab, "geneve:" + UNDER_COLLECTOR,
                        options=["--force"]).start()
    lab.set_controller(Recorder.target)
    recorder.wait_ready().wait_controller(controller)
    for name in ("s1", "s2"):
        # Open vSwitch waits for three of these (5 s each, unless set).
        lab.vsctl("set", "controller", name, "inactivity_probe=1000")
    deny = [{"priority": 9, "cookie": 1, "match": {"dl_type": 0x0800},
             "actions": []},
            {"priority": 1, "cookie": 2, "match": {},
             "actions": [{"type": "OUTPUT", "port": FLOOD}]}]
    for dpid in (1, 2):
        assert not controller.call("flow", dpid=dpid, flows=deny)["errors"]

    def flows(name):
        return lab.ofctl("dump-flows", name)

    def is_up(name):
        return lab.hosts[f"{name}h1"].ping("10.0.0.2", wait=0.2)
    for name in ("s1", "s2"):
        wait_until(lambda n=name: "tun_metadata63" in flows(n),
                   what="the postcards")
        assert not is_up(name), "the rules forbid it"
    recorder.process.kill()
    wait_until(lambda: "cookie=0x1," not in flows("s2"), 30,
               "the rules of the standalone bridge to go")
    wait_until(lambda: is_up("s2"), what="the standalone bridge to forward")
    assert "tun_metadata63" not in flows("s2"), "nor has it postcards"
    assert "tun_metadata63" in flows("s1") and not is_up("s1")

    Recorder(lab, "geneve:" + UNDER_COLLECTOR, options=["--force"]).start()
    wait_until(lambda: "cookie=0x6c617374686f7003" in flows("s2"), 20,
               "the recorder's table miss")
    wait_until(lambda: not is_up("s2"), what="the bridge to have no rules")
    assert "cookie=0x1," in flows("s1") and not is_up("s1")
