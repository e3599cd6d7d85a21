/* SPDX-License-Identifier: Apache-2.0 */
/* strip - `lasthop-recorder --strip`: takes everything of lasthop's out of
 * bridges, whether a recorder's log is there or not.
 *
 * For each bridge: what stands in its tables by its management socket
 * (strip_switch), then its ports and protocols in OVSDB (strip_port).  One
 * after the other, and one line on standard output for each.
 *
 * Threads: one. */
#ifndef RECORDER_STRIP_H
#define RECORDER_STRIP_H 1

#include <stdbool.h>

#include "lib/lh_error.h"
#include "recorder/recorder_config.h"

/* Does it for the bridges that config->attach and config->bridges name, or all
 * of the OVSDB.  0 when nothing of ours is left in them; otherwise an errno
 * value, and the reason says how many are not done, or what kept it from
 * beginning: EBUSY while a recorder writes to the log, unless
 * config->ovsdb.force. */
int strip_run(const struct recorder_config *config, struct lh_error *);

#endif /* recorder/strip.h */
