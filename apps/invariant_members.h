/* SPDX-License-Identifier: Apache-2.0 */
/* invariant_members - who a line of an invariant file names: addresses, ports,
 * VLANs, hosts, groups and switches.
 *
 * Threads: plain data. */
#ifndef APPS_INVARIANT_MEMBERS_H
#define APPS_INVARIANT_MEMBERS_H 1

#include "apps/app_names.h"
#include "apps/invariant_file.h"
#include "apps/invariant_lexer.h"
#include "lib/lh_error.h"

/* Each reads on from the present token: 0, or EINVAL with the reason and its
 * place.  'names' may be NULL: then nobody knows a host, and every switch is
 * one. */

/* Members between commas, or "any", into the empty 'set'. */
int invariant_members_read(struct invariant_lexer *,
                           const struct invariant_file *,
                           const struct app_names *, struct invariant_set *,
                           struct lh_error *);
/* A switch, as filters take it, for free(). */
int invariant_members_read_switch(struct invariant_lexer *,
                                  const struct app_names *, char **sw,
                                  struct lh_error *);

/* Sets '*error' to "there is .. where WHAT is expected", at the present token.
 * Returns EINVAL. */
int invariant_members_unexpected(const struct invariant_lexer *,
                                 const char *what, struct lh_error *);

#endif /* apps/invariant_members.h */
