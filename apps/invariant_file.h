/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_file - a file of invariants, read (netwatch(1)).
 *
 *     if (invariant_file_read(path, names, &file, &error)) ...
 *     for (size_t i = 0; i < file->n_errors; i++) ... &file->errors[i] ...
 *
 * Every line is read by itself, so that all that is wrong is told at once; a
 * file with errors holds no invariants.
 *
 * Bounds: INVARIANT_FILE_MAX_BYTES, and the others below.  Nothing recurses on
 * what is read.
 *
 * Threads: plain data. */
#ifndef APPS_INVARIANT_FILE_H
#define APPS_INVARIANT_FILE_H 1

#include <stddef.h>

#include "apps/app_names.h"
#include "apps/invariant.h"
#include "lib/lh_error.h"

#define INVARIANT_FILE_MAX_BYTES   (1u << 20)
#define INVARIANT_FILE_MAX         500 /* Invariants. */
#define INVARIANT_FILE_MAX_GROUPS  500
#define INVARIANT_FILE_MAX_MEMBERS 2000 /* Of one set. */
#define INVARIANT_FILE_MAX_HOPS    200
#define INVARIANT_FILE_MAX_STOPS   50
#define INVARIANT_FILE_MAX_ERRORS  20

struct invariant_group {
    char *name; /* Owned. */
    unsigned int line;
    struct invariant_set set; /* Owned. */
};

struct invariant_file {
    char *text; /* Of the file.  Owned. */
    size_t n, allocated;
    struct invariant *invariants; /* Owned. */
    size_t n_groups, allocated_groups;
    struct invariant_group *groups; /* Owned. */
    size_t n_errors;
    struct lh_error errors[INVARIANT_FILE_MAX_ERRORS]; /* Each with a place in
                                                        * 'text'. */
};

/* Reads 'path' ("-": standard input).  0; EINVAL when it has errors, which are
 * in '*filep'; or another positive errno, with the reason in '*error' and
 * '*filep' NULL, when it could not be read.
 *
 * 'names' resolves hosts and switches.  Without a topology in it names of
 * switches and ports are taken as they come. */
int invariant_file_read(const char *path, const struct app_names *names,
                        struct invariant_file **filep, struct lh_error *);
/* The same of 'len' bytes of text. */
int invariant_file_parse(const char *text, size_t len,
                         const struct app_names *names,
                         struct invariant_file **filep);
void invariant_file_destroy(struct invariant_file *);

/* Line and column, both from 1, of byte 'pos' of the text. */
void invariant_file_place(const struct invariant_file *, int pos,
                          unsigned int *line, unsigned int *column);

#endif /* apps/invariant_file.h */
