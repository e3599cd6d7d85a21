/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_script - commands from a file. */
#include <config.h>
#include "apps/ndb_script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_interrupt.h"

/* Scripts that run scripts. */
#define MAX_DEPTH 16

enum ndb_status
ndb_script_graver(enum ndb_status a, enum ndb_status b)
{
    return a > b ? a : b;
}

bool
ndb_script_goes_on(const struct ndb *ndb, enum ndb_status status)
{
    return !ndb->wants_quit && status < NDB_ERROR;
}

bool
ndb_script_lacks_end(struct ndb *ndb)
{
    bool lacks = ndb->breaks.defining != 0;

    if (lacks) {
        fprintf(stderr, "%s: the commands of breakpoint %u lack their end\n",
                ndb->where, ndb->breaks.defining);
        ndb->breaks.defining = 0;
    }
    return lacks;
}

static enum ndb_status
run_stream(struct ndb *ndb, FILE *stream, const char *name)
{
    enum ndb_status status = NDB_OK;
    unsigned int line_no = 0;
    char *line = NULL;
    size_t size = 0;
    char where[sizeof ndb->where];

    strcpy(where, ndb->where);
    while (ndb_script_goes_on(ndb, status) &&
           getline(&line, &size, stream) >= 0) {
        snprintf(ndb->where, sizeof ndb->where, "%s:%u", name, ++line_no);
        status = ndb_script_graver(status, ndb_run(ndb, line));
    }
    if (ndb_script_goes_on(ndb, status) && ferror(stream) &&
        app_interrupt_came()) {
        status = NDB_INTERRUPTED;
    } else if (ndb_script_goes_on(ndb, status) && ferror(stream)) {
        fprintf(stderr, "ndb: %s: %s\n", name, strerror(errno));
        status = NDB_ERROR;
    }
    if (ndb_script_lacks_end(ndb)) {
        status = NDB_ERROR;
    }
    strcpy(ndb->where, where);
    free(line);
    return status;
}

enum ndb_status
ndb_script_run(struct ndb *ndb, const char *path)
{
    enum ndb_status status;
    FILE *stream;

    if (!strcmp(path, "-")) {
        return run_stream(ndb, stdin, "(standard input)");
    }
    stream = fopen(path, "r");
    if (!stream) {
        fprintf(stderr, "%s: %s: %s\n", ndb->where, path, strerror(errno));
        return NDB_ERROR;
    }
    status = run_stream(ndb, stream, path);
    fclose(stream);
    return status;
}

enum ndb_status
ndb_script_source(struct ndb *ndb, const char *args)
{
    static unsigned int depth;
    enum ndb_status status;
    struct lh_error error;

    if (!*args || depth == MAX_DEPTH) {
        lh_error_set(&error, !*args ? "source what? Give a file"
                                    : "scripts run each other too deeply");
        return ndb_fail(ndb, &error, NULL);
    }
    depth++;
    status = ndb_script_run(ndb, args);
    depth--;
    return status;
}
