/* SPDX-License-Identifier: Apache-2.0 */
/* name_miss - says that nothing is called so, and what there is. */
#include <config.h>

#include "lib/name_miss.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct name_miss
name_miss_init(const char *text)
{
    return (struct name_miss){.text = text, .nearest = nearest_init(text)};
}

void
name_miss_try(struct name_miss *m, const char *name)
{
    static const char more[] = ", ...";

    nearest_try(&m->nearest, name);
    if (!name || m->used == sizeof m->known) {
        return;
    }
    if (m->used + strlen(name) + 2 + sizeof more > sizeof m->known) {
        strcpy(m->known + m->used, m->used ? more : more + 2);
        m->used = sizeof m->known;
        return;
    }
    m->used += (size_t) snprintf(m->known + m->used, sizeof m->known - m->used,
                                 "%s%s", m->used ? ", " : "", name);
}

void
name_miss_try_switches(struct name_miss *m, const struct topology *topology)
{
    size_t n = topology ? topology_n_switches(topology) : 0;

    for (size_t i = 0; i < n; i++) {
        name_miss_try(m, topology_switch_at(topology, i)->name);
    }
}

void
name_miss_try_ports(struct name_miss *m, const struct topology_switch *sw)
{
    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        name_miss_try(m, sw->ports[i].name);
    }
}

void
name_miss_set(const struct name_miss *m, const char *what,
              struct lh_error *error)
{
    const char *name = nearest_name(&m->nearest);
    bool is_any = m->used != 0;

    lh_error_set(error, "no %s is called \"%.100s\"%s%s%s%s%s", what, m->text,
                 is_any ? "; there is "
                        : "; none has a name here, so give "
                          "its number",
                 m->known, name ? "; is \"" : "", name ? name : "",
                 name ? "\" meant?" : "");
}
