/* SPDX-License-Identifier: Apache-2.0 */
/* phfc - checks, explains and applies packet history filters. */
#include <config.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "apps/app.h"
#include "lib/history.h"
#include "lib/line_reader.h"
#include "lib/topology.h"
#include "phf/phf.h"
#include "phf/phf_explain.h"

static const char *topology_path;

/* A stream of histories, a line each. */
struct input {
    const char *name;
    FILE *stream;
    size_t line_no;
};

static void
print_line_error(const struct input *input, const char *reason)
{
    fprintf(stderr, "phfc: %s:%zu: %s\n", input->name, input->line_no, reason);
}

/* The history on a line, or NULL, with the reason printed.  A line may also be
 * an event of the API that holds one. */
static struct history *
read_history(const struct input *input, const char *line, size_t len)
{
    struct history *history = NULL;
    struct lh_error error;
    json_error_t json_error;
    json_t *json = json_loadb(line, len, 0, &json_error);
    json_t *inner = json_object_get(json, "history");

    if (!json) {
        snprintf(error.text, sizeof error.text, "column %d: not JSON: %s",
                 json_error.column, json_error.text);
        print_line_error(input, error.text);
    } else if (history_from_json(json_is_object(inner) ? inner : json,
                                 &history, &error)) {
        print_line_error(input, error.text);
    }
    json_decref(json);
    return history;
}

static bool
is_blank(const char *line)
{
    return !line[strspn(line, " \t\r\n")];
}

/* Matches every line; returns the exit status. */
static int
match_lines(const struct phf *phf, const struct topology *topology,
            struct input *input)
{
    bool any_match = false, any_error = false;
    struct line_reader lines = {.stream = input->stream};
    struct lh_error error;
    int retval;

    while (!(retval = line_reader_next(&lines, &error)) || retval == EILSEQ) {
        struct history *history;

        input->line_no = lines.n;
        if (retval) {
            print_line_error(input, error.text);
            any_error = true;
            continue;
        }
        if (is_blank(lines.text)) {
            continue;
        }
        history = read_history(input, lines.text, lines.len);
        if (!history) {
            any_error = true;
            continue;
        }
        switch (phf_match(phf, history, topology)) {
        case PHF_MATCH:
            any_match = true;
            fwrite(lines.text, 1, lines.len, stdout);
            putchar('\n');
            break;
        case PHF_MISS:
            break;
        case PHF_LIMIT:
            any_error = true;
            print_line_error(input, "back-references: gave up, neither a "
                                    "match nor a miss is known");
            break;
        }
        history_destroy(history);
    }
    if (retval == EMSGSIZE) {
        input->line_no = lines.n;
        print_line_error(input, error.text);
        any_error = true;
    } else if (retval != ENODATA) {
        fprintf(stderr, "phfc: %s: %s\n", input->name, error.text);
        any_error = true;
    }
    line_reader_uninit(&lines);
    return any_error ? APP_ERROR : any_match ? APP_FOUND : APP_NOTHING;
}

static int
match(const struct phf *phf, const struct topology *topology, const char *path)
{
    struct input input = {"(standard input)", stdin, 0};
    int status;

    if (path && strcmp(path, "-")) {
        input.name = path;
        input.stream = fopen(path, "r");
        if (!input.stream) {
            fprintf(stderr, "phfc: %s: %s\n", path, strerror(errno));
            return APP_ERROR;
        }
    }
    status = match_lines(phf, topology, &input);
    if (input.stream != stdin) {
        fclose(input.stream);
    }
    return status;
}

/* Runs the command in 'args' with a filter that is good. */
static int
run_command(const char *command, const struct phf *phf,
            const struct topology *topology, const char *path)
{
    if (!strcmp(command, "match")) {
        return match(phf, topology, path);
    }
    if (!strcmp(command, "explain")) {
        phf_explain(phf, stdout);
    } else {
        puts("ok");
    }
    return APP_FOUND;
}

static int
run(struct app *app, int n_args, char *args[])
{
    const char *command = n_args > 0 ? args[0] : "";
    bool is_match = !strcmp(command, "match");
    struct topology *topology = NULL;
    struct lh_error error;
    struct phf *phf;
    int status;

    if (!is_match && strcmp(command, "explain") && strcmp(command, "check")) {
        return app_wrong_usage(
            app, "%s",
            n_args ? "the commands are check, explain and match"
                   : "a command is missing: check, explain or match");
    }
    if (n_args < 2) {
        return app_wrong_usage(app, "a filter is missing");
    }
    if (n_args > 2 + is_match) {
        return app_wrong_usage(app, "too many arguments; a filter is one "
                                    "argument, in single quotes");
    }
    if (topology_path &&
        topology_from_file(topology_path, &topology, &error)) {
        return app_fail(app, &error, NULL);
    }
    if (phf_compile(args[1], topology, &phf, &error)) {
        status = app_fail(app, &error, args[1]);
    } else {
        status =
            run_command(command, phf, topology, n_args > 2 ? args[2] : NULL);
        phf_destroy(phf);
    }
    topology_unref(topology);
    return status;
}

static const struct app_option options[] = {
    APP_HEADING("Names"),
    {'t', "topology", "FILE", APP_FILE, &topology_path,
     .help = "Take names of switches and ports from FILE, as JSON.",
     .more = "A name in FILTER that it does not have is an error. "
             "Without it, a test of a name is never true."},
    APP_OPTIONS_END};

static const struct app_command commands[] = {
    {"check", "FILTER",
     "Say whether FILTER is a packet history filter, and if not, where not."},
    {"explain", "FILTER", "Show what FILTER was compiled to."},
    {"match", "FILTER [FILE]",
     "Copy the lines of FILE (standard input by default), each a packet "
     "history as JSON, that FILTER matches."},
    {NULL, NULL, NULL}};

static const char *const usages[] = {"[OPTION].. check FILTER",
                                     "[OPTION].. explain FILTER",
                                     "[OPTION].. match FILTER [FILE]", NULL};

static const struct app_exit exits[] = {
    {APP_FOUND, "The filter is one; with match, at least one history matched "
                "and there was no error."},
    {APP_NOTHING, "With match: no history matched."},
    {APP_ERROR,
     "The filter or an argument is wrong, a file could not be read, or a line "
     "was no history; or a filter with back-references gave up on one."},
    {0, NULL}};

static const struct app_program program = {
    .name = "phfc",
    .section = 1,
    .summary = "Checks, explains and applies packet history filters, phf(7).",
    .usages = usages,
    .commands = commands,
    .options = options,
    .exits = exits,
    .takes_files = true,
    .run = run,
};

int
main(int argc, char *argv[])
{
    return app_main(&program, argc, argv);
}
