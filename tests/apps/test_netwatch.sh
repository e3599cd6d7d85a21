#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# netwatch on a server and on an archive that hold the same histories: what its
# files become, what it tells in every form, and what it says when the other
# side does wrong.  The examples of its manual and of the README are run.
#
# Each tests/apps/netwatch/NAME.out is what it prints; with GOLDEN_UPDATE set
# they are written: look at the difference, then commit.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

build=$PWD
srcdir=$(cd "${srcdir:-.}" && pwd)
cases=$srcdir/tests/apps/netwatch
fixture=$build/tests/apps/ndb_fixture
netwatch=$build/bin/netwatch
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset NO_COLOR PAGER LASTHOP_PAGER LASTHOP_RUNDIR LASTHOP_SERVER
TZ=UTC HOME=$work LASTHOP_CONFIG=
export TZ HOME LASTHOP_CONFIG
status=0

fail() {
    echo "FAIL $*"
    status=1
}

"$fixture" archive "$work" || exit 99
cp "$cases/all.watch" "$work/all.watch"
cd "$work" || exit 99

# on SOURCE ARG..: runs netwatch, stdout to out, stderr to err, exit status to
# code.
on() {
    source=$1
    shift
    case $source in
    archive)
        timeout 60 "$netwatch" -r archive "$@" ;;
    none)
        LASTHOP_SERVER=$work/none timeout 60 "$netwatch" "$@" ;;
    *)
        "$fixture" serve "$work" "$work/sock" "$source" \
            timeout 60 "$netwatch" -s "$work/sock" "$@" ;;
    esac > out 2> err < /dev/null
    code=$?
}

# golden NAME CODE ARG..: what is printed, of both sources.
golden() {
    name=$1 expected=$2
    shift 2
    for source in archive good; do
        on $source "$@"
        if [ -n "${GOLDEN_UPDATE-}" ]; then
            cp out "$cases/$name.out"
        elif ! diff -u "$cases/$name.out" out; then
            fail "$name ($source)"
        else
            echo "ok   $name ($source)"
        fi
        [ $code -eq "$expected" ] || fail "$name ($source): exit $code"
        [ ! -s err ] || fail "$name: $(cat err)"
    done
}

# expect WHAT CODE PATTERN [FILE]: how the last run exited, and what stderr, or
# FILE, holds.
expect() {
    if [ "$code" -ne "$2" ] || ! grep -qe "$3" "${4-err}"; then
        fail "$1: exit $code, $(cat "${4-err}")"
    else
        echo "ok   $1"
    fi
}

# --- files -------------------------------------------------------------------

golden explain 0 explain all.watch
golden check 0 check all.watch
on none explain all.watch
[ -n "${GOLDEN_UPDATE-}" ] || diff "$cases/explain.out" out \
    || fail "explain without a server"
expect "no network" 0 'names of switches and ports are not checked'
printf 'no lops\n\nno loops from s1:clinet\n' > bad.watch
on archive check bad.watch
expect "the line and column" 2 '^netwatch: bad.watch:1:4: "lops" stands where'
expect "underlined" 2 '^   ^~~~$'
expect "the nearest port" 2 'bad.watch:3:15: .*is "client" meant?'
on good bad.watch
expect "a wrong file is not watched" 2 'bad.watch:3:15: .*is "client" meant?'
printf '10.0.0.5 alice\nfd00::5 alice\n203.0.113.9 web\n' > hosts
printf 'no traffic from alice to web\n' > names.watch
on archive --hosts hosts explain names.watch
expect "hosts by name" 0 \
    'src host 10.0.0.5 or src host fd00::5 or (vlan and' out
on archive --hosts hosts -q names.watch
expect "what they send" 1 'VIOLATED .*alice:4321 > web:80' out
printf 'no traffic from alcie to web\n' > wrong.watch
on archive --hosts hosts check wrong.watch
expect "the nearest host" 2 'is "alice" meant?'
on archive check none.watch
expect "no file" 2 'none.watch: No such file .*netwatch init FILE makes one'
on archive check .
expect "a directory" 2 '^netwatch: .: Is a directory'
printf '{"switches":[{"dpid":"9","name":"s9"}],"links":[]}' > topology.json
printf 'no loops from s9\n' > nine.watch
on none -t topology.json check nine.watch
expect "names of a file" 0 'ok: 1 invariant' out
on none -t topology.json check all.watch
expect "names not in that file" 2 'no switch is called "s1"'

# --- what is stored ----------------------------------------------------------

golden past 1 --since 2023-11-14T22:13:00Z --until 2023-11-14T22:14:20Z \
    --clear 20s all.watch
