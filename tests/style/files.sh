# SPDX-License-Identifier: Apache-2.0
# Read by the style checks: which files of a tree they look at.
#
# The tree to check is the script's first argument, by default $srcdir.
# style_files GLOB.. prints, one a line and relative to the tree, the files
# whose names match one of GLOBs, without what builds and git leave behind.

tree=${1:-${srcdir:-.}}
cd "$tree" || exit 99

style_files() {
    expression="-name $1"
    shift
    for glob; do
        expression="$expression -o -name $glob"
    done
    set -f
    find . \( -path ./build -o -path './build-*' ! -path ./build-aux \
              -o -path ./ovs-patches -o -name .git -o -name autom4te.cache \
              -o -name __pycache__ -o -name .pytest_cache \) -prune \
         -o -type f \( $expression \) -print | sed 's|^\./||' | LC_ALL=C sort
    set +f
}
