#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ndb on a server and on an archive that hold the same histories: what scripts
# print, how they exit, and what happens when the other side does wrong.
#
# Each tests/apps/ndb/NAME.ndb is a script; NAME.out is what it prints, on both
# outputs, and its exit status.  A first line "# only SOURCE" keeps it to the
# server or the archive, "# with OPTIONS" adds options.  With GOLDEN_UPDATE set
# the .out files are written: look at the difference, then commit.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

build=$PWD
cases=$(cd "${srcdir:-.}" && pwd)/tests/apps/ndb
fixture=$build/tests/apps/ndb_fixture
ndb=$build/bin/ndb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset NO_COLOR LASTHOP_RUNDIR PAGER LASTHOP_PAGER
TZ=UTC HOME=$work
export TZ HOME
status=0

fail() {
    echo "FAIL $*"
    status=1
}

"$fixture" archive "$work" || exit 99

# on SOURCE ARG..: runs ndb on it, stdout to out, stderr to err, exit status
# to code.
on() {
    source=$1
    shift
    case $source in
    archive)
        "$ndb" -r "$work/archive" "$@" ;;
    *)
        "$fixture" serve "$work" "$work/sock" "$source" \
            "$ndb" -s "$work/sock" "$@" ;;
    esac > "$work/out" 2> "$work/err" < /dev/null
    code=$?
}

# --- scripts with golden output ---------------------------------------------

cd "$cases" || exit 99 # For scripts that run scripts.
for script in "$cases"/*.ndb; do
    name=$(basename "$script" .ndb)
    only=$(sed -n '1s/^# only //p' "$script")
    options=$(sed -n '1,2s/^# with //p' "$script")
    for source in ${only:-good archive}; do
        [ "$source" = server ] && source=good
        cp "$script" "$work/$name.ndb"
        # shellcheck disable=SC2086
        on "$source" --utc $options -x "$work/$name.ndb"
        {
            cat "$work/out"
            echo "--- stderr"
            sed "s|$work|WORK|g" "$work/err"
            echo "--- exit $code"
        } > "$work/got"
        if [ -n "${GOLDEN_UPDATE-}" ]; then
            cp "$work/got" "$cases/$name.out"
        elif diff -u "$cases/$name.out" "$work/got"; then
            echo "ok   $name ($source)"
        else
            fail "$name ($source)"
        fi
    done
done

cd "$build" || exit 99

# --- commands that go wrong ---------------------------------------------------

# Each line of wrong.txt is run by itself, on a server; what it says is in
# wrong.out.
: > "$work/got"
grep -v '^#' "$cases/wrong.txt" > "$work/wrong.txt"
while IFS= read -r line; do
    on good -e "$line"
    {
        echo "> $line"
        cat "$work/out"
        sed "s|$work|WORK|g" "$work/err"
        echo "exit $code"
    } >> "$work/got"
done < "$work/wrong.txt"
if [ -n "${GOLDEN_UPDATE-}" ]; then
    cp "$work/got" "$cases/wrong.out"
elif diff -u "$cases/wrong.out" "$work/got"; then
    echo "ok   what goes wrong"
else
    fail "what goes wrong"
fi

# --- the other side does wrong ----------------------------------------------

# expect CODE PATTERN: how the last run exited, and what stderr holds.
expect() {
    if [ "$code" -ne "$1" ] || ! grep -qF -e "$2" "$work/err"; then
        fail "$what: exit $code, $(cat "$work/err")"
    else
        echo "ok   $what"
    fi
}

what="a server that is not there"
"$ndb" -s "$work/none" -e 'find .' 2> "$work/err"
code=$?
expect 2 "$work/none"
expect 2 "--read DIR"

what="an archive that is not there"
"$ndb" -r "$work/none" -e 'find .' 2> "$work/err"
code=$?
expect 2 "no archive in $work/none"

what="a server that closes the connection in a query"
on dies -e 'find .'
expect 2 "$work/sock: the server closed the connection"

what="a server that sends no history"
on garbage -e 'find .'
expect 2 "the server sent a history that is none"

what="a server without recorder"
on alone -e 'find {{--outport DROP}}$' -e bt
expect 0 "rules are not known: the recorder is not reachable"
grep -q 'dropped by v9' "$work/out" || fail "$what: $(cat "$work/out")"
on alone -e 'find {{--outport DROP}}$' -e 'info flow'
expect 2 "version 8 of switch 0000000000000001: the recorder is not reachable"

what="an archive that names no flow log"
cp -r "$work/archive" "$work/nameless"
sed -i 's|"flow_log": *"[^"]*"|"flow_log":null|' "$work/nameless/meta.json"
"$ndb" -r "$work/nameless" -e 'find {{--outport DROP}}$' -e bt \
    > "$work/out" 2> "$work/err"
code=$?
expect 0 "rules are not known: archive $work/nameless names no flow log"

what="an archive whose flow log is gone"
mv "$work/flows.db" "$work/moved.db"
on archive -e 'find {{--outport DROP}}$' -e 'info flow'
expect 2 "$work/flows.db"
on archive --flow-log "$work/moved.db" -e 'find {{--outport DROP}}$' \
    -e 'info flow'
[ $code -eq 0 ] || fail "--flow-log: $(cat "$work/err")"
mv "$work/moved.db" "$work/flows.db"

# --- arguments ----------------------------------------------------------------

for args in "find" "-s a -r b" "--flow-log a" "--color red" "--frob"; do
    what="arguments $args"
    # shellcheck disable=SC2086
    "$ndb" $args > "$work/out" 2> "$work/err" < /dev/null
    code=$?
    expect 2 ndb
done
"$ndb" --help | grep -q '^usage: ndb' || fail "--help"
"$ndb" --version | grep -q '^ndb (lasthop) ' || fail "--version"

what="a script that is not there"
on archive -x "$work/none"
expect 2 "$work/none: No such file"

what="commands from standard input"
echo 'find {{--dpid s3}} --limit 1 --oldest' | "$ndb" --utc \
    -r "$work/archive" > "$work/out" 2> "$work/err"
code=$?
expect 0 "more than 1 match;"
grep -q '^1   2023-11-14T22:13:21.000000Z  dropped' "$work/out" ||
    fail "$what: $(cat "$work/out")"

what="-e and -x in their order, errors with their place"
printf 'find {{--dpid s3}}\n\nfrob\nbt\n' > "$work/script"
on archive -e 'frame' -x "$work/script" -e bt
expect 2 "$work/script:3: no command \"frob\""
grep -q '^packet' "$work/out" && fail "$what: went on after an error"

what="colours only when wanted"
on archive -e 'find .'
grep -q "$(printf '\033')" "$work/out" && fail "$what: into a file"
on archive --color always -e 'find .'
grep -q "$(printf '\033')" "$work/out" || fail "$what: always"

what="a full standard output"
"$ndb" -r "$work/archive" -e 'find .' > /dev/full 2> "$work/err"
code=$?
expect 2 "standard output: No space left on device"

exit $status
