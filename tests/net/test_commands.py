# SPDX-License-Identifier: Apache-2.0
# What the manuals and the README tell people to type is typed, as it stands
# there, on a real network, and does what it should.

import glob
import os
import re
import shutil
import signal
import subprocess

import pytest

import frames
from lab import HERE, Lab, bindir
from process import Failed, run, wait_until
from stack import Stack

ROOT = os.path.join(HERE, "../..")
OURS = r"(lasthop-\w+|lasthopctl|ndb|netshark|netwatch|nprof|phfc)"
BEGINS = re.compile(rf"({OURS}$|({OURS}|ovs-vsctl|ovs-ofctl|tshark|nft|cc|"
                    r"echo) )")

# Where things are here; how much is enough for a test.
HERE_IT_IS = [
    (r"(?s)^(lasthop-server.*)/var/lib/lasthop/archive", r"\1archive-2"),
    (r"/var/lib/lasthop/archive", "{dir}/archive"),
    # A database in which another recorder has a port of the usual name.
    (r"geneve:192.0.2.10", "geneve:192.0.2.10,port=cards"),
    (r"/run/openvswitch/db.sock", "{dir}/db.sock"),
    (r"/run/lasthop/", "{dir}/commands/"),
    (r"tcp:127.0.0.1:6653", "tcp:127.0.0.1:6659"),
    (r"--count 1\d+", "--count 300"),
    (r"--preset mix ", "--preset mix --count 300 "),
    (r"--for 10s", "--for 1s"),
    (r"(?m)^netwatch (--last|-r)", r"netwatch --quiet \1"),
]
# What goes on until Ctrl-C: what shows that it works, before it gets that.
LIVE = [
    (r"^(netshark -f|netwatch (-x .*)?net.watch$)", None),
    (r"^nprof -f", "packets"), (r"triggers add", "packet_id"),
    (r"^lasthop-server --listen", "serving clients"),
    (r"^lasthop-recorder --listen", "listen"),
    (r"^lasthop-recorder --attach", "instrumented"),
    (r"^tshark -i", None),
]
# Exit statuses that are no failure, where not 0 alone.
MAY_END = [(r"status --check", {0, 3}), (r"^netwatch .*(last|since)", {0, 1}),
           (r"^netwatch --for", {0, 1}), (r"&& echo loop$", {1}),
           (r"^phfc .*match", {0, 1})]
# Run by tests of their own.
ELSEWHERE = [
    (r"^ndb$", "tests/apps/test_ndb_screen.py"),
    (r"^cc program.c", "tests/api/check_library.sh"),
    (r"^ndb -e 'find .*(8443|203.0.113.80)", "tests/apps/test_ndb_manual.py"),
    (r"^lasthop-recorder --strip", "tests/net/test_strip.py"),
    (r"^lasthop-agent --server", "tests/net/test_agent.py"),
    (r"^lasthop-server --agents", "tests/net/test_agent.py"),
    (r"lasthop-mode=postcard", "tests/net/test_patched_rings.py"),
    (r"--attach=br-(int|1) ", "tests/net/test_ovn.py"),
    (r"^ovs-vsctl add-port br-2 cards", "tests/net/test_ovn.py"),
    (r"^lasthop-server --listen geneve:192.0.2.9", "tests/net/test_ovn.py"),
]


def plain(text):
    """Without the escapes of roff."""
    for escape, meaning in ((r"\e", "\\"), (r"\(dq", '"'), (r"\-", "-"),
                            (r"\&", ""), (r"\(aq", "'")):
        text = text.replace(escape, meaning)
    return text


def commands_of(text, is_wanted=BEGINS.match):
    """The commands in lines: with what follows a backslash or a pipe at the
    end, and up to the END of a here-document."""
    lines = iter(text.splitlines())
    for line in lines:
        line = re.sub(r"^\$ ", "", line.strip())
        if not is_wanted(line):
            continue
        end = re.search(r"<< (\w+)", line)
        while line.endswith(("\\", "|")):
            line += "\n" + next(lines)
        while end and not line.endswith("\n" + end[1]):
            line += "\n" + next(lines)
        yield line


def of_page(path):
    """The commands that a manual has in lines of their own."""
    with open(path, encoding="utf-8") as file:
        text = plain(file.read())
    shown = re.findall(r"^\.Dl (.*)$|^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$|"
                       r"^\.RS\n((?:.*\n)*?)\.RE$", text, re.M)
    for parts in shown:
        yield from commands_of("".join(parts))


