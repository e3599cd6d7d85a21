/* SPDX-License-Identifier: Apache-2.0 */
/* netwatch - what the files of netwatch share; for them only.
 *
 * Threads: one. */
#ifndef APPS_NETWATCH_H
#define APPS_NETWATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "apps/alarm_board.h"
#include "apps/alert_command.h"
#include "apps/app.h"
#include "apps/app_names.h"
#include "apps/app_source.h"
#include "apps/invariant_file.h"

/* Exit statuses beside those of apps/app.h. */
enum {
    NETWATCH_HOLDS = APP_FOUND,
    NETWATCH_VIOLATED = APP_NOTHING,
    NETWATCH_UNSEEN = 3 /* Nothing violated, but not everything seen. */
};

struct netwatch {
    const struct app *app;
    const char *path;              /* Of the file of invariants. */
    struct app_source *source;     /* Owned. */
    struct app_names *names;       /* Owned. */
    struct invariant_file *file;   /* Owned. */
    struct alarm_board *board;     /* Owned. */
    struct alert_command *command; /* NULL: none.  Owned. */
    uint64_t clear_ns, remind_ns;
    uint64_t end_ns; /* Of what is live; 0: none. */
    bool is_quiet;   /* No words about what holds. */
    bool has_unseen; /* Something was not seen. */
};

/* netwatch_report.c: an alert, to standard output and the command. */
void netwatch_report(struct netwatch *, const struct alarm_event *);
/* That not all was seen: said on standard error, and as JSON where that is
 * printed. */
void netwatch_report_unseen(struct netwatch *, uint64_t since_ns,
                            uint64_t until_ns, const char *why);
/* What became of all invariants; returns the exit status. */
int netwatch_report_totals(struct netwatch *);

/* netwatch_past.c, netwatch_live.c: watch, and return the exit status. */
int netwatch_past(struct netwatch *);
int netwatch_live(struct netwatch *);

/* netwatch_init.c: an example for the network as it is. */
void netwatch_init_write(const struct netwatch *, FILE *);

#endif /* apps/netwatch.h */
