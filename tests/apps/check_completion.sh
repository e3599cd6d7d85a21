#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What bash offers for every program is what the program says it takes.

set -u
failed=0

fail() {
    echo "$*" >&2
    failed=1
}

# offer WORD..: what is offered for the last one.
offer() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    "_${1//-/_}"
    printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
}

expect() {
    local expected=$1 got
    shift
    got=$(offer "$@")
    if [[ $got != "$expected" ]]; then
        fail "for \"$*\": \"$got\" instead of \"$expected\""
    fi
}

for program in lasthop-agent lasthop-recorder lasthop-server lasthopctl lasthop-gen ndb \
               netshark netwatch nprof phfc; do
    . "completion/$program" || exit 1
    complete -p "$program" >/dev/null || fail "$program has no completion"
    # Of a line of the help, the options that stand at its beginning.
    said=$("bin/$program" --help | grep -E '^ +-' | sed 's/  *[^ ,-].*//' |
           grep -oE -- '--[a-z][a-z0-9-]*' | sort -u)
    got=$(offer "$program" -- | tr ' ' '\n' | sed 's/=$//; /^$/d' | sort -u)
    if [[ -z $said ]]; then
        fail "$program --help names no options"
    fi
    if missing=$(comm -23 <(echo "$said") <(echo "$got")) &&
       [[ -n $missing ]]; then
        fail "$program: not offered:" $missing
    fi
    pages=("${srcdir:-..}"/docs/man/"$program".[18])
    [[ -e ${pages[0]} ]] || pages=(docs/man/"$program".[18])
    manual=$(sed 's/\\-/-/g; s/Fl -/--/g; s/ , Fl / --/g' "${pages[@]}")
    for option in $got; do
        if ! grep -qe "$option" <<<"$manual"; then
            fail "$program: offered, and not in its manual: $option"
        fi
    done
done

# The commands of the help, which begin a line there.
commands=$(bin/lasthopctl --help | sed '/^What /,$d' | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' |
           sort -u | tr '\n' ' ')
[[ $commands == *'archive '*'triggers '* ]] ||
    fail "lasthopctl --help names no commands: $commands"
expect "$commands" lasthopctl ''
expect 'select size status ' lasthopctl s
expect 'pause ' lasthopctl --rundir = /tmp -j pa
expect 'pause ' lasthopctl --timeout 3 pa
expect 'add delete list load ' lasthopctl select ''
expect 'repair stat verify ' lasthopctl archive ''
expect 'dot json ' lasthopctl topology ''
expect 'add delete list pause resume ' lasthopctl triggers ''
expect 'debug error info recorder server warn ' lasthopctl log ''
expect 'debug ' lasthopctl log recorder d
expect '--timeout= ' lasthopctl select --timeo
expect 'always auto ' ndb --color = a
expect 'auto geneve mac ' lasthop-server --encap ''
expect 'fabric faults mix trouble ' lasthop-gen --preset ''
expect 'check explain match ' phfc ''

# Files, also those with a blank.
directory=$(mktemp -d) || exit 1
trap 'rm -r "$directory"' EXIT
touch "$directory/a file"
expect "$directory/a file " lasthop-recorder --select = "$directory/a"
expect "$directory/a file " lasthopctl select load "$directory/a" 2>/dev/null
mkdir "$directory/a dir"
expect "$directory/a dir " lasthopctl archive verify "$directory/a" 2>/dev/null
exit $failed
