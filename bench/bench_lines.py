#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks and holds what they print against the form of a figure.

Each line of output is a JSON object with these members, and maybe others:
    {"bench": what was run, on which traffic, "metric": what of it, "value":
     the median, "unit": .., "runs": of so many, "min": .., "max": ..}
Names are not empty; min <= value <= max; a value that is one of no runs, a
worst case or a sum, has runs 1.  No two lines have the same bench and metric.
Lines are passed on as they come; what is wrong is said on standard error, at
the end how long it took, and makes the exit status 1.

usage: bench_lines.py PROGRAM [ARGUMENT..]   runs it
       bench_lines.py -                      reads standard input
"""

import json
import math
import os
import subprocess
import sys
import time

TEXTS = ("bench", "metric", "unit")
NUMBERS = ("value", "min", "max")
SLACK = 1e-6  # Of printing with a few digits.


def is_number(value):
    """Whether it is a finite number."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def wrong_with(line, seen):
    """What is wrong with a line, or None."""
    try:
        figure = json.loads(line)
    except ValueError as error:
        return f"no JSON: {error}"
    if not isinstance(figure, dict):
        return "no object"
    for name in TEXTS:
        if not isinstance(figure.get(name), str) or not figure[name]:
            return f'"{name}" is no text'
    for name in NUMBERS:
        if not is_number(figure.get(name)):
            return f'"{name}" is no number'
    runs = figure.get("runs")
    if not isinstance(runs, int) or isinstance(runs, bool) or runs < 1:
        return '"runs" is no count'
    low, value, high = figure["min"], figure["value"], figure["max"]
    slack = SLACK * max(abs(low), abs(high))
    if not low - slack <= value <= high + slack:
        return "not min <= value <= max"
    key = figure["bench"], figure["metric"]
    if key in seen:
        return f"{key} was there before"
    seen.add(key)
    return None


def check(name, stream):
    """Passes the lines of 'stream' on; returns how many are wrong."""
    seen, n_wrong = set(), 0
    for line in stream:
        print(line, end="", flush=True)
        wrong = wrong_with(line, seen)
        if wrong:
            print(f"{name}: {line.rstrip()}: {wrong}", file=sys.stderr)
            n_wrong += 1
    return n_wrong


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    name, began = os.path.basename(sys.argv[1]), time.monotonic()
    status = 0
    if sys.argv[1] == "-":
        n_wrong = check(name, sys.stdin)
    else:
        with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE,
                              encoding="utf-8") as process:
            n_wrong = check(name, process.stdout)
        status = process.returncode
        if status:
            print(f"{name}: exit status {status}", file=sys.stderr)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    sys.exit(1 if n_wrong or status else 0)


if __name__ == "__main__":
    main()
