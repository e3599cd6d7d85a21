/* SPDX-License-Identifier: Apache-2.0 */
/* ovsdb_paths - where the sockets of an Open vSwitch of this host are. */
#include <config.h>
#include "recorder/ovsdb_paths.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

char *
ovsdb_paths_directory(const char *db)
{
    const char *slash = strrchr(db, '/');

    return strncmp(db, "unix:", 5) || !slash
               ? NULL
               : lh_asprintf("%.*s", (int) (slash - db - 5), db + 5);
}

char *
ovsdb_paths_control(const char *directory)
{
    char *pid_path = lh_asprintf("%s/ovs-vswitchd.pid", directory);
    char *pattern = lh_asprintf("%s/*vswitchd*.ctl", directory);
    FILE *file = fopen(pid_path, "r");
    char *path = NULL;
    glob_t found;
    long pid;

    if (file) {
        if (fscanf(file, "%ld", &pid) == 1) {
            path = lh_asprintf("%s/ovs-vswitchd.%ld.ctl", directory, pid);
        }
        fclose(file);
    } else if (!glob(pattern, 0, NULL, &found)) {
        path = lh_strdup(found.gl_pathv[0]);
        globfree(&found);
    }
    free(pid_path);
    free(pattern);
    return path;
}
