# SPDX-License-Identifier: Apache-2.0
# The distribution's ovs-ofctl runs one script directly and through the
# recorder (--serve) and cannot tell the difference: every message it sends
# and gets is the same (pair.py says what is not compared).

import difflib
import shlex

import pytest

from frames import udp4
from openflow import NAMES
from pair import Pair
from process import Failed, wait_until
from random_openflow import FRAMES

# Since which version on the wire, until which, the command (the switch's
# socket goes behind the first word that is no option), what it reads; or
# "monitor", in which versions, what `ovs-ofctl monitor` is to tell, and what is
# done meanwhile.
ALL = (1, 6)
SCRIPT = [
    # What there is.
    (*ALL, "show"),
    (*ALL, "dump-desc"),
    (*ALL, "probe"),
    (*ALL, "ping"),
    (*ALL, "ping 300"),
    (*ALL, "benchmark 100 20"),
    (*ALL, "get-frags"),
    (*ALL, "dump-tables"),
    (*ALL, "dump-table-features"),
    (*ALL, "dump-table-desc"),
    (*ALL, "dump-ports-desc"),
    (*ALL, "dump-ports-desc 2"),
    (*ALL, "dump-ports-desc 5"),        # The postcard port.
    (*ALL, "dump-ports"),
    (*ALL, "dump-ports 1"),
    (*ALL, "dump-ports 5"),
    (*ALL, "dump-ports lhp-1"),
    (*ALL, "queue-stats"),
    (*ALL, "queue-stats 5"),
    (*ALL, "queue-get-config 1"),
    (*ALL, "queue-get-config 5"),
    (*ALL, "queue-get-config"),
    (*ALL, "dump-groups"),
    (*ALL, "dump-group-stats"),
    (*ALL, "dump-group-features"),
    (*ALL, "dump-meters"),
    (*ALL, "meter-stats"),
    (*ALL, "meter-features"),
    (*ALL, "dump-tlv-map"),
    (*ALL, "dump-ipfix-bridge"),
    (*ALL, "dump-ipfix-flow"),
    # Rules of many shapes.
    (*ALL, "add-flow priority=1,actions=normal"),
    (*ALL, "add-flow priority=5,ip,nw_dst=10.0.0.2,actions=dec_ttl,output:2"),
    (*ALL, "add-flow cookie=0x12,priority=6,arp,actions=flood"),
    (*ALL, "add-flow cookie=0x13,priority=7,udp,actions=all"),
    (*ALL, "add-flow priority=8,tcp,idle_timeout=600,hard_timeout=900,"
           "send_flow_rem,actions=load:0x3->NXM_NX_REG0[],"
           "output:NXM_NX_REG0[]"),
    (*ALL, "add-flow priority=9,icmp,actions=resubmit(,4),mod_nw_tos:16,"
           "normal"),
    (*ALL, "add-flow table=4,priority=1,actions=controller(max_len=77)"),
    (*ALL, "add-flow priority=10,tcp,tp_dst=81,actions=enqueue:1:2,in_port"),
    (*ALL, "add-flow priority=11,ip,nw_src=10.3.0.0/16,"
           "actions=conjunction(7,1/2)"),
    (*ALL, "add-flow priority=12,ip,nw_src=10.9.0.0/16,actions="
           "clone(mod_nw_ttl:3,output:1),output(port=2,max_len=70)"),
    (*ALL, "add-flow priority=13,arp,arp_op=2,actions=learn(table=6,"
           "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),local"),
    (*ALL, "add-flow priority=14,sctp,ct_state=-trk,actions=ct(table=7)"),
    (*ALL, "add-flow table=7,ip,actions=ct(commit,nat(src=10.7.7.7)),"
           "output:3"),
    (*ALL, "add-flow table=7,priority=3,ip6,actions=multipath(eth_src,50,"
           "modulo_n,4,0,NXM_NX_REG1[0..1]),exit"),
    (*ALL, "add-flow priority=20,in_port=1,dl_vlan=5,actions=strip_vlan,"
           "note:01.02.03.04.05.06,output:3"),
    (2, 6, "add-flow priority=21,in_port=2,vlan_tci=0,actions="
           "mod_vlan_vid:7,mod_vlan_pcp:3,mod_dl_src:02:09:09:09:09:09,"
           "output:4"),
    (*ALL, "add-flow check_overlap,priority=20,in_port=2,actions=drop"),
    (*ALL, "add-flow check_overlap,priority=5,tcp,actions=drop"),  # Refused.
    (*ALL, "add-flow priority=22,tcp,tp_dst=9,actions=output:77"),
    (*ALL, "add-flow priority=23,udp6,tp_src=5,actions=bundle(eth_src,0,hrw,"
           "ofport,members:1,2)"),
    (*ALL, "add-flow table=253,priority=5,actions=drop"),
    (*ALL, "add-flow table=254,priority=5,actions=drop"),
    (*ALL, "add-flow priority=24,metadata=5,actions=push:NXM_NX_REG0[],"
           "pop:NXM_NX_REG1[],set_tunnel:5,output:1"),
    (2, 6, "add-flow priority=30,sctp,actions=write_actions(mod_nw_ttl:8,"
           "output:3),goto_table:1"),
    (2, 6, "add-flow table=1,priority=1,sctp,actions=clear_actions,"
           "write_actions(output:2)"),
    (2, 6, "add-flow table=1,priority=2,actions=write_metadata:0x5,"
           "goto_table:2"),
    (2, 6, "add-flow table=2,priority=0,actions=drop"),
    (2, 6, "add-flow priority=31,mpls,actions=dec_mpls_ttl,output:2"),
    (2, 6, "add-flow priority=32,dl_type=0x88b6,actions=push_vlan:0x8100,"
           "set_field:4099->vlan_vid,output:2"),
    (3, 6, "add-flow priority=33,ip6,actions=set_field:7->ipv6_label,"
           "output:4"),
    (4, 6, "add-flow no_packet_counts,no_byte_counts,priority=34,"
           "dl_type=0x88b7,actions=output:4"),
    (5, 6, "add-flow importance=7,priority=35,dl_type=0x88b8,"
           "idle_timeout=77,actions=output:1"),
    (*ALL, "dump-flows"),
    (*ALL, "add-flows -", "priority=40,in_port=1,udp,tp_dst=53,actions=drop\n"
           "modify udp,tp_dst=53,actions=output:4\n"
           "delete table=253\n"
           "delete_strict priority=24,metadata=5\n"
           "add priority=41,in_port=3,actions=3,in_port\n"
           "modify_strict priority=41,in_port=3,actions=1\n"),
    (*ALL, "add-flows -", "priority=42,ip,actions=group:99\n"),  # Refused.
    # Bundles.
    (*ALL, "--bundle add-flows -", "add priority=50,ip,nw_dst=10.50.0.1,"
           "actions=output:1\nadd priority=50,ip,nw_dst=10.50.0.2,"
           "actions=output:1\nmodify ip,nw_dst=10.50.0.0/16,"
           "actions=output:3\ndelete ip,nw_dst=10.50.0.2\n"),
    (*ALL, "--bundle add-flows -", "add priority=51,ip,nw_dst=10.51.0.1,"
           "actions=output:1\nadd priority=51,ip,actions=group:99\n"),
    (*ALL, "--bundle add-flow priority=52,ip,nw_dst=10.52.0.1,actions=2"),
    (*ALL, "--bundle del-flows nw_dst=10.52.0.1,ip"),
    (*ALL, "--bundle mod-flows tcp,actions=3,1"),
    # Packets.
    ("packet", 1, "udp"), ("packet", 2, "tcp 80"), ("packet", 1, "arp"),
    ("packet", 3, "icmp"), ("packet", 1, "vlan 5"), ("packet", 2, "udp6"),
    ("packet", 1, "udp ttl 1"), ("packet", 4, "unknown"),
    (*ALL, "packet-out 1 2,3 " + FRAMES["udp"].hex()),
    (*ALL, "packet-out NONE table " + FRAMES["tcp 80"].hex()),
    (*ALL, "packet-out local flood " + FRAMES["arp"].hex()),
    (*ALL, "packet-out in_port=2,packet=" + FRAMES["icmp"].hex() +
           ",actions=mod_nw_tos:4,all,resubmit(,0)"),
    (*ALL, "packet-out 5 2 " + FRAMES["udp"].hex()),
    (*ALL, "packet-out 77 2 " + FRAMES["udp"].hex()),
    (*ALL, "--bundle packet-out 1 2 " + FRAMES["udp"].hex()),
    ("sent",),
    ("warp", 3000),
    # Statistics, with every filter.
    (*ALL, "dump-flows"),
    (*ALL, "dump-flows table=0"),
    (*ALL, "dump-flows table=77"),
    (*ALL, "dump-flows ip"),
    (*ALL, "dump-flows ip,nw_dst=10.0.0.2"),
    (*ALL, "dump-flows tcp,tp_dst=81"),
    (*ALL, "dump-flows out_port=2"),
    (*ALL, "dump-flows out_port=5"),
    (*ALL, "dump-flows cookie=0x12/-1"),
    (*ALL, "dump-flows cookie=0x10/0x10"),
    (*ALL, "dump-flows cookie=0x6c617374686f7000/0xffffffffffffff00"),
    (*ALL, "--strict dump-flows priority=5,ip,nw_dst=10.0.0.2"),
    (2, 6, "dump-flows out_group=1"),
    (*ALL, "-F OpenFlow10-table_id dump-flows"),
    (*ALL, "-F nxm dump-flows"),
    (*ALL, "-F oxm dump-flows"),
    (*ALL, "-m --sort dump-flows"),
    (*ALL, "--no-stats --names dump-flows"),
    (*ALL, "dump-aggregate"),
    (*ALL, "dump-aggregate ip"),
    (*ALL, "dump-aggregate table=4"),
    (*ALL, "dump-aggregate out_port=5"),
    (*ALL, "dump-aggregate cookie=0x10/0x10"),
    (*ALL, "dump-tables"),
    (*ALL, "dump-ports"),
    # Changes.
    (*ALL, "mod-flows udp,actions=output:3"),
    (*ALL, "mod-flows cookie=0x12/-1,actions=output:1"),
    (*ALL, "mod-flows cookie=0x99/-1,actions=drop"),
    (*ALL, "mod-flows table=0,actions=output:1,flood"),
    (*ALL, "mod-flows ip,nw_dst=10.88.0.1,actions=output:1"),  # OF 1.0: adds.
    (*ALL, "--strict mod-flows priority=6,arp,actions=output:1,output:3"),
    (*ALL, "mod-flows reset_counts,icmp,actions=all"),
    (*ALL, "--strict del-flows priority=10,tcp,tp_dst=81"),
    (*ALL, "del-flows ip,out_port=2"),
    (*ALL, "del-flows out_port=5"),
    (*ALL, "del-flows cookie=0x13/-1"),
    (*ALL, "del-flows table=253"),
    (*ALL, "dump-flows"),
    (*ALL, "diff-flows - 0", "priority=1,actions=normal\n"),
    (*ALL, "replace-flows -", "priority=1,actions=normal\n"
           "priority=60,ip,nw_dst=10.60.0.1,actions=output:1\n"
           "priority=61,table=3,actions=drop\n"),
    (*ALL, "--readd replace-flows -", "priority=1,actions=normal\n"
           "priority=61,table=3,actions=output:2\n"),
    (*ALL, "--bundle replace-flows -", "priority=1,actions=normal\n"
           "priority=62,table=3,actions=output:2,in_port\n"),
    (*ALL, "dump-flows"),
    # Groups.
    (*ALL, "add-group group_id=1,type=select,bucket=output:1,"
           "bucket=mod_dl_src:02:02:02:02:02:02,output:2,bucket=drop"),
    (*ALL, "add-group group_id=2,type=all,bucket=group:1,bucket=all"),
    (*ALL, "add-group group_id=3,type=ff,bucket=watch_port:1,output:1,"
           "bucket=watch_port:2,output:2"),
    (*ALL, "add-group group_id=3,type=indirect,bucket=output:1"),  # Refused.
    (*ALL, "add-groups -", "group_id=11,type=all,bucket=output:1\n"
           "group_id=12,type=indirect,bucket=output:flood\n"),
    (*ALL, "--bundle add-groups -", "group_id=13,type=all,bucket=output:1\n"
           "group_id=13,type=all,bucket=output:1\n"),       # Refused.
    (*ALL, "--may-create mod-group group_id=4,type=indirect,bucket=output:2"),
    (*ALL, "--may-create mod-group group_id=4,type=indirect,bucket=output:3"),
    (*ALL, "mod-group group_id=44,type=indirect,bucket=output:3"),  # Refused.
    (*ALL, "add-flow priority=70,tcp,actions=group:1"),
    (*ALL, "add-flow priority=71,udp,actions=output:4,group:2"),
    (2, 6, "add-flow priority=72,sctp,actions=write_actions(group:3)"),
    ("packet", 2, "tcp 80"), ("packet", 1, "udp"), ("packet", 1, "udp"),
    ("sent",),
    ("warp", 2000),
    (*ALL, "dump-groups"),
    (*ALL, "dump-groups 3"),
    (*ALL, "dump-groups 99"),
    (*ALL, "dump-group-stats"),
    (*ALL, "dump-group-stats group_id=1"),
    (*ALL, "dump-group-stats group_id=99"),
    (*ALL, "dump-group-features"),
    (*ALL, "dump-flows"),
    (2, 6, "dump-flows out_group=1"),
    (2, 6, "dump-aggregate out_group=2"),
    (2, 6, "del-flows out_group=2"),
    (1, 6, "add-group group_id=5,type=select,selection_method=hash,"
           "fields(ip_src,ip_dst),bucket=bucket_id:10,weight:3,output:1,"
           "bucket=bucket_id:11,weight:1,output:2"),
    (*ALL, "insert-buckets group_id=5,command_bucket_id=10,"
           "bucket=bucket_id:20,weight:2,output:3,"
           "bucket=bucket_id:21,actions=drop"),
    (*ALL, "insert-buckets group_id=5,command_bucket_id=last,"
           "bucket=bucket_id:20,output:3"),                 # Refused.
    (*ALL, "remove-buckets group_id=5,command_bucket_id=11"),
    (*ALL, "remove-buckets group_id=5,command_bucket_id=77"),
    (*ALL, "dump-groups"),
    (*ALL, "mod-group group_id=1,type=all,bucket=output:3"),
    (*ALL, "del-groups group_id=1"),
    (*ALL, "dump-flows"),
    (*ALL, "dump-tables"),
    (*ALL, "del-groups"),
    # Meters.
    (4, 6, "add-meter meter=1,kbps,band=type=drop,rate=1000"),
    (4, 6, "add-meter meter=1,kbps,band=type=drop,rate=1000"),  # Refused.
    (4, 6, "add-meter meter=2,pktps,burst,stats,"
           "band=type=drop,rate=100,burst_size=20"),
    (4, 6, "add-flow priority=80,udp,actions=meter:1,output:2"),
    (4, 6, "add-flow priority=81,arp,actions=meter:7,output:2"),  # Refused.
    (4, 6, "mod-meter meter=1,pktps,band=type=drop,rate=1000"),
    ("packet", 1, "udp"),
    (4, 6, "dump-meters"),
    (4, 6, "dump-meters meter=2"),
    (4, 6, "dump-meters meter=9"),
    (4, 6, "meter-stats"),
    (4, 6, "meter-stats meter=1"),
    (4, 6, "meter-features"),
    (4, 6, "dump-flows"),
    (4, 6, "del-meters meter=1"),
    (4, 6, "dump-flows"),
    (4, 6, "del-meters"),
    # The rest of the switch.
    (*ALL, "mod-port 2 no-flood"),
    (*ALL, "mod-port 1 down"),
    (*ALL, "mod-port p1 up"),
    (*ALL, "mod-port 5 no-flood"),
    (*ALL, "mod-port lhp-1 no-flood"),
    (*ALL, "mod-port 77 down"),
    (*ALL, "dump-ports-desc"),
    (*ALL, "set-frags drop"),
    (*ALL, "get-frags"),
    (*ALL, "set-frags nx-match"),
    (*ALL, "get-frags"),
    (2, 3, "mod-table 3 drop"),
    (2, 3, "mod-table 3 continue"),
    (2, 3, "mod-table all controller"),
    (5, 6, "mod-table 3 evict"),
    (5, 6, "mod-table 3 noevict"),
    (5, 6, "mod-table 3 vacancy:20,80"),
    (5, 6, "mod-table 3 novacancy"),
    (5, 6, "dump-table-desc"),
    (*ALL, "dump-tables"),
    (*ALL, "dump-table-features"),
    (*ALL, "add-tlv-map {class=0xffff,type=0,len=4}->tun_metadata0"),
    (*ALL, "add-tlv-map {class=0xffff,type=1,len=4}->tun_metadata0"),
    (*ALL, "add-tlv-map {class=0xffff,type=2,len=8}->tun_metadata1"),
    (*ALL, "dump-tlv-map"),
    (2, 5, "add-flow priority=90,tun_metadata0=0x1234,actions="
           "set_field:0x77->tun_metadata1,output:2"),
    (*ALL, "dump-flows"),
    (*ALL, "del-tlv-map {class=0xffff,type=1,len=4}->tun_metadata0"),
    (*ALL, "del-flows tun_metadata0"),
    ("warp", 1000),
    (*ALL, "del-tlv-map"),
    (*ALL, "dump-tlv-map"),
    (*ALL, "ct-flush-zone 3"),
    (*ALL, "ct-flush"),
    (*ALL, "ct-flush zone=5 ct_nw_src=10.0.0.1,ct_nw_proto=17"),
    # The end.
    (*ALL, "--read-only del-flows"),
    (*ALL, "--bundle del-flows"),
    (*ALL, "del-flows"),
    (*ALL, "dump-flows"),
    (*ALL, "dump-tables"),
    (*ALL, "show"),
    # What is told unasked, while others do what follows.
    (*ALL, "add-flow priority=5,in_port=1,actions=output:2"),
    (*ALL, "add-flow table=1,priority=5,ip,actions=output:3"),
    ("monitor", (1, 4, 5, 6), "watch:", [
        (*ALL, "add-flow cookie=0x5,priority=6,udp,actions=output:2"),
        (*ALL, "add-flow priority=7,tcp,idle_timeout=60,"
               "actions=resubmit(,1),flood"),
        (4, 6, "add-flow priority=8,sctp,actions=write_actions(output:1),"
               "goto_table:1"),
        (*ALL, "mod-flows udp,actions=output:3"),
        (*ALL, "mod-flows udp,actions=output:3"),       # It changes nothing.
        (*ALL, "--strict del-flows priority=6,udp"),
        (*ALL, "--bundle add-flows -", "add priority=6,arp,actions=all\n"
               "add priority=7,arp,actions=normal\n"),
        (*ALL, "add-flows -", "priority=9,arp,actions=output:1\n"
               "priority=9,arp,actions=output:4\n"),
        (4, 6, "del-flows arp"),    # Before, several commands for the switch.
        (1, 3, "--strict del-flows priority=7,arp"),
        (*ALL, "add-flow priority=9,udp,actions=group:99"),     # Refused.
        (*ALL, "add-flow priority=10,udp,hard_timeout=3,actions=drop"),
        ("warp", 5000),
    ]),
    ("monitor", (1, 4, 5), "watch:!initial,!delete,table=1", [
        (*ALL, "add-flow priority=6,udp,actions=output:2"),
        (*ALL, "add-flow table=1,priority=6,udp,actions=output:2"),
        (*ALL, "mod-flows udp,actions=output:1"),
        (*ALL, "del-flows udp"),
    ]),
    ("monitor", (1, 4, 5), "watch:!actions,!modify,!own,out_port=2", [
        (*ALL, "add-flow priority=6,udp,actions=output:2"),
        (*ALL, "add-flow priority=7,udp,actions=output:3"),
        (*ALL, "mod-flows udp,actions=drop"),
        (*ALL, "del-flows udp"),
    ]),
    ("monitor", (1, 4, 5), "watch:out_port=5", []),      # The postcard port.
    ("monitor", (1, 4, 5, 6), "--packet-in-format=standard 65535", [
        ("packet", 2, "unknown"),       # A miss, or nothing.
        (*ALL, "add-flow cookie=0x7,priority=20,udp,send_flow_rem,actions="
               "output:2,controller(max_len=60)"),
        ("packet", 1, "udp"),
        (*ALL, "add-flow priority=21,tcp,actions=mod_nw_tos:8,"
               "resubmit(,1),controller:20,controller"),
        ("packet", 2, "tcp 80"),
        (*ALL, "add-flow table=1,priority=0,actions=controller"),
        (2, 6, "add-flow priority=0,actions=goto_table:1"),
        ("packet", 3, "arp"),
        ("tell", "ofctl/packet-out", "in_port=3,packet=" +
                 FRAMES["tcp 80"].hex() + ",actions=table"),
        (*ALL, "packet-out in_port=2,packet=" + FRAMES["udp"].hex() +
               ",actions=controller(max_len=50),table"),
        (*ALL, "del-flows udp"),
        (*ALL, "mod-port 3 down"),
        (*ALL, "mod-port 3 up"),
    ]),
    ("monitor", (1, 4, 5), "--packet-in-format=nxt_packet_in2 65535 watch:", [
        (*ALL, "add-flow priority=22,udp,actions=controller("
               "userdata=01.02.03,max_len=40),set_tunnel:5,"
               "controller(reason=invalid_ttl),output:1"),
        ("packet", 1, "udp"),
        ("packet", 2, "unknown"),       # A miss tells no cookie.
    ]),
    ("monitor", (1, 2), "--packet-in-format=nxt_packet_in 65535", [
        ("packet", 2, "unknown"),
    ]),
    (*ALL, "del-flows"),
    ("monitor", (1, 2, 3), "65535 invalid_ttl", [
        (*ALL, "add-flow ip,actions=dec_ttl,output:2"),
        ("packet", 1, "udp ttl 1"),
        ("packet", 1, "udp"),
    ]),
    (*ALL, "get-frags"),
    (*ALL, "del-flows"),
]


