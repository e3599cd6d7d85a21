# SPDX-License-Identifier: Apache-2.0
# The controller cannot tell: random messages to a switch, directly and
# through the recorder, have the same consequences, bit for bit.
"""
SAME_SEED=N runs the seed N alone, SAME_SEEDS=N that many more than usual,
SAME_STEPS=N so many steps each.  A sequence that shows a difference is made
as short as SAME_SHRINK=N runs make it, and printed.
"""

import os
import random
import shutil
import tempfile
import time
from itertools import zip_longest

import pytest

from openflow import Encoder, comparable, show, without_lldp
from random_openflow import steps
from twins import Twins

N_STEPS = int(os.environ.get("SAME_STEPS", "120"))
KINDS = [(4, "geneve"), (1, "geneve"), (4, "mac"), (1, "mac")]
LATER_KINDS = [(5, "geneve"), (6, "geneve"), (5, "mac"), (6, "mac")]
FIRST_LATER = 1000      # Seeds from here on are of those.
SHRINK_RUNS = int(os.environ.get("SAME_SHRINK", "60"))
CHECKED = (1, 2, 3, 8)      # One of each kind.
PATIENCE = 0.5      # Seconds for what has no order.


def seeds():
    """The seeds to run."""
    if "SAME_SEED" in os.environ:
        return [int(os.environ["SAME_SEED"])]
    return [*CHECKED, *range(101, 101 + int(os.environ.get("SAME_SEEDS", 0)))]


def difference(direct, through):
    """What of the two would be told apart, as text; None if nothing."""
    lines = []
    for want, got in zip(comparable(direct), comparable(through)):
        for a, b in zip_longest(want, got):
            if a == b:
                continue
            if a and b and a[0] == b[0] == "multipart" and a[1:3] == b[1:3]:
                lines.append(f"multipart {a[1]}:")
                lines += [f"  only directly: {r.hex()}" for r in a[3]
                          if r not in b[3]]
                lines += [f"  only through:  {r.hex()}" for r in b[3]
                          if r not in a[3]]
            for name, item, messages in (("directly", a, direct),
                                         ("through", b, through)):
                if item and item[0] == "message":
                    lines.append(f"{name}: {show(item[1])}\n"
                                 f"    {item[1].hex()}")
                elif item:
                    lines += [f"{name}: {show(m)}" for m in messages
                              if m[4:8].hex() == item[2]]
                else:
                    lines.append(f"{name}: nothing")
    return "\n".join(lines) or None


def frames_difference(direct, through):
    """The same for frames that were sent."""
    lines = []
    for port in sorted({*direct, *through}):
        if direct.get(port) != through.get(port):
            lines += [f"port {port}:"] + [
                f"  {name}: {frame.hex()}"
                for name, frames in (("directly", direct),
                                     ("through", through))
                for frame in frames.get(port, [])]
    return "\n".join(lines) or None


def look(twins, requests):
    """Asks for statistics."""
    twins.call("revalidator/purge")
    lldp = None
    while lldp != twins.through.lldp:   # Link discovery goes on.
        lldp = twins.through.read()
        twins.send(*requests)
        direct, through = twins.sync()
        twins.through.read()
    return direct, without_lldp(through, lldp)


def do(twins, step):
    """Does one step with both; returns what they did differently, or None."""
    if step[0] == "look":
        direct, through = look(twins, step[1])
    else:
        if step[0] == "send":
            twins.send(*step[1])
        elif step[0] == "packet":
            twins.receive(step[1], step[2])
        else:
            twins.warp(step[1])
        direct, through = twins.sync()

    # Some of what a switch says it says later than the barrier's reply.
    end = time.monotonic() + PATIENCE
    while (text := difference(direct, through)) and time.monotonic() < end:
        more = twins.sync()
        direct, through = direct + more[0], through + more[1]
    return text or frames_difference(*twins.sent())


def run_steps(kind, sequence):
    """Runs a sequence on new switches; (index, text) of the first difference
    or None."""
    directory = tempfile.mkdtemp(prefix="lasthop-same-")
    try:
        with Twins(directory, *kind) as twins:
            for i, step in enumerate(sequence):
                try:
                    text = do(twins, step)
                    if text:
                        return i, text + twins.dump()
                except (EOFError, OSError) as error:
                    return i, (f"{error!r}; the recorder has said:\n"
                               f"{twins.recorder.output()[-3000:]}")
        fault = twins.fault()
        return (len(sequence) - 1, fault) if fault else None
    finally:
        if not os.environ.get("LASTHOP_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def shrink(kind, sequence, found):
    """The shortest sequence found that still shows a difference, and it."""
    sequence = sequence[:found[0] + 1]
    runs = 0
    size = len(sequence) // 2
    while size and runs < SHRINK_RUNS:
        at = 0
        while at < len(sequence) - 1 and runs < SHRINK_RUNS:
            less = sequence[:at] + sequence[min(at + size,
                                                len(sequence) - 1):]
            runs += 1
            result = run_steps(kind, less)
            if result:
                sequence, found = less[:result[0] + 1], result
            else:
                at += size
        size //= 2
    return sequence, found


@pytest.mark.parametrize("seed", seeds())
def test_random_messages_have_the_same_consequences(seed, tmp_path):
    kinds = KINDS if seed < FIRST_LATER else LATER_KINDS
    kind = kinds[seed % len(kinds)]
    encoder = Encoder(tmp_path)
    sequence = steps(random.Random(seed), kind[0], encoder, N_STEPS)
    encoder.close()
    found = run_steps(kind, sequence)
    if not found:
        return
    sequence, found = shrink(kind, sequence, found)
    text = [f"seed {seed}, OpenFlow version {kind[0]}, {kind[1]} postcards; "
            f"again: SAME_SEED={seed} SAME_STEPS={N_STEPS}"]
    for step in sequence:
        text.append(f"{step[0]}: {step[-1]}")
        if step[0] == "send":
            text += ["    " + msg.hex() for msg in step[1]]
    pytest.fail("\n".join(text) + "\n" + found[1])
