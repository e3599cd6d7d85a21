#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lasthopctl size: what it says, as text and as JSON, and what it refuses.
set -u

ctl=${LASTHOPCTL:-$PWD/bin/lasthopctl}
failed=0

fail() {
    echo "FAIL $*"
    failed=1
}

# says PATTERN ARGUMENT..: a line of what it prints has it.
says() {
    pattern=$1
    shift
    "$ctl" size "$@" > size.out 2>&1 || fail "exit status $?: $*"
    grep -q -- "$pattern" size.out || { fail "no \"$pattern\": $*"; cat size.out; }
}

# refuses PATTERN ARGUMENT..
refuses() {
    pattern=$1
    shift
    "$ctl" "$@" > size.out 2>&1
    [ $? -eq 2 ] || fail "not exit status 2: $*"
    grep -q -- "$pattern" size.out || { fail "no \"$pattern\": $*"; cat size.out; }
}

says '^postcards    100 M/s (5 hops)' --gbit 100 --packet-bytes 625
says '^archive      .* for 1 day$' --gbit 100 --days 1
says '^one process  is enough' --gbit 1
says '^servers      1 ' --gbit 1
says '"postcards_per_s":1e8' --gbit 100 --packet-bytes 625 --json
says '"nats_servers":3.0' --gbit 1 --bus-replicas 3 --json
says '^clusters     1 may be too few' --gbit 10
says '^clusters     8 at least' --gbit 100
says 'cluster-bytes 13G holds 60 s' --gbit 10
says '"clusters":1.0' --gbit 1 --json
"$ctl" size --gbit 5 | grep -q '^clusters' && fail "more than one for 5 Gb/s"
refuses 'whole number' size --gbit 0.5
refuses '--gbit is missing' size
refuses '64 or 96' size --gbit 1 --snap 128
refuses 'belong to size' status --gbit 1
refuses 'is too much' size --gbit 1 100
rm -f size.out
exit $failed
