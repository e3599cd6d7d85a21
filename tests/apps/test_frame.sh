#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What all programs on the frame of apps/app.h share: options, settings, names,
# the text of --help, manuals and completion, and how they end.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

build=$PWD
fixture=$build/tests/apps/ndb_fixture
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset NO_COLOR PAGER LASTHOP_PAGER LASTHOP_RUNDIR LASTHOP_CONFIG
unset XDG_CONFIG_HOME
TZ=UTC HOME=$work
export TZ HOME
status=0

fail() {
    echo "FAIL $*"
    status=1
}

# run CODE PATTERN COMMAND..: its exit status, and what is somewhere in its
# output.
run() {
    local code=$1 pattern=$2 got
    shift 2
    "$@" > "$work/out" 2>&1 < /dev/null
    got=$?
    if [ $got -ne "$code" ] || ! grep -qe "$pattern" "$work/out"; then
        fail "$*: exit $got, $(cat "$work/out")"
    else
        echo "ok   $*"
    fi
}

"$fixture" archive "$work" || exit 99
framed="ndb netshark netwatch nprof phfc lasthopctl"
shark="bin/netshark -r $work/archive"

# --- --help, the manual and completion are in step ---------------------------

# The long options in the standard input, each on a line.
options() {
    grep -oE -e '--[a-z][a-z-]*[a-z]' | LC_ALL=C sort -u
}
for program in $framed; do
    bin/$program --help > "$work/help" || fail "$program --help"
    bin/$program --generate help | diff -q - "$work/help" > /dev/null \
        || fail "$program: --generate help is not --help"
    grep -E '^ +-' "$work/help" | sed 's/^\( *\(-., \)\?--[a-z-]*\).*/\1/' \
        | options > "$work/helped"
    bin/$program --generate zsh > "$work/zsh"
    sed 's/\[.*//' "$work/zsh" | options > "$work/zshed"
    diff "$work/helped" "$work/zshed" || fail "$program: zsh and --help"
    bin/$program --generate bash > "$work/bash"
    sed -n 's/.*compgen -W " --/--/p' "$work/bash" | options > "$work/bashed"
    diff "$work/helped" "$work/bashed" || fail "$program: bash and --help"
    grep '^\.It.* Fl -' docs/man/$program.[18] | sed 's/Fl -/--/' \
        | grep -v 'It Cm' | options > "$work/manualed"
    LC_ALL=C comm -23 "$work/helped" "$work/manualed" > "$work/missing"
    [ ! -s "$work/missing" ] \
        || fail "$program: not in the manual: $(cat "$work/missing")"
    # What was built is what the program says now.
    cmp -s "$work/bash" "completion/$program" \
        && cmp -s "$work/zsh" "completion/_$program" \
        || fail "$program: completion is old"
    [ "$(wc -L < "$work/help")" -le 79 ] || fail "$program --help is wide"
    bash -n "$work/bash" || fail "$program: bash"
    if command -v zsh > /dev/null; then
        zsh -n "$work/zsh" || fail "$program: zsh"
    fi
done
echo "ok   --help, manuals and completion"

# --- options -----------------------------------------------------------------

run 2 'there is no option --folow; is --follow meant?' bin/netshark --folow
run 2 'there is no option --xyzzy$' bin/netshark --xyzzy
run 2 'there is no option -Z' bin/netshark -Z
run 2 'option --server needs a value: SOCKET' bin/netshark -s
run 2 'option --utc takes no value' bin/netshark --utc=1
run 2 '\--u may be any of 2 options' bin/netshark --u
run 2 '\--color: must be auto, always or never, not "red"' \
    bin/netshark --color red
run 2 '\--count: must be a whole number from 1' bin/netshark -c 0
run 2 '\--since: ' bin/netshark --since yesterday
run 2 '\--last: must be a number or a span' bin/netshark --last x
run 2 '\--until is not later than --since' \
    bin/netshark --since -1h --until -2h
run 2 'exclude each other' bin/netshark -s x -r y
run 2 'exclude each other' bin/netshark --first 1 --all
run 2 '\--flow-log belongs to --read' bin/netshark --flow-log x
run 0 'netshark (lasthop)' bin/netshark --version

