#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What lasthop-server says of made-up postcards is what truly happened.
#
# usage: test_truth.py [PACKETS]     (in the build directory)
"""lasthop-gen writes postcards and true histories; lasthop-server reads the
postcards; both must say the same, to the last member, when none is missing."""

import collections
import json
import subprocess
import sys
import tempfile

ALL = ("--nat 5% --mixed 10% --flood 3% --loop 5% --drop 10% --punt 5% "
       "--packet-out 5% --detour 5% --link-loss 5%")
CASES = [
    "",
    "--topology line:5 " + ALL,
    "--topology ring:6 --seed 2 " + ALL,
    "--topology fat-tree:4 --seed 3 --churn 1000 " + ALL,
    "--topology leaf-spine:4x3 --seed 4 --stamps us --hosts 3 " + ALL,
    "--topology fat-tree:4 --hops 5 --sizes uniform:60-1514 --rate 10000",
    "--topology line:7 --hop-delay normal:20us,5us --skew 1us " + ALL,
    "--topology ring:3 --hop-delay exp:20us --zero-ids --snap 200 " + ALL,
    "--topology fat-tree:4 --seed 5 --fragments 30% " + ALL,
    # The inner packet's IP ID is all that tells the tunnel's packets apart.
    "--topology fat-tree:4 --tunnel 30% --ip6 0% --snap 300",
]


def read(path):
    """Histories by packet ID, those of one in order of time."""
    histories = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for line in file:
            history = json.loads(line)
            histories[history["packet_id"]].append(history)
    for those in histories.values():
        those.sort(key=lambda h: min(hop["time_ns"] for hop in h["hops"]))
    return histories


def generate(options, directory, n_packets):
    """Makes the files; returns the server's command line for them."""
    command = ["bin/lasthop-gen", "--count", str(n_packets), *options.split(),
               directory]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stderr.splitlines()[-1].split()


def serve(command, directory):
    """Runs the server; returns the path of what it said."""
    path = f"{directory}/said.jsonl"
    with open(path, "w", encoding="utf-8") as out:
        subprocess.run(["bin/" + command[0], *command[1:], "--json"],
                       check=True, stdout=out, stderr=subprocess.PIPE)
    return path


def difference(truth, said):
    """Where two histories differ, or None."""
    if len(truth) != len(said):
        return f"{len(truth)} histories, the server says {len(said)}"
    for one, other in zip(truth, said):
        if "carried_by" not in other:
            one.pop("carried_by", None)  # The server may not know.
        if one == other:
            continue
        if len(one["hops"]) != len(other["hops"]):
            return f"{len(one['hops'])} hops, not {len(other['hops'])}"
        for hop, said_hop in zip(one["hops"], other["hops"]):
            for name in sorted(hop.keys() | said_hop.keys()):
                if hop.get(name) != said_hop.get(name):
                    return (f"hop {hop['n']}, {name}: {hop.get(name)}, "
                            f"the server says {said_hop.get(name)}")
        return f"{one['verdict']}, the server says {other['verdict']}"
    return None


def check(options, n_packets):
    """The number of packets of which the server says something else."""
    with tempfile.TemporaryDirectory(prefix="test_truth.") as directory:
        command = generate(options, directory, n_packets)
        truth = read(f"{directory}/truth.jsonl")
        said = read(serve(command, directory))
    n_bad = 0
    for packet_id in truth.keys() | said.keys():
        what = difference(truth[packet_id], said[packet_id])
        if what:
            n_bad += 1
            if n_bad <= 3:
                print(f"  {packet_id}: {what}")
    print(f"{'ok  ' if not n_bad else 'FAIL'} {len(truth)} IDs, "
          f"{n_bad} differ: {options}", flush=True)
    return n_bad + (len(truth) < n_packets / 2)


def main():
    """Exit status 1 when anything differs."""
    n_packets = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    return int(any([check(options, n_packets) for options in CASES]))


if __name__ == "__main__":
    sys.exit(main())
