#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The checks of style check something: each accepts a good tree and refuses
# the same tree with one thing made wrong.
set -u

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# Makes a tree that has nothing wrong in $work/tree.
good_tree() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree/lib" "$work/tree/phf" "$work/tree/server"
    cp "$here/../../.clang-format" "$work/tree/"
    cat > "$work/tree/lib/noun.c" <<'EOF'
/* SPDX-License-Identifier: Apache-2.0 */
/* noun - a sample. */
#include <config.h>

#include <sqlite3.h>

#include "lib/noun.h"

int
noun_get(void)
{
    return 1;
}
EOF
    cat > "$work/tree/lib/noun.h" <<'EOF'
/* SPDX-License-Identifier: Apache-2.0 */
/* noun - a sample. */
int noun_get(void);
EOF
    cat > "$work/tree/noun.1" <<'EOF'
.\" SPDX-License-Identifier: Apache-2.0
.Dd January 1, 2024
.Dt NOUN 1
.Os
.Sh NAME
.Nm noun
.Nd a sample
.Sh SYNOPSIS
.Nm
.Sh DESCRIPTION
A sample.
.Bl -tag -width Ds
.It Fl -one Ar N
The number.
.El
EOF
    cat > "$work/tree/server/options.c" <<'EOF'
/* SPDX-License-Identifier: Apache-2.0 */
/* options - a sample. */
#include <config.h>

static const char help[] = "usage: noun [OPTION..]\n";
static const struct option long_options[] = {
    {"one", required_argument, NULL, 1},
};
EOF
    echo 'Give it --one 1.' > "$work/tree/noun.md"
    mkdir "$work/tree/bin"
    printf '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n# A sample.\n%s\n' \
        "echo '  --one N  the number'" > "$work/tree/bin/noun"
    chmod +x "$work/tree/bin/noun"
}

# expect RESULT CHECK: CHECK's exit status on the tree is RESULT.
expect() {
    (cd "$work/tree" && LH_PROGRAMS=bin/noun LH_MANUALS=$work/tree/noun.1 \
        "$here/$2" "$work/tree") > "$work/output" 2>&1
    result=$?
    if [ $result -eq 77 ]; then
        echo "skip $2: $(cat "$work/output")"
    elif [ $result -ne "$1" ]; then
        echo "FAIL $2: exit status $result instead of $1 for: $what"
        cat "$work/output"
        status=1
    else
        echo "ok   $2: $what"
    fi
}

# refuses CHECK WHAT FILE: reads a file of that name from standard input and
# expects CHECK to refuse the good tree with it.
refuses() {
    what=$2
    good_tree
    mkdir -p "$(dirname "$work/tree/$3")"
    cat > "$work/tree/$3"
    expect 1 "$1"
}

what="a good tree"
good_tree
for check in check_length.sh check_spdx.sh check_format.sh check_words.sh \
             check_manuals.sh check_options.sh check_parsed.sh \
             check_layers.py; do
    expect 0 $check
done

yes '/* line */' | head -n 601 | refuses check_length.sh "601 lines" lib/long.c

echo 'int x;' | refuses check_spdx.sh "no licence" lib/x.h
printf '/* SPDX-License-Identifier: Apache-2.0 */\nint x;\n' \
    | refuses check_spdx.sh "no purpose" lib/x.h
printf '#!/bin/sh\necho\n' | refuses check_spdx.sh "no licence" x.sh

echo 'int  x ;' | refuses check_format.sh "two blanks" lib/x.h

for word in "TO""DO" "Fix""me:" "not imple""mented" "st""ub"; do
    echo "/* $word */" | refuses check_words.sh "the word $word" lib/x.h
done

printf '.Dd January 1, 2024\n.Dt NOUN 1\n.Os\n.Sh NAME\n.Nm noun\n.Bogus\n' \
    | refuses check_manuals.sh "an unknown macro" noun.1
what="no manual"
good_tree
mv "$work/tree/noun.1" "$work/tree/other.1"
expect 1 check_manuals.sh

what="an option without a manual"
good_tree
echo "echo '  --two'" >> "$work/tree/bin/noun"
expect 1 check_options.sh
what="an option without help"
good_tree
sed -i 's/--one/--uno/' "$work/tree/bin/noun"
sed -i 's/^The number/--uno is &/' "$work/tree/noun.1"
expect 1 check_options.sh

what="an option that is not taken"
good_tree
sed -i 's/{"one"/{"uno"/' "$work/tree/server/options.c"
expect 1 check_parsed.sh
what="an option that no help has"
good_tree
sed -i 's/    {"one.*/&\n    {"two", no_argument, NULL, 2},/' \
    "$work/tree/server/options.c"
expect 1 check_parsed.sh
what="a document with an option that no program has"
good_tree
echo 'Or --three.' >> "$work/tree/noun.md"
expect 1 check_parsed.sh

config='#include <config.h>'
printf '%s\n#include "phf/phf.h"\n' "$config" \
    | refuses check_layers.py "lib includes phf" lib/x.c
printf '%s\n#include "server/y.h"\n' "$config" \
    | refuses check_layers.py "phf includes server" phf/x.c
printf '%s\n#include "noun.h"\n' "$config" \
    | refuses check_layers.py "an include that is not rooted" lib/x.c
printf '#include <stdio.h>\n' \
    | refuses check_layers.py "no config.h" lib/x.c
printf '%s\n#include <sqlite3.h>\n' "$config" \
    | refuses check_layers.py "sqlite3.h at the wrong door" phf/x.c
what="three doors to sqlite3.h"
good_tree
for name in x y; do
    printf '%s\n#include <sqlite3.h>\n' "$config" > "$work/tree/lib/$name.c"
done
expect 1 check_layers.py

exit $status
