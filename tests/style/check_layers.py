#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Includes go one way: checks every C file against tests/style/layers, and the
# order and form of its includes.
#
# usage: check_layers.py [TREE]      ($srcdir by default)
"""Prints FILE:LINE: reason for each include that is not allowed."""

import fnmatch
import os
import re
import sys

INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)[>"]')
FREE = ("tests", "bench")


def read_rules(path):
    """Returns ({folder: allowed folders}, [(header, most, patterns)])."""
    layers, doors = {}, []
    with open(path, encoding="utf-8") as rules:
        for number, line in enumerate(rules, 1):
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] == "layer" and len(words) >= 2:
                layers[words[1]] = set(words[2:]) | {words[1]}
            elif words[0] == "door" and len(words) >= 4:
                doors.append((words[1], int(words[2]), words[3:]))
            else:
                sys.exit(f"{path}:{number}: not a layer or a door")
    return layers, doors


def includes(path):
    """Yields (line number, '<' or '"', header) of each include in 'path'."""
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1), match.group(2)


def c_files(folder):
    """The C files below 'folder', relative to the current directory."""
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield os.path.join(where, name)


def check_file(path, layers):
    """Returns what is wrong with the includes of one file, as lines."""
    folder = path.split(os.sep)[0]
    allowed = layers[folder]
    found = list(includes(path))
    wrong = []

    if path.endswith(".c") and (not found or found[0][2] != "config.h"):
        wrong.append(f"{path}:1: the first include is <config.h>")
    for number, quote, header in found:
        if quote == "<":
            continue
        root = header.split("/")[0]
        if "/" not in header or root not in layers:
            wrong.append(f'{path}:{number}: "{header}" is not rooted in the '
                         f"tree; system headers go in <>")
        elif root not in allowed and "*" not in allowed:
            wrong.append(f"{path}:{number}: {folder}/ does not include "
                         f"{root}/ (tests/style/layers)")
    return wrong


def check_doors(paths, doors):
    """Returns what is wrong with who includes the outside libraries."""
    wrong = []
    users = {header: [] for header, _, _ in doors}

    for path in paths:
        if path.split(os.sep)[0] in FREE:
            continue
        for number, _, header in includes(path):
            for door, _, patterns in doors:
                if not fnmatch.fnmatch(header, door):
                    continue
                if path not in users[door]:
                    users[door].append(path)
                if not any(fnmatch.fnmatch(path, p) for p in patterns):
                    wrong.append(f"{path}:{number}: <{header}> is included "
                                 f"only by {' '.join(patterns)}")
    for door, most, _ in doors:
        if len(users[door]) > most:
            wrong.append(f"<{door}>: {len(users[door])} files include it, at "
                         f"most {most} may: {' '.join(users[door])}")
    return wrong


def main():
    rules = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers")
    os.chdir(sys.argv[1] if len(sys.argv) > 1 else os.getenv("srcdir", "."))
    layers, doors = read_rules(rules)

    paths = [path for folder in layers for path in c_files(folder)]
    wrong = check_doors(paths, doors)
    for path in paths:
        wrong += check_file(path, layers)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


sys.exit(main())
