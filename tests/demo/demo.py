#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The demo: a real network, its traffic, and what ndb says about its packets.
"""
usage: demo.py [--bindir DIR] [--batch] [--patched | --cluster]

Needs root.  At a terminal it ends in the prompt of ndb, with the network still
there; with --batch, or when not at a terminal, it ends after the last scene.
With --patched the switches make their postcards themselves (docs/datapath.md).
With --cluster three lasthop-servers share the work, of which one is killed
under traffic (docs/cluster.md).
All that ndb and ovs-ofctl are shown to print is what they print.  Exit status
0 when every scene came out as told, 1 otherwise.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "net"))

# pylint: disable=wrong-import-position
import network
from api import Api
from demo_network import DemoNetwork
from lab import bindir
from process import Failed, wait_until

WIDTH = 79

# The packets of the scenes, as ndb is asked for them.
PUBLIC = f"{network.NAT_PUBLIC[0]}:{network.NAT_PUBLIC[1]}"
ASKED = (f'^{{{{--bpf "tcp[tcpflags] == tcp-syn and dst host '
         f'{network.NAT_PUBLIC[0]}" --dpid s1}}}}')
ANSWERED = ('^{{--bpf "tcp[tcpflags] == tcp-syn|tcp-ack and src port 8000"'
            ' --dpid s6}}')
PINGED = '^{{--bpf "icmp[0] == 8" --dpid s1}}'
PINGED6 = '^{{--bpf "icmp6 and ip6[40] == 128" --dpid s1}}'
READ = '^{{--bpf "udp and dst port 6900" --dpid s1}}'
LOST = (f'{{{{--bpf "tcp and dst port {network.WRONG_PORT}"'
        f' --verdict dropped}}}}')


def bold(text):
    """'text' for the eye, where colours are wanted."""
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\033[1m{text}\033[0m"
    return text


def tell(text=""):
    """Prints the narrator's words."""
    print(text, flush=True)


def scene(title):
    """Begins a part of the demo."""
    tell()
    tell(bold(f"--- {title} ".ljust(WIDTH, "-")))


class Step:
    """`with Step("..."):` prints what is being done and how long it took."""

    def __init__(self, title):
        self.title = title
        self.start = time.monotonic()

    def __enter__(self):
        print(f"{self.title:<60} ", end="", flush=True)

    def __exit__(self, kind, value, traceback):
        took = time.monotonic() - self.start
        came = ("ok" if not kind else
                "stopped" if issubclass(kind, KeyboardInterrupt) else "FAILED")
        tell(f"{came} ({took:.1f} s)")


