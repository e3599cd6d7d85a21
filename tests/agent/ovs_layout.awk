# SPDX-License-Identifier: Apache-2.0
# Prints, of the patches for Open vSwitch, what a reader of rings has to know:
# lib/lasthop-ring-layout.h, and the structs of templates.
/^\+\+\+ / { file = $2; next }
/^(diff|---) / { file = ""; next }
!/^\+/ || !file { next }
{ line = substr($0, 2) }
file ~ /lasthop-ring-layout\.h$/ {
    if (line ~ /include "ovs-atomic\.h"/) {
        line = "#define ATOMIC(TYPE) _Atomic(TYPE)"
    }
    print line
}
file ~ /lasthop-observe\.h$/ {
    if (line ~ /^(enum|struct) lasthop_(template|output|trail)[a-z_]* \{$/) {
        inside = 1
    }
    if (inside) {
        print line
    }
    if (line ~ /^};$/) {
        inside = 0
    }
}
