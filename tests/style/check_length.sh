#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No C file has more than 600 lines: a longer one holds a second noun.
set -u
. "$(dirname "$0")/files.sh"

status=0
for file in $(style_files '*.c' '*.h'); do
    lines=$(wc -l < "$file")
    if [ "$lines" -gt 600 ]; then
        echo "$file:601: $lines lines; at most 600"
        status=1
    fi
done
exit $status
