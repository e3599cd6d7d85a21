#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every program has a manual page, and mandoc finds nothing to say about any.
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
for program in ${LH_PROGRAMS-}; do
    case " ${LH_MANUALS-} " in
    *"/${program##*/}."[1-9]*) ;;
    *)
        echo "${program##*/}: no manual page in man1_MANS or man8_MANS"
        status=1 ;;
    esac
done
for manual in ${LH_MANUALS-}; do
    # Some are made by the build.
    [ -f "$manual" ] || manual=$built/$manual
    if [ -f "$manual" ]; then
        mandoc -Tlint -Wwarning "$manual" || status=1
    else
        echo "$manual: not in the tree"
        status=1
    fi
done
exit $status
