#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What goes wrong in the hands of people, in each of the four programs: a wrong
# filter, a name that is none, a server that is away or dead, an archive of a
# newer version, no permission, and output that nobody reads.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

build=$PWD
fixture=$build/tests/apps/ndb_fixture
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
cd "$work" || exit 99

"$fixture" archive "$work" || exit 99
cp -r archive newer
sed -i 's/"version": 2/"version": 99/' newer/meta.json
printf 'no loops\n' > good.watch
printf 'no loops\npath at most 5 hops matching "udp dst prt 53"\n' \
    > filter.watch
printf 'no loops\nwaypoint s33 from s1:client to any\n' > switch.watch
printf 'no loops\nisolate s1:clinet from s1:client\n' > port.watch
cat > mute.py <<'END'
import socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(sys.argv[1])
listener.listen(5)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
END
cat > unread.py <<'END'
# Exit status 0 when the program, whose output nobody reads, ended by SIGPIPE
# and said nothing.
import os, signal, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
done = subprocess.run(sys.argv[1:], stdout=writer, stderr=subprocess.PIPE,
                      timeout=50, check=False)
if done.returncode != -signal.SIGPIPE or done.stderr:
    sys.exit(f"status {done.returncode}, {done.stderr}")
END

fail() {
    echo "FAIL $*"
    status=1
}

# How each is asked for something that there is, by a wrong filter, and by a
# name that is none; nothing follows that it has to be found by.
words() {
    case $1:$2 in
    ndb:good) set -- -e 'find .*' -e bt ;;
    ndb:filter) set -- -e 'find {{--dpid s1}}.*{{--doid 2}}' ;;
    ndb:switch) set -- -e 'find {{--dpid s33}}' ;;
    ndb:port) set -- -e 'find {{--inport clinet}}' ;;
    netshark:good) set -- --all ;;
    netshark:filter) set -- '{{--dpid s1}}.*{{--doid 2}}' ;;
    netshark:switch) set -- '{{--dpid s33}}' ;;
    netshark:port) set -- '{{--inport clinet}}' ;;
    netwatch:good) set -- --since 2020-01-01 good.watch ;;
    netwatch:filter) set -- --since 2020-01-01 filter.watch ;;
    netwatch:switch) set -- --since 2020-01-01 switch.watch ;;
    netwatch:port) set -- --since 2020-01-01 port.watch ;;
    nprof:good) set -- all ;;
    nprof:filter) set -- --filter '{{--dpid s1}}.*{{--doid 2}}' ;;
    nprof:switch) set -- s33 ;;
    nprof:port) set -- s1:clinet ;;
    esac
    words=("$@")
}

# expect WHAT CODE PATTERN..: how the last run exited, and what stderr holds.
expect() {
    what=$1 wanted=$2
    shift 2
    for pattern in "$@"; do
        if [ "$code" -ne "$wanted" ] || ! grep -qe "$pattern" err; then
            fail "$app: $what: exit $code, $(cat err out), not $pattern"
            return
        fi
    done
    [ ! -s out ] || fail "$app: $what: stdout has $(head -c 200 out)"
    echo "ok   $app: $what"
}

# Of postcards that nobody told the topology of.
"$build/bin/lasthop-gen" -q --count 10 made && mkdir run \
    && "$build/bin/lasthop-server" --read made/postcards.pcap --archive bare \
        --rundir run > /dev/null 2>&1 || exit 99
for app in ndb netshark netwatch nprof; do
    words $app switch
    timeout 60 "$build/bin/$app" -r bare "${words[@]}" > out 2> err < /dev/null
    code=$?
    wanted=1 why='no topology is known'
    if [ $app = ndb ]; then
        sed -i '/^nothing found$/d' out
    elif [ $app = netwatch ]; then
        wanted=2    # An invariant that names nothing would always hold.
    elif [ $app = nprof ]; then
        wanted=2 why='no switch is called "s33"; none has a name here'
    fi
    expect "a name where none is known" $wanted "$why"
