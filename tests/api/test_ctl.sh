#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lasthopctl's commands about a running server.
set -u
work=$(mktemp -d) || exit 99
ctl="bin/lasthopctl --rundir $work"
status=0

cat > "$work/topology.json" <<'END'
{"switches":[{"dpid":"0000000000000001","name":"s\"1","ports":[{"no":1,"edge":true}]},
{"dpid":"0000000000000002","name":"s2","ports":[]}],
"links":[{"a":{"dpid":"0000000000000001","port":2},"b":{"dpid":"0000000000000002","port":3}}]}
END
bin/lasthop-server --rundir="$work" --recorder=none --listen=geneve:127.0.0.1:0 --archive="$work/archive" \
    --round=100ms \
    --topology="$work/topology.json" > "$work/log" 2>&1 &
server=$!
trap 'kill $server 2> /dev/null; wait $server; rm -rf "$work"' EXIT

# until_ok COMMAND..: tries until it succeeds, for up to 20 s.
until_ok() {
    tries=0
    until "$@" > "$work/out" 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 400 ]; then
            cat "$work/out" "$work/log"
            exit 1
        fi
        sleep 0.05
    done
}

# expect PATTERN COMMAND..: it succeeds and prints a line like that.
expect() {
    pattern=$1
    shift
    if ! "$@" > "$work/out" 2>&1 || ! grep -q -e "$pattern" "$work/out"; then
        echo "$*: no line like \"$pattern\" in:"
        cat "$work/out"
        status=1
    fi
}

# refuse EXIT PATTERN COMMAND..: it fails so and says that.
refuse() {
    code=$1 pattern=$2
    shift 2
    "$@" > "$work/out" 2>&1
    got=$?
    if [ $got -ne "$code" ] || ! grep -q -e "$pattern" "$work/out"; then
        echo "$*: $got, and no line like \"$pattern\" in:"
        cat "$work/out"
        status=1
    fi
}

has_trigger() {
    $ctl triggers | grep -q 'lasthopctl'
}

until_ok $ctl log
expect '^info$' $ctl log
expect '^debug$' $ctl log server debug
expect '^debug$' $ctl log
refuse 1 'level: must be' $ctl log loud
expect ' unix lasthopctl since .*may bytes triggers control$' $ctl clients
expect '"switches"' $ctl topology
expect '^    "s\\"1" -- "s2" \[taillabel="2", headlabel="3"\];$' $ctl topology dot
refuse 1 'no such term' $ctl triggers add '{{--doid 2}}'
refuse 1 '^  ^~' $ctl triggers add '{{--doid 2}}'

# Without a recorder: what the server knows, and what is missing.
expect '^recorder: none answers: .*recorder.sock' $ctl status
expect '^switches, as the server knows them:' $ctl status
expect '^  s2 (0000000000000002)$' $ctl status
expect '^  s"1:2 -- s2:3$' $ctl status
expect '^  lost: nothing$' $ctl status
expect '^  archive .*empty$' $ctl status
expect '^server 0.* of memory: ok$' $ctl status
expect '^  0 triggers, 0 queries running, 1 client$' $ctl status
until_ok sh -c "$ctl status | grep '^  0 postcards a second, 0 histories a sec'"
# Nothing is wrong: this server is to run without one.
expect '^server' $ctl status --check
expect '"status":null,.*"server_status":{.*"clients":\[{' $ctl status --json
$ctl triggers add '.*' > "$work/followed" 2>&1 &
follower=$!
until_ok has_trigger
number=$($ctl triggers | sed 's/ .*//')
expect '^$' sh -c "$ctl triggers pause $number; echo"
expect ' paused: 0 hits' $ctl triggers
expect '^$' sh -c "$ctl triggers resume $number; echo"
expect '^$' sh -c "$ctl triggers delete $number; echo"
wait $follower
got=$?
[ $got -eq 1 ] || { echo "the follower ended with $got:"; cat "$work/followed"; status=1; }
refuse 1 'no trigger 4711' $ctl triggers delete 4711
refuse 2 'a trigger has a number' $ctl triggers delete x
refuse 2 'topology is followed by one of json, dot' $ctl topology xml
refuse 2 'there is no command topolgy; is topology meant' $ctl topolgy
kill $server
wait $server
refuse 1 'no server: .*nobody listens there' $ctl clients
refuse 1 'Is lasthop-server running' $ctl clients
exit $status
