# SPDX-License-Identifier: Apache-2.0
# completion.awk - makes bash's completion of a program from its own table of
# options.
#
#     awk -v program=NAME [-v commands="A B"] [-v after="A:C D;B:E"]
#         [-v values="OPTION:A B;.."] -f completion.awk SOURCE.c
#
# SOURCE.c declares the options as a `struct option []` for getopt_long().
# `commands` are those that the first word may be, `after` what follows one of
# them, `values` what an option takes; any other argument is a file.

/\{"[a-z][a-z0-9-]*", *(no|required)_argument/ {
    name = $0
    sub(/^[^"]*"/, "", name)
    sub(/".*/, "", name)
    if ($0 ~ /required_argument/) {
        options = options " --" name "="
        taking = taking (taking == "" ? "" : "|") "--" name
    } else {
        options = options " --" name
    }
}

# Prints a case for each "KEY:WORDS" of 'list'; each KEY comes after 'prefix'.
function print_cases(list, prefix,    parts, n, i, key, words) {
    n = split(list, parts, ";")
    for (i = 1; i <= n; i++) {
        key = words = parts[i]
        sub(/:.*/, "", key)
        sub(/^[^:]*:/, "", words)
        printf "    %s%s)\n", prefix, key
        printf "        COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))\n", words
        printf "        return ;;\n"
    }
}

END {
    if (options == "") {
        print "completion.awk: no options in " FILENAME > "/dev/stderr"
        exit 1
    }
    name = program
    gsub(/-/, "_", name)
    printf "# SPDX-License-Identifier: Apache-2.0\n"
    printf "# bash completion for %s, made from its options.\n\n", program
    printf "_%s()\n{\n", name
    print "    local cur=${COMP_WORDS[COMP_CWORD]}"
    print "    local prev=${COMP_WORDS[COMP_CWORD - 1]} command= word i"
    print "    COMPREPLY=()"
    print "    # Bash takes the \"=\" of --option=value for a word of its own."
    print "    if [[ $cur == \"=\" ]]; then"
    print "        cur="
    print "    elif [[ $prev == \"=\" ]]; then"
    print "        prev=${COMP_WORDS[COMP_CWORD - 2]}"
    print "    fi"
    print "    case $prev in"
    print_cases(values, "--")
    if (taking != "") {
        printf "    %s)\n", taking
        print "        compopt -o filenames 2>/dev/null"
        print "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
        print "        return ;;"
    }
    print "    esac"
    print "    if [[ $cur == -* ]]; then"
    printf "        COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))\n", \
        substr(options, 2)
    print "        if [[ ${COMPREPLY[0]} == *= ]]; then"
    print "            compopt -o nospace 2>/dev/null"
    print "        fi"
    print "        return"
    print "    fi"
    if (commands != "") {
        print "    for ((i = 1; i < COMP_CWORD; i++)); do"
        print "        word=${COMP_WORDS[i]}"
        print "        case $word in"
        if (taking != "") {
            printf "        %s)\n", taking
            print "            if [[ ${COMP_WORDS[i + 1]} == \"=\" ]]; then"
            print "                ((i++))"
            print "            fi"
            print "            ((i++)) ;;"
        }
        print "        -*) ;;"
        print "        *)"
        print "            command=$word"
        print "            break ;;"
        print "        esac"
        print "    done"
        print "    if [[ -z $command ]]; then"
        printf "        COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))\n", \
            commands
        print "        return"
        print "    fi"
        if (after != "") {
            print "    case $prev in"
            print_cases(after, "")
            print "    esac"
        }
    }
    print "    compopt -o filenames 2>/dev/null"
    print "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
    print "}"
    printf "complete -F _%s %s\n", name, program
}