done

# What has no names needs no topology.
for app in ndb netshark "nprof --filter"; do
    # shellcheck disable=SC2086
    set -- $app
    program=$1
    shift
    if [ "$program" = ndb ]; then
        set -- -e 'find {{--bpf "udp port 9999"}}'
    else
        set -- "$@" '{{--bpf "udp port 9999"}}'
    fi
    timeout 60 "$build/bin/$program" -r bare "$@" > out 2> err < /dev/null
    code=$?
    if [ $code -ne 1 ] || grep -q topology err; then
        fail "$program: a filter without names: exit $code, $(cat err)"
    fi
done

for app in ndb netshark netwatch nprof; do
    program=$build/bin/$app

    for source in archive good; do
        on() {
            if [ $source = archive ]; then
                timeout 60 "$program" -r archive "$@" > out 2> err < /dev/null
            else
                "$fixture" serve "$work" sock $source timeout 60 "$program" \
                    -s sock "$@" > out 2> err < /dev/null
            fi
            code=$?
        }
        words $app filter
        on "${words[@]}"
        if [ $app = netwatch ]; then
            expect "a wrong filter ($source)" 2 '^netwatch: filter.watch:2:' \
                '"prt" is neither' '^ *^~~$'
        else
            expect "a wrong filter ($source)" 2 'no such term' '--doid' \
                '^ *^~~~~~$'
        fi
        words $app switch
        on "${words[@]}"
        expect "a wrong switch ($source)" 2 'switch .*"s33"' 'is "s3" meant?'
        words $app port
        on "${words[@]}"
        expect "a wrong port ($source)" 2 'port .*"clinet"' \
            'is "client" meant?'
    done

    words $app good
    timeout 60 "$program" -s "$work/none" "${words[@]}" > out 2> err \
        < /dev/null
    code=$?
    expect "no server" 2 "$work/none: nobody listens there" \
        '--read DIR reads an archive without'
    timeout 60 "$program" -r "$work/none" "${words[@]}" > out 2> err \
        < /dev/null
    code=$?
    expect "no archive" 2 "no archive in $work/none"
    timeout 60 "$program" -r newer "${words[@]}" > out 2> err < /dev/null
    code=$?
    expect "a newer archive" 2 \
        'newer/meta.json: a newer lasthop wrote it: format version 99'

    # It takes the connection and never answers.
    rm -f mute
    timeout 60 /usr/bin/python3 mute.py mute \
        "$program" -s mute --timeout 1 "${words[@]}" > out 2> err < /dev/null
    code=$?
    expect "a dead server" 2 'mute: no answer in 1 s' \
        '--read DIR reads an archive without'

    for source in "-r archive" "-s sock"; do
        # shellcheck disable=SC2086
        if [ "$source" = "-s sock" ]; then
            "$fixture" serve "$work" sock good timeout 60 /usr/bin/python3 \
                unread.py "$program" $source "${words[@]}" > out 2> err \
                < /dev/null
        else
            /usr/bin/python3 unread.py "$program" $source "${words[@]}" \
                > out 2> err < /dev/null
        fi
        code=$?
        if [ $code -eq 0 ]; then
            echo "ok   $app: nobody reads ($source)"
        else
            fail "$app: nobody reads ($source): $(cat err)"
        fi
    done

    if [ -n "$nobody" ]; then
        chmod 711 "$work"
        chmod 700 archive
        $nobody timeout 60 "$program" -r "$work/archive" "${words[@]}" > out \
            2> err < /dev/null
        code=$?
        expect "no permission for the archive" 2 \
            "$work/archive.*Permission denied"
        "$fixture" serve "$work" sock good bash -c "
            chmod 600 sock
            $nobody timeout 60 '$program' -s sock \"\$@\"" - "${words[@]}" \
            > out 2> err < /dev/null
        code=$?
        expect "no permission for the socket" 2 \
            'sock: cannot connect: Permission denied' 'only the owner and the group'
    fi
done

exit $status
