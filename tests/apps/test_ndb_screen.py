#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A session of ndb at a real terminal, tmux's: what stands on the screen.
#
# Run by `make check` in the build directory; srcdir names the source tree.
# With GOLDEN_UPDATE set, tests/apps/ndb/screen.txt is written: look at the
# difference, then commit.
"""Drives bin/ndb in tmux and compares the screen after each step."""

import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = os.getcwd()
GOLDEN = os.path.join(os.environ.get("srcdir", "."), "tests", "apps", "ndb",
                      "screen.txt")
DEADLINE = 30
COLUMNS, ROWS = 100, 20


class Screen:
    """A program in a tmux of its own."""

    def __init__(self, work, command):
        self.before = []
        self.tmux = ["tmux", "-f", "/dev/null", "-S", f"{work}/tmux"]
        environment = dict(os.environ, HOME=work, TZ="UTC", PAGER="less",
                           LESS="FRX", LASTHOP_CONFIG="/dev/null",
                           NO_COLOR="1")
        environment.pop("TMUX", None)
        environment.pop("LASTHOP_PAGER", None)
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(COLUMNS),
                        "-y", str(ROWS), *command], check=True,
                       env=environment)

    def type(self, *keys):
        """Types text and keys: "Tab", "Enter", "C-c"."""
        for key in keys:
            literal = [] if key in ("Tab", "Enter", "C-c", "C-u", "q") else ["-l"]
            subprocess.run([*self.tmux, "send-keys", *literal, key],
                           check=True)

    def lines(self):
        """What stands there, without what is empty at the end."""
        done = subprocess.run([*self.tmux, "capture-pane", "-p"],
                              capture_output=True, text=True, check=False)
        return [line.rstrip() for line in done.stdout.rstrip().split("\n")]

    def wait(self, last, contains=""):
        """The screen once it is another and its last line is 'last'."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            lines = self.lines()
            if (lines != self.before and lines[-1] == last
                    and contains in "\n".join(lines)):
                self.before = lines
                return lines
            time.sleep(0.05)
        raise AssertionError(f"no {last!r} at the end of\n"
                             + "\n".join(self.lines()))

    def is_over(self):
        """Whether the program has ended, and tmux with it."""
        return subprocess.run([*self.tmux, "has-session"], check=False,
                              stderr=subprocess.DEVNULL).returncode != 0

    def close(self):
        """Ends what is left."""
        subprocess.run([*self.tmux, "kill-server"], check=False,
                       stderr=subprocess.DEVNULL)


# What is typed, the last line to wait for, and something above it.
STEPS = [
    ((), "(ndb)", ""),
    (("fi", "Tab", "{{--verd", "Tab", "dr", "Tab", "}}", "Enter"),
     "(ndb)", "dropped"),
    (("next", "Enter"), "(ndb)", "\n2   2023"),
    (("ladder", "Enter"), "(ndb)", "=> dropped"),
    (("find {{--inport s", "Tab"), "(ndb) find {{--inport s", "s3-s2"),
    (("C-u",), "(ndb)", ""),
    (("bt", "Enter"), "(ndb)", "v9: table 0"),
    (("help", "Enter"), ":", "find PHF"),
    (("q",), "(ndb)", ""),
    (("break {{--dpid 77}}", "Enter"), "(ndb)", "Breakpoint 1"),
    (("continue", "Enter"), "waiting; Ctrl-C ends it", ""),
    (("C-c",), "(ndb)", "ndb: interrupted"),
    (("fnid .", "Enter"), "(ndb)", "meant?"),
]


def play(work):
    """The screens of a session, as one text."""
    screen = Screen(work, [
        f"{BUILD}/tests/apps/ndb_fixture", "serve", work, f"{work}/sock",
        "good", f"{BUILD}/bin/ndb", "-s", f"{work}/sock", "--utc"])
    text = []
    try:
        for keys, last, contains in STEPS:
            screen.type(*keys)
            lines = screen.wait(last, contains)
            text += [f"--- {' '.join(keys)}", *lines]
        screen.type("quit", "Enter")
        end = time.monotonic() + DEADLINE
        while not screen.is_over():
            assert time.monotonic() < end, "ndb does not end"
            time.sleep(0.05)
    finally:
        screen.close()
    return "\n".join(text) + "\n"


def main():
    """Compares a session with the golden one."""
    for program in ("tmux", "less"):
        if not shutil.which(program):
            print(f"no {program} (apt-get install {program})")
            return 77
    work = tempfile.mkdtemp()
    try:
        subprocess.run([f"{BUILD}/tests/apps/ndb_fixture", "archive", work],
                       check=True)
        text = play(work)
    finally:
        shutil.rmtree(work)
    if os.environ.get("GOLDEN_UPDATE"):
        with open(GOLDEN, "w", encoding="utf-8") as golden:
            golden.write(text)
        return 0
    with open(GOLDEN, encoding="utf-8") as golden:
        wanted = golden.read()
    sys.stdout.writelines(difflib.unified_diff(
        wanted.splitlines(True), text.splitlines(True), "wanted", "is"))
    return int(text != wanted)


sys.exit(main())
