#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# netshark on a server and on an archive that hold the same histories: every
# form it writes, what tshark makes of its captures, and what it says when the
# other side does wrong.
#
# Each tests/apps/netshark/NAME.out is what it prints; with GOLDEN_UPDATE set
# they are written: look at the difference, then commit.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

build=$PWD
srcdir=$(cd "${srcdir:-.}" && pwd)
cases=$srcdir/tests/apps/netshark
fixture=$build/tests/apps/ndb_fixture
netshark=$build/bin/netshark
# Parts are run as a user without rights, who has to get there.
nobody=
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null; then
    nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    $nobody test -x "${TMPDIR:-/tmp}" || unset TMPDIR
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset NO_COLOR PAGER LASTHOP_PAGER LASTHOP_RUNDIR
TZ=UTC HOME=$work LASTHOP_CONFIG=
export TZ HOME LASTHOP_CONFIG
status=0

fail() {
    echo "FAIL $*"
    status=1
}

"$fixture" archive "$work" || exit 99

# on SOURCE ARG..: runs netshark, stdout to out, stderr to err, exit status to
# code.
on() {
    source=$1
    shift
    case $source in
    archive)
        "$netshark" -r "$work/archive" "$@" ;;
    *)
        "$fixture" serve "$work" "$work/sock" "$source" \
            timeout 60 "$netshark" -s "$work/sock" "$@" ;;
    esac > "$work/out" 2> "$work/err" < /dev/null
    code=$?
}

# golden NAME ARG..: what is printed, of both sources.
golden() {
    name=$1
    shift
    for source in archive good; do
        on $source "$@"
        if [ -n "${GOLDEN_UPDATE-}" ]; then
            cp "$work/out" "$cases/$name.out"
        elif ! diff -u "$cases/$name.out" "$work/out"; then
            fail "$name ($source)"
        else
            echo "ok   $name ($source)"
        fi
        [ $code -eq 0 ] || fail "$name ($source): exit $code"
        [ ! -s "$work/err" ] || fail "$name: $(cat "$work/err")"
    done
}

# expect WHAT CODE PATTERN: how the last run exited, and what stderr holds.
expect() {
    if [ "$code" -ne "$2" ] || ! grep -qe "$3" "$work/err"; then
        fail "$1: exit $code, $(cat "$work/err")"
    else
        echo "ok   $1"
    fi
}

# --- forms -------------------------------------------------------------------

golden text
golden verbose -v '{{--verdict dropped}}'
golden json --json --first 2
golden last --last 2
golden first --first 2
golden until --until 2023-11-14T22:13:22Z
golden since --since 2023-11-14T22:13:22Z --all
golden count -c 3 --all
golden filter '{{--dpid s1}}{{--dpid s3}}'
golden fields -T fields -e packet_id -e time_ns -e duration_ns -e length \
    -e path -e verdict -e verdict.switch -e verdict.version -e ip.src \
    -e ip.dst -e tp.dst --header --separator ,
golden hops -T fields -e packet_id -e hop.n -e hop.switch -e hop.in \
    -e hop.out -e hop.version -e hop.rule -e ip.ttl -e hop.verdict \
    '{{--verdict not looped}}$'
golden onehop -T fields -e packet_id -e hop.switch --one-hop last
golden list --list-fields
# Every field gives something for some history.
fields=$("$netshark" --list-fields | cut -d ' ' -f 1)
[ "$(wc -w <<<"$fields")" -gt 30 ] || fail "fields: $fields"
for field in $fields; do
    on archive -T fields -e "$field"
    [ $code -eq 0 ] || fail "field $field: exit $code"
    if [ "$field" != vlan ] && ! grep -q . "$work/out"; then
        fail "field $field is always empty"
    fi
    grep -q "^\.It Va $field\$" "$build/docs/man/netshark.1" \
        || fail "field $field: not in the manual"
done

on archive '{{--version 12345}}'
[ $code -eq 1 ] && [ ! -s "$work/out" ] || fail "nothing found: exit $code"

# --- captures ----------------------------------------------------------------

tsharked() {
    tshark "$@" 2> "$work/tshark.err"
}
# same WHAT EXPECTED GOT
same() {
    if [ "$2" = "$3" ]; then
        echo "ok   $1"
    else
        fail "$1: \"$3\" instead of \"$2\""
    fi
}
on good -w "$work/server.pcapng"
on archive -w "$work/a.pcapng"
cmp "$work/a.pcapng" "$work/server.pcapng" || fail "server and archive differ"
on archive -T pcapng
cmp "$work/a.pcapng" "$work/out" || fail "-w and standard output differ"
on archive -w - --one-hop first
cp "$work/out" "$work/one.pcapng"

