# SPDX-License-Identifier: Apache-2.0
# What lasthop put into bridges is taken out again by `lasthop-recorder
# --strip`, whatever became of the recorder and its log.

import random
import re
import shutil
import signal
import subprocess

import pytest

from lab import UNDER_COLLECTOR, bindir
from process import Failed
from test_attach import FLOWS, GROUPS

VERSIONS = ("OpenFlow10", "OpenFlow13", "OpenFlow15")

LISTS = "group_id=3,type=all,bucket=mod_dl_src:02:02:02:02:02:02,all," \
    "bucket=flood"


def look(lab, bridge="s1"):
    """All that a bridge has, as text: tables as each version shows them,
    groups, options, ports and settings."""
    parts = []
    for version in VERSIONS:
        flows = lab.ofctl("dump-flows", bridge, version=version)
        flows = re.sub(r" (duration|idle_age|hard_age|n_packets|n_bytes)="
                       r"[0-9.]+s?,?", "", flows)
        parts.append("\n".join(sorted(flows.splitlines()[1:])))
        parts.append(re.sub(r"xid=\w+", "", lab.ofctl("dump-groups", bridge,
                                                     version=version)))
    parts.append(re.sub(r"xid=\w+", "", lab.ofctl("dump-tlv-map", bridge)))
    parts.append(lab.vsctl("list-ports", bridge))
    for column in ("protocols", "external_ids", "fail_mode"):
        parts.append(lab.vsctl("get", "bridge", bridge, column))
    parts.append(re.sub(r"xid=\w+", "", lab.ofctl("dump-ports-desc", bridge,
                                                 version="OpenFlow10")))
    return "\n".join(parts)


def count(lab):
    """How many packets the rule for most packets has had."""
    return int(re.search(r"n_packets=(\d+)[^\n]* priority=1 actions=(?!drop)",
                         lab.ofctl("dump-flows", "s1",
                                   "table=0")).group(1))


def assert_same(after, before):
    """Fails with the lines that differ."""
    after, before = after.splitlines(), before.splitlines()
    assert [line for line in after if line not in before] == []
    assert [line for line in before if line not in after] == []


def strip(lab, timeout=60):
    """Runs --strip: (its exit code, what it prints, what it complains of)."""
    done = subprocess.run(
        [f"{bindir()}/lasthop-recorder", "--strip", f"--ovsdb={lab.db}",
         f"--state={lab.dir}/state"], capture_output=True, text=True,
        timeout=timeout, check=False)
    return done.returncode, done.stdout, done.stderr


def make(lab, mac=False, flows=tuple(FLOWS)):
    """A bridge with rules of all kinds."""
    lab.add_bridge("s1")
    for number in (1, 2):
        lab.add_host(f"h{number}", "s1", f"10.0.0.{number}/24")
    lab.add_collector(mac=mac)
    lab.start()
    for group in [*GROUPS, LISTS]:
        lab.ofctl("add-group", "s1", group, version="OpenFlow15")
    for flow in flows:
        lab.ofctl("add-flow", "s1", flow, version="OpenFlow15")
    lab.hosts["h1"].ping("10.0.0.2")


def spawn(lab, postcards):
    """A recorder that attaches to the bridge."""
    return lab.spawn(
        "recorder",
        [f"{bindir()}/lasthop-recorder", "--attach=s1",
         f"--postcards={postcards}", f"--ovsdb={lab.db}",
         f"--state={lab.dir}/state", f"--rundir={lab.dir}"], netns=lab.sw)


def attach(lab, postcards="geneve:" + UNDER_COLLECTOR):
    """The same, once the bridge is instrumented."""
    return spawn(lab, postcards).wait_for("s1): instrumented")


@pytest.mark.parametrize("postcards", ["geneve:" + UNDER_COLLECTOR,
                                       "mac:%b-mac"])
@pytest.mark.parametrize("is_log_lost", [False, True])
def test_what_a_killed_recorder_left_is_taken_out(lab, postcards, is_log_lost):
    make(lab, mac=postcards.startswith("mac"))
    before, n = look(lab), count(lab)
    recorder = attach(lab, postcards)
    assert look(lab) != before
    code, out, err = strip(lab)
    assert code == 1 and not out and "end it first" in err
    recorder.kill()
    if is_log_lost:
        shutil.rmtree(f"{lab.dir}/state")

    code, out, err = strip(lab)
    assert code == 0, out + err
    assert "s1: removed what was in" in out
    if is_log_lost:     # ALL has become the list of ports, and stays it.
        before = before.replace(" actions=ALL",     # Not that of a bucket.
                                " actions=output:1,output:2,LOCAL")
    assert_same(look(lab), before)
    assert count(lab) >= n > 0
    code, out, err = strip(lab)
    assert code == 0 and "s1: nothing of lasthop's is left" in out


