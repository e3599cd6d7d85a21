#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No source file holds a phrase of tests/style/words: what is in the tree is
# finished.
set -u
words=$(cd "$(dirname "$0")" && pwd)/words
. "$(dirname "$0")/files.sh"

pattern=$(grep -v '^#' "$words" | paste -s -d '|')
if style_files '*.c' '*.h' '*.sh' '*.py' '*.am' '*.mk' '*.ac' '*.[1-9]' \
               quickstart \
        | xargs grep -nEiw "$pattern" /dev/null; then
    exit 1
fi
