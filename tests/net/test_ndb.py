# SPDX-License-Identifier: Apache-2.0
# ndb on the demo's network, by scripts: what cannot be reached, a race between
# two updates, a wrong modification; then live.

import json
import os
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "demo"))

# pylint: disable=wrong-import-position
import frames
import network
from lab import Lab, bindir
from process import wait_until
from stack import Stack

NDB = f"{bindir()}/ndb"
ROUTE, WRONG, NAT, DETOUR = 0x10, 0xbad, 0x20, 0x30
WEB_PORT, PUBLIC_PORT = 8000, 80


class Net:
    """The demo's switches and hosts, under a controller that does as told."""

    def __init__(self, lab):
        self.lab = lab
        for name, dpid in network.SWITCHES.items():
            lab.add_bridge(name, dpid)
        for a, b in network.LINKS:
            lab.add_link(a, b)
        for host in network.HOSTS:
            lab.add_host(host.name, host.switch, host.ip + "/24",
                         host.ip6 + "/64")
        lab.add_collector()
        lab.start()
        self.alice, self.web = lab.hosts["alice"], lab.hosts["web"]
        self.stack = Stack(lab)
        self.stack.start()
        for name in network.UPPER:
            self.route(name, network.UPPER[name])
        self.route("s6", "web")

    def port(self, a, b):
        return self.lab.bridges[a].port_to(b)

    def flow(self, name, cookie, priority, match, *actions, command="add"):
        self.stack.flow(network.SWITCHES[name], command=command, cookie=cookie,
                        priority=priority, match={"eth_type": 0x0800, **match},
                        actions=list(actions))

    def route(self, name, to, cookie=ROUTE, priority=100):
        """What goes to web goes from switch 'name' to 'to'."""
        self.flow(name, cookie, priority, {"ipv4_dst": self.web.ip},
                  {"type": "DEC_NW_TTL"},
                  {"type": "OUTPUT", "port": self.port(name, to)})

    def send(self, dport, sport=4321):
        self.alice.send(frames.udp4(self.alice.mac, "02:00:00:00:ff:01",
                                    self.alice.ip, self.web.ip, sport, dport,
                                    b"lasthop"))

    def ndb(self, *lines, status=0, options=()):
        """What ndb prints for a script of 'lines'."""
        script = f"{self.lab.dir}/case.ndb"
        with open(script, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        done = subprocess.run([NDB, "--utc", *options, "-x", script],
                              env={**os.environ, **self.lab.env}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=60,
                              check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def ask(self, *lines):
        """What ndb --json prints for them, a value a line."""
        return [json.loads(line) for line in
                self.ndb(*lines, options=["--json"]).splitlines()]


@pytest.fixture(scope="module")
def net(request):
    with Lab() as lab:
        failed = True
        try:
            yield Net(lab)
            failed = request.session.testsfailed > 0
        finally:
            lab.close(keep=failed)


def test_what_cannot_be_reached(net):
    """s3 drops a service: which rule, who made it, what would have matched."""
    net.flow("s3", WRONG, 400, {"ip_proto": 17, "udp_dst": 8443})
    net.send(8443)
    net.stack.histories("{{--bpf udp dst port 8443 --verdict dropped}}", 1)
    text = net.ndb("find {{--bpf udp dst port 8443 --verdict dropped}}", "bt",
                   "frame 2", "info flow", "why", "info changes near")
    assert " dropped    s1 > s2 > s3 " in text, text
    wrong = re.search(r"=> dropped by v(\d+)", text).group(1)
    assert re.search(rf"^v{wrong} of s3: flow, table 0, priority 400, "
                     "cookie 0xbad$", text, re.MULTILINE), text
    # Why: the rule that matched, and the one that would have without it.
    assert re.search(rf"^=> table 0 +priority 400 +v{wrong} +"
                     r"udp,tp_dst=8443 actions=drop\n"
                     r" +without it v\d+, priority 100, ip,nw_dst=10.0.3.10 ",
                     text, re.MULTILINE), text
    assert f"so it is dropped: v{wrong} in table 0 has no actions" in text
    # It was made shortly before, by the controller: why and changes near.
    assert len(re.findall(rf"^ +-[\d.]+ m?s +s3  rule-made +v{wrong} .*"
                          r"\(add by tcp:127.0.0.1:6653\)$", text,
                          re.MULTILINE)) == 2, text
    assert re.search(r"^=> \+.*  s3  #2 the packet: .* > DROP .*dropped$",
                     text, re.MULTILINE), text


def test_a_race_between_two_updates(net):
    """Traffic is moved to the lower way; s1 is told before s4 is."""
    phf = "^{{--bpf udp dst port 7000}}"
    net.send(7000)
    net.stack.histories(phf, 1)
    net.route("s1", "s4", cookie=DETOUR, priority=200)
    net.send(7000)
    net.stack.histories(phf, 2)
    net.route("s4", "s5", cookie=DETOUR)
    net.send(7000)
    net.stack.histories(phf, 3)
    text = net.ndb(f"find {phf} --oldest", "diff 1 2")
    ways = re.findall(r"^\d +\S+  (\w+) +(s.*?)  ", text, re.MULTILINE)
    assert ways[:3] == [("delivered", "s1 > s2 > s3 > s5 > s6"),
                        ("dropped", "s1 > s4"),
                        ("delivered", "s1 > s4 > s5 > s6")], text
    # They part at s1, which was told in between.
    assert re.search(r"^- #0 s1  s1-alice > s1-s2  v\d+\n(?:.*\n)*?"
                     r"\+ #0 s1  s1-alice > s1-s4  v\d+$", text,
                     re.MULTILINE), text
    assert re.search(r"^s1 was changed between the two, .*\n +\+.* s1  "
                     r"rule-made +v\d+ .*priority=200,", text,
                     re.MULTILINE), text
    # At s4 nothing matched; its rule came only after the packet.
    text = net.ndb(f"find {phf} --oldest", "next", "ladder", "frame 1", "why",
                   "info changes near")
    assert re.search(r"table 0 +no rule matches", text), text
    assert "so it is dropped" in text
    timeline = text.split("changes of this switch near then:")[1].split("\n",
                                                                      1)[1]
    timeline = timeline[timeline.index(" dropped "):]
    order = [re.search(pattern, timeline, re.MULTILINE) for pattern in (
        r"^ +-.* s1  rule-made .*priority=200,", r"^=> .* s4  #1 the packet",
        r"^ +\+.* s4  rule-made .*actions=dec_ttl")]
    assert all(order), timeline
    assert [m.start() for m in order] == sorted(m.start() for m in order)
    net.flow("s1", DETOUR, 200, {"ipv4_dst": net.web.ip},
             command="delete_strict")


def test_a_wrong_modification(net):
    """s5 translates 80 to a port that web does not serve."""
    net.flow("s5", NAT, 300, {"ip_proto": 17, "udp_dst": PUBLIC_PORT},
             {"type": "SET_FIELD", "field": "udp_dst", "value": WEB_PORT + 1},
             {"type": "OUTPUT", "port": net.port("s5", "s6")})
    net.send(PUBLIC_PORT)
    # Came in for the public port, left s6 for another than web's.
    phf = (f"^{{{{--bpf udp dst port {PUBLIC_PORT}}}}}.*"
           f"{{{{--dpid s6 --bpf not udp dst port {WEB_PORT}}}}}$")
    net.stack.histories(phf, 1)
    found, fields, rule, examined = net.ask(
        f"find {phf}", "frame 3", "info packet", "info flow",
        "x/2db udp.dst")[0:1] + net.ask(
        f"find {phf}", "frame 3", "info packet", "info flow",
        "x/1dh out udp.dst")[2:5]
    assert found["verdict"]["name"] == "delivered"
    [port] = [f for f in fields if f["field"] == "udp.dst"]
    assert (port["value"], port["after"]) == (str(PUBLIC_PORT),
                                              str(WEB_PORT + 1))
    assert int(rule["cookie"], 16) == NAT
    assert int(examined["bytes"], 16) == WEB_PORT + 1
    text = net.ndb(f"find {phf}", "frame 3", "info packet", "info flow")
    assert re.search(r"^\* udp.dst +80 -> 8001$", text, re.MULTILINE), text
    assert re.search(r"^v\d+ of s5: flow, .* cookie 0x20$", text,
                     re.MULTILINE), text


def test_breakpoints_stop_at_what_comes(net):
    """A condition, a count and commands, over a restart of the server."""
    script = f"{net.lab.dir}/live.ndb"
    with open(script, "w", encoding="utf-8") as file:
        file.write("""\
break {{--bpf udp dst port 9999}} if {{--dpid s6}}
ignore 1 1
commands 1
  silent
  frame 4
  continue --timeout 60
end
break {{--bpf udp dst port 9998}}
tbreak {{--bpf udp dst port 9997}}
continue --timeout 60
continue --timeout 60
continue --timeout 60
info breakpoints
""")
    live = net.lab.spawn("live-ndb", [NDB, "-x", script], netns=net.lab.col)

    def filters():
        return net.stack.server.call("trigger.list")["triggers"]
    wait_until(lambda: len(filters()) == 3, 10, "three breakpoints")
    for sport in (1001, 1002):
        net.send(9999, sport)
    wait_until(lambda: "alice:1002" in live.output() or
               ":1002 > " in live.output(), 10, "the second match")
    # The server goes away and comes again.
    net.lab.process("server").stop()
    wait_until(lambda: "waiting for it to come back" in live.output(), 10,
               "word that the server is away")
    # What it stores before ndb is there is stopped at, one after the other.
    live.signal(signal.SIGSTOP)
    net.stack.start_server()
    wait_until(net.stack.is_settled, 20, "the server to know the network")
    for sport in (1003, 1004):
        net.send(9998, sport)
    net.stack.histories("^{{--bpf udp dst port 9998}}", 2)
    live.signal(signal.SIGCONT)
    wait_until(lambda: "the server is back; 2 matches that it has stored" in
               live.output(), 20, "word that the server is back")
    wait_until(lambda: live.output().count("Breakpoint 2, ") == 2, 20,
               "two stops at what was stored")
    net.send(9997, 1005)
    wait_until(lambda: not live.is_running(), 20, "the script's end")
    text = live.output()
    assert ":1001 > " not in text, text
    assert text.index(":1003 > ") < text.index(":1004 > "), text
    assert "Temporary breakpoint 3, " in text and ":1005 > " in text, text
    assert "were not recorded: no server was running" in text, text
    assert re.search(r"^2   keep y   2 ", text, re.MULTILINE), text
    assert re.search(r"^1   keep y   2 ", text, re.MULTILINE), text
    assert not re.search(r"^3   ", text, re.MULTILINE), text


def test_a_server_that_hangs_is_not_waited_for(net):
    """Stopped, it answers nothing: the time-out and the socket are named."""
    server = net.lab.process("server")
    live = net.lab.spawn("hung-ndb", [NDB, "--timeout", "1", "-e",
                                      "break {{--bpf udp port 9997}}", "-e",
                                      "continue"], netns=net.lab.col)
    wait_until(lambda: net.stack.server.call("trigger.list")["triggers"], 10,
               "a breakpoint")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: "no answer in 1 s" in live.output(), 20,
                   "word that the server is silent")
        text = net.ndb("find .", status=2, options=["--timeout", "1"])
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert f"{net.lab.dir}/server.sock: no answer in 1 s" in text, text
    # Who waits for packets goes on waiting.
    wait_until(lambda: "the server answers again" in live.output(), 20,
               "word that the server answers")
    net.send(9997)
    wait_until(lambda: not live.is_running(), 20, "the breakpoint")
    assert "Breakpoint 1, " in live.output(), live.output()
    assert live.output().count("still waiting") == 1
