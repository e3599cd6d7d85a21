#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What ndb(1), `help` and the README tell people to type is typed, and works.
#
# Run by `make check` in the build directory; srcdir names the source tree.
"""Every command is in the manual and in a test; every example is run."""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

BUILD = os.getcwd()
SOURCE = os.environ.get("srcdir", ".")
# The fixture's packets are of then.
LONG_AGO = "2023-11-14T00:00:00Z"
failures = []


def read(*path):
    """The text of a file of the source tree."""
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def check(condition, what):
    """Notes a failure."""
    if not condition:
        failures.append(what)


def ndb(work, arguments):
    """What ndb prints beside a server; (status, text)."""
    done = subprocess.run([f"{BUILD}/tests/apps/ndb_fixture", "serve", work,
                           f"{work}/sock", "good", f"{BUILD}/bin/ndb", "-s",
                           f"{work}/sock", "--utc", *arguments], cwd=work,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60,
                          env=dict(os.environ, HOME=work), check=False)
    return done.returncode, done.stdout


def run_script(work, lines, what):
    """Runs them on some histories and breakpoints; no command may fail."""
    status, text = ndb(work, [argument for line in lines
                              for argument in ("-e", line)])
    check(status < 2, f"{what}: exit {status}\n{text}")
    return text


def commands(work):
    """The names of all commands, by `help`."""
    return re.findall(r"^  ([a-z]+)\b", ndb(work, ["-e", "help"])[1],
                      re.MULTILINE)


def test_every_command_is_described_and_tested(work):
    """In the manual, and in a script with golden output."""
    manual = read("docs", "man", "ndb.1.in")
    scripts = "".join(read(path) for path in glob.glob(
        os.path.join(os.path.abspath(SOURCE), "tests", "apps", "ndb",
                     "*.ndb")))
    names = commands(work)
    check(len(names) > 25, f"commands: {names}")
    for name in names:
        check(re.search(rf"^\.It Cm (.* , (Cm )?)?{name}\b", manual,
                        re.MULTILINE), f"{name} is not in ndb(1)")
        check(re.search(rf"^ *{name}\b", scripts, re.MULTILINE),
              f"{name} is in no script of tests/apps/ndb")
    for name in re.findall(r"^\.It Cm ([a-z]+)", manual, re.MULTILINE):
        check(name in names, f"ndb(1) has {name}, ndb does not")


def test_examples_of_help_are_run(work):
    """Each by itself, after a find and two breakpoints."""
    before = ["break {{--dpid s1}}", "break {{--dpid s2}}",
              "find . --oldest"]
    with open(f"{work}/case.ndb", "w", encoding="utf-8") as script:
        script.write("bt\n")
    filters = ndb(work, ["-e", "help filters"])[1].split("For example:\n")[1]
    filters = re.findall(r"^  (\S.*?)   +\S", filters, re.MULTILINE)
    check(len(filters) > 5, f"filters: {filters}")
    run_script(work, [f"find {phf}" for phf in filters], "help filters")
    n = 0
    for name in commands(work):
        text = ndb(work, ["-e", f"help {name}"])[1]
        lines = text.split("\nFor example:\n")[1:]
        if name == "commands":
            run_script(work, before + lines[0].splitlines(), name)
            lines = []
        for line in "".join(lines).splitlines():
            n += 1
            # The fixture's server answers 100 s after its first packet.
            run_script(work, [*before, re.sub(r" -(5|10)m$", " -80s",
                                              line.strip())],
                       f"help {name}: {line}")
    check(n > 25, f"only {n} examples in help")


def test_examples_of_the_manual_are_run(work):
    """The one-liners as a shell reads them, the session as a script."""
    examples = re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed$",
                          read("docs", "man", "ndb.1.in"),
                          re.MULTILINE | re.DOTALL)
    check(len(examples) >= 3, "examples of ndb(1)")
    for example in examples:
        example = example.replace("\\e", "\\")
        if example.startswith("$ ndb"):
            run_script(work, [line.removeprefix("(ndb) ") for line
                              in example.splitlines()[1:]], example)
            continue
        command = re.sub(r"-(10m|1d)\b", LONG_AGO,
                         example.replace("\\\n", " ")).split(" > ")[0]
        status, text = ndb(work, shlex.split(command)[1:])
        check(status == 0, f"{example}: exit {status}\n{text}")


def test_what_the_readme_says_in_passing_works(work):
    """Its whole sessions are run by tests/net/test_demo.py."""
    readme = read("README.md")
    lines = ["find .", "break {{--verdict dropped}}", "continue", "why",
             "why not v5", "info changes s3", "diff s3 v8",
             "info changes near", "ladder", "info packet", "x/16xb ip",
             "help", "find .", "diff 1 2"]
    for line in lines:
        check(f"`{line}`" in readme or line == "find .",
              f"README has no {line}")
    # Its rules have other numbers in the fixture.
    run_script(work, [line.replace("v5", "v4").replace("v8", "v9")
                      for line in lines], "README")


def main():
    """Runs every test on one fixture."""
    work = tempfile.mkdtemp()
    try:
        subprocess.run([f"{BUILD}/tests/apps/ndb_fixture", "archive", work],
                       check=True)
        for name, test in sorted(globals().items()):
            if name.startswith("test_"):
                n = len(failures)
                test(work)
                print("FAIL" if len(failures) > n else "ok  ", name)
    finally:
        shutil.rmtree(work)
    print("\n".join(failures))
    return int(bool(failures))


sys.exit(main())