# What may be said in several ways stays as it was said: the first column; but
# for what only OpenFlow 1.0 has words for, which then is the second.
SAID = [
    ("enqueue:2:7", "set_queue:7,output:2,pop_queue"),
    ("set_tunnel:0x5,output:2", "load:0x5->NXM_NX_TUN_ID[],output:2"),
    ("set_tunnel64:0x10000000000", "load:0x10000000000->NXM_NX_TUN_ID[]"),
    ("mod_vlan_vid:5,mod_vlan_pcp:3,output:2", None),
    ("strip_vlan,mod_vlan_vid:4,strip_vlan,output:2", None),
    ("mod_dl_src:02:00:00:00:00:09,mod_dl_dst:02:00:00:00:00:08", None),
    ("set_queue:3,output:1,pop_queue", None),
    ("load:0x5->NXM_NX_REG1[0..3],move:NXM_NX_REG1[]->NXM_NX_REG2[],"
     "output:NXM_NX_REG2[]", None),
    ("multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])", None),
    ("bundle(eth_src,0,hrw,ofport,members:1,2)", None),
    ("CONTROLLER:77", None), ("exit", None), ("LOCAL,IN_PORT", None),
    ("resubmit:7,resubmit(,3)", None),
]
SAID_OF_IP = [
    ("mod_nw_tos:8,mod_nw_src:1.2.3.4,mod_nw_dst:1.2.3.5,output:1", None),
    ("dec_ttl(1,2),output:1", None), ("mod_tp_src:5,mod_tp_dst:6", None),
]


def test_rules_read_as_their_owner_wrote_them(lab):
    """Rules written over 1.0, after a detach and after a strip."""
    said = [("", *item) for item in SAID] + \
        [("tcp,", *item) for item in SAID_OF_IP]
    make(lab, flows=())
    for number, (match, actions, _) in enumerate(said):
        lab.ofctl("add-flow", "s1",
                  f"cookie={number},priority={number},{match}"
                  f"actions={actions}", version="OpenFlow10")
    before = look(lab)
    for _, actions, other in said:
        assert actions in before
        if other:       # Later versions show it as the other already.
            before = before.replace(actions, other)
    assert attach(lab).stop() == 0
    assert_same(look(lab), before)
    attach(lab).kill()
    code, out, err = strip(lab)
    assert code == 0, out + err
    assert_same(look(lab), before)


def killed(lab, action, after):
    """Does 'action' ("attach", "detach", "strip") and kills whoever does it
    after so many seconds, unless it is done before."""
    if action == "strip":
        try:
            strip(lab, timeout=after)
        except subprocess.TimeoutExpired:
            pass        # It has been killed.
        return
    recorder = spawn(lab, "geneve:" + UNDER_COLLECTOR)
    if action == "detach":
        recorder.wait_for("s1): instrumented")
        recorder.signal(signal.SIGTERM)
    try:
        recorder.wait(after)
    except Failed:
        recorder.kill()


@pytest.mark.parametrize("seed", [1])
def test_what_is_killed_half_way_is_brought_in_order(lab, seed):
    """Attach, detach and strip, each killed at a random point; then the next
    strip takes out all, and a recorder that comes instead instruments all."""
    flows = [flow for flow in FLOWS if "actions=all" not in flow]
    make(lab, flows=flows)
    before = look(lab)
    chance = random.Random(seed)
    for action in ("attach", "detach", "strip"):
        if action == "strip":
            attach(lab).kill()
        killed(lab, action, chance.uniform(0.005, 0.25))
        if chance.random() < 0.5:
            attach(lab).kill()
            shown = lab.ofctl("dump-flows", "s1", "cookie=0x1/-1")
            assert shown.count("max_len=96") == 1, shown
        code, out, err = strip(lab)
        assert code == 0, f"{action}: {out}{err}"
        assert_same(look(lab), before)
