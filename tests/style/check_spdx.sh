#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every source file begins with its licence (scripts after the #! line) and
# then says what it is for.
set -u
. "$(dirname "$0")/files.sh"

tag='SPDX-License-Identifier: Apache-2.0'
status=0
for file in $(style_files '*.c' '*.h' '*.sh' '*.py' '*.mk' '*.am' '*.ac' \
                          quickstart); do
    case $file in
    build-aux/*)
        # What automake puts there has its own licence.
        continue ;;
    esac
    first=1
    if head -n 1 "$file" | grep -q '^#!'; then
        first=2
    fi
    if ! sed -n "${first}p" "$file" | grep -qF "$tag"; then
        echo "$file:$first: the line \"$tag\" belongs here"
        status=1
    elif ! sed -n "$((first + 1))p" "$file" \
            | grep -qE '^(/\*|#|"""|dnl) ?[^ ]'; then
        echo "$file:$((first + 1)): a comment that says what the file is for" \
             "belongs here"
        status=1
    fi
done
exit $status
