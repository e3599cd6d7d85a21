#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The options that a program takes are those that its --help and its manual
# name; and what the documents name is an option of some program of ours, or in
# tests/style/others_options.
#
# A program's options are in the tables of getopt_long() beside the text that
# begins with "usage: PROGRAM".  Programs of the frame of apps/app.h have none:
# there all of this is made of one table.
#
# LH_PROGRAMS and LH_MANUALS are the build's lists of both.
set -u
built=$PWD
here=$(cd "$(dirname "$0")" && pwd)
. "$here/files.sh"

if ! command -v mandoc > /dev/null; then
    echo "no mandoc (apt-get install mandoc)"
    exit 77
fi
LC_ALL=C
export LC_ALL
status=0
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# The long options in the standard input, each on a line.
options() {
    grep -oE -e '(^|[^a-zA-Z0-9-])--[a-z][a-z0-9-]*[a-z0-9]' \
        | sed 's/^[^-]//' | sort -u
}

# missing WHAT: an error for each line of the standard input.
missing() {
    while read -r option; do
        echo "$option: $1"
        echo > "$work/failed"
    done
}

# parsed FOLDER: those of the tables there.
parsed() {
    cat "$1"/*.c | tr '\n' ' ' \
        | grep -oE '\{"[a-z0-9-]+", +(no|required|optional)_argument' \
        | sed 's/{"\([^"]*\)".*/--\1/' | sort -u
}

: > "$work/all"
for program in ${LH_PROGRAMS-}; do
    name=${program##*/}
    "$built/$program" --help > "$work/help" || exit 1
    options < "$work/help" > "$work/helped"
    cat "$work/helped" >> "$work/all"
    at=$(grep -lE "\"usage: $name[^a-z-]" ./*/*.c 2> /dev/null | head -n 1)
    [ -n "$at" ] || continue
    parsed "$(dirname "$at")" > "$work/parsed"
    [ -s "$work/parsed" ] || continue
    cat "$work/parsed" >> "$work/all"

    # Of a line, the options that stand at its beginning.
    grep -E '^ +-' "$work/help" | sed 's/  *[^ ,-].*//' | options \
        | comm -13 "$work/parsed" - \
        | missing "in $name --help, and not taken"
    if ! grep -q 'and so on' "$work/help"; then
        comm -23 "$work/parsed" "$work/helped" \
            | missing "taken by $name, and not in --help"
    fi
    for manual in ${LH_MANUALS-}; do
        case $manual in
        *"/$name."[1-9]*) ;;
        *) continue ;;
        esac
        [ -f "$manual" ] || manual=$built/$manual
        MANWIDTH=200 mandoc -Tascii "$manual" | sed 's/.\x08//g' | options \
            | comm -23 "$work/parsed" - \
            | missing "taken by $name, and not in $manual"
    done
done

# What documents name.
for document in $(style_files '*.md'); do
    options < "$document" > "$work/named"
    grep -h '^--' "$work/all" "$here/others_options" | sort -u \
        | comm -13 - "$work/named" \
        | missing "in $document, and no program's option"
done
[ ! -e "$work/failed" ] || status=1
exit $status
