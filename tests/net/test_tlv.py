# SPDX-License-Identifier: Apache-2.0
# The map of tunnel options: a controller gets every index that it asks for,
# also that of postcards, which then moves.  What is done to "s1" through the
# recorder is done to "s2" directly: answers and tables must be alike.

import re
import subprocess

from api import Api
from lab import UNDER_COLLECTOR, bindir
from process import environment, wait_until
from recorder import capture
from test_recorder_postcards import frame_of, postcards_of

OURS = "class=0xff4c"
FLOWS = [
    "table=0,priority=1,actions=goto_table:1",
    "table=1,priority=5,in_port=1,actions=output:2",
    "table=1,priority=5,in_port=2,actions=group:1",
    "table=1,priority=6,sctp,actions=write_actions(output:2),goto_table:2",
]
GROUP = "group_id=1,type=all,bucket=output:1"


def start(lab):
    """The recorder on s1, with what the owner uses in its place."""
    for name in ("s1", "s2"):
        lab.add_bridge(name)
    hosts = [lab.add_host(f"h{n}", "s1", f"10.0.0.{n}/24") for n in (1, 2)]
    for number in (3, 4):
        lab.add_host(f"h{number}", "s2", f"10.0.0.{number}/24")
    lab.add_collector()
    lab.start()
    process = lab.spawn(
        "recorder",
        [f"{bindir()}/lasthop-recorder", "--attach=s1",
         f"--serve=s1,at=unix:{lab.dir}/served", f"--ovsdb={lab.db}",
         f"--postcards=geneve:{UNDER_COLLECTOR}", f"--state={lab.dir}/state",
         f"--rundir={lab.dir}"], netns=lab.sw)
    with Api(f"{lab.dir}/recorder.sock") as api:
        wait_until(lambda: any(
            s["state"] == "instrumented"
            for s in api.call("status")["status"]["switches"]),
            20, "the bridge to be instrumented")
    return process, hosts


def ask(lab, at, command, *argv):
    """What ovs-ofctl says there, and its status."""
    done = subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow15", command, f"unix:{lab.dir}/{at}",
         *argv], text=True, capture_output=True, check=False, timeout=20,
        env=environment())
    text = done.stdout + done.stderr
    for pattern in (r"xid=0x\w+", r"[^ ]*(served|s2\.mgmt)", r"duration=[^,]*",
                    r"^\d{4}-\S+Z\|"):
        text = re.sub(pattern, "", text, flags=re.M)
    return done.returncode, sorted(text.splitlines())


def both(lab, command, *argv):
    """The same through the recorder and directly; how it ended."""
    through = ask(lab, "served", command, *argv)
    directly = ask(lab, "s2.mgmt", command, *argv)
    assert through == directly, command
    return through[0]


def index_of_ours(lab, bridge="s1"):
    """That of postcards, as the switch itself says; None: there is none."""
    for line in lab.ofctl("dump-tlv-map", bridge).splitlines():
        if "0xff4c" in line:
            return int(line.split("tun_metadata")[1])
    return None


def dumped(lab):
    return lab.ofctl("dump-flows", "s1") + lab.ofctl("dump-groups", "s1")


def test_the_option_of_postcards_makes_way(lab):
    process, (h1, h2) = start(lab)
    both(lab, "add-group", GROUP)
    for flow in FLOWS:
        both(lab, "add-flow", flow)
    assert index_of_ours(lab) == 63
    wait_until(lambda: dumped(lab).count("->tun_metadata63") > 3,
               what="the postcards of the rules")

    # What it asks for it gets, wherever ours is, and what it has we leave.
    for index in (63, 62):
        assert both(lab, "add-tlv-map",
                    f"{{class=0xffff,type={index},len=4}}->"
                    f"tun_metadata{index}") == 0
        both(lab, "dump-tlv-map")
        assert index_of_ours(lab) == index - 1
    both(lab, "add-tlv-map", "{class=0xffff,type=1,len=4}->tun_metadata60,"
         "{class=0xffff,type=2,len=8}->tun_metadata61")
    assert index_of_ours(lab) == 59
    both(lab, "dump-tlv-map")
    wait_until(lambda: dumped(lab).count("->tun_metadata59") > 3,
               what="the postcards of the rules")
    assert not re.search("->tun_metadata6", dumped(lab))
    both(lab, "dump-flows", "--no-stats")
    both(lab, "dump-groups")

    # They are sent as before.
    collector = capture(lab, "under0", lab.col)
    h1.send(frame_of(b"<moved>" + b"." * 20))
    wait_until(lambda: any(b"<moved>" in card.inner
                           for card in postcards_of(collector.frames())),
               what="a postcard with the option at its new index")

    # Its own mistakes it is told, as by the switch.
    for wrong in ("{class=0xffff,type=1,len=4}->tun_metadata5",
                  "{class=0xffff,type=9,len=4}->tun_metadata60",
                  "{class=0xffff,type=9,len=3}->tun_metadata5",
                  "{class=0xffff,type=9,len=4}->tun_metadata64"):
        both(lab, "add-tlv-map", wrong)
    both(lab, "del-tlv-map", "{class=0xffff,type=9,len=4}->tun_metadata59")
    both(lab, "del-tlv-map", "{class=0xffff,type=1,len=4}->tun_metadata59")
    assert index_of_ours(lab) == 59
    both(lab, "add-flow", "table=3,tun_metadata61=7,actions=drop")
    both(lab, "del-tlv-map", "{class=0xffff,type=1,len=4}->tun_metadata60")
    both(lab, "dump-tlv-map")
    both(lab, "del-flows", "table=3")
    wait_until(lambda: both(lab, "del-tlv-map") == 0 and "0xffff" not in
               lab.ofctl("dump-tlv-map", "s2"), what="its own to be gone")
    both(lab, "dump-tlv-map")
    assert index_of_ours(lab) == 59

    with Api(f"{lab.dir}/recorder.sock") as api:
        notes = [c["text"] for c in api.call("changes", dpid=1)["changes"]
                 if c["what"] == "note"]
        [connection] = [s for s in api.call("stats")["stats"]["switches"]
                        if not s.get("controller") and s.get("instr")][:1]
    moves = [n for n in notes if "the option of postcards moves" in n]
    assert len(moves) == 3 and "tun_metadata63 to tun_metadata62" in moves[0]
    assert connection["instr"]["tlv_moved"] == 3
    process.stop()
    wait_until(lambda: index_of_ours(lab) is None, what="ours to be gone")
    assert "clone" not in dumped(lab)
