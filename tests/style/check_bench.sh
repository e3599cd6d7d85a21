#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# bench/bench_lines.py passes figures on, and no line that is none gets past it.
set -u

lines=$(cd "$(dirname "$0")" && pwd)/../../bench/bench_lines.py
status=0

# expect EXIT LINE..: of bench_lines.py, which passes the lines on.
expect() {
    exit_status=$1
    shift
    output=$(printf '%s\n' "$@" | /usr/bin/python3 "$lines" - 2> /dev/null)
    result=$?
    if [ $result -ne "$exit_status" ] \
            || [ "$output" != "$(printf '%s\n' "$@")" ]; then
        echo "FAIL exit status $result, not $exit_status, or other lines: $*"
        status=1
    else
        echo "ok   $*"
    fi
}

# figure BENCH METRIC VALUE RUNS MIN MAX
figure() {
    printf '{"bench":%s,"metric":%s,"value":%s,"unit":"s","runs":%s,' \
        "$1" "$2" "$3" "$4"
    printf '"min":%s,"max":%s}' "$5" "$6"
}

expect 0 "$(figure '"a"' '"b"' 2 3 1 3)"
expect 0 "$(figure '"a"' '"b"' 2 3 1 3)" "$(figure '"a"' '"c"' -2.5 1 -2.5 -2.5)"
expect 1 "$(figure '"a"' '"b"' 2 3 1 3)" "$(figure '"a"' '"b"' 2 3 1 3)"
expect 1 "$(figure '""' '"b"' 2 3 1 3)"
expect 1 "$(figure '"a"' 7 2 3 1 3)"
expect 1 "$(figure '"a"' '"b"' NaN 3 1 3)"
expect 1 "$(figure '"a"' '"b"' '"2"' 3 1 3)"
expect 1 "$(figure '"a"' '"b"' 4 3 1 3)"
expect 1 "$(figure '"a"' '"b"' 0 3 1 3)"
expect 1 "$(figure '"a"' '"b"' 2 0 1 3)"
expect 1 "$(figure '"a"' '"b"' 2 true 1 3)"
expect 1 '{"bench":"a","metric":"b","value":2,"runs":1,"min":1,"max":3}'
expect 1 '[]'
expect 1 'a line that is none'

# What the program itself says of itself counts too.
for command in false 'echo {}' 'echo none'; do
    # shellcheck disable=SC2086
    if /usr/bin/python3 "$lines" $command > /dev/null 2>&1; then
        echo "FAIL $command: no failure"
        status=1
    fi
done
exit $status