class Demo:
    """The scenes, on a network that stands."""

    def __init__(self, net):
        self.net = net
        self.env = {**net.env}
        self.env["PATH"] = os.pathsep.join([bindir(), self.env["PATH"]])

    # --- the narrator's hands ------------------------------------------------

    def show(self, *argv):
        """Runs a command as a person would and shows both it and what it
        prints, which is returned."""
        words = " ".join(shlex.quote(word) for word in argv)
        tell()
        tell(bold(f"$ {words}"))
        done = subprocess.run(argv, env=self.env, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        tell(done.stdout.rstrip("\n") or "(it prints nothing)")
        if done.returncode != 0:
            raise Failed(f"{argv[0]}: exit status {done.returncode}")
        return done.stdout

    def ndb(self, *commands):
        """Shows what ndb answers to 'commands'."""
        words = ["ndb"]
        for command in commands:
            words += ["-e", command]
        return self.show(*words)

    def wait_for(self, phf, verdict):
        """Waits until the server has a history that matches 'phf' and ended
        with 'verdict'."""
        with Api(f"{self.net.dir}/server.sock") as server:
            wait_until(lambda: any(
                history["verdict"]["name"] == verdict
                for history in server.query(phf)), 15,
                f"a history that is {verdict} and matches {phf}")

    def wait_for_topology(self):
        """Waits until the recorder has found every link."""
        with Api(f"{self.net.dir}/recorder.sock") as recorder:
            wait_until(lambda: len(recorder.call("topology")["topology"]
                                   ["links"]) == len(network.LINKS), 30,
                       "the recorder to find the links")

    # --- the scenes ------------------------------------------------------------

    def traffic(self):
        """A little of everything."""
        net = self.net
        alice, bob = net.hosts["alice"], net.hosts["bob"]
        web, files = net.hosts["web"], net.hosts["files"]
        with Step(f"alice pings web ({web.ip} and {web.ip6})"):
            expect(alice.ping(web.ip) and alice.ping(web.ip6), "an answer")
        with Step(f"bob reads from files by UDP ({files.ip6} port 6900)"):
            expect(net.request("bob", "udp", files.ip6, 6900, "read")
                   == "READ", "an answer")
        with Step(f"alice fetches a page from {PUBLIC} by TCP"):
            expect(net.request("alice", "tcp", *network.NAT_PUBLIC, "get /")
                   == "GET /", "an answer")
        with Step(f"alice tries {web.ip}:{network.WRONG_PORT}: no answer"):
            expect(net.request("alice", "tcp", web.ip, network.WRONG_PORT,
                               timeout=1) is None, "no answer")
        with Step("lasthop-server has the histories"):
            self.wait_for(ASKED, "delivered")
            self.wait_for(ANSWERED, "delivered")
            self.wait_for(LOST, "dropped")
            self.wait_for(PINGED6, "delivered")
            self.wait_for(READ, "delivered")

    def delivered(self):
        """The backtrace of a packet through the NAT."""
        tell(f"""
alice asked {PUBLIC}, an address that no host has.  Where did her
packet go?  ndb finds it by what it looked like when it entered the network at
s1; bt is its backtrace: at each switch the ports, the rule that matched, and
what that rule changed.""")
        self.ndb(f"find {ASKED}", "bt")
        tell("""
s5 rewrote the destination's address and port.  When was that rule made, and by
whom?""")
        self.ndb(f"find {ASKED}", "frame 3", "info flow")
        tell("""
The answer came back by the other way, and was translated back:""")
        self.ndb(f"find {ANSWERED}", "bt")
        tell("""
IPv6 is no different:""")
        self.ndb(f"find {PINGED6}", "bt")

    def dropped(self):
        """The backtrace of a packet that vanished."""
        tell(f"""
web serves port {network.WRONG_PORT} too, but alice gets no answer, and no \
switch complains.
What became of those of her packets that were dropped?""")
        self.ndb(f"find {LOST}", "bt")
        tell("""
It died at s3.  This is the very rule:""")
        self.ndb(f"find {LOST}", "frame 2", "info flow")

    def repaired(self):
        """The repair, and the past that it does not change."""
        web = self.net.hosts["web"]
        with Step("The controller deletes that rule"):
            self.net.tell_controller("repair")
        with Step(f"alice tries {web.ip}:{network.WRONG_PORT} again: an "
                  f"answer"):
            expect(self.net.request("alice", "tcp", web.ip,
                                    network.WRONG_PORT) == "HELLO",
                   "an answer")
        tell("""
s3 knows nothing of it any more:""")
        self.show("ovs-ofctl", "-O", "OpenFlow13", "--no-stats",
                  "dump-flows", f"unix:{self.net.dir}/s3.mgmt",
                  f"tcp,tp_dst={network.WRONG_PORT}")
        tell("""
But ndb still has the table as it was when the packet died:""")
        self.ndb(f"find {LOST}", "frame 2", "info table")
        tell("""
It can send that packet through those tables again, and tell what has changed
since:""")
        # A switch that makes its postcards has no rule for table misses of ours.
        less = 1 if self.net.is_patched else 0
        self.ndb(f"find {LOST}", "frame 2", f"why not v{5 - less}",
                 "info changes s3 --limit 3", f"diff s3 v{8 - less}")

    def shared(self):
        """Three servers, of which one dies under traffic."""
        net = self.net
        alice, web = net.hosts["alice"], net.hosts["web"]
        n = 400

        tell("""
Three lasthop-servers share the work over nats-server.  The switches send to a;
each packet's postcards go to the server that owns its shard, its history to the
two that archive it (--replicas 2).""")
        self.show("lasthopctl", "cluster", "status")
        with Step("alice pings web, 100 times a second"):
            pings = net.spawn("pings", [
                "ping", "-n", "-c", str(n), "-i", "0.01", "-W", "2", web.ip],
                netns=alice.netns)
            wait_until(lambda: "icmp_seq=100 " in pings.output(), 30,
                       "pings")
        with Step("server b is killed (kill -9) while she does"):
            net.members["b"].kill()
            wait_until(lambda: "b" not in net.members_that_live(), 30,
                       "the others to find it dead")
            wait_until(net.is_shared_out, 30, "its shards to be taken over")
        with Step("a and c have its shards; alice has all her answers"):
            pings.wait(60)
            expect(f" {n} received" in pings.output(), "an answer each")
        with Step(f"Each of the {n} pings is there once, without b"):
            wait_until(lambda: self.find_pings() == (n, False), 30,
                       "all of them")
        self.count(n)
        with Step("b comes back, and fetches what it has not got"):
            net.start_member("b")
            wait_until(lambda: "b" in net.members_that_live(), 30, "b")
            wait_until(net.is_shared_out, 30, "shards to be shared out")
            wait_until(net.has_all_twice, 30, "two copies of everything")
            expect(self.find_pings() == (n, False), "as many as before")
        self.show("lasthopctl", "cluster", "status")

    def find_pings(self):
        """How many of alice's pings a query finds, and whether histories of
        a server are missing."""
        n = 0
        with Api(f"{self.net.dir}/server.sock") as server:
            server.call("query", phf=PINGED)
            while (event := server.event())["event"] != "end":
                n += event["event"] == "history"
        return n, bool(event.get("missing"))

    def count(self, n):
        """Shows how many of them netshark finds."""
        text = self.show("sh", "-c", f"netshark --all --json '{PINGED}' "
                                     "| wc -l")
        expect(text.split() == [str(n)], f"{n} histories and no more said")

    def elsewhere(self):
        """What makes a shell find the programs and this network."""
        return (f"export LASTHOP_RUNDIR={shlex.quote(self.net.dir)} "
                f"PATH={shlex.quote(bindir())}:$PATH")

    def prompt(self):
        """ndb's prompt, while the network stands and has something to
        show."""
        self.net.tell_controller("break")
        self.net.keep_asking("alice", "tcp", self.net.hosts["web"].ip,
                             network.WRONG_PORT)
        tell(f"""
The network is still there, the mistake has been made again, and alice keeps
trying.  This is ndb's own prompt; three things to try:

    info topology
    find {READ}
    break {{{{--verdict dropped}}}}          and then: continue, bt

`help` lists the commands, `quit` ends the demo.  In another terminal the other
programs see this network too, as root and after

    {self.elsewhere()}
""")
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is ndb's.
        subprocess.run(["ndb"], env=self.env, check=False,
                       preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                        signal.SIG_DFL))
        signal.signal(signal.SIGINT, ours)


