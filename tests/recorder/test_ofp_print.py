#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The messages of Open vSwitch's own tests of ofp-print pass through instr.
#
# usage: test_ofp_print.py      (in the build directory)
"""Takes the messages out of the source package of Open vSwitch, each time."""

import glob
import re
import subprocess
import sys
import tarfile

SOURCES = "/usr/src/openvswitch/openvswitch.tar.*"
PROGRAM = "tests/recorder/pass_messages"
SKIP = 77


def read_tests():
    """The file with the tests; None when the package is not installed."""
    for path in glob.glob(SOURCES):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith("/tests/ofp-print.at"):
                    return tar.extractfile(member).read().decode()
    return None


def messages(text):
    """Every message in hexadecimal."""
    for quoted, plain in re.findall(
            r"ofp-print\s+(?:(\"[^\"]*\"|'[^']*')|([0-9a-f]+))", text):
        digits = re.sub(r"dnl[^\n]*\n|[^0-9a-fA-F]", "", quoted) or plain
        if digits:
            yield digits


def main():
    """Hands them all to the program."""
    text = read_tests()
    if text is None:
        print(f"no {SOURCES}: install openvswitch-source")
        return SKIP
    found = list(messages(text))
    if len(found) < 234:
        print(f"only {len(found)} messages found")
        return 1
    done = subprocess.run([PROGRAM], input="\n".join(found) + "\n", text=True,
                          capture_output=True, check=False)
    print(f"{len(found)} found; {done.stdout}{done.stderr}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
