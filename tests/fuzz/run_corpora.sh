#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target of this build over its corpus.
#
# usage: FUZZ_TARGETS='DIR/fuzz_NAME..' run_corpora.sh     (by `make check`)
#
# srcdir names the source tree, CORPUS_DIR another corpus than its own.  Fails
# when a target fails or crashes, naming the inputs, and when a target has no
# corpus.
set -u

corpus_dir=${CORPUS_DIR:-${srcdir:-.}/tests/corpus}
status=0

# Prints the inputs in $2 on which the target $1 fails by itself.
name_culprits() {
    for input in "$2"/*; do
        "$1" -runs=0 "$input" > /dev/null 2>&1 || echo "    $input"
    done
}

if [ -z "${FUZZ_TARGETS-}" ]; then
    echo "run_corpora: FUZZ_TARGETS names no target" >&2
    exit 1
fi
for target in $FUZZ_TARGETS; do
    name=${target##*/fuzz_}
    corpus=$corpus_dir/$name
    if [ -z "$(ls "$corpus" 2>/dev/null)" ]; then
        echo "FAIL $name: no inputs in $corpus"
        status=1
    elif output=$("$target" -runs=0 "$corpus" 2>&1); then
        echo "ok   $name: $(ls "$corpus" | wc -l) inputs"
    else
        echo "FAIL $name: exit status $?"
        echo "$output"
        echo "inputs that fail by themselves:"
        name_culprits "$target" "$corpus"
        status=1
    fi
done
exit $status
