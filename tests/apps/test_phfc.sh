#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# phfc: what it prints and how it exits.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

phfc=$PWD/bin/phfc
docs=$(cd "${srcdir:-.}/docs" && pwd) || exit 99
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
status=0

cat > histories <<'END'
{"packet_id":"0000000000000001","hops":[{"dpid":"0000000000000001","in_port":1,"out_ports":[2]},{"parent":0,"dpid":2,"in_port":null,"out_ports":[],"verdict":{"name":"dropped"}}],"more":"kept"}

{"packet_id":"0000000000000002","hops":[{"dpid":"0000000000000001","in_port":1,"out_ports":[3]}]}
{"id":1,"event":"history","history":{"packet_id":"0000000000000003","hops":[{"dpid":"0000000000000002","out_ports":[1]}]}}
END
{
    sed -n 1p histories
    echo 'not JSON'
    echo '{"hops":[{"in_port":1}]}'
    sed -n 3p histories | tr -d '\n'
} > bad
cat > topology <<'END'
{"switches":[{"dpid":"0000000000000001","name":"s1","ports":[]},{"dpid":"0000000000000002","name":"s2","ports":[]}],"links":[]}
END

# expect STATUS ARG..: runs phfc, with the expected standard output in
# expected-out and a part of its standard error, if any, in $error.
expect() {
    want=$1
    shift
    "$phfc" "$@" > out 2> err < "${input:-/dev/null}"
    got=$?
    if [ $got -ne "$want" ]; then
        echo "FAIL phfc $*: exit status $got instead of $want"
        status=1
    elif ! diff -u expected-out out; then
        echo "FAIL phfc $*: standard output"
        status=1
    elif [ -z "${error-}" ] && [ -s err ]; then
        echo "FAIL phfc $*: $(cat err)"
        status=1
    elif ! grep -qF -e "${error-}" err && [ -n "${error-}" ]; then
        echo "FAIL phfc $*: standard error: $(cat err)"
        status=1
    else
        echo "ok   phfc $*"
    fi
}

echo ok > expected-out
expect 0 check '{{--dpid 1}}.*{{--bpf tcp port 80}}$'
expect 0 -t topology check '{{--dpid s1}}'

sed -n 1p histories > expected-out
expect 0 match '{{--dpid 1}}{{--dpid 2}}' histories
input=histories
expect 0 match '{{--outport DROP --verdict dropped}}'
expect 0 match '{{--dpid 1}}{{--dpid 2}}' -
input=
expect 0 -t topology match '{{--dpid s1}}{{--dpid s2}}' histories
sed -n '1p;3p' histories > expected-out
expect 0 --topology=topology match '{{--dpid s1}}' histories
sed -n 4p histories > expected-out
expect 0 match '^{{--dpid 2}}' histories

: > expected-out
expect 1 match '{{--dpid 3}}' histories
expect 1 match '{{--dpid s1}}' histories
expect 1 match '.' /dev/null
# Not known is not true, negated or not.
expect 1 match '{{--dpid 2 --inport not 1}}' histories
echo '{"hops":[{"dpid":1,"out_ports":null}]}' > unknown
expect 1 match '{{--outport DROP}}' unknown
expect 1 match '{{--outport not DROP}}' unknown
expect 1 match '{{--version not 1}}' unknown
expect 1 match '{{--bpf not ip}}' unknown
expect 1 match '{{--verdict not lost}}' unknown

error='phfc: bad:2: '
sed -n '1p;3p' histories > expected-out
expect 2 match '{{--dpid 1}}' bad
error='phfc: bad:3: hops[0].dpid'
expect 2 match '{{--dpid 1}}' bad

: > expected-out
error='phfc: absent: No such file or directory'
expect 2 match '.' absent
error='absent'
expect 2 -t absent check '.'
error='bad'
expect 2 -t bad check '.'
error='                ^~~~~~'
expect 2 check '{{--dpid 1}}.*{{--doid 2}}'
error='no switch is called "s3"; there is s1, s2'
expect 2 -t topology check '{{--dpid s3}}'
error='phfc: a command is missing: check, explain or match'
expect 2
error='phfc: a filter is missing'
expect 2 check
expect 2 match
error='phfc: too many arguments; a filter is one argument, in single quotes'
expect 2 check . .
expect 2 match . histories more
error='phfc: the commands are check, explain and match'
expect 2 frob .
error='phfc --help says more'
expect 2 --frob

error=
{
    echo 'filter'
    echo '  {{--dpid 1 --inport 1}}.*'
    echo 'predicates (what a hop is asked)'
    echo '  p0   .'
    echo '  p1   {{--dpid 1 --inport 1}}'
    echo 'automaton (2 positions, one machine word)'
    echo '  first hop of a path: 0'
    echo '  match begins later: 0'
    echo '  0: a hop where p1 holds; next 1; match'
    echo '  1: a hop where p0 holds; next 1; match'
} > expected-out
expect 0 explain '{{--dpid 1 --inport 1}}.*'

# What docs/phf.md and phf(7) show: filters are filters, and the one that is
# none is answered as they say.
{
    # shellcheck disable=SC2016
    grep -o '`[^`]*{{--[^`]*`' "$docs/phf.md" | tr -d '`'
    sed -n 's/^    \([^ $].*}}.*\)/\1/p' "$docs/phf.md" | grep -v doid
    sed -n 's/^\.It Li \(.*{{.*\)/\1/p' "$docs/man/phf.7" | sed 's/\\(dq/"/g'
    # shellcheck disable=SC2016
    sed -n 's/^|.*| `\([^`]*\)` |$/\1/p' "$docs/phf.md"
} | grep -v '^phfc' > shown
if [ "$(wc -l < shown)" -lt 30 ]; then
    echo "FAIL docs/phf.md and phf(7) show $(wc -l < shown) filters"
    status=1
fi
while read -r filter; do
    if ! "$phfc" check "$filter" > out 2> err < /dev/null; then
        echo "FAIL shown: $filter: $(cat err)"
        status=1
    fi
done < shown
wrong=$(sed -n "s/^    \$ phfc check '\(.*\)'$/\1/p" "$docs/phf.md")
sed -n '/^    \$ phfc check/,/^$/p' "$docs/phf.md" | sed '1d; /^$/d; s/^    //' \
    > wanted
"$phfc" check "$wrong" > out 2> err < /dev/null
if [ $? -ne 2 ] || ! diff -u wanted err; then
    echo "FAIL phfc check '$wrong' is not as docs/phf.md shows it"
    status=1
fi

if ! "$phfc" --help | grep -q '^usage: phfc' ||
   ! "$phfc" --version | grep -q '^phfc (lasthop) '; then
    echo "FAIL phfc --help or --version"
    status=1
fi
"$phfc" match . histories > /dev/full 2> err
if [ $? -ne 2 ] || ! grep -q 'No space left' err; then
    echo "FAIL phfc match: a full standard output: $(cat err)"
    status=1
fi
exit $status
