/* SPDX-License-Identifier: Apache-2.0 */
/* api_access - who may do what over TLS, by the name in its certificate: a
 * small file, lasthop-server(8), ACCESS.
 *
 *     # NAME                RIGHT..
 *     noc.example.net       bytes triggers
 *     backup.example.net    control bytes triggers
 *     *                     none
 *
 * Threads: plain data. */
#ifndef LIB_API_ACCESS_H
#define LIB_API_ACCESS_H 1

#include <stdbool.h>

#include "lib/lh_error.h"

struct api_access;

/* 0, or an errno value with a reason that names the file and the line. */
int api_access_load(const char *path, struct api_access **, struct lh_error *);
void api_access_destroy(struct api_access *);
/* The rights (enum api_right) of the certificate's 'name': of the line that
 * has it, else of the line `*`; false when it is not let in. */
bool api_access_find(const struct api_access *, const char *name,
                     unsigned int *rights);

#endif /* lib/api_access.h */
