#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shared library exports what its header declares, each name with a symbol
# version, and nothing else; installed, a program finds it by pkg-config.
set -u
top=$(cd "${srcdir:-.}" && pwd)
library=lib/liblasthop.so
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
status=0

fail() {
    echo "$*"
    status=1
}

${CC:-cc} -E -P "$top/include/lasthop/client.h" \
    | grep -oE '\blasthop_[a-z_]+ ?\(' | tr -d ' (' \
    | LC_ALL=C sort -u > "$work/declared"
nm -D --defined-only "$library" | awk '$2 == "T" { print $3 }' \
    | LC_ALL=C sort > "$work/exported"
sed 's/@@.*//' "$work/exported" | diff "$work/declared" - \
    || fail "the header (<) and $library (>) differ"
! grep -v '@@LASTHOP_[0-9]*$' "$work/exported" || fail "without a version"

make --no-print-directory DESTDIR="$work/root" prefix=/usr \
    install-lasthoplibPROGRAMS install-pkgconfigDATA \
    install-lasthopincludeHEADERS install-data-hook > "$work/log" 2>&1 \
    || fail "make install: $(cat "$work/log")"
sed -i "s|^prefix=.*|prefix=$work/root/usr|; s|^exec_prefix=.*|exec_prefix=\${prefix}|" \
    "$work"/root/usr/lib/pkgconfig/lasthop.pc
for name in drops follow rates; do
    # shellcheck disable=SC2046
    ${CC:-cc} -Wall -Werror "$top/docs/examples/$name.c" -o "$work/$name" \
        $(PKG_CONFIG_PATH="$work/root/usr/lib/pkgconfig" \
          pkg-config --cflags --libs lasthop libevent) ${LH_SANITIZE-} \
        || fail "$name is not built with what is installed"
done
readelf -d "$work/drops" | grep -q 'NEEDED.*\[liblasthop\.so\.[0-9]*\]' \
    || fail "a program does not need the library by its soname"
LD_LIBRARY_PATH=$work/root/usr/lib LASTHOP_RUNDIR=$work "$work/drops" \
    > "$work/out" 2>&1
[ $? -eq 1 ] || fail "drops without a server: $(cat "$work/out")"
grep -q "^drops: $work/server.sock: nobody listens there\$" "$work/out" \
    || fail "drops without a server: $(cat "$work/out")"
exit $status
