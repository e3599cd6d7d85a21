#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No name of libopenvswitch leaves the door: of its object only of_* is seen.
set -eu

door=${LH_BUILD:-.}/recorder/of_door.o
if [ ! -f "$door" ]; then
    echo "$door: not built"
    exit 1
fi
names=$(nm -g --defined-only "$door" | awk 'NF > 2 { print $3 }')
if [ "$(printf '%s\n' "$names" | grep -c '^of_')" -lt 50 ]; then
    echo "$door: hardly any of_* in it"
    exit 1
fi
leaked=$(printf '%s\n' "$names" | grep -v '^of_' || :)
if [ -n "$leaked" ]; then
    printf '%s leaves the door\n' $leaked
    exit 1
fi
