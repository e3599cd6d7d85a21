# SPDX-License-Identifier: Apache-2.0
# Programs that a test starts, watches and ends, and waiting for what they do.
"""
run(["ip", "link"]) runs a program to its end and returns its output.
Process(...) is one that stays; its output goes to a file.  wait_until() waits
for a condition, never for a time.

Every program started here gets SIGTERM when this process dies, however it
dies, so that nothing is left behind.
"""

import ctypes
import os
import re
import signal
import subprocess
import time

SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer"
                       r"|: runtime error: ")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A program failed, or what was waited for did not come."""


def wait_until(condition, deadline=10.0, what=None):
    """Calls condition() until it returns something true, and returns that.

    Raises Failed, naming 'what', when it did not within 'deadline' seconds.
    """
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            what = what or getattr(condition, "__name__", "the condition")
            raise Failed(f"after {deadline} s still waiting for {what}")
        time.sleep(0.02)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def in_netns(netns, argv):
    """'argv' as a command that runs in the named network namespace (None:
    in this one).  Its process ID is the program's own."""
    argv = [str(arg) for arg in argv]
    if netns is None:
        return argv
    return ["nsenter", f"--net=/run/netns/{netns}", "--"] + argv


def run(argv, netns=None, env=None, deadline=60.0, check=True, stdin=""):
    """Runs a program to its end and returns its standard output.

    Raises Failed with all it printed if its exit status is not 0 (unless
    'check' is false) or it takes longer than 'deadline' seconds.
    """
    argv = in_netns(netns, argv)
    try:
        done = subprocess.run(argv, env=env, input=stdin, text=True,
                              capture_output=True, timeout=deadline,
                              check=False, preexec_fn=_die_with_parent)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(argv)}: not done after {deadline} s"
                     ) from error
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit status {done.returncode}\n"
                     f"{done.stdout}{done.stderr}")
    return done.stdout


class Process:
    """A running program.  Its output and errors go to the file 'log'.  A
    'daemon' is expected to run until it is stopped, and then to end well."""

    def __init__(self, name, argv, log, netns=None, env=None, daemon=False):
        self.name = name
        self.log = log
        self._is_daemon = daemon
        self._was_killed = False
        self.argv = in_netns(netns, argv)
        with open(log, "ab") as output:
            self._start = output.tell()     # After those of its name before.
            self._child = subprocess.Popen(
                self.argv, env=env, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, preexec_fn=_die_with_parent,
                start_new_session=True)     # Out of reach of Ctrl-C.

    @property
    def pid(self):
        """Its process ID."""
        return self._child.pid

    def is_running(self):
        """Whether it has not ended."""
        return self._child.poll() is None

    def output(self):
        """What it has printed so far."""
        with open(self.log, "rb") as log:
            log.seek(self._start)
            return log.read().decode("utf-8", errors="replace")

    def wait_for(self, text, deadline=10.0):
        """Waits until it has printed 'text'; Failed if it ends without."""
        def printed():
            if text in self.output():
                return True
            if not self.is_running() and text not in self.output():
                raise Failed(f"{self.name} ended with exit status "
                             f"{self._child.returncode}:\n{self.output()}")
            return False
        wait_until(printed, deadline, f'"{text}" from {self.name}')
        return self

    def wait(self, deadline=10.0):
        """Waits for its end and returns its exit status (-N: signal N)."""
        wait_until(lambda: not self.is_running(), deadline,
                   f"{self.name} to end")
        return self._child.returncode

    def signal(self, number):
        """Sends it a signal if it still runs."""
        if self.is_running():
            self._child.send_signal(number)

    def stop(self, deadline=5.0):
        """Ends it by SIGTERM, by SIGKILL if that takes longer than
        'deadline' seconds, and returns its exit status."""
        self.signal(signal.SIGTERM)
        try:
            self._child.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
        return self._child.returncode

    def kill(self):
        """Ends it by SIGKILL, as a crash would."""
        self._was_killed = self._was_killed or self.is_running()
        self.signal(signal.SIGKILL)
        self._child.wait()

    def fault(self):
        """What was wrong with it, now that it has ended; None if nothing."""
        output = self.output()
        if SANITIZER.search(output):
            return f"{self.name}: a sanitizer found something:\n{output}"
        if (self._is_daemon and not self._was_killed
                and self._child.returncode != 0):
            return (f"{self.name}: ended with exit status "
                    f"{self._child.returncode}:\n{output}")
        return None


def environment(**more):
    """This process's environment with 'more' in it."""
    return {**os.environ, **{name: str(value) for name, value in more.items()}}
