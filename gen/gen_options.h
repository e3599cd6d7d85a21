/* SPDX-License-Identifier: Apache-2.0 */
/* gen_options - what lasthop-gen was asked to do, from its command line.
 *
 * Ownership: strings point into argv, but for those said to be owned.
 *
 * Threads: plain data. */
#ifndef GEN_GEN_OPTIONS_H
#define GEN_GEN_OPTIONS_H 1

#include "gen/gen_config.h"

struct gen_options {
    struct gen_config config;
    const char *dir;   /* Where to write. */
    char *trace;       /* Path of a preset's trace, or NULL.  Owned. */
    bool wants_stdout; /* Postcards to standard output. */
    bool has_no_truth;
    bool is_quiet;
    bool wants_help, wants_version;
};

extern const char gen_options_help[];

/* Returns 0, or an errno with the reason. */
int gen_options_parse(struct gen_options *, int argc, char *argv[],
                      struct lh_error *);
void gen_options_uninit(struct gen_options *);

#endif /* gen/gen_options.h */
