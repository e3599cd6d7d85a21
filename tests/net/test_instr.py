# SPDX-License-Identifier: Apache-2.0
# instr in front of a real bridge, with ovs-ofctl as the controller: the same
# commands to a bridge of its own must look the same.

import os
import re
import subprocess

import pytest

from lab import UNDER_COLLECTOR, bindir
from process import wait_until

RELAY = os.path.join(bindir(), "..", "tests", "recorder", "relay")
POSTCARD_PORT = 99

VERSIONS = {"OpenFlow10": 1, "OpenFlow11": 2, "OpenFlow12": 3, "OpenFlow13": 4,
            "OpenFlow14": 5, "OpenFlow15": 6}

# Commands of ovs-ofctl, and whether the bridge refuses them.
COMMANDS_10 = [
    ("add-flow", "priority=5,ip,nw_dst=10.0.0.2,actions=dec_ttl,output:2"),
    ("add-flow", "priority=6,arp,actions=flood"),
    ("add-flow", "priority=7,udp,actions=all"),
    ("add-flow", "cookie=0x12,priority=8,tcp,idle_timeout=600,actions="
                 "load:0x3->NXM_NX_REG0[],output:NXM_NX_REG0[]"),
    ("add-flow", "priority=9,icmp,actions=resubmit(,4),mod_nw_tos:16,normal"),
    ("add-flow", "table=4,priority=1,actions=controller(max_len=77)"),
    ("add-flow", "priority=10,tcp,tp_dst=81,actions=enqueue:1:2,in_port"),
    ("add-flow", "priority=11,ip,actions=conjunction(7,1/2)"),
    ("add-flow", "priority=12,ip,nw_src=10.9.0.0/16,actions=clone("
                 "mod_nw_ttl:3,output:1),output(port=2,max_len=70)"),
    ("add-flow", "priority=13,arp,arp_op=2,actions=learn(table=6,"
                 "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
                 "output:NXM_OF_IN_PORT[]),local"),
    ("add-flow", "priority=14,ip,ct_state=-trk,actions=ct(table=7)"),
    ("add-flow", "table=7,ip,actions=ct(commit,nat(src=10.7.7.7)),output:3"),
    ("add-flow", "table=7,priority=3,ip6,actions=multipath(eth_src,50,"
                 "modulo_n,4,0,NXM_NX_REG1[0..1]),exit"),
    ("mod-flows", "udp,actions=output:3"),
    ("mod-flows", "cookie=0x12/-1,actions=output:1"),
    ("--strict mod-flows", "priority=6,arp,actions=output:1,output:3"),
    ("mod-flows", "cookie=0x99/-1,actions=drop"),
    ("--strict del-flows", "priority=10,tcp,tp_dst=81"),
    ("del-flows", "ip,out_port=2"),
    ("add-flow", "priority=0,actions=normal"),
    ("del-flows", "table=4"),
    ("add-flow", "priority=20,in_port=1,send_flow_rem,actions=drop"),
    ("add-flow", "check_overlap,priority=20,in_port=2,actions=drop"),
    ("add-flow", "check_overlap,priority=20,tcp,actions=drop"),   # refused
    ("add-tlv-map", "{class=0xffff,type=0,len=4}->tun_metadata0"),
    ("add-tlv-map", "{class=0xffff,type=1,len=4}->tun_metadata0"),  # refused
]
# Groups, over 1.0 by a message of Nicira's.
GROUPS = [
    ("add-group", "group_id=1,type=select,bucket=output:1,"
                  "bucket=mod_dl_src:02:02:02:02:02:02,output:2,bucket=drop"),
    ("add-group", "group_id=2,type=all,bucket=group:1,bucket=all"),
    ("add-group", "group_id=3,type=ff,bucket=watch_port:1,output:1,"
                  "bucket=watch_port:2,output:2"),
    ("add-group", "group_id=3,type=indirect,bucket=output:1"),    # refused
    ("--may-create mod-group", "group_id=4,type=indirect,bucket=output:2"),
    ("--may-create mod-group", "group_id=4,type=indirect,bucket=output:3"),
    ("add-flow", "priority=29,tcp,actions=group:1"),
    ("add-flow", "priority=31,tcp,tp_dst=9,actions=group:99"),    # refused
]
SETS = [
    ("add-flow", "priority=32,sctp,actions=write_actions(mod_nw_ttl:8,"
                 "output:3),goto_table:1"),
    ("add-flow", "table=1,priority=1,sctp,actions=clear_actions,"
                 "write_actions(group:3)"),
    ("add-flow", "table=1,priority=2,actions=write_metadata:0x5,"
                 "goto_table:2"),
    ("add-flow", "table=253,priority=2,actions=drop"),
    ("mod-flows", "sctp,actions=write_actions(output:1)"),
    ("mod-group", "group_id=1,type=all,bucket=output:3"),
    ("del-groups", "group_id=3"),
]
METERS = [
    ("add-meter", "meter=1,kbps,band=type=drop,rate=1000"),
    ("add-flow", "priority=30,tcp,actions=meter:1,group:1"),
    ("add-flow", "priority=30,udp,no_packet_counts,actions=meter:1,drop"),
    ("mod-meter", "meter=1,pktps,band=type=drop,rate=10"),
    ("del-meter", "meter=1"),
]
IMPORTANCE = [
    ("add-flow", "priority=33,importance=7,idle_timeout=900,actions=output:2"),
    ("add-flow", "priority=34,importance=9,actions=output:1"),
    ("mod-table", "4", "evict"),
    ("mod-table", "4", "vacancy:20,80"),
]
BUCKETS = [
    ("add-group", "group_id=5,type=select,selection_method=hash,"
                  "fields(ip_src,ip_dst),"
                  "bucket=bucket_id:10,weight:3,output:1,"
                  "bucket=bucket_id:11,weight:1,output:2"),
    ("insert-buckets", "group_id=5,command_bucket_id=10,"
                       "bucket=bucket_id:20,weight:2,output:3,"
                       "bucket=bucket_id:21,actions=drop"),
    ("insert-buckets", "group_id=5,command_bucket_id=first,"
                       "bucket=bucket_id:22,output:3"),
    ("insert-buckets", "group_id=5,command_bucket_id=last,"
                       "bucket=bucket_id:22,output:3"),            # refused
    ("insert-buckets", "group_id=6,command_bucket_id=last,"
                       "bucket=bucket_id:1,output:3"),             # refused
    ("remove-buckets", "group_id=5,command_bucket_id=11"),
    ("remove-buckets", "group_id=5,command_bucket_id=77"),         # refused
    ("remove-buckets", "group_id=5,command_bucket_id=last"),
]


