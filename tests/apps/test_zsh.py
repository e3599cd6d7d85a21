#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What zsh offers for programs, asked of a zsh at a terminal.
"""Runs in the build directory."""

import os
import pty
import select
import shutil
import sys
import tempfile
import time

# Prints a mark, what is offered, a word a line, and the mark again.
SETUP = r"""
PS1=
fpath=($PWD/completion $fpath)
autoload -U compinit && compinit -D -u
bindkey '^I' complete-word
mark() { print -r -- '<>' }
compprefuncs=(mark)
comppostfuncs=(mark exit)
compadd() {
    local -a words
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
    else
        builtin compadd -A words "$@"
        print -rl -- $words
        # Where none were added the next tag would be tried.
        builtin compadd "$@"
    fi
}
print -r -- '<ready>'
"""


def read_until(terminal, marks, deadline=60):
    """What comes up to the last of so many marks (mark, how often)."""
    text, end = "", time.monotonic() + deadline
    while text.count(marks[0]) < marks[1]:
        assert time.monotonic() < end, f"no {marks} in {text!r}"
        if select.select([terminal], [], [], 1)[0]:
            try:
                text += os.read(terminal, 65536).decode()
            except OSError:
                break
    return text.replace("\r", "")


def offer(work, line):
    """What is offered at the end of 'line', sorted."""
    child, terminal = pty.fork()
    if not child:
        os.environ.update(ZDOTDIR=work, TERM="dumb")
        os.execvp("zsh", ["zsh", "-i"])
    try:
        read_until(terminal, ("<ready>", 1))
        os.write(terminal, line.encode() + b"\t")
        text = read_until(terminal, ("<>", 2))
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    return sorted(set(text.split("<>")[1].split()))


def main():
    if not shutil.which("zsh"):
        print("no zsh (apt-get install zsh)")
        return 77
    failed = 0
    with tempfile.TemporaryDirectory(prefix="lasthop-zsh-") as work:
        with open(f"{work}/.zshrc", "w", encoding="utf-8") as file:
            file.write(SETUP)
        with open(f"{work}/a-file", "w", encoding="utf-8"):
            os.mkdir(f"{work}/a-dir")
        for line, expected in (
                ("lasthopctl s", ["select", "size", "status"]),
                ("lasthopctl select ", ["add", "delete", "list", "load"]),
                ("lasthopctl --rundir /tmp -j topology ", ["dot", "json"]),
                ("lasthopctl log ", ["debug", "error", "info", "recorder",
                                     "server", "warn"]),
                ("lasthopctl log recorder d", ["debug"]),
                (f"lasthopctl select load {work}/a", ["a-dir", "a-file"]),
                ("lasthopctl archive ", ["repair", "stat", "verify"]),
                (f"lasthopctl archive verify {work}/a", ["a-dir"]),
                (f"lasthopctl -j archive repair {work}/a", ["a-dir"]),
                ("lasthopctl --bef", ["--before"]),
                ("netwatch e", ["explain"]),
                ("ndb --color a", ["always", "auto"]),
                ("lasthop-server --encap ", ["auto", "geneve", "mac"]),
                ("lasthop-recorder --metr", ["--metrics"]),
                ("lasthop-gen --preset f", ["fabric", "faults"])):
            got = [word.rstrip("=/") for word in offer(work, line)]
            if got != expected:
                print(f"{line!r}: {got} instead of {expected}")
                failed = 1
    return failed


sys.exit(main())
