#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tables of docs/roofline.md: what lasthop-server does for a
postcard, from a file to the durable archive, stage by stage, beside what the
machine could do.

Postcards of the preset mix of lasthop-gen ($LASTHOP_DATA; synthetic traffic
without it), 64-byte snap, five hops.  Instructions, memory accesses and cache
misses are callgrind's, of two runs with different numbers of packets, the
difference divided by that of the postcards, so that starting up does not
count.  Its caches are a model: a line missed in the last one, once 256 KiB
(what a core has for itself to miss in), once that of this machine.  Times are
of runs without callgrind.  Threads are counted together.

usage: bench/roofline.py [--build DIR] [--small N] [--large N]
Needs valgrind; strace for the time in fsync.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import tempfile
import time

# The first that matches the file (or, past " in ", the object) is the stage.
STAGES = (
    ("read the file", r"pcap_file|source_pcap|replay|file_map|split_file"),
    ("decode", r"lib/postcard|lib/hdr|lib/header_split|lib/bytes|server/ingest"
               r"|accept_list|lib/topology"),
    ("packet ID", r"packet_id|xxh"),
    ("path table", r"path_table|path_group|path_sum|postcard_pool"),
    ("recognise", r"trajectory_cache|plain_way|lib/trajectory"),
    ("assemble", r"assemble|lib/history\.c|rule_cache|tunnel|lib/rule"),
    ("live filters", r"triggers|phf/|/bpf"),
    ("archive columns", r"archive|history_c|column|lib/compress|byte_buf"
                        r"|section_list|trajectory_shape"),
    ("zstd", r"zstd"),
    ("copying memory (libc)", r"mem(move|cpy|set|cmp)"),
    ("allocating (libc)", r"malloc|lh_alloc"),
)
OTHER = "the rest"
N_RUNS = 5


def make_cards(build, directory, n_packets):
    """Returns (how the traffic is called, how many postcards, arguments)."""
    gen = [f"{build}/bin/lasthop-gen", "--snap", "64", "--no-truth"]
    traffic, preset = "mix", ["--preset", "mix"]
    if "LASTHOP_DATA" not in os.environ:
        traffic, preset = "synthetic", ["--hops", "5"]
    made = subprocess.run(gen + preset + ["--count", str(n_packets), directory],
                          check=True, capture_output=True, text=True)
    n_cards = int(re.search(r"(\d+) postcards", made.stdout + made.stderr)[1])
    return traffic, n_cards, [
        "--read", f"{directory}/postcards.pcap", "--topology",
        f"{directory}/topology.json", "--rules", f"{directory}/rules.jsonl",
        "--id-bytes", "40", "--archive", f"{directory}/archive"]


def server(build, arguments, *before):
    """Runs the server; returns (wall seconds, user seconds, system seconds)."""
    subprocess.run(["rm", "-rf", arguments[-1]], check=True)
    old, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*before, f"{build}/bin/lasthop-server", *arguments],
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    new = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.monotonic() - began, new.ru_utime - old.ru_utime,
            new.ru_stime - old.ru_stime)


def stage_of(file, function, thing):
    """Which of the stages code belongs to."""
    for name, pattern in STAGES:
        if re.search(pattern, f"{file} {function} {thing}", re.IGNORECASE):
            return name
    return OTHER


def read_callgrind(path):
    """Self costs by stage: {stage: {event: count}}."""
    names, costs, events = {}, {}, []
    places = {"ob": "", "fl": "", "fn": ""}
    is_call = False

    def name_of(kind, text):
        number, _, name = text.partition(" ")
        if name:
            names[kind, number] = name
        return names.get((kind, number), text)

    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith("events:"):
                events = line.split()[1:]
            elif line.startswith("calls="):
                is_call = True
            elif re.match(r"(ob|fl|fi|fe|fn|cob|cfi|cfl|cfn)=", line):
                key, _, text = line.partition("=")
                kind = {"ob": "ob", "cob": "ob", "fn": "fn",
                        "cfn": "fn"}.get(key, "fl")
                name = name_of(kind, text)
                if not key.startswith("c"):
                    places[kind] = name
            elif re.match(r"[+*\-\d]", line):
                if is_call:  # What was called counts there.
                    is_call = False
                    continue
                stage = costs.setdefault(
                    stage_of(places["fl"], places["fn"], places["ob"]),
                    dict.fromkeys(events, 0))
                for event, count in zip(events, line.split()[1:]):
                    stage[event] += int(count)
    return costs


def count(build, arguments, directory, *options):
    """One run below callgrind."""
    out = f"{directory}/callgrind.out"
    server(build, arguments, "valgrind", "-q", "--tool=callgrind",
           "--cache-sim=yes", f"--callgrind-out-file={out}", *options)
    return read_callgrind(out)


def per_card(small, large, n_cards):
    """The difference of two runs, per postcard."""
    return {stage: {event: (cost - small.get(stage, {}).get(event, 0)) / n_cards
                    for event, cost in large[stage].items()}
            for stage in large}


def misses(costs, level):
    """Misses in the caches of a level, all kinds."""
    return sum(costs.get(f"{kind}{level}m{what}", 0)
               for kind, what in (("D", "r"), ("D", "w")))


def time_in_fsync(build, arguments, directory):
    """Seconds, or None without strace."""
    out = f"{directory}/strace.out"
    try:
        server(build, arguments, "strace", "-f", "-T", "-e",
               "trace=fsync,fdatasync,sync_file_range", "-o", out)
    except (OSError, subprocess.CalledProcessError):
        return None
    with open(out, encoding="utf-8") as lines:
        return sum(float(seconds) for line in lines
                   for seconds in re.findall(r"<([\d.]+)>$", line.rstrip()))