def commands_of(version):
    """What a controller of that version may send."""
    number = VERSIONS[version]
    return (COMMANDS_10 + GROUPS + (SETS if number > 1 else [])
            + (METERS if number > 3 else [])
            + (IMPORTANCE if number > 4 else [])
            + (BUCKETS if number in (1, 6) else []))


class Ofctl:
    """ovs-ofctl to one socket."""

    def __init__(self, lab, socket, version):
        self.lab = lab
        self.socket = socket
        self.version = version

    def __call__(self, command, *argv, options=()):
        """Runs it; returns what it prints without what varies, and whether it
        ended well."""
        words = command.split()
        done = subprocess.run(
            ["ovs-ofctl", *words[:-1], "-O", self.version, *options, words[-1],
             f"unix:{self.socket}", *argv],
            capture_output=True, text=True, timeout=20, check=False,
            env={**os.environ, **self.lab.env})
        text = done.stdout + done.stderr
        text = re.sub(r"(xid=|duration=|idle_age=|hard_age=)[0-9a-fx.]+s?,? ?",
                      "", text)
        text = re.sub(r"n_(packets|bytes)=\d+, ", "", text)
        text = re.sub(r"(packet|byte)_count=\d+", "", text)
        # Our rules count in it: docs/limits.md.
        text = re.sub(r" vacancy=\d+%", "", text)
        return text, not done.returncode

    def flows(self, *argv, options=()):
        """The lines of dump-flows, sorted."""
        return sorted(self("dump-flows", *argv, options=options)[0]
                      .splitlines())


def make(lab, version):
    """Two alike bridges; returns (through instr, directly)."""
    for name in ("s1", "s2"):
        lab.add_bridge(name)
        for number in (1, 2, 3):
            lab.add_host(f"{name}h{number}", name, f"10.0.0.{number}/24")
    lab.add_collector()
    lab.start()
    lab.vsctl("add-port", "s1", "pc", "--", "set", "interface", "pc",
              "type=geneve", f"options:remote_ip={UNDER_COLLECTOR}",
              f"ofport_request={POSTCARD_PORT}")
    start_relay(lab, version)
    return (Ofctl(lab, f"{lab.dir}/instr.sock", version),
            Ofctl(lab, f"{lab.dir}/s2.mgmt", version))


def start_relay(lab, version, first=0):
    """instr between s1 and lab.dir/instr.sock."""
    relay = lab.spawn(
        "relay", [RELAY, f"{lab.dir}/s1.mgmt", f"{lab.dir}/instr.sock",
                  VERSIONS[version], "geneve", POSTCARD_PORT, "1"],
        env={"FIRST_VERSION": str(first)})
    wait_until(lambda: "ready" in relay_log(lab), what="instr")
    return relay


def relay_log(lab):
    """What the relay has said so far."""
    with open(f"{lab.dir}/relay.log", encoding="utf-8") as log:
        return log.read()


def clear_log(lab):
    """Forgets it."""
    os.truncate(f"{lab.dir}/relay.log", 0)


def is_built():
    """The relay is a program of `make check`."""
    return os.path.exists(RELAY)


pytestmark = pytest.mark.skipif(not is_built(), reason="no relay is built")


# The first version that has it.
SINCE = {"dump-table-desc": 5, "dump-meters": 4}


def groups(ofctl):
    """The lines of dump-groups, sorted."""
    return sorted(ofctl("dump-groups")[0].splitlines())