golden json 1 --since 2023-11-14T22:13:00Z --until 2023-11-14T22:14:20Z \
    --json all.watch
golden quiet 1 --since 2023-11-14T22:13:00Z --until 2023-11-14T22:13:21Z \
    -q all.watch
printf 'reach every 10s from any\nreach within 3s to 10.0.0.9\n' > reach.watch
golden reach 1 --since 2023-11-14T22:13:00Z --until 2023-11-14T22:14:20Z \
    reach.watch
printf 'no loops\n' > loops.watch
on archive loops.watch
expect "hops beside the way are told" 1 's1 > s2 > s3 > s1 (and 1 more hop), ' \
    out
printf 'holds: no traffic from vlan 77\n' > holds.watch
golden holds 0 --since 2023-11-14T22:13:00Z --until 2023-11-14T22:14:20Z \
    holds.watch
on archive --since 2024-01-01 holds.watch
expect "no packets at all" 3 'no packet of that time is stored'
on archive --since 2024-01-01 --json holds.watch
expect "the same as JSON" 3 '^{"event":"unseen",' out

# --- what comes --------------------------------------------------------------

on good --for 300ms --clear 1s all.watch
expect "live" 1 '^20.*  VIOLATED  loops: arp who-has' out
expect "live" 1 '  recovered loops: 1 packet, none for 1' out
expect "too fast" 1 'matches came too fast and are not shown'
on good --for 300ms holds.watch
expect "not all was seen" 3 'matches came too fast'
on restarts --for 1s holds.watch
expect "a restart" 3 'the server closed the connection; waiting for it'
expect "a restart" 3 'the server is back; 0 matches that it has stored'
expect "a restart" 3 'packets from .* to .* were not recorded: no server was'
expect "a restart" 3 'what happened meanwhile was not watched'
on restarts --for 1s --json holds.watch
expect "a restart as JSON" 3 '^{"event":"unseen","since_ns":[0-9]*,"until_' out

# A server that stands still is noticed by its silence.
: > err # What the run before said is not what is waited for.
timeout 60 "$fixture" serve "$work" "$work/sock" good \
    "$netwatch" -s "$work/sock" --timeout 1 holds.watch > out 2>> err &
waiter=$!
# Until 'err' has it, or the minute is over.
await_said() {
    until grep -q "$1" err || ! kill -0 $waiter 2> /dev/null; do
        sleep 0.05
    done
}
await_said 'watching 1'
server=$(pgrep -P $waiter)
kill -STOP "$server"
await_said 'no answer'
kill -CONT "$server"
await_said 'the server is well again'
kill -INT "$(pgrep -P "$server")"
wait $waiter
code=$?
expect "a server that stands still" 3 'no answer .*; nothing is watched'

# --- the command -------------------------------------------------------------

printf 'loops: no loops\n' > loops.watch
on archive -q -x 'cat > input; env | grep ^NETWATCH_ | sort > env; echo said' \
    loops.watch
expect "the command's output is on stderr" 1 '^said$'
expect "its input" 1 '^{"event":"violated",.*"name":"loops"' input
expect "its environment" 1 '^NETWATCH_EVENT=violated$' env
expect "its environment" 1 '^NETWATCH_NAME=loops$' env
expect "its environment" 1 '^NETWATCH_LINE=1$' env
expect "its environment" 1 '^NETWATCH_TEXT=arp who-has' env
[ "$(wc -l < env)" -eq 8 ] || fail "environment: $(cat env)"
on archive -q -x 'exit 3' loops.watch
expect "a command that fails" 1 '\--exec: the command failed: exit status 3'
on archive -q --exec-timeout 1 -x 'sleep 1000 & wait' loops.watch
expect "a command that hangs" 1 '\--exec: the command took too long'
on good -q --for 300ms -x 'cat > /dev/null; echo x >> ran' loops.watch
[ "$(wc -l < ran)" -eq 2 ] || fail "live commands: $(cat ran)"

# --- init, and the manual's examples -----------------------------------------

on good init net.watch
expect "init" 0 '^group at-s1 = s1:client$' net.watch
on good init net.watch
expect "init keeps what is there" 2 'net.watch: File exists'
on good check net.watch
expect "an example is well written" 0 'ok: 3 invariants' out
sed 's/^# \([a-z-]*: [a-z]\)/\1/' net.watch > full.watch
on good check full.watch
expect "so is what it proposes" 0 'ok: 10 invariants' out
on archive init
sed 's/at 20[^ ]*/at NOW/' out > example
sed 's/at 20[^ ]*/at NOW/' net.watch | cmp - example || fail "init to stdout"

