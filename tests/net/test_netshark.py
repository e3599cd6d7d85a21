# SPDX-License-Identifier: Apache-2.0
# netshark on a real network: live, over a restart of the server, and stored,
# with tshark as the reader of its captures.

import json
import os
import re
import signal

import frames
from lab import HERE, bindir
from process import run, wait_until
from stack import Stack

NETSHARK = f"{bindir()}/netshark"
NETWATCH = f"{bindir()}/netwatch"


def make_network(lab):
    """h1 - s1 - s2 - h2; s2 drops UDP to 9999."""
    for name in ("s1", "s2"):
        lab.add_bridge(name)
    lab.add_link("s1", "s2")
    h1 = lab.add_host("h1", "s1", "10.0.0.1/24")
    h2 = lab.add_host("h2", "s2", "10.0.0.2/24")
    lab.add_collector()
    lab.start()
    stack = Stack(lab)
    stack.start()

    def port(a, b):
        return lab.bridges[a].port_to(b)
    ip4 = {"eth_type": 0x0800}
    for dpid, out in ((1, port("s1", "s2")), (2, port("s2", "h2"))):
        stack.flow(dpid, cookie=dpid, priority=10, match=ip4,
                   actions=[{"type": "OUTPUT", "port": out}])
    stack.flow(2, cookie=3, priority=20, actions=[],
               match={**ip4, "ip_proto": 17, "udp_dst": 9999})
    return stack, h1, h2


def lines(process):
    """What a netshark with --json has shown."""
    return [json.loads(line) for line in process.output().splitlines()
            if line.startswith("{")]


def fields(path, *options):
    """What tshark reads in a capture: a list of lines' fields."""
    return [line.split("\t") for line in run(
        ["tshark", "-r", path, "-T", "fields", *options]).splitlines()]


def test_netshark_shows_what_happens_and_what_happened(lab):
    stack, h1, h2 = make_network(lab)
    names = {switch["dpid"]: {port["no"]: port["name"]
                              for port in switch["ports"]}
             for switch in stack.topology()["switches"]}

    def send(dport, payload):
        h1.send(frames.udp4(h1.mac, h2.mac, h1.ip, h2.ip, 4321, dport,
                            payload))

    def watched():
        return stack.server.call("trigger.list")["triggers"]

    # Live, as it happens.
    live = lab.spawn("netshark", [NETSHARK, "-f", "--json", "{{--dpid s1}}"],
                     netns=lab.col)
    wait_until(watched, 10, "netshark's live filter")
    send(9999, b"first")
    [first] = wait_until(lambda: lines(live), 10, "the first history")
    assert first["verdict"]["name"] == "dropped"
    assert [hop["switch"] for hop in first["hops"]] == ["s1", "s2"]

    # The server goes away and comes again.
    lab.process("server").stop()
    wait_until(lambda: "waiting for it to come back" in live.output(), 10,
               "word that the server is away")
    stack.start_server()
    wait_until(lambda: "the server is back; 0 matches" in live.output(), 20,
               "word that the server is back")
    wait_until(lambda: re.search(r"packets from \S+ to \S+ were not "
                                 "recorded", live.output()), 10,
               "word of the time that was missed")
    wait_until(stack.is_settled, 20, "the server to know the network")
    send(53, b"second")
    wait_until(lambda: len(lines(live)) == 2, 10, "the second history")
    assert lines(live)[1]["verdict"]["name"] == "delivered"

    # What the server has seen before netshark, or netwatch, was there again is
    # filled in, once.
    with open(f"{lab.dir}/net.watch", "w", encoding="ascii") as file:
        file.write("holes: no black-holes\n")
    watcher = lab.spawn("netwatch", [NETWATCH, "--json",
                                     f"{lab.dir}/net.watch"], netns=lab.col)
    wait_until(lambda: len(watched()) == 2, 10, "netwatch's live filter")
    live.signal(signal.SIGSTOP)
    watcher.signal(signal.SIGSTOP)
    lab.process("server").stop()
    stack.start_server()
    wait_until(stack.is_settled, 20, "the server to know the network")
    send(55, b"meanwhile")
    send(9999, b"meanwhile too")
    stack.histories("{{--bpf udp dst port 55}}", n=1)
    stack.histories("{{--bpf udp dst port 9999 --verdict dropped}}", n=2)
    live.signal(signal.SIGCONT)
    watcher.signal(signal.SIGCONT)
    wait_until(lambda: "the server is back; 2 matches that" in live.output(), 20,
               "word of what was filled in")
    send(56, b"after it")
    wait_until(lambda: len(lines(live)) == 5, 10, "the last history")
    ids = [history["packet_id"] for history in lines(live)]
    assert len(set(ids)) == 5
    wait_until(lambda: any(event["event"] == "violated" and
                           event["name"] == "holes"
                           for event in lines(watcher)), 10,
               "netwatch's word of what it had not seen")
    assert "were not recorded: no server was running" in watcher.output()
    watcher.stop()
    stored = json.loads(run([NETSHARK, "--json", "--last", "1m",
                             "{{--bpf udp dst port 55}}"],
                            env={**os.environ, **lab.env}))
    assert ids[2] == stored["packet_id"]

    # A live capture, which ends by itself.
    path = f"{lab.dir}/live.pcapng"
    capture = lab.spawn("capture", [NETSHARK, "-f", "-c", "1", "-w", path,
                                    "{{--bpf udp dst port 54}}"],
                        netns=lab.col)
    wait_until(lambda: len(watched()) == 2, 10, "the second live filter")
    send(54, b"third")
    wait_until(lambda: not capture.is_running(), 10, "the capture's end")
    assert len(fields(path, "-e", "frame.number")) == 2

    # Stored, of the server and of its archive when it is gone.
    stack.histories("{{--bpf udp}}", n=6)
    env = {**os.environ, **lab.env, "TZ": "UTC"}
    text = run([NETSHARK, "--last", "5m", "{{--bpf udp --verdict dropped}}$"],
               env=env)
    assert " dropped    s1 > s2  " in text and "9999 udp" in text, text
    assert len(text.splitlines()) == 2, text
    lab.process("server").stop()
    path = f"{lab.dir}/stored.pcapng"
    run([NETSHARK, "-r", f"{lab.dir}/archive", "--all", "-w", path,
         "{{--bpf udp}}"])
    packet_id = str(int(first["packet_id"], 16))
    hops = fields(path, "-Y", f"frame.packet_id == {packet_id}", "-e",
                  "frame.interface_name", "-e", "frame.comment", "-e",
                  "udp.dstport")
    sides = [f"s{dpid}:{names[f'{dpid:016x}'][lab.bridges[a].port_to(b)]}"
             for dpid, a, b in ((1, "s1", "h1"), (2, "s2", "s1"))]
    assert [hop[0] for hop in hops] == sides
    assert [hop[2] for hop in hops] == ["9999", "9999"]
    assert "path: s1 > s2" in hops[0][1]
    assert "verdict: dropped at s2" in hops[0][1]
    assert "udp,tp_dst=9999 actions=drop" in hops[1][1], hops[1][1]
    lua = os.path.join(HERE, "..", "..", "apps", "wireshark", "lasthop.lua")
    by_path = fields(path, "-X", f"lua_script:{lua}", "-Y",
                     'lasthop.path == "s1 > s2" && lasthop.verdict == '
                     '"dropped"', "-e", "udp.dstport")
    assert by_path == [["9999"]] * 4, by_path
