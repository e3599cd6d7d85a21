/* SPDX-License-Identifier: Apache-2.0 */
/* phfc - checks, explains and applies packet history filters. */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "lib/history.h"
#include "lib/line_reader.h"
#include "lib/topology.h"
#include "phf/phf.h"
#include "phf/phf_explain.h"

enum { EXIT_FOUND = 0, EXIT_NONE = 1, EXIT_ERROR = 2 };

static const char usage[] =
    "usage: phfc [--topology FILE] check FILTER\n"
    "       phfc [--topology FILE] explain FILTER\n"
    "       phfc [--topology FILE] match FILTER [FILE]\n"
    "\n"
    "check    says whether FILTER is a packet history filter, and if not, "
    "where not\n"
    "explain  shows what FILTER was compiled to\n"
    "match    copies the lines of FILE (standard input by default), each a\n"
    "         packet history as JSON, that FILTER matches\n"
    "\n"
    "  -t, --topology FILE  names of switches and ports, as JSON\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "Exit status: 0 done (match: some matched), 1 none matched, 2 an error.\n"
    "phfc(1) says more; phf(7) is the language.\n";

/* A stream of histories, a line each. */
struct input {
    const char *name;
    FILE *stream;
    size_t line_no;
};

static void
print_filter_error(const char *filter, const struct lh_error *error)
{
    char *underlined = phf_underline(filter, error);

    fprintf(stderr, "phfc: %s\n", error->text);
    if (underlined) {
        fprintf(stderr, "%s\n", underlined);
    }
    free(underlined);
}

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
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "phfc: standard output: %s\n", strerror(errno));
        any_error = true;
    }
    return any_error ? EXIT_ERROR : any_match ? EXIT_FOUND : EXIT_NONE;
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
            return EXIT_ERROR;
        }
    }
    status = match_lines(phf, topology, &input);
    if (input.stream != stdin) {
        fclose(input.stream);
    }
    return status;
}

static int
wrong_usage(const char *what)
{
    fprintf(stderr, "phfc: %s\nphfc --help says more\n", what);
    return EXIT_ERROR;
}

/* Runs the command in 'args', which getopt left over. */
static int
run(int n_args, char *args[], const struct topology *topology)
{
    const char *command = n_args > 0 ? args[0] : "";
    bool is_match = !strcmp(command, "match");
    bool is_explain = !strcmp(command, "explain");
    struct lh_error error;
    struct phf *phf;
    int status = EXIT_FOUND;

    if (!is_match && !is_explain && strcmp(command, "check")) {
        return wrong_usage(n_args ? "the commands are check, explain and match"
                                  : "a command is missing: check, explain or "
                                    "match");
    }
    if (n_args < 2) {
        return wrong_usage("a filter is missing");
    }
    if (n_args > 2 + is_match) {
        return wrong_usage("too many arguments; a filter is one argument, in "
                           "single quotes");
    }
    if (phf_compile(args[1], topology, &phf, &error)) {
        print_filter_error(args[1], &error);
        return EXIT_ERROR;
    }
    if (is_match) {
        status = match(phf, topology, args[2]);
    } else if (is_explain) {
        phf_explain(phf, stdout);
    } else {
        puts("ok");
    }
    phf_destroy(phf);
    return status;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"topology", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    struct topology *topology = NULL;
    struct lh_error error;
    int c, status;

    while ((c = getopt_long(argc, argv, "t:hV", options, NULL)) != -1) {
        switch (c) {
        case 't':
            topology_unref(topology);
            topology = NULL;
            if (topology_from_file(optarg, &topology, &error)) {
                fprintf(stderr, "phfc: %s\n", error.text);
                return EXIT_ERROR;
            }
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_FOUND;
        case 'V':
            puts("phfc (lasthop) " PACKAGE_VERSION);
            return EXIT_FOUND;
        default: /* getopt_long() has said what is wrong. */
            fputs("phfc --help says more\n", stderr);
            return EXIT_ERROR;
        }
    }
    status = run(argc - optind, argv + optind, topology);
    topology_unref(topology);
    return status;
}
