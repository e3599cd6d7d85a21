/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_run - the state of one run of the debugger, and running a command. */
#include <config.h>
#include "apps/ndb.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "apps/app_interrupt.h"
#include "apps/app_pager.h"
#include "apps/ndb_break.h"
#include "apps/ndb_commands.h"
#include "lib/lh_alloc.h"
#include "phf/phf.h"

void
ndb_init(struct ndb *ndb, const struct app *app, struct app_source *source,
         struct app_names *names)
{
    memset(ndb, 0, sizeof *ndb);
    ndb->source = source;
    ndb->names = names;
    ndb->out = stdout;
    ndb->app = app;
    ndb->color = app->color;
    ndb->width = app->width;
    strcpy(ndb->where, "ndb");
}

void
ndb_uninit(struct ndb *ndb)
{
    ndb_clear_found(ndb);
    ndb_break_uninit(&ndb->breaks);
    free(ndb->found);
    free(ndb->since);
    free(ndb->until);
    topology_unref(ndb->topology);
    app_source_close(ndb->source);
    app_names_destroy(ndb->names);
}

enum ndb_status
ndb_fail(const struct ndb *ndb, const struct lh_error *error, const char *text)
{
    char *underlined = text ? phf_underline(text, error) : NULL;

    fflush(ndb->out);
    fprintf(stderr, "%s: %s\n", ndb->where, error->text);
    if (underlined) {
        fprintf(stderr, "%s\n", underlined);
    }
    free(underlined);
    return NDB_ERROR;
}

void
ndb_clear_found(struct ndb *ndb)
{
    for (size_t i = 0; i < ndb->n_found; i++) {
        history_destroy(ndb->found[i]);
    }
    ndb->n_found = ndb->current = ndb->frame = 0;
}

void
ndb_add_found(struct ndb *ndb, struct history *history)
{
    ndb->found = lh_alloc_grow(ndb->found, ndb->n_found, &ndb->allocated_found,
                               sizeof *ndb->found);
    ndb->found[ndb->n_found++] = history;
}

const struct history *
ndb_history(const struct ndb *ndb)
{
    return ndb->n_found ? ndb->found[ndb->current] : NULL;
}

const struct history_hop *
ndb_hop(const struct ndb *ndb)
{
    const struct history *h = ndb_history(ndb);

    return h && ndb->frame < h->n_hops ? &h->hops[ndb->frame] : NULL;
}

void
ndb_refresh_topology(struct ndb *ndb)
{
    const struct history *h = ndb_history(ndb);
    uint64_t at_ns = h ? history_first_ns(h) : 0;
    struct topology *topology;

    if (!app_source_topology(ndb->source, at_ns ? at_ns : UINT64_MAX,
                             &topology, NULL)) {
        topology_unref(ndb->topology);
        ndb->topology = topology;
        app_names_set_topology(ndb->names, topology);
    }
}

/* Runs 'command' with its output paged if that is wanted. */
static enum ndb_status
run_command(struct ndb *ndb, const struct ndb_command *command,
            const char *args)
{
    bool is_paged = command->is_paged && ndb->is_interactive;
    enum ndb_status status;

    if (is_paged) {
        ndb->out = app_pager_open();
    }
    status = command->run(ndb, args);
    if (is_paged) {
        app_pager_close(ndb->out);
        ndb->out = stdout;
    }
    fflush(stdout);
    return app_interrupt_came() ? NDB_INTERRUPTED : status;
}

enum ndb_status
ndb_run(struct ndb *ndb, const char *line)
{
    const struct ndb_command *command;
    enum ndb_status status;
    struct lh_error error;
    size_t name_len = 0;
    char *args;
    size_t len;

    if (ndb->breaks.defining) {
        ndb_break_take_line(ndb, line);
        return NDB_OK;
    }
    line += strspn(line, " \t\r\n");
    if (!*line || *line == '#') {
        return NDB_OK;
    }
    while (isalpha((unsigned char) line[name_len])) {
        name_len++;
    }
    if (!name_len) {
        lh_error_set(&error, "commands begin with a letter; \"help\" lists "
                             "them");
        return ndb_fail(ndb, &error, NULL);
    }
    command = ndb_commands_find(line, name_len, &error);
    if (!command) {
        return ndb_fail(ndb, &error, NULL);
    }
    args = lh_strdup(line + name_len + strspn(line + name_len, " \t\r\n"));
    for (len = strlen(args); len && strchr(" \t\r\n", args[len - 1]);) {
        args[--len] = '\0';
    }
    status = run_command(ndb, command, args);
    free(args);
    return status;
}
