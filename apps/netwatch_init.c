/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch_init - an example for the network as it is. */
#include <config.h>
#include "apps/netwatch.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "lib/of_port.h"
#include "lib/time_spec.h"

/* Ports of one switch that a group names at most. */
#define MAX_PORTS 200

static bool
is_plain(const char *name)
{
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char) *c) && !strchr("_.-", *c)) {
            return false;
        }
    }
    return *name && strlen(name) <= 40;
}

/* As a file of invariants takes it. */
static char *
switch_name(const struct topology_switch *sw, char buf[APP_NAMES_BUFSIZE])
{
    if (sw->name && is_plain(sw->name)) {
        snprintf(buf, APP_NAMES_BUFSIZE, "%s", sw->name);
    } else {
        snprintf(buf, APP_NAMES_BUFSIZE, "%016" PRIx64, sw->dpid);
    }
    return buf;
}

static bool
is_host_port(const struct topology_port *port)
{
    return port->edge && port->no < OF_PORT_IN_PORT;
}

static size_t
count_host_ports(const struct topology_switch *sw)
{
    size_t n = 0;

    for (size_t i = 0; i < sw->n_ports; i++) {
        n += is_host_port(&sw->ports[i]);
    }
    return n;
}

static void
write_group(const struct topology_switch *sw, FILE *out)
{
    char name[APP_NAMES_BUFSIZE];
    size_t n = 0;

    switch_name(sw, name);
    fprintf(out, "group at-%s = ", name);
    for (size_t i = 0; i < sw->n_ports && n < MAX_PORTS; i++) {
        const struct topology_port *port = &sw->ports[i];

        if (!is_host_port(port)) {
            continue;
        }
        fprintf(out, "%s%s:", n++ ? ", " : "", name);
        if (port->name && is_plain(port->name)) {
            fputs(port->name, out);
        } else {
            fprintf(out, "%u", port->no);
        }
    }
    fputc('\n', out);
}

/* The first switches with hosts, for examples, and a switch without. */
struct roles {
    char here[APP_NAMES_BUFSIZE], there[APP_NAMES_BUFSIZE];
    char between[APP_NAMES_BUFSIZE];
};

static struct roles
choose_roles(const struct topology *topology)
{
    struct roles roles = {"s1", "s2", "s3"};
    size_t n = 0;
    bool has_between = false;

    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        if (count_host_ports(sw)) {
            switch_name(sw, n++ ? roles.there : roles.here);
        } else if (!has_between) {
            has_between = true;
            switch_name(sw, roles.between);
        }
    }
    if (!has_between) {
        strcpy(roles.between, roles.here);
    }
    if (n < 2) {
        strcpy(roles.there, roles.here);
    }
    return roles;
}

void
netwatch_init_write(const struct netwatch *nw, FILE *out)
{
    const struct topology *topology = app_names_topology(nw->names);
    struct roles roles = choose_roles(topology);
    char now[TIME_SPEC_BUFSIZE];
    size_t n = 0;

    time_spec_format(time_spec_now(), nw->app->is_utc, 0, now);
    fprintf(out,
            "# What must hold of all packets, an invariant a line: "
            "netwatch(1).\n"
            "#\n"
            "#     netwatch check FILE         says whether it is well "
            "written\n"
            "#     netwatch explain FILE       shows the filters it becomes\n"
            "#     netwatch FILE               watches packets as they come\n"
            "#     netwatch --last 1h FILE     looks at the last hour\n"
            "#\n"
            "# Made of the network as it was at %s (%zu switches).\n\n",
            now, topology_n_switches(topology));
    fputs("# Who is where: the ports that lead to no switch.  A group may "
          "also hold\n"
          "# addresses (10.0.1.0/24, fd00::1, 02:00:00:00:00:01), \"vlan "
          "30\", names of hosts\n"
          "# (--hosts FILE) and other groups.\n",
          out);
    for (size_t i = 0; i < topology_n_switches(topology); i++) {
        const struct topology_switch *sw = topology_switch_at(topology, i);

        if (count_host_ports(sw)) {
            write_group(sw, out);
            n++;
        }
    }
    fputs(n ? "\n" : "# (There is none at present.)\n\n", out);
    fputs("# True of nearly every network.  \"matching\" and \"except\" take "
          "what tcpdump does.\n"
          "loops: no loops\n"
          "black-holes: no black-holes except \"arp or icmp6 or multicast\"\n"
          "punts: no punts except \"arp or icmp6 or multicast\"\n\n"
          "# What else can be said; take the # away from what you mean.\n",
          out);
    fprintf(out,
            "# isolation: isolate %s%s from %s%s\n"
            "# one-way: no traffic from %s%s to %s%s except \"tcp port 80\"\n"
            "# way: waypoint %s from %s%s to %s%s\n"
            "# path: path equals %s %s %s from %s%s to %s%s\n"
            "# short: path at most %zu hops\n"
            "# web: reach within 5s from %s%s to 10.0.3.10 matching \"tcp "
            "port 80\"\n"
            "# heartbeat: reach every 1m from %s%s to %s%s\n",
            n ? "at-" : "", roles.here, n > 1 ? "at-" : "", roles.there,
            n ? "at-" : "", roles.here, n > 1 ? "at-" : "", roles.there,
            roles.between, n ? "at-" : "", roles.here, n > 1 ? "at-" : "",
            roles.there, roles.here, roles.between, roles.there,
            n ? "at-" : "", roles.here, n > 1 ? "at-" : "", roles.there,
            topology_n_switches(topology) + 1, n ? "at-" : "", roles.here,
            n ? "at-" : "", roles.here, n > 1 ? "at-" : "", roles.there);
}
