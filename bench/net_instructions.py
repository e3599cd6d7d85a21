#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What it costs a switch to tell what becomes of each packet, in instructions.
"""
usage: net_instructions.py [--packets N]

The chain of net_patched.py with ovs-vswitchd under callgrind: N packets of 64
bytes (8000) with the bridges off and in mode postcard, twice in turn, and the
instructions of user mode from a received batch to its output (dp_netdev_input)
for each packet and bridge. A machine's other load changes only how large batches are;
what the kernel does is not in it.

Needs root and valgrind. Prints JSON lines.
"""

import argparse
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "net"))
sys.path.insert(0, HERE)

# pylint: disable=wrong-import-position
import frames
from lab import HERE as NET, PYTHON
from net_patched import BRIDGES, Network
from process import run

FUNCTION = re.compile(r"^\s*([\d,]+) .*:dp_netdev_input \[", re.M)


class Counted(Network):
    """The chain, its switch under callgrind."""

    def start_vswitchd(self):
        return self.spawn("ovs-vswitchd", [
            "valgrind", "--tool=callgrind", "-q",
            f"--callgrind-out-file={self.dir}/callgrind",
            f"{self._ovs_sbin}/ovs-vswitchd", self.db, "--disable-system",
            f"--pidfile={self.dir}/ovs-vswitchd.pid", "-vconsole:warn"],
            netns=self.sw)

    def instructions(self, n_packets):
        """For each packet and bridge."""
        h1, h2 = self.hosts["h1"], self.hosts["h2"]
        frame = frames.udp4(h1.mac, h2.mac, h1.ip, h2.ip, 1, 2, b"x" * 22,
                            ident=1)
        pid = str(self.process("ovs-vswitchd").pid)
        h1.send(*[frame] * 50)      # The flows.
        before = self.crossings()
        run(["callgrind_control", "-z", pid])
        while n_packets > 0:
            h1.send(*[frame] * min(n_packets, 1000))
            n_packets -= 1000
        crossed = self.crossings() - before
        run(["callgrind_control", "-d", pid])
        name = max((name for name in os.listdir(self.dir)
                    if name.startswith("callgrind.")),
                   key=lambda name: int(name.split(".")[1].split("-")[0]))
        text = run(["callgrind_annotate", "--inclusive=yes",
                    "--threshold=100", f"{self.dir}/{name}"])
        return int(FUNCTION.search(text).group(1).replace(",", "")) / crossed


def main():
    parser = argparse.ArgumentParser(
        description="What telling of every packet costs, in instructions.")
    parser.add_argument("--packets", type=int, default=8000)
    arguments = parser.parse_args()

    counted = {"off": [], "postcard": []}
    with Counted() as net:
        net.start()
        net.spawn("drain", [PYTHON, f"{NET}/rings.py", "drain",
                            net.process("ovs-vswitchd").pid]
                  ).wait_for("ready")
        for _ in range(2):
            for mode, values in counted.items():
                net.set_mode(mode)
                values.append(net.instructions(arguments.packets))
    for mode, values in counted.items():
        print(json.dumps({
            "bench": f"net_instructions {mode}",
            "metric": "instructions per packet and bridge",
            "value": round(sum(values) / len(values), 1), "unit": "Ir",
            "runs": len(values), "min": round(min(values), 1),
            "max": round(max(values), 1)}), flush=True)


if __name__ == "__main__":
    main()