def of_text(path):
    with open(path, encoding="utf-8") as file:
        lines = re.findall(r"^(?:\$ (.*)|    ((?:lasthop|ovs-vsctl).*))$",
                           file.read(), re.M)
    yield from commands_of("\n".join(a or b for a, b in lines))


PAGES = sorted(glob.glob(f"{ROOT}/docs/man/*.[1-9]*"))
COMMANDS = [(os.path.basename(page), command)
            for page in PAGES for command in of_page(page)]
COMMANDS += [(text, command)
             for text in ("README.md", "docs/datapath.md", "docs/ovn.md")
             for command in of_text(f"{ROOT}/{text}")]


class Net:
    """   h1 -- s1 -- s2 -- s3 -- h3,  h2 at s2;  s3 drops UDP port 9."""

    def __init__(self, lab):
        self.lab = lab
        for name in ("s1", "s2", "s3"):
            lab.add_bridge(name)
        self.h1 = lab.add_host("h1", "s1", "10.0.1.10/16")
        lab.add_link("s1", "s2")
        lab.add_link("s2", "s3")
        self.h3 = lab.add_host("h3", "s3", "10.0.3.10/16")
        lab.add_bridge("br0")
        lab.add_host("h4", "br0", "10.0.4.10/16")
        lab.add_collector()
        lab.start()
        br0 = lab.bridges.pop("br0")
        host = lab.hosts.pop("h4")
        stack = self.stack = Stack(lab)
        stack.start()
        lab.bridges["br0"], lab.hosts["h4"] = br0, host
        for dpid in (1, 2, 3):
            for in_port in (1, 2):
                stack.flow(dpid, priority=10, match={"in_port": in_port},
                           actions=[{"type": "OUTPUT", "port": 3 - in_port}])
        stack.flow(3, priority=20, match={
            "in_port": 1, "eth_type": 0x0800, "ip_proto": 17, "udp_dst": 9},
            actions=[])
        self.dir = f"{lab.dir}/commands"
        os.mkdir(self.dir)
        self.n_sent = 0
        self.n_outputs = 0
        self.daemon = None      # What an example started, and its page.
        self.say()
        wait_until(lambda: stack.server.query("{{--verdict dropped}}"),
                   what="a packet that was dropped")
        wait_until(lambda: stack.server.call("stats")["stats"]["archived"],
                   what="packets to be stored")
        self.prepare()

    def say(self):
        """A packet that arrives, and one that is dropped."""
        assert self.h1.ping("10.0.3.10")
        self.n_sent += 1
        self.h1.send(frames.ethernet(
            self.h1.mac, self.h3.mac, 0x0800,
            frames.ipv4(self.h1.ip, self.h3.ip, 17, frames.udp_datagram(
                self.h1.ip, self.h3.ip, 1000, 9, b"%020d" % self.n_sent),
                ident=self.n_sent)))

    def prepare(self):
        """The files that the examples speak of, in the directory where they
        are run; the programs, and what they are piped into."""
        self.lab.vsctl("set-controller", "br0", "tcp:127.0.0.1:6663")
        run(["ip", "addr", "add", "192.0.2.1/32", "dev", "lo"],
            netns=self.lab.col)
        self.env = {**self.lab.env, "LASTHOP_RUNDIR": self.lab.dir,
                    "HOME": self.dir, "XDG_CONFIG_HOME": self.dir,
                    "PATH": f"{self.dir}/bin:{os.path.abspath(bindir())}:"
                            + os.environ["PATH"] + ":/usr/sbin"}
        made = f"{self.dir}/made"
        run([f"{bindir()}/lasthop-gen", "-q", "--preset=trouble",
             "--count=300", made])
        for source, name in (("postcards.pcap", "postcards.pcapng"),
                             ("topology.json", "net.json"),
                             ("topology.json", "topology.json"),
                             ("rules.jsonl", "rules.jsonl"),
                             ("truth.jsonl", "histories.jsonl")):
            shutil.copy(f"{made}/{source}", f"{self.dir}/{name}")
        run([f"{bindir()}/netshark", "-r", f"{self.lab.dir}/archive", "-w",
             f"{self.dir}/f.pcapng"])
        os.mkdir(f"{self.dir}/bin")
        # Mail goes to a file; a drawing needs Graphviz, which may be absent.
        for name, text in (("mail", "exec cat > mailed"),
                           ("dot", "exec grep -q '^graph lasthop {$'")):
            if name == "mail" or not shutil.which(name):
                with open(f"{self.dir}/bin/{name}", "w",
                          encoding="utf-8") as file:
                    file.write(f"#!/bin/sh\n{text}\n")
                os.chmod(f"{self.dir}/bin/{name}", 0o755)

    def start(self, command, netns):
        self.n_outputs += 1
        path = f"{self.dir}/output-{self.n_outputs}"
        with open(path, "w", encoding="utf-8") as output:
            # pylint: disable=consider-using-with
            process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{netns}", "--", "sh", "-c",
                 command], cwd=self.dir, env=self.env,
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)
        process.path = path
        return process

    @staticmethod
    def output(process):
        with open(process.path, encoding="utf-8") as file:
            return file.read()

    def wait_end(self, process, status):
        code = process.wait(60)
        assert code in status, f"exit status {code}\n{self.output(process)}"

    def stop_daemon(self):
        if self.daemon:
            self.daemon[1].terminate()
            self.wait_end(self.daemon[1], {0, -signal.SIGTERM})
            self.daemon = None