def command(version, text):
    """The words of one, for Pair.run()."""
    words = shlex.split(text)
    at = 0
    while words[at].startswith("-"):
        at += 2 if words[at] == "-F" else 1
    tail = ["SWITCH" if word == "0" and words[at] == "diff-flows" else word
            for word in words[at + 1:]]
    switch = [] if words[at] == "diff-flows" else ["SWITCH"]
    names = [] if "--names" in words else ["--no-names"]
    return ["ovs-ofctl", *names, *(["-O", NAMES[version]] if version else []),
            *words[:at + 1], *switch, *tail]


def frames_difference(pair):
    """What has left by the ports of one only."""
    seen = [{}, {}]

    def is_same():
        for frames, switch in zip(seen, pair.switches):
            for port, more in switch.sent().items():
                frames.setdefault(port, []).extend(more)
        return seen[0] == seen[1]
    try:
        wait_until(is_same, 2)
    except Failed:
        return "\n".join(
            f"port {port}, {name}: {frame.hex()}"
            for name, frames, others in (("directly only", *seen),
                                         ("through only", *reversed(seen)))
            for port in frames for frame in frames[port]
            if frames[port].count(frame) > others.get(port, []).count(frame))
    return None


def monitor(pair, version, words, steps):
    """Does 'steps' while somebody watches; what was different, or None."""
    pair.monitor(*command(version, words))
    for step in steps:
        if step[0] == "packet":
            pair.receive(step[1], FRAMES[step[2]])
        elif step[0] == "warp":
            pair.warp(step[1])
        elif step[0] == "tell":
            pair.tell_monitor(*step[1:])
        elif step[0] <= (version or 1) <= step[1]:
            pair.run(*command(version, step[2]), stdin="".join(step[3:]))
        pair.settle()
    pair.end_monitor()
    return pair.difference(is_monitored=True)


