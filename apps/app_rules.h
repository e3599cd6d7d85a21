/* SPDX-License-Identifier: Apache-2.0 */
/* app_rules - the rules that packets met, as a line of text each.
 *
 * Texts are kept, so that each rule is asked for once.  When a question goes
 * wrong no further ones are asked, since each may wait for its time-out.
 *
 * Ownership: the source is borrowed.
 *
 * Threads: one. */
#ifndef APPS_APP_RULES_H
#define APPS_APP_RULES_H 1

#include <stdint.h>

#include "apps/app_source.h"
#include "lib/lh_error.h"
#include "lib/rule.h"

struct app_rules;

struct app_rules *app_rules_create(struct app_source *);
void app_rules_destroy(struct app_rules *);

/* "table 0 priority 100 ip actions=output:1", good until the next call, or
 * NULL when it is not known. */
const char *app_rules_text(struct app_rules *, uint64_t dpid,
                           uint32_t version);
/* Why rules are not known, or NULL when no question went wrong. */
const struct lh_error *app_rules_error(const struct app_rules *);

/* The text of a rule, for free(). */
char *app_rules_format(const struct rule *);

#endif /* apps/app_rules.h */
