#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nprof on an archive: every form it writes, the examples of its manual, a page
# that loads nothing and in which names cannot be markup, and what it says when
# it is asked for what is not there.
#
# Each tests/apps/nprof/NAME.out is what it prints; with GOLDEN_UPDATE set they
# are written: look at the difference, then commit.
#
# Run by `make check` in the build directory; srcdir names the source tree.
set -u

build=$PWD
srcdir=$(cd "${srcdir:-.}" && pwd)
cases=$srcdir/tests/apps/nprof
nprof=$build/bin/nprof
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

"$build/tests/apps/ndb_fixture" archive "$work" || exit 99

# on CODE ARG..: runs nprof on the archive.
on() {
    want=$1
    shift
    "$nprof" -r "$work/archive" "$@" > "$work/out" 2> "$work/err" < /dev/null
    code=$?
    if [ $code -ne "$want" ]; then
        fail "$*: exit $code, $(cat "$work/err")"
    fi
}

golden() {
    name=$1
    shift
    on 0 "$@"
    if [ -n "${GOLDEN_UPDATE-}" ]; then
        cp "$work/out" "$cases/$name.out"
    elif ! diff -u "$cases/$name.out" "$work/out"; then
        fail "$name"
    else
        echo "ok   $name"
    fi
    [ ! -s "$work/err" ] || fail "$name: $(cat "$work/err")"
}

# says PATTERN ARG..: it fails and says so.
says() {
    pattern=$1
    shift
    on 2 "$@"
    if grep -qe "$pattern" "$work/err"; then
        echo "ok   says $pattern"
    else
        fail "$*: $(cat "$work/err")"
    fi
}

# --- forms -------------------------------------------------------------------

echo "10.0.0.5 <b>&\"client\"" > "$work/hosts"
golden all all
golden alone
golden one 's1->s2'
golden by --by src,flow --top 1 s1
golden entry --filter '{{--verdict dropped}}' --by src
golden json --json --by link,hosts
golden interval --by link --interval 1s
golden page --html - --by link,hosts --interval 1s --hosts "$work/hosts"
on 0 --html "$work/page.html" --by link,hosts --interval 1s \
    --hosts "$work/hosts"
cmp "$work/page.html" "$cases/page.out" || fail "--html FILE"
grep -qiE '<script|href=|src=|url\(|@import|http' "$work/page.html" \
    && fail "the page loads something"
grep -q '<b>' "$work/page.html" && fail "a name is markup"
grep -q '&lt;b&gt;&amp;&quot;client&quot;' "$work/page.html" \
    || fail "a name is not escaped"
/usr/bin/python3 - "$work/page.html" <<'END' || fail "the page is no XML"
import sys
import xml.etree.ElementTree as tree
text = open(sys.argv[1], encoding="utf-8").read()
text = text.replace("<!DOCTYPE html>", "", 1)
text = text.replace('<meta charset="utf-8">', "")
page = tree.fromstring(text)
assert len(list(page.iter("svg"))) > 3
END

on 1 --until 2001-01-01

# --- the examples of the manual ----------------------------------------------

sed -n 's/^\.Dl nprof //p' "$srcdir/docs/man/nprof.1.in" > "$work/examples"
[ "$(wc -l < "$work/examples")" -ge 5 ] || fail "the manual has no examples"
cd "$work" || exit 99
while read -r example; do
    example=${example/-r \/var\/lib\/lasthop\/archive/}
    example=${example/--last 1h/--since 2000-01-01}
    example=${example/s1:2/s1:s1-s2}
    case $example in
    -f*) continue ;; # Needs a server: tests/net/test_nprof.py.
    esac
    eval "on 0 $example"
    echo "ok   nprof $example"
done < "$work/examples"
[ -s page.html ] || fail "no page"

# --- what is wrong -----------------------------------------------------------

says 'no switch is called "s77"' s77:1
says 'no port is called "s1-s9"; there is .*; is "s1-s' s1:s1-s9
says 'no link is known between these two' 's1->s1'
says 'must be link, ingress, path' --by link,host
says 'is there twice' --by src,src
says 'must be a span of time' --interval yesterday
says 'no more than 2000 are counted' --interval 1us
says "$(printf '  \\^')" --filter '{{--dpdi 2}}'
says 'needs a server' -f
"$nprof" -s "$work/none.sock" -f --html x 2> "$work/err"
[ $? -eq 2 ] && grep -q 'goes neither with' "$work/err" || fail "-f --html"
"$nprof" -s "$work/none.sock" > "$work/out" 2> "$work/err"
[ $? -eq 2 ] && grep -q 'none.sock' "$work/err" && grep -q -e '--read' \
    "$work/err" || fail "no server: $(cat "$work/err")"
"$nprof" -r "$work/archive" --html /nowhere/page.html 2> "$work/err"
[ $? -eq 2 ] && grep -q '/nowhere/page.html' "$work/err" || fail "nowhere"
"$nprof" -r "$work/nothing" 2> "$work/err"
[ $? -eq 2 ] && grep -q 'no archive in' "$work/err" || fail "no archive"
exit $status