def expect(holds, what):
    """A scene has to come out as told."""
    if not holds:
        raise Failed(f"expected {what}")


def play_cluster():
    """The demo of a cluster."""
    tell(bold("lasthop: three servers, one killed"))
    tell()
    tell(network.__doc__.split("\n\n")[1])
    tell()
    with DemoNetwork() as net:
        with Step("Six bridges, four hosts, an OpenFlow 1.3 controller"):
            net.start()
        with Step("lasthop-recorder, nats-server, three lasthop-servers"):
            net.start_cluster()
        demo = Demo(net)
        with Step("The bridges connect; the controller installs its routes"):
            net.connect()
        with Step("The recorder finds the links"):
            demo.wait_for_topology()
        scene("Three servers, one killed")
        demo.shared()


def play(batch, patched):
    """The whole demo."""
    tell(bold("lasthop: where did my packet go, and why?"))
    tell()
    tell(network.__doc__.split("\n\n")[1])
    tell()
    with DemoNetwork(patched) as net:
        with Step("Six bridges, four hosts, an OpenFlow 1.3 controller"):
            net.start()
        with Step("lasthop-recorder and lasthop-server"
                  + (", and lasthop-agent" if net.is_patched else "")):
            net.start_lasthop()
        demo = Demo(net)
        with Step("The bridges connect; the controller installs its routes"):
            net.connect()
        with Step("The recorder finds the links"):
            demo.wait_for_topology()

        scene("Traffic")
        demo.traffic()
        scene("A packet that arrived")
        demo.delivered()
        scene("A packet that did not")
        demo.dropped()
        scene("The repair, and the past")
        demo.repaired()
        if not batch:
            scene("Your turn")
            demo.prompt()


def main():
    parser = argparse.ArgumentParser(
        description="A real network, its traffic, and what ndb says about "
                    "its packets.")
    parser.add_argument("--bindir", help="where the programs are "
                        "(build/bin)")
    parser.add_argument("--batch", action="store_true",
                        help="end without ndb's prompt")
    parser.add_argument("--patched", action="store_true", default=None,
                        help="with the patched switch and an agent")
    parser.add_argument("--cluster", action="store_true",
                        help="with three servers, of which one is killed")
    arguments = parser.parse_args()
    if arguments.bindir:
        os.environ["LASTHOP_BINDIR"] = os.path.abspath(arguments.bindir)
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        if arguments.cluster:
            play_cluster()
        else:
            play(arguments.batch or not at_terminal, arguments.patched)
    except Failed as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
