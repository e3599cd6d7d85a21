/* SPDX-License-Identifier: Apache-2.0 */
/* app_view - parts of a history as short texts with names, the same in every
 * program.
 *
 * Ownership: texts are for free().
 *
 * Threads: one. */
#ifndef APPS_APP_VIEW_H
#define APPS_APP_VIEW_H 1

#include <stddef.h>
#include <stdint.h>

#include "apps/app_names.h"
#include "lib/history.h"

/* The switches on the way through hop 'i', from its root to the leaf that its
 * first children lead to: "s1 > s2 > s3", with ".." where postcards are
 * missing. */
char *app_view_path(const struct app_names *, const struct history *,
                    size_t i);
/* How many hops that way has, and how many stand before hop 'i' on it. */
size_t app_view_path_length(const struct history *, size_t i,
                            size_t *n_before);

/* "dropped at s3 by v8: no output", or "no verdict". */
char *app_view_verdict(const struct app_names *, const struct verdict *);
/* One line about the packet as it was at that hop, with names of hosts; ""
 * without a header. */
char *app_view_packet(const struct app_names *, const struct history_hop *);
/* The hop's outputs, "s1-s2,s1-s3"; "DROP" without any, "?" when not
 * known. */
char *app_view_outputs(const struct app_names *, const struct history_hop *);
/* Its versions, "7,9"; "" without any. */
char *app_view_versions(const struct history_hop *);

/* Bytes that the packet at that hop had on the wire, as far as its own header
 * tells; at least what was captured. */
uint32_t app_view_length(const struct history_hop *);

#endif /* apps/app_view.h */
