/* SPDX-License-Identifier: Apache-2.0 */
/* ndb - a debugger for packets: what happened to them, hop by hop. */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ndb.h"
#include "apps/ndb_interrupt.h"
#include "apps/ndb_prompt.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"

static const char usage[] =
    "usage: ndb [-s SOCKET | -r DIR] [OPTION].. [-e CMD | -x FILE]..\n"
    "\n"
    "  -s, --socket SOCKET  ask the server there "
    "($LASTHOP_RUNDIR/server.sock,\n"
    "                       /run/lasthop/server.sock by default)\n"
    "  -r, --read DIR       read the archive in DIR instead, without a "
    "server\n"
    "      --flow-log FILE  with -r: the recorder's flow log, where the "
    "archive\n"
    "                       does not name it\n"
    "  -e, --execute CMD    run CMD; may be given again, also with -x\n"
    "  -x, --script FILE    run the commands in FILE (- is standard input)\n"
    "  -i, --interactive    go on at the prompt after -e and -x\n"
    "  -j, --json           print JSON, an object a line\n"
    "      --utc            print times in UTC\n"
    "      --color WHEN     auto, always or never\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "Without -e and -x it reads commands from standard input, at a terminal\n"
    "with a prompt.  \"help\" there lists the commands.  Try:\n"
    "\n"
    "  ndb -e 'find {{--outport DROP}}$ --since -10m' -e bt -e 'info table'\n"
    "\n"
    "Exit status: 0 done, 1 nothing was found, 2 an error, 130 interrupted.\n";

/* One -e or -x. */
struct job {
    bool is_file;
    const char *text;
};

struct options {
    const char *socket, *archive, *flow_log;
    bool json, utc, is_interactive;
    const char *color;
    size_t n_jobs, allocated_jobs;
    struct job *jobs; /* Owned. */
};

static enum ndb_status
graver(enum ndb_status a, enum ndb_status b)
{
    return a > b ? a : b;
}

/* A script ends at an error, not because nothing was found. */
static bool
goes_on(const struct ndb *ndb, enum ndb_status status)
{
    return !ndb->wants_quit && status < NDB_ERROR;
}

static enum ndb_status
run_stream(struct ndb *ndb, FILE *stream, const char *name)
{
    enum ndb_status status = NDB_OK;
    unsigned int line_no = 0;
    char *line = NULL;
    size_t size = 0;

    while (goes_on(ndb, status) && getline(&line, &size, stream) >= 0) {
        snprintf(ndb->where, sizeof ndb->where, "%s:%u", name, ++line_no);
        status = graver(status, ndb_run(ndb, line));
    }
    if (goes_on(ndb, status) && ferror(stream) && ndb_interrupt_came()) {
        status = NDB_INTERRUPTED;
    } else if (goes_on(ndb, status) && ferror(stream)) {
        fprintf(stderr, "ndb: %s: %s\n", name, strerror(errno));
        status = NDB_ERROR;
    }
    strcpy(ndb->where, "ndb");
    free(line);
    return status;
}

static enum ndb_status
run_file(struct ndb *ndb, const char *path)
{
    enum ndb_status status;
    FILE *stream;

    if (!strcmp(path, "-")) {
        return run_stream(ndb, stdin, "(standard input)");
    }
    stream = fopen(path, "r");
    if (!stream) {
        fprintf(stderr, "ndb: %s: %s\n", path, strerror(errno));
        return NDB_ERROR;
    }
    status = run_stream(ndb, stream, path);
    fclose(stream);
    return status;
}

static enum ndb_status
run_jobs(struct ndb *ndb, const struct options *o)
{
    enum ndb_status status = NDB_OK;

    for (size_t i = 0; i < o->n_jobs && goes_on(ndb, status); i++) {
        status =
            graver(status, o->jobs[i].is_file ? run_file(ndb, o->jobs[i].text)
                                              : ndb_run(ndb, o->jobs[i].text));
    }
    return status;
}

static enum ndb_status
run_prompt(struct ndb *ndb)
{
    struct ndb_prompt *prompt = ndb_prompt_create();
    char *line;

    ndb->is_interactive = true;
    while (!ndb->wants_quit && (line = ndb_prompt_read(prompt))) {
        ndb_run(ndb, line);
        free(line);
    }
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
    return is_terminal
               ? run_prompt(ndb)
               : graver(status, run_stream(ndb, stdin, "(standard input)"));
}