@pytest.fixture(scope="module")
def net():
    with Lab() as lab:
        network = Net(lab)
        yield network
        network.stop_daemon()


def first(table, command):
    """What the table has for the command: (what, found)."""
    for pattern, what in table:
        if re.search(pattern, command):
            return what, True
    return None, False


def test_there_are_examples_of_each_program():
    spoken = {re.match(OURS, command)[1] for _, command in COMMANDS
              if re.match(OURS, command)}
    assert spoken >= {"lasthopctl", "lasthop-gen", "lasthop-server", "phfc",
                      "lasthop-recorder", "ndb", "netshark", "netwatch",
                      "nprof"}
    assert len(COMMANDS) > 45


@pytest.mark.parametrize("page, command", COMMANDS)
def test_it_is_run_here_or_elsewhere(net, page, command):
    """In their order: some need what others made."""
    where, is_elsewhere = first(ELSEWHERE, command)
    if is_elsewhere:
        assert os.path.exists(f"{ROOT}/{where}")
        return
    if command.startswith("nft ") and not shutil.which("nft"):
        pytest.skip("no nftables here")
    if "--preset mix" in command and not os.environ.get("LASTHOP_DATA"):
        pytest.skip("LASTHOP_DATA names no traces")
    sign, is_live = first(LIVE, command)
    status, _ = first(MAY_END, command)
    is_daemon = is_live and command.startswith("lasthop-")
    if is_daemon or (net.daemon and net.daemon[0] != page):
        net.stop_daemon()
    if "init net.watch" in command and os.path.exists(f"{net.dir}/net.watch"):
        os.unlink(f"{net.dir}/net.watch")
    process = net.start(typed(net, command), net.lab.col if command.startswith(
        ("lasthop-server --listen", "nft ")) else net.lab.sw)
    if not is_live:
        net.wait_end(process, status or {0})
        if "select load" in command:
            run([f"{bindir()}/lasthopctl", "select", "load", "/dev/null"],
                env=net.env)
        return
    try:
        wait_until(lambda: is_working(net, command, sign, process), 30)
    except Failed as error:
        os.killpg(process.pid, signal.SIGKILL)
        raise Failed(f"it does not work:\n{net.output(process)}") from error
    if is_daemon:
        net.daemon = (page, process)
        return
    os.killpg(process.pid, signal.SIGINT)
    net.wait_end(process, {0, 1, 130, -signal.SIGINT})
    assert "rror" not in net.output(process), net.output(process)


def typed(net, command):
    """The command as it is typed here."""
    for pattern, here in HERE_IT_IS:
        command = re.sub(pattern, here.replace("{dir}", net.lab.dir), command)
    if command.startswith("lasthop-recorder"):
        command = f"exec {command} --rundir {net.dir} --state state.db"
    elif command.startswith("lasthop-server --listen"):
        command = f"exec {command} --rundir {net.dir} --recorder none"
    elif command.startswith("tshark -i"):
        # Where Wireshark looks for such programs.
        extcap = "/usr/lib/x86_64-linux-gnu/wireshark/extcap"
        shutil.copy(f"{ROOT}/apps/wireshark/lasthop-extcap", f"{net.dir}/bin")
        command = (f"unshare -m sh -c \"mount --bind {net.dir}/bin {extcap} && "
                   f"exec {command}\"")
    return command


def is_working(net, command, sign, process):
    """Whether it has printed 'sign', or watches for packets to come."""
    text = net.output(process)
    assert process.poll() is None, f"it ended\n{text}"
    if sign:
        net.say()
        return sign in text
    program = re.sub("^tshark", "netshark", command).split()[0]
    return program in [t["program"] for t in net.stack.server.call(
        "trigger.list")["triggers"]]
