#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a program's --help says of options and what its manual says are the same:
# an option of the one is in the other.
#
# LH_PROGRAMS and LH_MANUALS are the build's lists of both.
set -u
built=$PWD
. "$(dirname "$0")/files.sh"

if ! command -v mandoc > /dev/null; then
    echo "no mandoc (apt-get install mandoc)"
    exit 77
fi
status=0
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# The long options in the standard input, each on a line.
options() {
    grep -oE -e '(^|[^a-zA-Z0-9-])--[a-z][a-z-]*[a-z]' | sed 's/^[^-]//' \
        | LC_ALL=C sort -u
}

# missing WHERE: an error for each line of the standard input.
missing() {
    while read -r option; do
        echo "$option: not in $1"
        echo > "$work/failed"
    done
}

for program in ${LH_PROGRAMS-}; do
    "$built/$program" --help > "$work/help" || exit 1
    options < "$work/help" > "$work/helped"
    for manual in ${LH_MANUALS-}; do
        case $manual in
        *"/${program##*/}."[1-9]*) ;;
        *) continue ;;
        esac
        # Some are made by the build.
        [ -f "$manual" ] || manual=$built/$manual
        MANWIDTH=200 mandoc -Tascii "$manual" | sed 's/.\x08//g' \
            > "$work/manual"
        options < "$work/manual" > "$work/explained"
        # What begins a paragraph, without what follows on the same line.
        sed -nE 's/^ {1,8}(-.*)/\1/; T; s/   *.*//; p' "$work/manual" \
            | options > "$work/headed"
        LC_ALL=C comm -23 "$work/helped" "$work/explained" \
            | missing "$manual, but in --help"
        LC_ALL=C comm -23 "$work/headed" "$work/helped" \
            | missing "${program##*/} --help, but in $manual"
    done
done
[ ! -e "$work/failed" ] || status=1
exit $status