/* --- options ------------------------------------------------------------- */

static void
add_job(struct options *o, bool is_file, const char *text)
{
    o->jobs =
        lh_alloc_grow(o->jobs, o->n_jobs, &o->allocated_jobs, sizeof *o->jobs);
    o->jobs[o->n_jobs++] = (struct job){is_file, text};
}

static bool
is_color_word(const char *word)
{
    return !strcmp(word, "auto") || !strcmp(word, "always") ||
           !strcmp(word, "never");
}

/* Returns -1 to go on, or an exit status. */
static int
parse_options(int argc, char *argv[], struct options *o)
{
    enum { OPT_FLOW_LOG = 256, OPT_UTC, OPT_COLOR };
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"read", required_argument, NULL, 'r'},
        {"flow-log", required_argument, NULL, OPT_FLOW_LOG},
        {"execute", required_argument, NULL, 'e'},
        {"script", required_argument, NULL, 'x'},
        {"interactive", no_argument, NULL, 'i'},
        {"json", no_argument, NULL, 'j'},
        {"utc", no_argument, NULL, OPT_UTC},
        {"color", required_argument, NULL, OPT_COLOR},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "s:r:e:x:ijhV", options, NULL)) !=
           -1) {
        switch (c) {
        case 's':
            o->socket = optarg;
            break;
        case 'r':
            o->archive = optarg;
            break;
        case OPT_FLOW_LOG:
            o->flow_log = optarg;
            break;
        case 'e':
        case 'x':
            add_job(o, c == 'x', optarg);
            break;
        case 'i':
            o->is_interactive = true;
            break;
        case 'j':
            o->json = true;
            break;
        case OPT_UTC:
            o->utc = true;
            break;
        case OPT_COLOR:
            o->color = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            return NDB_OK;
        case 'V':
            puts("ndb (lasthop) " PACKAGE_VERSION);
            return NDB_OK;
        default:
            fputs("ndb --help says more\n", stderr);
            return NDB_ERROR;
        }
    }
    if (optind < argc || (o->socket && o->archive) ||
        (o->flow_log && !o->archive) ||
        (o->color && !is_color_word(o->color))) {
        fprintf(stderr, "ndb: %s\n",
                optind < argc             ? "commands are given with -e"
                : o->socket && o->archive ? "-s and -r exclude each other"
                : o->flow_log && !o->archive
                    ? "--flow-log belongs to -r"
                    : "--color is auto, always or never");
        return NDB_ERROR;
    }
    return -1;
}

static int
open_source(const struct options *o, struct ndb_source **sourcep,
            struct lh_error *error)
{
    char *path;
    int retval;

    if (o->archive) {
        return ndb_source_open_archive(o->archive, o->flow_log, sourcep,
                                       error);
    }
    path =
        o->socket ? lh_strdup(o->socket) : api_socket_path(API_SOCKET_SERVER);
    retval = ndb_source_open_server(path, sourcep, error);
    free(path);
    return retval;
}

static int
debug(const struct options *o)
{
    struct ndb_source *source;
    struct lh_error error;
    enum ndb_status status;
    struct ndb ndb;

    if (open_source(o, &source, &error)) {
        fprintf(stderr, "ndb: %s\n", error.text);
        return NDB_ERROR;
    }
    ndb_init(&ndb, source);
    ndb.json = o->json;
    ndb.utc = o->utc;
    if (o->color && strcmp(o->color, "auto") != 0) {
        ndb.color = !strcmp(o->color, "always");
    }
    ndb_interrupt_init();
    status = run(&ndb, o);
    ndb_uninit(&ndb);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "ndb: standard output: %s\n", strerror(errno));
        status = graver(status, NDB_ERROR);
    }
    return (int) status;
}

int
main(int argc, char *argv[])
{
    struct options o = {.json = false};
    int status;

    setlocale(LC_CTYPE, "");
    status = parse_options(argc, argv, &o);
    if (status < 0) {
        status = debug(&o);
    }
    free(o.jobs);
    return status;
}
