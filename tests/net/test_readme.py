# SPDX-License-Identifier: Apache-2.0
# What the README tells to type, on the network that it tells of: each command
# works and has something to say.  (What ndb prints there: test_demo.py.)

import os
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "demo"))

# pylint: disable=wrong-import-position
import network
from api import Api
from demo_network import DemoNetwork
from lab import HERE, bindir
from process import wait_until

TOP = os.path.join(HERE, "..", "..")
# Of those that end only when one has seen enough: how they end then.
ENDLESS = {"netshark -f": {0}, "nprof -f": {0}, "netwatch net.watch": {1}}


@pytest.fixture(name="net")
def fixture_net(request):
    """The demo's network, in which alice asks for what is dropped, and gets
    an answer elsewhere."""
    with DemoNetwork() as net:
        net.start()
        net.start_lasthop()
        net.connect()
        net.keep_asking("alice", "tcp", network.HOSTS[2].ip,
                        network.WRONG_PORT)
        server = Api(f"{net.dir}/server.sock")
        wait_until(lambda: len((server.call("topology")["topology"] or {})
                               .get("links", [])) == len(network.LINKS), 30,
                   "the links to be found")
        assert net.request("alice", "tcp", *network.NAT_PUBLIC, "get")
        yield net
        net.close(keep=getattr(request.node, "has_failed", False))


def commands(path, pattern):
    """The commands that a text shows."""
    with open(os.path.join(TOP, path), encoding="utf-8") as text:
        return re.findall(pattern, text.read(), re.MULTILINE)


def test_every_command_of_the_readme_works(net):
    shown = [command for command in commands("README.md", r"^\$ (.*)$")
             if not command.startswith("ndb ")]
    assert len(shown) >= 13, shown
    shown += [line.replace("/var/lib/lasthop/archive", f"{net.dir}/archive")
              for line in commands("docs/man/netshark.1.in",
                                   r"^\.Dl (netshark .*)$")]
    assert len(shown) >= 17, shown
    env = {**os.environ, **net.env, "PATH":
           f"{os.path.abspath(bindir())}:{os.environ['PATH']}"}
    work = f"{net.dir}/typed"
    os.mkdir(work)
    wait_until(lambda: subprocess.run(
        ["netshark", "{{--verdict dropped}}"], env=env, check=False,
        stdout=subprocess.DEVNULL).returncode == 0, 15, "a packet dropped")
    for number, command in enumerate(shown):
        out = os.path.join(work, f"{number}.out")
        ends = [codes for start, codes in ENDLESS.items()
                if command.startswith(start)]
        with open(out, "w", encoding="utf-8") as file:
            # pylint: disable=consider-using-with
            child = subprocess.Popen(
                ["bash", "-c", f"cd {work} && exec {command}"
                 if not command.startswith("echo") else
                 f"cd {work} && {command}"], env=env, stdout=file,
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                start_new_session=True)
        try:
            if ends:
                wait_until(lambda: os.path.getsize(out), 20,
                           f"what {command} shows")
                child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=30)
        finally:
            child.kill()
        # netwatch finds the mistake of the controller in the last hour.
        right = ends[0] if ends else {1} if "netwatch --last" in command \
            else {0}
        assert child.returncode in right, (command, child.returncode, said)
        written = re.search(r"(?:-w|--html|>>|init) (\S+)", command)
        path = os.path.join(work, written[1]) if written else out
        assert os.path.getsize(path) > 0, (command, said)
