/* SPDX-License-Identifier: Apache-2.0 */
/* ndb - a debugger for packets: what happened to them, hop by hop. */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/app.h"
#include "apps/app_interrupt.h"
#include "apps/ndb.h"
#include "apps/ndb_commands.h"
#include "apps/ndb_prompt.h"
#include "apps/ndb_script.h"
#include "lib/lh_alloc.h"

/* One -e or -x. */
struct job {
    bool is_file;
    const char *text;
};

static struct options {
    bool is_interactive;
    size_t n_jobs, allocated_jobs;
    struct job *jobs; /* Owned. */
} options;

static enum ndb_status
run_jobs(struct ndb *ndb, const struct options *o)
{
    enum ndb_status status = NDB_OK;

    for (size_t i = 0; i < o->n_jobs && ndb_script_goes_on(ndb, status); i++) {
        status = ndb_script_graver(
            status, o->jobs[i].is_file ? ndb_script_run(ndb, o->jobs[i].text)
                                       : ndb_run(ndb, o->jobs[i].text));
    }
    if (!o->is_interactive && ndb_script_lacks_end(ndb)) {
        status = NDB_ERROR;
    }
    return status;
}

static enum ndb_status
run_prompt(struct ndb *ndb)
{
    struct ndb_prompt *prompt = ndb_prompt_create(ndb);
    char *line, *last = NULL;

    ndb->is_interactive = true;
    if (!ndb->topology) {
        ndb_refresh_topology(ndb); /* For Tab. */
    }
    while (!ndb->wants_quit && (line = ndb_prompt_read(prompt))) {
        bool is_blank = !line[strspn(line, " \t\r\n")];

        if (app_interrupt_came()) {
            ndb->breaks.defining = 0;
        } else if (!is_blank || ndb->breaks.defining) {
            ndb_run(ndb, line);
            free(last);
            last = lh_strdup(line);
        } else if (last && ndb_commands_repeats(last)) {
            ndb_run(ndb, last);
        }
        free(line);
    }
    free(last);
    ndb_prompt_destroy(prompt);
    return NDB_OK;
}

static enum ndb_status
run(struct ndb *ndb, const struct options *o)
{
    bool is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    enum ndb_status status = run_jobs(ndb, o);

    if (ndb->wants_quit || (o->n_jobs && !o->is_interactive)) {
        return status;
    }
    return is_terminal ? run_prompt(ndb)
                       : ndb_script_graver(status, ndb_script_run(ndb, "-"));
}

/* --- options ------------------------------------------------------------- */

static int
add_job(struct options *o, bool is_file, const char *text)
{
    o->jobs =
        lh_alloc_grow(o->jobs, o->n_jobs, &o->allocated_jobs, sizeof *o->jobs);
    o->jobs[o->n_jobs++] = (struct job){is_file, text};
    return 0;
}

static int
take_command(void *o, const char *text, struct lh_error *error)
{
    return add_job(o, false, text);
}

static int
take_script(void *o, const char *path, struct lh_error *error)
{
    return add_job(o, true, path);
}

static const struct app_option ndb_options[] = {
    APP_HEADING("What is done"),
    {'e', "execute", "CMD", APP_CALL, &options, .take = take_command,
     .help = "Run CMD; may be given again, also with --script."},
    {'x', "script", "FILE", APP_CALL, &options, .take = take_script,
     .help = "Run the commands in FILE (- is standard input), one a line.",
     .more = "Lines that begin with # are comments. "
             "Commands and scripts are run in the order in which they are "
             "given. "
             "A script ends at the first error, but goes on when nothing was "
             "found."},
    {'i', "interactive", .type = APP_FLAG, .target = &options.is_interactive,
     .help = "Go on at the prompt after --execute and --script."},
    APP_OPTIONS_END};

static int
debug(struct app *app, int argc, char *argv[])
{
    struct app_source *source;
    struct app_names *names;
    struct lh_error error;
    enum ndb_status status;
    struct ndb ndb;

    if (argc) {
        return app_wrong_usage(app, "commands are given with -e");
    }
    if (app_names_create(app->hosts, &names, &error)) {
        return app_fail(app, &error, NULL);
    }
    if (app_open_source(app, &source, &error)) {
        app_names_destroy(names);
        return app_fail(app, &error, NULL);
    }
    ndb_init(&ndb, app, source, names);
    app_interrupt_init();
    status = run(&ndb, &options);
    ndb_uninit(&ndb);
    free(options.jobs);
    return (int) status;
}

static const char *const usages[] = {"[OPTION].. [-e CMD | -x FILE]..", NULL};

static const struct app_exit exits[] = {
    {NDB_OK, "All went well."},
    {NDB_NOTHING, "A find or continue found nothing, or there was nothing to "
                  "show."},
    {NDB_ERROR, "An error."},
    {NDB_INTERRUPTED, "Interrupted by Ctrl-C."},
    {0, NULL}};

static const struct app_program program = {
    .name = "ndb",
    .section = 1,
    .summary = "A debugger for packets: what happened to them, hop by hop.\n"
               "Without -e and -x it reads commands from standard input, at a "
               "terminal\n"
               "with a prompt.  \"help\" there lists the commands.",
    .usages = usages,
    .has = APP_HAS_SOURCE | APP_HAS_SHOWING | APP_HAS_JSON,
    .options = ndb_options,
    .examples =
        "  ndb -e 'find {{--outport DROP}}$ --since -10m' -e bt -e 'info "
        "table'\n",
    .exits = exits,
    .run = debug,
};

int
main(int argc, char *argv[])
{
    return app_main(&program, argc, argv);
}