# The file of the manual, then its commands as they stand there.
man=$srcdir/docs/man/netwatch.1.in
sed -n '/^A file of invariants:/,/^\.Ed/p' "$man" | grep -v '^[.A]' > man.watch
sed -i 's/s6 s5 s4 s1/s1 s2 s3 s1/' man.watch
on archive check man.watch
expect "the manual's file" 0 'ok: 8 invariants' out
{
    sed -n '/^Begin with/,/^\.Ed/p' "$man" | grep '^netwatch'
    sed -n 's/^\.Dl \(netwatch .*\)/\1/p' "$man"
    sed -n 's/^\$ \(netwatch .*\)/\1/p; s/^\$ \(echo .*watch\)$/\1/p' \
        "$srcdir/README.md"
} | sed 's/\\(dq/"/g' > commands
[ "$(wc -l < commands)" -eq 13 ] || fail "commands: $(cat commands)"
mkdir bin
ln -s "$netwatch" bin/netwatch
# What mails is not there; and what would end with Ctrl-C only.
printf '#!/bin/sh\ncat > mailed\n' > bin/mail
printf '#!/bin/sh\ncase "$*" in *for*|*last*|*since*|init*|check*|explain*)\n' \
    > bin/run
printf 'exec netwatch "$@" ;;\nesac\nexec netwatch --for 300ms "$@"\n' >> bin/run
chmod +x bin/mail bin/run
while read -r command; do
    case $command in
    *init*)
        rm -f net.watch ;;
    esac
    command=${command//\/var\/lib\/lasthop\/archive/archive}
    "$fixture" serve "$work" "$work/sock" good env "PATH=$work/bin:$PATH" \
        LASTHOP_SERVER="$work/sock" timeout 60 \
        sh -c "$(sed 's/^netwatch/run/; s/--for 10s/--for 300ms/; s/10.0.3.10/10.0.0.9/' \
                 <<<"$command" | sed "s/^run -r/run --since -1h -r/")" \
        > out 2> err < /dev/null
    code=$?
    case $code in
    0|1|3)
        echo "ok   $command" ;;
    *)
        fail "$command: exit $code, $(cat err)" ;;
    esac
done < commands
[ -s mailed ] || fail "no mail"

# --- the other side does wrong -----------------------------------------------

on none holds.watch
expect "no server" 2 "$work/none: nobody listens there"
expect "no server" 2 '\--read DIR reads an archive without one'
on dies --since 2023-01-01 holds.watch
expect "it closes the connection" 2 'the server closed the connection'
on garbage --since 2023-01-01 holds.watch
expect "it sends no history" 2 "the server sent a history that is none"
cat > mute.py <<'END'
import socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(sys.argv[1])
listener.listen(5)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
END
timeout 60 /usr/bin/python3 mute.py mute "$netwatch" -s mute --timeout 1 \
    holds.watch > out 2> err
code=$?
expect "no answer" 2 "mute: no answer"
on archive --for 1s holds.watch
expect "an archive is not live" 2 '\--for is about packets to come'
timeout 60 "$netwatch" -r none holds.watch > out 2> err
code=$?
expect "no archive" 2 "no archive in none"
cp -r archive newer
sed -i 's/"version": 2/"version": 99/' newer/meta.json
timeout 60 "$netwatch" -r newer holds.watch > out 2> err
code=$?
expect "a newer archive" 2 'a newer lasthop wrote it: format version 99'
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null; then
    chmod 711 "$work"
    chmod 700 archive
    setpriv --reuid=65534 --regid=65534 --clear-groups "$netwatch" \
        -r "$work/archive" "$work/holds.watch" > out 2> err
    code=$?
    expect "no permission" 2 'Permission denied'
    chmod 600 holds.watch
    chmod 755 archive
    setpriv --reuid=65534 --regid=65534 --clear-groups "$netwatch" \
        -r "$work/archive" check "$work/holds.watch" > out 2> err
    code=$?
    expect "no permission for the file" 2 'holds.watch: Permission denied'
fi
on archive
expect "no arguments" 2 'a file of invariants is missing'
on archive explain
expect "no file" 2 'a file is missing'
on archive check a b
expect "two files" 2 'too many arguments'
cat > unread.py <<'END'
import os, signal, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
done = subprocess.run(sys.argv[1:], stdout=writer, stderr=subprocess.PIPE,
                      timeout=60)
sys.exit(done.returncode != -signal.SIGPIPE)
END
/usr/bin/python3 unread.py "$netwatch" -r archive all.watch \
    || fail "a closed pipe"
# Nobody reads any more: it ends, though nothing more comes.
"$fixture" serve "$work" "$work/sock" good timeout 60 /usr/bin/python3 \
    unread.py "$netwatch" -s "$work/sock" holds.watch \
    || fail "a closed pipe, live"

exit $status
