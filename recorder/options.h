/* SPDX-License-Identifier: Apache-2.0 */
/* options - the command line of lasthop-recorder (lasthop-recorder(8)).
 *
 * Threads: one. */
#ifndef RECORDER_OPTIONS_H
#define RECORDER_OPTIONS_H 1

#include "lib/lh_error.h"
#include "recorder/recorder_config.h"

#define OPTIONS_LISTEN "tcp::6653"
#define OPTIONS_STATE  "/var/lib/lasthop"

/* What --help says: options_help.c. */
extern const char options_help[];

/* Reads the command line into '*config'.  Returns 0, EINVAL with a reason, or
 * ECANCELED when it was --help or --version, which has been printed.  In
 * every case options_uninit() is to be called. */
int options_parse(int argc, char *argv[], struct recorder_config *config,
                  struct lh_error *);
void options_uninit(struct recorder_config *);

#endif /* recorder/options.h */
