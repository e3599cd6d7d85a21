#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# ndb at a terminal: prompt, completion, history, pager, Ctrl-C.
#
# Run by `make check` in the build directory.
"""Talks to bin/ndb through a pseudo-terminal."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

BUILD = os.getcwd()
DEADLINE = 20

# libedit 3.1 forgets the names of functions added by el_set(); only a whole
# stack shows that a leak is its own.
LEAKS = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                     "ndb_leaks")
SANITIZER = {"ASAN_OPTIONS": "fast_unwind_on_malloc=0",
             "LSAN_OPTIONS": f"suppressions={LEAKS}:print_suppressions=0"}


class Terminal:
    """A program at the other side of a pseudo-terminal."""

    def __init__(self, command, home, **more):
        environment = dict(os.environ, HOME=home, TERM="xterm", TZ="UTC",
                           PAGER="", **SANITIZER, **more)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.text = ""
        self.seen = 0

    def send(self, text):
        """Types 'text'."""
        os.write(self.fd, text.encode())

    def expect(self, pattern):
        """Waits until 'pattern' has been printed after what was expected
        before."""
        end = time.monotonic() + DEADLINE
        while True:
            match = re.compile(pattern).search(self.text, self.seen)
            if match:
                self.seen = match.end()
                return match
            if not self.read(end):
                raise AssertionError(f"no {pattern!r} in "
                                     f"{self.text[self.seen:]!r}")

    def expect_prompt(self):
        """Waits until ndb prompts and edits a line: until then the terminal
        itself would do something with a control character."""
        self.expect(r"\(ndb\) ")
        end = time.monotonic() + DEADLINE
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            assert time.monotonic() < end, self.text
            time.sleep(0.01)

    def read(self, end):
        """Takes what is printed next; False when nothing is by the time 'end',
        or the program has ended."""
        left = max(0, end - time.monotonic())
        if not select.select([self.fd], [], [], left)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def quit(self):
        """Leaves, at a prompt."""
        self.send("quit\n")
        status = self.wait()
        assert status == 0, f"{status}: {self.text}"

    def seen_again(self, pattern):
        """Whether 'pattern' is printed within a second."""
        end = time.monotonic() + 1
        found = re.compile(pattern)
        match = found.search(self.text, self.seen)
        while not match and self.read(end):
            match = found.search(self.text, self.seen)
        self.seen = match.end() if match else self.seen
        return match

    def interrupt(self):
        """Presses Ctrl-C."""
        self.send("\x03")

    def wait(self):
        """Waits for its end; returns the exit status."""
        end = time.monotonic() + DEADLINE
        while self.read(end):
            pass
        if time.monotonic() >= end:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def serve(work, *arguments):
    """The command line of ndb beside a server."""
    return [f"{BUILD}/tests/apps/ndb_fixture", "serve", work, f"{work}/sock",
            "good", f"{BUILD}/bin/ndb", "-s", f"{work}/sock", "--utc",
            "--color", "never", *arguments]


def test_commands_are_completed_and_kept(work):
    """Tab completes, and the next run has the history."""
    t = Terminal(serve(work), work)
    t.expect_prompt()
    t.send("inf\tst\t\n")
    t.expect(r"postcards +12")
    t.expect_prompt()
    t.send("find {{--ver\t9}}\n")
    t.expect(r"no such term")
    t.expect_prompt()
    t.send("find {{--vers\t9}}\n")
    t.expect(r"1   2023-11-14T22:13:21")
    t.expect_prompt()
    t.quit()
    with open(f"{work}/.ndb_history", encoding="utf-8") as history:
        text = history.read()
    assert "info" in text, text
    mode = os.stat(f"{work}/.ndb_history").st_mode
    assert mode & 0o77 == 0, oct(mode)
    t = Terminal(serve(work), work)
    t.expect_prompt()
    t.send("\x10\x10")
    t.expect(r"find \{\{--version 9\}\}")
    t.send("\n")
    t.expect(r"1   2023-11-14T22:13:21")
    # Ctrl-D counts only where a line is edited.
    t.expect_prompt()
    t.send("\x04")
    assert t.wait() == 0, t.text


def test_names_are_completed_and_listed(work):
    """Switches, ports, verdicts where they belong; a list where many fit."""
    t = Terminal(serve(work), work)
    t.expect_prompt()
    t.send("find {{--dp\ts3 --inp\ts3-s1\t}}\n")
    t.expect(r"2   2023")
    t.expect_prompt()
    t.send("find {{--verdict d\t")
    t.expect(r"delivered +dropped\r\n")
    t.expect(r"find \{\{--verdict d")
    t.send("r\t}}\n")
    t.expect(r"2   2023.*dropped")
    t.expect_prompt()
    t.send("x arp.o\t\n")
    t.expect(r"<arp.op>:   0x00   0x01")
    t.expect_prompt()
    t.quit()


def test_commands_of_a_breakpoint_have_a_prompt_of_their_own(work):
    """Up to "end"; and an empty line repeats."""
    t = Terminal(serve(work, "-i", "-e", "break {{--dpid s3}}"), work)
    t.expect_prompt()
    t.send("commands\n")
    t.expect(r'A line with "end" ends them.\r\n')
    t.expect(r">")
    t.send("silent\n")
    t.expect(r">")
    t.send("x/1xb ip.ttl\n")
    t.expect(r">")
    t.send("end\n")
    t.expect_prompt()
    t.send("continue\n")
    t.expect(r"<ip.ttl>:   0x40")
    t.expect_prompt()
    t.send("find .\n")
    t.expect(r"4   2023")
    t.expect_prompt()
    t.send("next\n")
    t.expect(r"\n2   2023")
    t.expect_prompt()
    t.send("\n")
    t.expect(r"\n3   2023")
    t.expect_prompt()
    t.quit()


def test_an_error_underlines_the_place_and_the_prompt_stays(work):
    """An error at the prompt is not the end."""
    t = Terminal(serve(work), work)
    t.expect_prompt()
    t.send("find {{--doid 1}}\n")
    t.expect(r"no such term")
    t.expect(r"\^~~~~~")
    t.expect_prompt()
    t.send("find .\n")
    t.expect(r"4   2023")
    t.expect_prompt()
    t.quit()


def test_ctrl_c_ends_waiting_and_lines_but_not_ndb(work):
    """continue waits until Ctrl-C, which also drops a line half typed."""
    t = Terminal(serve(work, "-i", "-e", "break {{--dpid 77}}"), work)
    t.expect(r"Breakpoint 1: ")
    t.expect_prompt()
    t.send("continue\n")
    t.expect(r"waiting")
    t.interrupt()
    t.expect(r"interrupted")
    t.expect_prompt()
    t.send("half a line")
    t.expect(r"half a line")
    # libedit feels a signal only while it waits for a key.
    while not t.seen_again(r"\(ndb\) "):
        t.interrupt()
    # A Ctrl-C too many ends the next command.
    for _ in range(DEADLINE):
        t.send("\x15info breakpoints\n")
        if t.seen_again(r"1   keep y   0 "):
            break
    else:
        raise AssertionError(f"no breakpoint in {t.text[-200:]!r}")
    t.expect_prompt()
    t.quit()


def test_a_pager_gets_what_is_long(work):
    """Only at a terminal, only with a prompt, and $LASTHOP_PAGER comes first."""
    pager = f"{work}/pager"
    with open(pager, "w", encoding="utf-8") as script:
        script.write("#!/bin/sh\necho paged; cat\n")
    os.chmod(pager, 0o755)
    t = Terminal(serve(work), work, LASTHOP_PAGER=pager)
    t.expect_prompt()
    t.send("info topology\n")
    t.expect(r"paged\r\ns1  0000000000000001")
    t.expect_prompt()
    t.quit()
    done = subprocess.run(serve(work, "-e", "info topology"),
                          env=dict(os.environ, LASTHOP_PAGER=pager), check=True,
                          capture_output=True, text=True)
    assert done.stdout.startswith("s1 ")


def test_ctrl_c_ends_a_script(work):
    """Interrupted, with the status that shells know."""
    t = Terminal(serve(work, "-e", "break {{--dpid 77}}", "-e", "continue",
                       "-e", "info stats"), work)
    t.expect(r"waiting")
    t.interrupt()
    assert t.wait() == 130, t.text
    assert "postcards" not in t.text


def main():
    """Runs every test in a directory of its own."""
    failed = 0
    signal.alarm(300)
    for name, test in sorted(globals().items()):
        if not name.startswith("test_"):
            continue
        work = tempfile.mkdtemp()
        try:
            subprocess.run([f"{BUILD}/tests/apps/ndb_fixture", "archive",
                            work], check=True)
            test(work)
            print(f"ok   {name}")
        except Exception as error:  # pylint: disable=broad-except
            print(f"FAIL {name}: {error!r}")
            failed += 1
        shutil.rmtree(work)
    return 1 if failed else 0


sys.exit(main())
