/* SPDX-License-Identifier: Apache-2.0 */
/* app - what every program for people begins and ends with.
 *
 *     static int
 *     run(struct app *app, int argc, char *argv[])   (argv: what is no option)
 *     {
 *         if (app_open_source(app, &source, &error)) {
 *             return app_fail(app, &error, NULL);
 *         }
 *         ...
 *         return n ? APP_FOUND : APP_NOTHING;
 *     }
 *
 *     static const struct app_program program = {
 *         .name = "netshark", .summary = "..", .has = APP_HAS_SOURCE |
 *         APP_HAS_RANGE | APP_HAS_SHOWING, .options = options, .run = run, ..
 *     };
 *
 *     int
 *     main(int argc, char *argv[])
 *     {
 *         return app_main(&program, argc, argv);
 *     }
 *
 * The frame reads settings (apps/app_setting.h) and the command line
 * (apps/app_option.h), answers --help and --version, and says when standard
 * output could not be written.  It leaves SIGPIPE to end the program, as any
 * filter does when nobody reads on.
 *
 * As the first argument, "--generate" and "help", "bash", "zsh", or "manual"
 * and a file, writes what the build makes of the options
 * (apps/app_document.h).
 *
 * Threads: one; a process runs one program. */
#ifndef APPS_APP_H
#define APPS_APP_H 1

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "apps/app_option.h"
#include "apps/app_source.h"
#include "lib/lh_error.h"
#include "lib/time_spec.h"

/* Exit statuses that mean the same everywhere; programs may have more. */
enum {
    APP_FOUND = 0,   /* Something was found, or done. */
    APP_NOTHING = 1, /* Nothing was. */
    APP_ERROR = 2,   /* Wrong usage, or it could not be done. */
    APP_INTERRUPTED = 130
};

/* Options that the frame brings, for struct app_program's 'has'. */
#define APP_HAS_SERVER  (1u << 0) /* --server, --tls-.., --timeout */
#define APP_HAS_ARCHIVE (1u << 5) /* --read, --flow-log */
#define APP_HAS_SOURCE  (APP_HAS_SERVER | APP_HAS_ARCHIVE)
#define APP_HAS_RANGE   (1u << 1) /* --since, --until, --last SPAN */
#define APP_HAS_COUNTS  (1u << 2) /* --last N, --first N, --all */
#define APP_HAS_LOOKS   (1u << 3) /* --color, --hosts */
#define APP_HAS_TIMES   (1u << 6) /* --utc, --time-format */
#define APP_HAS_SHOWING (APP_HAS_LOOKS | APP_HAS_TIMES)
#define APP_HAS_JSON    (1u << 4) /* --json */

struct app_command {
    const char *name; /* One word, or two: "select add".  NULL: the end. */
    const char *args; /* "" for none.  Shells offer what is between '|' in it,
                       * and files or directories where it ends in FILE or
                       * DIR. */
    const char *help;
};

struct app_exit {
    int status;
    const char *meaning; /* NULL: the end. */
};

/* A line of the manual's .in file that is replaced by what 'put' writes. */
struct app_fragment {
    const char *line; /* NULL: the end. */
    void (*put)(FILE *);
};

struct app;

struct app_program {
    const char *name;
    unsigned int section;               /* Of its manual. */
    const char *summary;                /* A sentence. */
    const char *const *usages;          /* What follows the name; NULL ends. */
    const struct app_command *commands; /* NULL: none. */
    unsigned int has;
    const struct app_option *options; /* Its own, before the frame's; NULL:
                                       * none. */
    const char *examples;             /* Lines, for --help; NULL: none. */
    const struct app_exit *exits;
    const struct app_fragment *fragments; /* NULL: none. */
    bool takes_files; /* Shells offer files for what is no option. */
    int (*run)(struct app *, int argc, char *argv[]);
};

struct app {
    const struct app_program *program;

    /* Of options. */
    const char *server;   /* NULL: the default socket. */
    const char *archive;  /* NULL: a server. */
    const char *flow_log; /* NULL: the one that the archive names. */
    const char *tls_key, *tls_cert, *tls_ca; /* PEM files, or NULL. */
    uint64_t timeout_s;                      /* For answers. */
    uint64_t since_ns;                       /* 0: no limit. */
    uint64_t until_ns;                       /* 0: no limit. */
    uint64_t last_n;                         /* 0: not given. */
    uint64_t first_n;                        /* 0: not given. */
    bool is_all;
    bool is_json;
    bool is_utc;
    const char *time_format, *color_when;
    const char *hosts; /* A file, or NULL. */

    /* For what is printed. */
    bool color;
    int width; /* Columns of standard output; 0: no limit. */
};

/* Runs the program; the result is main()'s. */
int app_main(const struct app_program *, int argc, char *argv[]);

/* Opens the server or the archive that was asked for. */
int app_open_source(const struct app *, struct app_source **,
                    struct lh_error *);

/* Where a server at 'address' is, and how it is asked, as the options say. */
struct app_server app_server_at(const struct app *, const char *address);
/* The address of the server that was asked for, for free(). */
char *app_server_address(const struct app *);

/* Says "PROGRAM: error" on stderr, with the place in 'text' underlined when
 * the error has one ('text' may be NULL).  Returns APP_ERROR. */
int app_fail(const struct app *, const struct lh_error *, const char *text);
/* Says "PROGRAM: what" on stderr. */
void app_say(const struct app *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same of a wrong command line, with where to read on.  Returns
 * APP_ERROR. */
int app_wrong_usage(const struct app *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes a time as --time-format and --utc want it. */
char *app_format_time(const struct app *, uint64_t ns,
                      char buf[TIME_SPEC_BUFSIZE]);

/* 'one' of 1, otherwise 'many'. */
const char *app_noun(uint64_t n, const char *one, const char *many);

/* All tables of options of 'program', ending in NULL, good until the next
 * call. */
const struct app_option *const *app_tables(const struct app_program *);

#endif /* apps/app.h */
