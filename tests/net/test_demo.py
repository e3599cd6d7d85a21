# SPDX-License-Identifier: Apache-2.0
# The demo tells the truth: what ndb prints in it is what the network did.

import os
import re
import subprocess

import pytest

from lab import HERE, PYTHON, bindir

DEMO = os.path.join(HERE, "..", "demo", "demo.py")
README = os.path.join(HERE, "..", "..", "README.md")

# What is another each time: times, latencies, ports that hosts choose, packet
# IDs, sequence numbers, versions and changes in order of coming; and blanks.
EACH_TIME = [(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "TIME"),
             (r"\+[\d.]+ (us|ms)", "+LATENCY"),
             (r"10\.0\.1\.10:\d+", "10.0.1.10:PORT"),
             (r"packet [0-9a-f]{16}", "packet ID"), (r"seq \d+", "seq N"),
             (r"\bv\d+\b", "vN"), (r"change \d+", "change N"),
             (r"[ ]+", " ")]


@pytest.fixture(scope="module")
def told():
    """What the demo prints in batch, by the command it ran."""
    done = subprocess.run([PYTHON, DEMO, "--batch", "--bindir", bindir()],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=180,
                          check=False)
    assert done.returncode == 0, done.stdout
    assert "FAILED" not in done.stdout
    parts = re.split(r"^\$ (.*)$", done.stdout, flags=re.MULTILINE)[1:]
    return list(zip(parts[0::2], parts[1::2]))


def answer(told, *words):
    """What was printed for the one command that has all of 'words'."""
    found = [text for command, text in told
             if all(word in command for word in words)]
    assert len(found) == 1, (words, [command for command, _ in told])
    return found[0]


def switches_in_order(text):
    """The bridges that 'text' names at the hops of a backtrace."""
    return [match.group(1) for match in
            re.finditer(r"^[ *-]*#\d+ .*?\b(s\d)\b", text, re.MULTILINE)]


def test_the_request_goes_by_the_upper_way_and_is_translated(told):
    backtrace = answer(told, "dst host 203.0.113.80", "-e bt")
    assert switches_in_order(backtrace) == ["s1", "s2", "s3", "s5", "s6"]
    assert "delivered" in backtrace
    assert "203.0.113.80 -> 10.0.3.10" in backtrace
    assert re.search(r"\b80 -> 8000\b", backtrace)


def test_the_rule_that_translated_is_shown(told):
    flow = answer(told, "dst host 203.0.113.80", "info flow")
    assert "nw_dst=203.0.113.80" in flow and "tp_dst=80" in flow
    assert "10.0.3.10" in flow and "8000" in flow


def test_the_answer_goes_by_the_lower_way_and_is_translated_back(told):
    backtrace = answer(told, "src port 8000", "-e bt")
    assert switches_in_order(backtrace) == ["s6", "s5", "s4", "s1"]
    assert "delivered" in backtrace
    assert "10.0.3.10 -> 203.0.113.80" in backtrace
    assert re.search(r"\b8000 -> 80\b", backtrace)


def test_ipv6_is_followed_too(told):
    backtrace = answer(told, "icmp6", "-e bt")
    assert switches_in_order(backtrace) == ["s1", "s2", "s3", "s5", "s6"]
    assert "fd00:1::10" in backtrace and "fd00:3::10" in backtrace


def test_the_lost_packet_ends_at_the_wrong_rule(told):
    backtrace = answer(told, "dropped", "-e bt")
    assert switches_in_order(backtrace) == ["s1", "s2", "s3"]
    assert "dropped" in backtrace
    flow = answer(told, "dropped", "info flow")
    assert "tp_dst=8443" in flow and "actions=drop" in flow


def test_the_table_of_the_past_outlives_the_repair(told):
    now = answer(told, "ovs-ofctl", "dump-flows")
    assert "8443" not in now
    then = [text for command, text in told
            if "info table" in command and "info flow" not in command]
    assert len(then) == 1
    assert re.search(r"tp_dst=8443.*drop", then[0])
    assert "nw_dst=10.0.3.10" in then[0], "the table has its other rules"


def same_each_time(text):
    """The lines of 'text' without what is another each time."""
    for pattern, name in EACH_TIME:
        text = re.sub(pattern, name, text)
    # A packet that got no answer may have been sent again.
    return [line.strip() for line in text.strip().splitlines()
            if not re.match(r"[2-9] +TIME", line)]


def test_the_readme_shows_what_the_demo_prints(told):
    with open(README, encoding="utf-8") as readme:
        shown = re.findall(r"^```\n\$ (ndb .*)\n((?:.*\n)*?)```$",
                           readme.read(), re.MULTILINE)
    assert len(shown) == 4
    for command, text in shown:
        [printed] = [output.split("\n\n")[0] for said, output in told
                     if said == command]
        lines = same_each_time(text)
        if lines[0] == "..":    # It leaves out what was shown before.
            lines = lines[1:]
            assert same_each_time(printed)[-len(lines):] == lines, command
        else:
            assert same_each_time(printed) == lines, command


def test_the_past_can_be_asked(told):
    asked = answer(told, "why not v5", "info changes s3", "diff s3 v8")
    assert "so it is dropped: v8 in table 0 has no actions" in asked
    assert "v5 would match, but v8 of a higher priority does first" in asked
    assert re.search(r"rule-made +v8 table=0.*\n(.*\n)*.*rule-removed +v8 ",
                     asked)
    assert re.search(r"^- .*tp_dst=8443", asked, re.MULTILINE), asked


def test_the_patched_switch_tells_the_same(told):
    """Hops, changes of the header and verdicts are those of stock postcards;
    only versions and times are others."""
    done = subprocess.run([PYTHON, DEMO, "--batch", "--patched", "--bindir",
                           bindir()], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout
    assert "FAILED" not in done.stdout
    parts = re.split(r"^\$ (.*)$", done.stdout, flags=re.MULTILINE)[1:]
    patched = list(zip(parts[0::2], parts[1::2]))
    for words in (("dst host 203.0.113.80", "-e bt"), ("src port 8000",),
                  ("icmp6",), ("dst port 8443", "-e bt")):
        stock_hops, patched_hops = (
            [line for line in same_each_time(answer(one, *words))
             if re.search(r"#\d+ |this rule:|=> ", line)]
            for one in (told, patched))
        assert patched_hops == stock_hops
        assert len(patched_hops) > 3
