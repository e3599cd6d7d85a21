/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_line - one line of an invariant file, understood.
 *
 * Threads: plain data. */
#ifndef APPS_INVARIANT_LINE_H
#define APPS_INVARIANT_LINE_H 1

#include <stddef.h>

#include "apps/app_names.h"
#include "apps/invariant_file.h"
#include "lib/lh_error.h"

/* Takes the line from byte 'begin' of file->text up to 'end' into 'file':
 * nothing, a group or an invariant.  'names' may be NULL.  0, or EINVAL with
 * the reason and its place in the text; then 'file' is as it was. */
int invariant_line_take(struct invariant_file *, size_t begin, size_t end,
                        unsigned int line, const struct app_names *names,
                        struct lh_error *);

#endif /* apps/invariant_line.h */
