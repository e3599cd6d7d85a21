#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What postcards cost the switches: the demo's network with and without them.
"""
usage: net_throughput.py [--seconds N] [--without-lasthop]

Sends 64-byte UDP packets as fast as they go, then one TCP stream, from alice
to files (four bridges), first with the bridges connected to the controller
and then with lasthop between, on the same machine.  Needs root and iperf3.
Prints a table in Markdown.
"""

import argparse
import itertools
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "demo"))

# pylint: disable=wrong-import-position
from demo_network import DemoNetwork

UDP_PAYLOAD = 64 - 14 - 20 - 8

_numbers = itertools.count(1)   # A log of its own for each server.


def iperf(net, *options):
    """Runs iperf3 from alice to files; returns the receiver's sums."""
    server = net.spawn(f"iperf3-{next(_numbers)}", ["iperf3", "-s", "-1", "--forceflush"],
                       netns=net.hosts["files"].netns)
    server.wait_for("Server listening")
    output = net.hosts["alice"].run("iperf3", "-J", "-c",
                                    net.hosts["files"].ip, *options)
    server.wait()
    end = json.loads(output)["end"]
    return end.get("sum_received") or end["sum"]


def measure(lasthop, seconds):
    """(packets per second, Mb/s) that arrive."""
    with DemoNetwork() as net:
        net.start()
        if lasthop:
            net.start_lasthop()
        net.connect()
        assert net.hosts["alice"].ping(net.hosts["files"].ip)
        udp = iperf(net, "-u", "-b", "0", "-l", str(UDP_PAYLOAD), "-t",
                    str(seconds))
        tcp = iperf(net, "-t", str(seconds))
        arrived = udp["packets"] - udp["lost_packets"]
        return arrived / udp["seconds"], tcp["bits_per_second"] / 1e6


def emit(case, values, units=("packets/s", "Mb/s")):
    """Prints the lines of one case: UDP, TCP."""
    for what, value, unit in zip(("udp_64", "tcp"), values, units):
        value = round(value, 3)
        print(json.dumps({"bench": f"net_throughput {case}", "metric": what,
                          "value": value, "unit": unit, "runs": 1,
                          "min": value, "max": value}), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description="What postcards cost the switches.")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--without-lasthop", action="store_true")
    arguments = parser.parse_args()

    plain = measure(False, arguments.seconds)
    emit("without postcards", plain)
    if not arguments.without_lasthop:
        with_cards = measure(True, arguments.seconds)
        emit("with postcards (geneve)", with_cards)
        emit("kept", [with_cards[0] / plain[0], with_cards[1] / plain[1]],
             ("1", "1"))


if __name__ == "__main__":
    main()