def do(pair, version, step):
    """Does one step; what was different, as text, or None."""
    if step[0] == "monitor":
        words = step[2].split()
        words.insert(words[0].startswith("-"), "monitor")
        return monitor(pair, version, " ".join(words), step[3]) \
            if version in step[1] else None
    if step[0] == "packet":
        pair.receive(step[1], FRAMES[step[2]])
        return None
    if step[0] == "warp":
        pair.call("revalidator/purge")
        pair.warp(step[1])
        return None
    if step[0] == "sent":
        return frames_difference(pair)
    since, until, text, *stdin = step
    if not since <= (version or 1) <= until:
        return None
    a, b = pair.run(*command(version, text), stdin=stdin[0] if stdin else "")
    found = pair.difference()
    if a[0] != b[0]:
        found = f"{found}\nexit status {a[0]}, and {b[0]}"
    if not found:
        return None
    lines = [sorted((out + err).splitlines()) for _, out, err in (a, b)]
    return found + "\nprinted:\n" + "\n".join(
        line for line in difflib.ndiff(*lines) if line[0] in "+-")


@pytest.mark.parametrize("version", [*NAMES, None], ids=str)
def test_ovs_ofctl_cannot_tell(version, tmp_path):
    """Each command of the script, message by message."""
    found = []
    with Pair(tmp_path) as pair:
        for step in SCRIPT:
            text = do(pair, version, step)
            if text:
                found.append(f"--- {step}\n{text}")
        found = "\n".join(found) + pair.dump() if found else None
    if found:
        pytest.fail(found)
