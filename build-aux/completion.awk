# SPDX-License-Identifier: Apache-2.0
# completion.awk - makes the completion of a program for bash, or with shell=zsh
# for zsh, from its own table of options.
#
#     awk -v program=NAME [-v shell=zsh] [-v values="OPTION:A B;.."]
#         -f completion.awk SOURCE.c
#
# SOURCE.c declares the options as a `struct option []` for getopt_long().
# `values` are what an option takes; any other argument is a file.

/\{"[a-z][a-z0-9-]*", *(no|required)_argument/ {
    name = $0
    sub(/^[^"]*"/, "", name)
    sub(/".*/, "", name)
    zsh_names[++n_names] = name
    zsh_takes[n_names] = $0 ~ /required_argument/
    if ($0 ~ /required_argument/) {
        options = options " --" name "="
        taking = taking (taking == "" ? "" : "|") "--" name
    } else {
        options = options " --" name
    }
}

# What 'option' takes, of 'values', or "".
function words_of(option,    parts, n, i) {
    n = split(values, parts, ";")
    for (i = 1; i <= n; i++) {
        if (index(parts[i], option ":") == 1) {
            return substr(parts[i], length(option) + 2)
        }
    }
    return ""
}

function print_zsh(    i, words) {
    printf "#compdef %s\n# SPDX-License-Identifier: Apache-2.0\n", program
    printf "# zsh completion for %s, made from its options.\n\n", program
    print "_arguments -s -S \\"
    for (i = 1; i <= n_names; i++) {
        words = words_of(zsh_names[i])
        printf "    '*--%s", zsh_names[i]
        if (zsh_takes[i]) {
            printf "=[]:value:%s", words == "" ? "_files" : "(" words ")"
        }
        print "' \\"
    }
    print "    '*:argument:_files'"
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
    if (shell == "zsh") {
        print_zsh()
        exit 0
    }
    name = program
    gsub(/-/, "_", name)
    printf "# SPDX-License-Identifier: Apache-2.0\n"
    printf "# bash completion for %s, made from its options.\n\n", program
    printf "_%s()\n{\n", name
    print "    local cur=${COMP_WORDS[COMP_CWORD]}"
    print "    local prev=${COMP_WORDS[COMP_CWORD - 1]}"
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
    print "    compopt -o filenames 2>/dev/null"
    print "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")"
    print "}"
    printf "complete -F _%s %s\n", name, program
}
