# SPDX-License-Identifier: Apache-2.0
# Packets that go through the datapath a second time: Open vSwitch 3.1 ends
# with an assertion when one does with a longer action set than the rest of
# its rule.  What the recorder adds must never be why.

import time

import pytest

from openflow import Encoder, actions_of, packet_out
from random_openflow import FRAMES
from test_same_random import difference, frames_difference
from twins import Twins

# With a mark of ours longer than what a rule with nothing but a group bears.
SET = "write_actions(dec_ttl)"
PATIENCE = 10   # Seconds for a second pass, at most.
MPLS = "push_mpls:0x8847,set_field:5->mpls_label"

# Groups, rules, actions of a packet-out to table 0: alone a switch does them.
CASES = {
    "ct behind an empty set": (
        [], ["actions=goto_table:1", "table=1,ip,actions=ct(table=2)",
             "table=2,actions=output:2",
             "table=9,actions=write_actions(output:1)"], ""),
    "ct in a bucket": (
        ["group_id=1,type=all,bucket=actions=ct(table=2)"],
        ["ip,actions=goto_table:1", "table=1,ip,actions=group:1",
         "table=2,ip,actions=output:2",
         "table=9,actions=write_actions(output:1)"], ""),
    "MPLS in a bucket": (
        ["group_id=1,type=all,bucket=actions=pop_mpls:0x0800,output:2"],
        [f"ip,in_port=1,actions={MPLS},goto_table:1",
         "table=1,mpls,actions=group:1",
         "table=9,actions=write_actions(output:1)"], ""),
    "a select group": (
        ["group_id=1,type=select,bucket=weight:1,actions=output:2,"
         "bucket=weight:1,actions=output:2"],
        [f"ip,actions={SET},goto_table:1", "table=1,ip,actions=group:1"], ""),
    "a select group in a bucket": (
        ["group_id=1,type=select,bucket=weight:1,actions=output:2",
         "group_id=2,type=all,bucket=actions=group:1"],
        [f"ip,actions={SET},goto_table:1", "table=1,ip,actions=group:2"], ""),
    "dp_hash": (
        ["group_id=1,type=select,selection_method=dp_hash,"
         "bucket=weight:1,actions=output:2"],
        [f"ip,actions={SET},goto_table:1", "table=1,ip,actions=group:1"], ""),
    "a select group in an action set": (
        ["group_id=1,type=select,bucket=weight:1,actions=output:2"],
        ["ip,actions=write_actions(mod_nw_ttl:9,group:1),goto_table:1",
         "table=1,actions=goto_table:2", "table=2,actions=output:3"], ""),
    "a pause": (
        [], ["actions=goto_table:1",
             "table=1,ip,actions=controller(pause),output:2",
             "table=9,actions=write_actions(output:1)"], ""),
    "ct in a packet-out": (
        [], ["ip,actions=goto_table:1", "table=1,ip,actions=mod_nw_ttl:9",
             "table=2,ip,actions=output:3",
             "table=9,actions=write_actions(output:1)"],
        "resubmit(,0),ct(table=2)"),
    "a select group in a packet-out": (
        ["group_id=1,type=select,bucket=weight:1,actions=output:2"],
        [f"ip,actions={SET},goto_table:1", "table=1,ip,actions=mod_nw_ttl:9"],
        "resubmit(,0),group:1"),
    "lengths": (
        [], [f"ip,actions={SET},goto_table:1",
             "table=1,ip,actions=check_pkt_larger(60)->NXM_NX_REG0[0],"
             "goto_table:2", "table=2,reg0=1,actions=output:3",
             "table=2,reg0=0,actions=output:4"], ""),
    "samples and clones": (
        [], [f"ip,actions={SET},goto_table:1",
             "table=1,ip,actions=sample(probability=65535),"
             "clone(mod_nw_ttl:3,output:3),output:4"], ""),
    "encap": (
        [], ["ip,actions=encap(nsh(md_type=1)),encap(ethernet),output:3",
             "table=9,actions=write_actions(output:1)"], ""),
    "decap": (
        [], ["ip,actions=goto_table:1",
             "table=1,ip,actions=encap(nsh(md_type=1)),encap(ethernet),"
             "decap(),dec_nsh_ttl,decap(),output:3",
             "table=9,actions=write_actions(output:1)"], ""),
}


@pytest.fixture(name="encoder")
def encoder_fixture(tmp_path):
    """Encodes."""
    encoder = Encoder(tmp_path)
    yield encoder
    encoder.close()


def packet_outs(encoder, actions):
    """Packet-outs of every frame with these actions."""
    [flow] = encoder.encode(6, "add-flows", ["ip,actions=" + actions])
    return [packet_out(6, 7, 1, actions_of(flow), frame)
            for frame in FRAMES.values()]


def eventually_no_difference(twins):
    """What differs of the frames that have left; None if nothing.  A second
    pass takes its time, in the one switch more than in the other."""
    sent = ({}, {})
    end = time.monotonic() + PATIENCE
    n_rounds = 0
    while True:
        twins.sync()
        for whole, more in zip(sent, twins.sent()):
            for port, frames in more.items():
                whole[port] = sorted(whole.get(port, []) + frames)
        n_rounds += 1
        text = frames_difference(*sent)
        if n_rounds >= 4 and (not text or time.monotonic() > end):
            return text


@pytest.mark.parametrize("name", CASES)
def test_a_second_pass_is_survived(name, tmp_path, encoder):
    groups, rules, actions = CASES[name]
    messages = encoder.encode(6, "add-groups", groups) if groups else []
    messages += encoder.encode(6, "add-flows", rules)
    outs = packet_outs(encoder, actions) if actions else []
    with Twins(tmp_path / "twins", 6) as twins:
        # The other order too: what is dangerous comes last, or was there.
        for order in (messages, list(reversed(messages))):
            twins.send(*order)
            direct, through = twins.sync()
            assert not difference(direct, through)
            twins.send(*outs)
            for frame in FRAMES.values():
                twins.receive(1, frame)
            text = eventually_no_difference(twins)
            assert not text, text + twins.dump()
            assert twins.direct.control.call("version")
            assert twins.through.control.call("version")
