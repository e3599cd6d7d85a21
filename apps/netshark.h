/* SPDX-License-Identifier: Apache-2.0 */
/* netshark - what the files of netshark share; for them only.
 *
 * Threads: one. */
#ifndef APPS_NETSHARK_H
#define APPS_NETSHARK_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "apps/app.h"
#include "apps/app_names.h"
#include "apps/app_rules.h"
#include "apps/app_source.h"
#include "lib/history.h"

struct netshark_field;
struct netshark_capture;

struct netshark {
    const struct app *app;
    struct app_source *source; /* Owned. */
    struct app_names *names;   /* Owned. */
    struct app_rules *rules;   /* Owned. */
    FILE *out;

    /* Which hops of a history are shown, where hops are. */
    enum { NETSHARK_ALL_HOPS, NETSHARK_FIRST_HOP, NETSHARK_LAST_HOP } hops;
    bool is_verbose;

    /* Of fields. */
    size_t n_fields, allocated_fields;
    const struct netshark_field **fields; /* Owned. */
    const char *separator;

    struct netshark_capture *capture; /* Of pcapng, or NULL.  Owned. */
};

/* Whether hop 'i' of 'h' is shown. */
bool netshark_shows_hop(const struct netshark *, const struct history *h,
                        size_t i);

/* netshark_text.c: a line a history, or with is_verbose all of it. */
void netshark_text_put(struct netshark *, const struct history *);

/* netshark_fields.c.  A field that is added is EINVAL with the nearest when
 * there is none of that name. */
int netshark_fields_add(struct netshark *, const char *name,
                        struct lh_error *);
/* The line with their names. */
void netshark_fields_put_header(struct netshark *);
/* A line a history, or where a field is of hops, a line a hop. */
void netshark_fields_put(struct netshark *, const struct history *);
/* All fields, for people and for the manual. */
void netshark_fields_list(FILE *);
void netshark_fields_document(FILE *);

/* netshark_capture.c: pcapng.  'filter' is what was asked for. */
void netshark_capture_begin(struct netshark *, const char *filter);
void netshark_capture_put(struct netshark *, const struct history *);
void netshark_capture_end(struct netshark *);

#endif /* apps/netshark.h */
