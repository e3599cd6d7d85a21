# SPDX-License-Identifier: Apache-2.0
# Numbered packets on a network of one switch, for who counts what became of
# each.

import json
import os
import struct

import frames

TOPOLOGY = {"switches": [{"dpid": "0000000000000001", "name": "s1", "ports": [
    {"no": 1, "edge": True}, {"no": 2, "edge": True}]}], "links": []}
RULE = {"dpid": "0000000000000001", "version": 7, "kind": "flow",
        "actions": "output:2", "instrumented": True, "installed_ns": 1,
        "steps": [{"do": "output", "port": 2}]}
MARK = b"lasthop-number"


def write_network(directory):
    """Files of its topology and rules."""
    topology = f"{directory}/topology.json"
    rules = f"{directory}/rules.jsonl"
    with open(topology, "w", encoding="utf-8") as file:
        file.write(json.dumps(TOPOLOGY))
    with open(rules, "w", encoding="utf-8") as file:
        file.write(json.dumps(RULE) + "\n")
    return topology, rules


def datagram(number):
    """The postcard of packet 'number', which s1 delivers."""
    packet = frames.udp4("02:00:00:00:00:01", "02:00:00:00:00:02",
                         f"10.0.{number >> 4 & 15}.{number & 15 or 16}",
                         "10.0.0.2", 5000 + number % 50, 7,
                         MARK + struct.pack("!Q", number) + os.urandom(20),
                         ident=number & 0xffff)
    option = struct.pack("!HBBBBHQIHH", 0xff4c, 1, 5, 1, 0, 0, 1, 7, 1, 2)
    return struct.pack("!BBHI", 6, 0, 0x6558, 0) + option + packet


def number_of(history):
    """The number of a history's packet."""
    header = bytes.fromhex(history["hops"][0]["header"])
    at = header.index(MARK) + len(MARK)
    return struct.unpack("!Q", header[at:at + 8])[0]


def numbers_of(lines):
    """The numbers of packets in histories that are lines of JSON."""
    return sorted(number_of(json.loads(line)) for line in lines)
