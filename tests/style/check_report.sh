#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build-aux/test-report adds up right, and no failure gets past it.
set -u

report=$(cd "$(dirname "$0")" && pwd)/../../build-aux/test-report
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
status=0

# program BUILD NAME RESULT LOG: a test program that has run.
program() {
    mkdir -p "$1"
    echo ":global-test-result: $3" > "$1/$2.trs"
    printf '%s\n' "$4" > "$1/$2.log"
}

# junit TESTS FAILURES SKIPPED: what pytest leaves.
junit() {
    cat > net.xml <<EOF
<testsuites><testsuite errors="0" failures="$2" skipped="$3" tests="$1"/>
</testsuites>
EOF
}

# expect EXIT LAST-LINE ARGUMENT..: of test-report.
expect() {
    exit_status=$1 last=$2
    shift 2
    output=$("$report" "$@" 2>&1)
    result=$?
    if [ $result -ne "$exit_status" ] \
            || [ "$(echo "$output" | tail -n 1)" != "$last" ]; then
        echo "FAIL $*: exit status $result, not $exit_status, or not \"$last\":"
        echo "$output"
        status=1
    else
        echo "ok   $last"
    fi
}

program good plain PASS "fine"
program good check PASS "100%: Checks: 7, Failures: 0, Errors: 0"
junit 5 0 1
expect 0 "8 passed, 0 failed" --summary good
expect 0 "12 passed, 0 failed, 1 skipped" --summary good net.xml
expect 0 "8 passed, 0 failed, 2 skipped" --summary --skipped 2 good none.xml

program skips absent SKIP "no data"
expect 1 "0 passed, 0 failed, 1 skipped" --summary skips

program bad check FAIL "71%: Checks: 7, Failures: 1, Errors: 1"
program bad crash FAIL "Segmentation fault"
expect 1 "5 passed, 3 failed" --summary bad
expect 0 "Segmentation fault" --failures bad
expect 1 "" --failures good

mkdir empty
expect 1 "8 passed, 1 failed" --summary good empty
expect 1 "8 passed, 1 failed" --summary good none.xml
junit 0 0 0
expect 1 "8 passed, 1 failed" --summary good net.xml
junit 3 1 0
expect 1 "10 passed, 1 failed" --summary good net.xml
exit $status
