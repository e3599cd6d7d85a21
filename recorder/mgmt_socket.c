/* SPDX-License-Identifier: Apache-2.0 */
/* mgmt_socket - where Open vSwitch has the management sockets. */
#include <config.h>
#include "recorder/mgmt_socket.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define DEFAULT_DIRECTORY "/var/run/openvswitch"

char *
mgmt_socket(const char *db, const char *bridge)
{
    const char *slash = db ? strrchr(db, '/') : NULL;
    const char *given = getenv("OVS_RUNDIR");

    if (slash && !strncmp(db, "unix:", 5)) {
        return lh_asprintf("unix:%.*s/%s.mgmt", (int) (slash - db - 5), db + 5,
                           bridge);
    }
    return lh_asprintf("unix:%s/%s.mgmt", given ? given : DEFAULT_DIRECTORY,
                       bridge);
}