if command -v tshark > /dev/null; then
    golden_tshark() {
        tsharked -r "$work/a.pcapng" -T fields -e frame.number \
            -e frame.time_epoch -e frame.interface_name \
            -e frame.interface_description -e frame.packet_id -e frame.len \
            -e frame.cap_len -e frame.packet_flags_direction -e frame.comment
    }
    golden_tshark > "$work/got"
    if [ -n "${GOLDEN_UPDATE-}" ]; then
        cp "$work/got" "$cases/tshark.out"
    else
        diff -u "$cases/tshark.out" "$work/got" || fail "tshark"
    fi
    # numbers FILE FILTER [OPTION]..: which packets tshark shows.
    numbers() {
        file=$1 filter=$2
        shift 2
        tsharked "$@" -r "$file" -Y "$filter" -T fields -e frame.number \
            | tr '\n' ' '
    }
    same "by packet ID" "1 2 " \
        "$(numbers "$work/a.pcapng" 'frame.packet_id == 0x123456789abcdef')"
    same "by interface" "4 9 " \
        "$(numbers "$work/a.pcapng" 'frame.interface_name == "s3:s3-s1"')"
    same "by comment" "3 4 " "$(numbers "$work/a.pcapng" \
        'frame.comment contains "verdict: dropped"')"
    lua="lua_script:$srcdir/apps/wireshark/lasthop.lua"
    for case in \
        '3 4 |lasthop.path == "s1 > s3" && lasthop.verdict == "dropped"' \
        '2 |lasthop.version == 11' \
        '4 |lasthop.hop == 1 && lasthop.switch == "s3" && udp' \
        '5 6 7 8 10 11 12 13 |lasthop.length == 4' \
        '1 |lasthop.in == "client" && lasthop.out == "s1-s2" && tcp && lasthop.packet == "0123456789abcdef"' \
        '3 4 |lasthop.verdict_text contains "by v9"' \
        '4 |lasthop.rule contains "tp_dst=53"' \
        '|lasthop.path contains "s9"'; do
        same "dissector: ${case#*|}" "${case%%|*}" \
            "$(numbers "$work/a.pcapng" "${case#*|}" -X "$lua")"
        [ "$(grep -c "Lua\|lua" "$work/tshark.err")" -eq 0 ] \
            || fail "$(cat "$work/tshark.err")"
    done
    same "one hop" "1 2 3 4 " "$(numbers "$work/one.pcapng" frame)"
    same "the filter is noted" 'packet history filter: {{--dpid s2}}' \
        "$("$netshark" -r "$work/archive" -w - '{{--dpid s2}}' \
           | capinfos -k - 2> /dev/null \
           | sed -n 's/.*\(packet history filter.*\)/\1/p' | head -n 1)"
else
    echo "skip: no tshark (apt-get install tshark)"
fi

# --- live --------------------------------------------------------------------

on good -f -c 2 '{{--dpid s1}}'
expect "too fast" 0 '5 matches came too fast and are not shown'
same "live" "delivered dropped " "$(awk '{print $2}' "$work/out" | tr '\n' ' ')"
on good -f --for 100ms '{{--version 12345}}'
same "nothing comes" 1 $code
on restarts -f -c 4
expect "a restart" 0 'the server closed the connection; waiting for it'
expect "a restart" 0 'the server is back; 0 matches that it has stored'
expect "a restart" 0 'packets from .* to .* were not recorded: no server was'
same "after a restart" 4 "$(wc -l < "$work/out")"
# Stored ones first, then what comes, none twice: the live ones are as old.
on good -f --last 3 -c 5
same "stored, then live" 5 "$(wc -l < "$work/out")"

# Nobody reads any more: it ends, though nothing more comes.
"$fixture" serve "$work" "$work/sock" good timeout 60 \
    bash -c "'$netshark' -s '$work/sock' -f 2> /dev/null | head -n 1" \
    > "$work/out" || fail "head: exit $?"
same "head" 1 "$(wc -l < "$work/out")"

# --- the other side does wrong -----------------------------------------------

"$netshark" -s "$work/none" > "$work/out" 2> "$work/err"
code=$?
expect "no server" 2 "$work/none: nobody listens there"
expect "no server" 2 '\--read DIR reads an archive without one'
on dies --all
expect "it closes the connection" 2 'the server closed the connection'
on garbage --all
expect "it sends no history" 2 "the server sent a history that is none"
on alone -v
expect "no recorder" 0 'rules are not known: .*recorder is not reachable'
# A server that takes the connection and says nothing.
cat > "$work/mute.py" <<'END'
import socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(sys.argv[1])
listener.listen(5)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
END
timeout 60 /usr/bin/python3 "$work/mute.py" "$work/mute" \
    "$netshark" -s "$work/mute" --timeout 1 > "$work/out" 2> "$work/err"
code=$?
expect "no answer" 2 "$work/mute: no answer in 1 s"

on archive '{{--dpid s1}}.*{{--doid 2}}'
expect "a wrong filter" 2 '^                 ^~~~~~$'
on good '{{--inport clinet}}'
expect "the nearest port" 2 'no port is called "clinet" .*is "client" meant?'
on archive -f
expect "an archive is not live" 2 'an archive holds the past only'
on archive -T fields
expect "no field" 2 '\--list-fields'
on archive -T fields -e hop.swich
expect "the nearest field" 2 'is "hop.switch" meant?'
"$netshark" -r "$work/none" 2> "$work/err"
code=$?
expect "no archive" 2 "no archive in $work/none"
cp -r "$work/archive" "$work/newer"
sed -i 's/"version": 2/"version": 99/' "$work/newer/meta.json"
"$netshark" -r "$work/newer" 2> "$work/err"
code=$?
expect "a newer archive" 2 'a newer lasthop wrote it: format version 99'
on archive -w "$work/no/such.pcapng"
expect "nowhere to write" 2 'no/such.pcapng: No such file'
if [ -w /dev/full ]; then
    on archive -w /dev/full
    expect "no room" 2 '/dev/full: No space left'
fi
if [ -n "$nobody" ]; then
    chmod 711 "$work"
    chmod 700 "$work/archive"
    $nobody "$netshark" -r "$work/archive" 2> "$work/err"
    code=$?
    expect "no permission" 2 'Permission denied'
    "$fixture" serve "$work" "$work/sock" good bash -c "
        chmod 600 '$work/sock'
        $nobody '$netshark' -s '$work/sock' 2> '$work/err'"
    code=$?
    expect "no permission for the socket" 2 \
        'Permission denied (only the owner and the group of the socket'
fi

# --- extcap, as Wireshark drives it ------------------------------------------

extcap=$srcdir/apps/wireshark/lasthop-extcap
LASTHOP_NETSHARK=$netshark
PATH=$build/bin:$PATH
export LASTHOP_NETSHARK PATH
"$extcap" --help | grep -q 'tshark -i lasthop' || fail "extcap --help"
"$extcap" | grep -q 'lasthop-extcap(1)' || fail "extcap alone"
"$extcap" --extcap-interfaces --extcap-version=4.0 > "$work/out" || fail extcap
grep -q '^interface {value=lasthop}' "$work/out" || fail "extcap interfaces"
"$extcap" --extcap-interface lasthop --extcap-dlts > "$work/out"
grep -q '^dlt {number=1}' "$work/out" || fail "extcap dlts"
"$extcap" --extcap-interface=lasthop --extcap-config > "$work/out"
grep -q '{call=--phf}' "$work/out" || fail "extcap config"
"$extcap" --extcap-interface=lasthop \
    --extcap-capture-filter='{{--doid 1}}' > "$work/out"
grep -q 'no such term' "$work/out" || fail "extcap: a wrong filter"
"$extcap" --extcap-interface=eth9 --extcap-dlts > "$work/out" 2> "$work/err"
code=$?
expect "another interface" 2 'there is no interface "eth9"'
mkfifo "$work/fifo"
timeout 70 cat "$work/fifo" > "$work/piped.pcapng" &
reader=$!
"$fixture" serve "$work" "$work/sock" good timeout 60 bash -c "
    '$extcap' --capture --extcap-interface=lasthop --fifo='$work/fifo' \
        --server='$work/sock' --phf='{{--verdict dropped}}' &
    while ! tshark -r '$work/piped.pcapng' 2> /dev/null | grep -q DNS; do
        sleep 0.05
    done
    kill \$! && wait \$!" 2> /dev/null || fail "extcap capture: exit $?"
wait $reader
if command -v tshark > /dev/null; then
    same "extcap capture" "2" \
        "$(tsharked -r "$work/piped.pcapng" | grep -c DNS)"
    # tshark finds it among its interfaces and captures from it by itself.
    mkdir "$work/extcap"
    ln -s "$extcap" "$work/extcap/"
    WIRESHARK_EXTCAP_DIR=$work/extcap
    export WIRESHARK_EXTCAP_DIR
    # It takes no other directory from root, and writes to $TMPDIR.
    if [ -n "$nobody" ]; then
        rm -f "$work/sock"
        chmod -R a+rwX "$work"
    fi
    TMPDIR=$work
    export TMPDIR
    $nobody tshark -D 2> /dev/null | grep -q 'lasthop packet histories' \
        || fail "tshark -D does not list it"
    $nobody "$fixture" serve "$work" "$work/sock" good timeout 60 tshark -i lasthop \
        -o "extcap.lasthop.server:$work/sock" \
        -o "extcap.lasthop.phf:{{--dpid s3}}" -c 4 -T fields \
        -e frame.interface_name > "$work/out" 2> "$work/err" \
        || fail "tshark -i lasthop: $(cat "$work/err")"
    same "tshark -i lasthop" 4 "$(grep -c '^s[123]:' "$work/out")"
fi

exit $status