def machine(build):
    """What bench_machine measures: {metric: value}."""
    lines = subprocess.run([f"{build}/bench/bench_machine"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    return {line["metric"]: line["value"] for line in map(json.loads, lines)}


def print_stages(near, far):
    """The table of stages."""
    order = [name for name, _ in STAGES] + [OTHER]
    total = {event: sum(costs[event] for costs in near.values())
             for event in next(iter(near.values()))}
    total_far = sum(misses(costs, "L") for costs in far.values())
    print("| stage | instructions | % | memory accesses | missed in L1 "
          "| missed in 256 KiB | missed in the last cache |\n"
          "|---|---|---|---|---|---|---|")
    for stage in order:
        if stage in near:
            costs = near[stage]
            print(f"| {stage} | {costs['Ir']:.0f} "
                  f"| {100 * costs['Ir'] / total['Ir']:.0f} "
                  f"| {costs['Dr'] + costs['Dw']:.0f} "
                  f"| {misses(costs, '1'):.2f} | {misses(costs, 'L'):.2f} "
                  f"| {misses(far.get(stage, {}), 'L'):.2f} |")
    print(f"| **all** | **{total['Ir']:.0f}** | 100 "
          f"| {total['Dr'] + total['Dw']:.0f} | {misses(total, '1'):.2f} "
          f"| {misses(total, 'L'):.2f} | {total_far:.2f} |")
    return total, total_far


def print_limits(best, frame_bytes, archive_bytes, lines, took_ns):
    """The table of what the machine could do."""
    rows = (
        ("reading the file", f"{frame_bytes:.0f} bytes at "
         f"{best['file_read']:.1f} GB/s", frame_bytes / best["file_read"]),
        ("keeping the postcard", f"{frame_bytes:.0f} bytes copied at "
         f"{best['copy']:.1f} GB/s", frame_bytes / best["copy"]),
        ("packet ID", "XXH3", best["xxh3_of_an_id"]),
        ("finding the packet", "one line of the table, prefetched",
         best["prefetched_miss"]),
        ("other memory", f"{lines:.1f} lines missed in 256 KiB, prefetched",
         lines * best["prefetched_miss"]),
        ("writing the archive", f"{archive_bytes:.1f} bytes, copied",
         archive_bytes / best["copy"]),
    )
    limit_ns = sum(ns for _, _, ns in rows)
    print("| | what | ns |\n|---|---|---|")
    for name, what, ns in rows:
        print(f"| {name} | {what} | {ns:.1f} |")
    print(f"| **memory and hash alone** | | **{limit_ns:.0f}** |\n"
          f"| measured | CPU | {took_ns:.0f} |\n"
          f"| so far away | | {took_ns / limit_ns:.1f} times |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--small", type=int, default=5000)
    parser.add_argument("--large", type=int, default=20000)
    parser.add_argument("--timed", type=int, default=200000)
    a = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="roofline.") as top:
        runs = {}
        for size in (a.small, a.large, a.timed):
            runs[size] = make_cards(a.build, f"{top}/{size}", size)
        traffic, n_timed, timed = runs[a.timed]
        n_cards = runs[a.large][1] - runs[a.small][1]
        near, far = (per_card(
            count(a.build, runs[a.small][2], top, *options),
            count(a.build, runs[a.large][2], top, *options), n_cards)
            for options in (("--LL=262144,8,64",), ()))
        server(a.build, timed)
        took = [server(a.build, timed) for _ in range(N_RUNS)]
        fsync_s = time_in_fsync(a.build, timed, top)
        frame_bytes = os.path.getsize(timed[1]) / n_timed
        archive_bytes = sum(
            os.path.getsize(os.path.join(path, name))
            for path, _, files in os.walk(timed[-1])
            for name in files) / n_timed
        best = machine(a.build)

    wall, user, system = (statistics.median(run[i] for run in took) * 1e9
                          / n_timed for i in range(3))
    print(f"Traffic {traffic}; {n_cards} postcards counted, {n_timed} timed; "
          f"load average {os.getloadavg()[0]:.1f}.\n\nPer postcard:\n")
    total, _ = print_stages(near, far)
    print("\n| per postcard | |\n|---|---|")
    print(f"| CPU, user and kernel | {user:.0f} + {system:.0f} ns |\n"
          f"| wall clock | {wall:.0f} ns |")
    if fsync_s is not None:
        print(f"| waiting in fsync, wall clock | "
              f"{fsync_s * 1e9 / n_timed:.0f} ns |")
    print(f"| instructions in a nanosecond of user time | "
          f"{total['Ir'] / user:.1f} |\n"
          f"| memory traffic past 256 KiB | "
          f"{64 * misses(total, 'L'):.0f} bytes |\n")
    print("| machine, one core | |\n|---|---|")
    for name, unit in (("copy", "GB/s"), ("file_read", "GB/s"),
                       ("dependent_miss", "ns"), ("prefetched_miss", "ns"),
                       ("xxh3_of_an_id", "ns"), ("system_call", "ns")):
        print(f"| {name.replace('_', ' ')} | {best[name]:.1f} {unit} |")
    print()
    print_limits(best, frame_bytes, archive_bytes, misses(total, "L"),
                 user + system)


if __name__ == "__main__":
    main()
