#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-format has nothing to change in any C file.
set -u
. "$(dirname "$0")/files.sh"

if ! command -v clang-format > /dev/null; then
    echo "no clang-format (apt-get install clang-format)"
    exit 77
fi
if ! style_files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror; then
    exit 1
fi
