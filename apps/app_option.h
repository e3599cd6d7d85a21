/* SPDX-License-Identifier: Apache-2.0 */
/* app_option - the options of a program, declared once in tables.
 *
 *     static bool follow;
 *     static const struct app_option options[] = {
 *         APP_HEADING("What is shown"),
 *         {'f', "follow", .type = APP_FLAG, .target = &follow,
 *          .help = "Go on with packets to come, until Ctrl-C."},
 *         APP_OPTIONS_END
 *     };
 *
 * What --help says, the manual's section OPTIONS and the completion of bash
 * and zsh are all made from the tables (apps/app_document.h), so they cannot
 * differ.
 *
 * Some options are settings too: the environment variable LASTHOP_NAME and the
 * line "name = value" of a configuration file set them (apps/app_setting.h).
 *
 * Ownership: tables are static; values point into argv or what settings were
 * read into.
 *
 * Threads: one. */
#ifndef APPS_APP_OPTION_H
#define APPS_APP_OPTION_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"

/* What an option takes and where it is put. */
enum app_option_type {
    APP_FLAG,   /* Nothing; true into a bool. */
    APP_TEXT,   /* A text; into a const char *. */
    APP_FILE,   /* The same, which is the name of a file, */
    APP_DIR,    /* or of a directory. */
    APP_CHOICE, /* One of 'choices'; into a const char *. */
    APP_NUMBER, /* A whole number from 'min' to 'max'; into a uint64_t. */
    APP_TIME,   /* A time (lib/time_spec.h); its ns into a uint64_t. */
    APP_CALL    /* What 'take' makes of it. */
};

struct app_option {
    char letter;       /* '\0': none. */
    const char *name;  /* Without dashes.  NULL: a heading, in 'help'. */
    const char *value; /* What it takes, as "FILE"; NULL: nothing. */
    enum app_option_type type;
    void *target;
    const char *help;    /* Sentences, for --help and the manual. */
    const char *more;    /* More of them, for the manual alone, or NULL. */
    const char *choices; /* Of APP_CHOICE, and what shells offer for
                          * others: words between '|'. */
    uint64_t min, max;   /* Of APP_NUMBER. */
    /* Of APP_CALL: puts 'value' (NULL for an option without one) into
     * 'target'.  0 or EINVAL with the reason. */
    int (*take)(void *target, const char *value, struct lh_error *);
    bool is_setting;
};

#define APP_HEADING(TEXT)                                                     \
    {                                                                         \
        .help = TEXT                                                          \
    }
#define APP_OPTIONS_END                                                       \
    {                                                                         \
        .help = NULL                                                          \
    }

/* True of the entry behind the last. */
bool app_option_is_end(const struct app_option *);

/* Whether what it takes is the name of a file, or of a directory. */
bool app_option_takes_file(const struct app_option *);
bool app_option_takes_dir(const struct app_option *);

/* Sets the option to 'value' (NULL: it was given without one; "yes" and "no"
 * set a flag too).  0, or EINVAL with a reason that does not name the
 * option. */
int app_option_set(const struct app_option *, const char *value,
                   struct lh_error *);

/* The option called 'name' (its first 'len' bytes, in full) in 'tables', which
 * ends in NULL; NULL when there is none. */
const struct app_option *
app_option_find(const struct app_option *const *tables, const char *name,
                size_t len);

/* Reads the command line: sets options of 'tables' and moves the other
 * arguments to argv[*first] and up.  A name may be cut short where only one
 * fits.  'given' (as many as app_option_count(), or NULL) tells which were
 * there.  0, or EINVAL with a reason that names the option. */
int app_option_parse(const struct app_option *const *tables, int argc,
                     char *argv[], int *first, bool *given, struct lh_error *);
/* Entries of all tables, headings too, without their ends. */
size_t app_option_count(const struct app_option *const *tables);
/* Entry 'i' of them. */
const struct app_option *app_option_at(const struct app_option *const *tables,
                                       size_t i);

/* For APP_CALL: a span of time ("30s", "10m"), put as nanoseconds into the
 * uint64_t at 'ns'. */
int app_option_take_span(void *ns, const char *value, struct lh_error *);

#endif /* apps/app_option.h */