# --- settings ----------------------------------------------------------------

mkdir -p "$work/.config/lasthop"
config=$work/.config/lasthop/config
printf '# mine\n\n utc = yes\ntime-format=unix \nserver = %s/none\n' "$work" \
    > "$config"
run 0 '^1700000000.000000 ' $shark
run 2 "no server: $work/none" bin/netshark
run 0 '^1700000000000000000 ' env LASTHOP_TIME_FORMAT=ns $shark
run 0 '^22:13:20.000000 ' env LASTHOP_TIME_FORMAT=ns $shark --time-format time
run 0 '^2023-11-14T22:13:20' env LASTHOP_CONFIG= $shark
run 0 ' ago ' $shark --time-format ago
echo 'sever = x' >> "$config"
run 2 "config:6: there is no setting \"sever\"; is \"server\" meant?" $shark
run 0 'usage: netshark' $shark --help
echo 'utc = perhaps' > "$config"
run 2 'config:1: utc: must be yes or no' $shark
echo 'utc' > "$config"
run 2 'config:1: must be "name = value"' $shark
rm "$config"
run 2 "$work/gone: No such file" env LASTHOP_CONFIG="$work/gone" $shark
run 2 'LASTHOP_COLOR: must be auto' env LASTHOP_COLOR=red $shark
mkdir -p "$work/xdg/lasthop"
echo 'time-format = ns' > "$work/xdg/lasthop/config"
run 0 '^1700000000000000000 ' env XDG_CONFIG_HOME="$work/xdg" $shark
# A file that cannot be opened (a home of somebody else, a loop of links) is
# said, and is no reason to stop.
ln -s loop "$work/loop"
run 0 "loop/lasthop/config: .*; its settings are not used" \
    env XDG_CONFIG_HOME="$work/loop" $shark
run 0 '^2023-11-14T22:13:20' env XDG_CONFIG_HOME="$work/loop" $shark
run 2 'loop: Too many levels' env LASTHOP_CONFIG="$work/loop" $shark

# --- names of hosts ----------------------------------------------------------

printf '# hosts\n10.0.0.5 alice # a host\n203.0.113.9\tweb www\n' \
    > "$work/hosts"
run 0 ' alice:4321 > web:80 tcp' $shark --hosts "$work/hosts"
run 0 ' alice:4321 > web:80 tcp' $shark -v --hosts "$work/hosts"
run 0 ' alice:4321 > web:80 tcp' \
    bin/ndb -r "$work/archive" --hosts "$work/hosts" -e 'find .*' -e bt
run 0 '^alice$' $shark --hosts "$work/hosts" -T fields -e ip.src
echo '10.0.0.256 bob' > "$work/hosts"
run 2 'hosts:1: "10.0.0.256" is no address' $shark --hosts "$work/hosts"
echo '10.0.0.6' > "$work/hosts"
run 2 'hosts:1: 10.0.0.6 has no name' $shark --hosts "$work/hosts"
run 2 "$work/none: No such file" $shark --hosts "$work/none"

# --- colors ------------------------------------------------------------------

escape=$(printf '\033')
$shark --color always | grep -q "$escape" || fail "--color always"
$shark | grep -q "$escape" && fail "colors in a pipe"
$shark --color always | grep -q "$escape" || fail "LASTHOP_COLOR"
NO_COLOR=1 $shark --color always | grep -q "$escape" || fail "asked for color"

# --- output that goes nowhere ------------------------------------------------

if [ -w /dev/full ]; then
    run 2 'standard output: No space left' \
        sh -c "$shark > /dev/full"
fi
# Nobody reads: no word, and the end that SIGPIPE is.
cat > "$work/unread.py" <<'END'
import os, signal, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
done = subprocess.run(sys.argv[1:], stdout=writer, stderr=subprocess.PIPE)
sys.exit(done.returncode != -signal.SIGPIPE or done.stderr != b"")
END
for options in '' '-T json' '-T pcapng' '-v'; do
    /usr/bin/python3 "$work/unread.py" $shark $options \
        || fail "a closed pipe: $options"
done

exit $status
