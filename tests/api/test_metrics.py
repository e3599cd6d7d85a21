#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# /metrics of a running server, recorder and agent: every name is in docs/metrics.md
# with its type, and every name there exists.
#
# usage: test_metrics.py [--write]     (--write prints the tables anew)
"""Runs in the build directory; LASTHOP_SRC or $srcdir is the tree."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SOURCE = os.environ.get("srcdir", ".")
HEAD = re.compile(r"# (HELP|TYPE) ([a-z_0-9]+) (.+)")
VALUE = re.compile(r'([a-z_0-9]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (\d+)')


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(port, path="/metrics", deadline=20):
    end = time.monotonic() + deadline
    while True:
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def parse(text):
    """{name: (type, help)}; fails where it is not the text format."""
    helps, types = {}, {}
    current = None
    for line in text.splitlines():
        head = HEAD.fullmatch(line)
        if head:
            (helps if head[1] == "HELP" else types)[head[2]] = head[3]
            current = head[2]
            continue
        value = VALUE.fullmatch(line)
        assert value, f"not the text format: {line!r}"
        assert value[1] == current, f"{line!r} does not follow its TYPE"
    assert helps.keys() == types.keys()
    for name, kind in types.items():
        assert kind in ("counter", "gauge"), (name, kind)
        assert name.endswith("_total") == (kind == "counter"), (name, kind)
    return {name: (types[name], helps[name]) for name in types}


def run(command, port):
    """What the daemon serves."""
    with tempfile.TemporaryDirectory(prefix="lasthop-metrics-") as rundir:
        command = [word.replace("@", rundir) for word in command]
        command.append(f"--metrics=127.0.0.1:{port}")
        with open(os.path.join(rundir, "log"), "w+", encoding="utf-8") as log:
            daemon = subprocess.Popen(command, stderr=log)
            try:
                kind, text = fetch(port)
                assert kind.startswith("text/plain; version=0.0.4"), kind
                try:
                    fetch(port, "/")
                    raise AssertionError("/ is served")
                except urllib.error.HTTPError as error:
                    assert error.code == 404, error
            except OSError:
                log.seek(0)
                print(log.read())
                raise
            finally:
                daemon.terminate()
                daemon.wait(20)
    return parse(text)


def table(metrics):
    return "".join(f"| `{name}` | {kind} | {text} |\n"
                   for name, (kind, text) in sorted(metrics.items()))


def main():
    server = run(["bin/lasthop-server", "--rundir=@", "--recorder=none",
                  f"--listen=geneve:127.0.0.1:{free_port()}"], free_port())
    threaded = run(["bin/lasthop-server", "--rundir=@", "--recorder=none",
                    f"--listen=geneve:127.0.0.1:{free_port()}",
                    "--threads=2"], free_port())
    assert threaded == server, threaded.keys() ^ server.keys()
    recorder = run(["bin/lasthop-recorder", "--rundir=@",
                    "--state=@/state.db",
                    f"--listen=tcp:127.0.0.1:{free_port()}",
                    f"--controller=tcp:127.0.0.1:{free_port()}"], free_port())
    agent = run(["bin/lasthop-agent", f"--server=127.0.0.1:{free_port()}",
                 "--pidfile=@/nobody", "--spool=@/spool"], free_port())
    if "--write" in sys.argv:
        print("server:\n" + table(server) + "\nrecorder:\n" + table(recorder)
              + "\nagent:\n" + table(agent))
        return 0
    with open(os.path.join(SOURCE, "docs/metrics.md"),
              encoding="utf-8") as page:
        told = dict(re.findall(r"^\| `(lasthop_[a-z_0-9]+)` \| (\w+) \|",
                               page.read(), re.M))
    wrong = 0
    found = {name: kind for name, (kind, _) in
             {**server, **recorder, **agent}.items()}
    for name in sorted(found.keys() | told.keys()):
        if found.get(name) != told.get(name):
            print(f"{name}: docs/metrics.md says {told.get(name, 'nothing')}, "
                  f"/metrics {found.get(name, 'nothing')}")
            wrong = 1
    undescribed = [n for n, (_, h) in server.items() if h == "not described"]
    print(*undescribed)
    return wrong or bool(undescribed)


sys.exit(main())