@pytest.mark.parametrize("version", VERSIONS)
def test_commands_look_the_same(lab, version):
    """Every command gives the same answer and leaves the same behind."""
    through, direct = make(lab, version)
    commands = commands_of(version)
    n_refused = 0
    for command, *argument in commands:
        want, went_well = direct(command, *argument)
        got, got_well = through(command, *argument)
        # What is refused is quoted; how it is shown depends on its number.
        assert (got.split("\n")[0], got_well) == \
            (want.split("\n")[0], went_well), argument
        n_refused += bool(want)
        assert through.flows() == direct.flows(), argument
        if "group" in command or "bucket" in command:
            assert groups(through) == groups(direct), argument
    assert n_refused >= 2
    for command in ("dump-aggregate", "dump-groups", "dump-group-stats",
                    "dump-tlv-map", "dump-table-desc", "dump-meters",
                    "queue-stats"):
        if command in SINCE and VERSIONS[version] < SINCE[command]:
            continue
        assert sorted(through(command)[0].splitlines()) == \
            sorted(direct(command)[0].splitlines())
    for argument in ("table=7", "ip", "out_port=3", "cookie=0x12/-1"):
        assert through.flows(argument) == direct.flows(argument)
        assert through("dump-aggregate", argument) == \
            direct("dump-aggregate", argument)
    if version == "OpenFlow10":
        plain = ("-F", "OpenFlow10-table_id")
        assert through.flows(options=plain) == direct.flows(options=plain)


def active_counts(ofctl):
    """The numbers of rules that dump-tables shows."""
    return re.findall(r"active=(\d+)", ofctl("dump-tables")[0])


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_and_ports_look_the_same(lab, version):
    """Counts of rules, and the ports that are there."""
    through, direct = make(lab, version)
    for ofctl in (through, direct):
        ofctl("add-flow", "table=0,ip,actions=resubmit(,3)")
        ofctl("add-flow", "table=3,ip,actions=output:1")
    assert active_counts(through) == active_counts(direct)
    for command in ("dump-ports-desc", "dump-ports"):
        ports = [set(re.findall(r"(?:port +| )(\d+|LOCAL)[(:]",
                                ofctl(command)[0]))
                 for ofctl in (through, direct)]
        assert ports[0] == ports[1] == {"1", "2", "3", "LOCAL"}


@pytest.mark.parametrize("version", ["OpenFlow13", "OpenFlow15"])
def test_bundles_look_the_same(lab, version):
    """A bundle of the controller's is whole or nothing."""
    through, direct = make(lab, version)
    for ofctl in (through, direct):
        # In a bundle the switch itself overlooks what the bundle adds when
        # no rule of that mask was there before.
        ofctl("add-flow", "priority=99,tcp,actions=drop")
    good = f"{lab.dir}/good"
    bad = f"{lab.dir}/bad"
    with open(good, "w", encoding="utf-8") as file:
        file.write("add priority=1,ip,actions=output:1\n"
                   "add priority=2,tcp,actions=write_actions(output:2)\n"
                   "add table=3,priority=0,actions=drop\n"
                   "modify tcp,actions=output:3\n"
                   "delete ip,table=9\n")
    with open(bad, "w", encoding="utf-8") as file:
        file.write("add priority=3,udp,actions=resubmit(,8)\n"
                   "add priority=0,actions=drop\n"
                   "delete tcp\n"
                   "add priority=4,ip,actions=group:77\n")
    for path, is_good in ((good, True), (bad, False), (good, True)):
        for ofctl in (through, direct):
            _, went_well = ofctl("add-flows", path, options=["--bundle"])
            assert went_well == is_good
        assert through.flows() == direct.flows()
    assert lab.ofctl("dump-flows", "s1", "table=253").count("clone") == 0


@pytest.mark.parametrize("version", ["OpenFlow10", "OpenFlow13", "OpenFlow15"])
def test_the_rules_survive_without_a_log(lab, version):
    """An instr that knows nothing finds the controller's rules, as they
    were, under the instrumentation of another."""
    through, direct = make(lab, version)
    commands = commands_of(version)
    for command, *argument in commands:
        if re.search("flood|=all", argument[0]):
            continue    # Lists of ports stay lists.
        for ofctl in (through, direct):
            ofctl(command, *argument)
    lab.process("relay").stop()
    clear_log(lab)
    start_relay(lab, version, first=1000)
    assert " cmd=found " in relay_log(lab)
    # Which flags are the controller's, only the log knows.
    found, want = [
        sorted(re.sub("send_flow_rem |check_overlap ", "", line)
               for line in ofctl.flows()) for ofctl in (through, direct)]
    assert found == want
    # And it can go on from there.
    for ofctl in (through, direct):
        ofctl("del-flows")
    assert through.flows() == direct.flows()


def test_timeouts_are_noticed(lab):
    """The rule goes from the shadow when it goes from the switch."""
    through, direct = make(lab, "OpenFlow13")
    for ofctl in (through, direct):
        ofctl("add-flow", "priority=9,hard_timeout=1,tcp,actions=output:1")
    wait_until(lambda: "hard_timeout" in relay_log(lab), what="the timeout")
    assert through.flows() == direct.flows() == direct.flows("table=77")
