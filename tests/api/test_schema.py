#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What a running server and recorder say is what docs/api.schema.json says, and
# each example of docs/api.md is answered as it stands there.
"""Runs in the build directory; $srcdir is the tree."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("srcdir", ".")
sys.path.insert(0, os.path.join(SOURCE, "tests/net"))
sys.dont_write_bytecode = True

try:
    from schema import (DEFS, Checked, seen_codes, seen_events,  # noqa: E402
                        seen_ops)
except ImportError:
    print("no python3-jsonschema (apt-get install python3-jsonschema)")
    sys.exit(77)

RECORDER_OPS = {"select.add", "select.list", "select.delete",
                "select.load", "subscribe", "pause", "resume"}
# Examples that need a network, which there is none of here.
NEEDS_NETWORK = {"flow", "table", "pause", "cancel", "trigger.delete",
                 "cluster.drain", "cluster.forget", "cluster.status"}


def examples():
    """Yields (request line, expected code or None) of docs/api.md."""
    with open(os.path.join(SOURCE, "docs/api.md"), encoding="utf-8") as page:
        text = page.read().split("## By example")[1]
    request = None
    for line in re.findall(r"^    ([<>] .*)", text, re.M):
        if line[0] == ">":
            request = line[2:]
        elif request and '"event"' not in line:
            code = re.search(r'"ok":false.*"code":"([a-z-]+)"', line)
            yield request, code and code[1]
            request = None


def run_examples(server, recorder):
    count = 0
    for line, code in examples():
        count += 1
        try:
            request = json.loads(line)
        except ValueError:
            request = {"id": None}
        op = request.get("op")
        client = recorder if op in RECORDER_OPS else server
        client.ops[request.get("id")] = op
        client.socket.sendall(line.encode() + b"\n")
        while True:
            answer = client.read()
            if "ok" in answer and answer["id"] == request.get("id"):
                break
        got = None if answer["ok"] else answer["error"]["code"]
        # The example of an archive that is not there is on another server.
        assert (got == code or (op in NEEDS_NETWORK and got in (
            "not-found", "unavailable")) or (code == "unavailable"
                                             and got is None)), (line, answer)
    assert count > 12, f"only {count} examples found"


def send_postcards(path, port):
    """Sends the datagrams in a pcap file to the server."""
    with open(path, "rb") as file:
        data = file.read()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        at = 24
        while at < len(data):
            length = struct.unpack_from("<I", data, at + 8)[0]
            # Ethernet, IPv4, UDP.
            sender.sendto(data[at + 16 + 42:at + 16 + length],
                          ("127.0.0.1", port))
            at += 16 + length
            time.sleep(0.0001)


def follow(server, path, port):
    """Every event of triggers and queries."""
    server.ask("hello", protocol=1, client="test", binary=False)
    end = time.monotonic() + 20
    while server.ask("status")["status"]["recorder"] != "connected":
        assert time.monotonic() < end, "the recorder is away"
        time.sleep(0.05)
    for op in ("clients", "trigger.list", "topology", "stats", "health",
               "status", "recorder.status", "recorder.stats", "log.level"):
        assert server.ask(op)["ok"], op
    first = server.ask("trigger.add", phf=".*", name="all", rate=100000)
    assert server.ask("trigger.add", phf=".*", rate=1)["ok"]
    assert server.ask("trigger.pause", trigger=first["trigger"])["ok"]
    assert server.ask("trigger.resume", trigger=first["trigger"])["ok"]
    send_postcards(path, port)
    wanted = {"history", "limited"}
    end = time.monotonic() + 20
    while not wanted <= seen_events and time.monotonic() < end:
        server.read()
    assert wanted <= seen_events, seen_events
    assert server.ask("trigger.list")["triggers"][0]["name"] == "all"
    for order in ("asc", "desc"):
        request = server.ask("query", phf=".*", since="-1h", order=order)
        assert request["ok"]
        while True:
            event = server.event(20)
            if event["event"] == "end" and event["id"] == request["id"]:
                break
    profile = server.ask("profile", by=["link", "hosts", "flow"],
                         interval_ns=10**9)
    assert profile["packets"] and profile["tree"], profile
    assert server.ask("trigger.delete", trigger=first["trigger"])["ok"]
    assert not server.ask("cancel", query=4711)["ok"]


def ask_recorder(recorder):
    for op in ("hello", "clients", "log.level", "stats", "status",
               "topology", "select.list", "changes", "subscribe"):
        assert recorder.ask(op)["ok"], op
    for op in ("diff", "why", "table", "flow"):
        assert not recorder.ask(op, **{"dpid": 7, "version": 1, "from": "-1h",
                                       "flow": "in_port=1"})["ok"], op


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask_all(threads):
    """All of them, of a server with so many threads."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lasthop-schema-") as work:
        subprocess.run(["bin/lasthop-gen", "-q", "--count=200", work],
                       check=True)
        daemons = [subprocess.Popen(command, stderr=subprocess.DEVNULL)
                   for command in (
            ["bin/lasthop-recorder", f"--rundir={work}",
             f"--state={work}/state.db", f"--listen=unix:{work}/listen",
             f"--controller=unix:{work}/controller"],
            ["bin/lasthop-server", f"--rundir={work}",
             f"--listen=geneve:127.0.0.1:{port}", "--accept=127.0.0.1",
             f"--archive={work}/archive", "--round=50ms",
             f"--topology={work}/topology.json",
             f"--rules={work}/rules.jsonl", f"--threads={threads}"])]
        try:
            with Checked(f"{work}/server.sock") as server, \
                    Checked(f"{work}/recorder.sock") as recorder:
                run_examples(server, recorder)
            with Checked(f"{work}/server.sock") as server, \
                    Checked(f"{work}/recorder.sock") as recorder:
                follow(server, f"{work}/postcards.pcap", port)
                ask_recorder(recorder)
        finally:
            for daemon in daemons:
                daemon.terminate()
                daemon.wait(20)


def main():
    for threads in (1, 2):
        seen_ops.clear()
        seen_events.clear()
        ask_all(threads)
    print("answered:", *sorted(seen_ops))
    print("events:", *sorted(seen_events))
    print("errors:", *sorted(seen_codes))
    # What only a network brings is in tests/net/test_api_schema.py.
    print("not here:", *sorted(DEFS["answers"].keys() - seen_ops))


main()
