/* SPDX-License-Identifier: Apache-2.0 */
/* gen_delay - how long something takes, by chance.
 *
 *     10us                 always that (also "fixed:10us")
 *     uniform:5us-50us     from one to the other, all equally likely
 *     normal:20us,5us      mean and standard deviation; never below 0
 *     exp:20us             exponential, by its mean
 *
 * Times have the units ns, us, ms and s and may have a fraction.
 *
 * Threads: plain data. */
#ifndef GEN_GEN_DELAY_H
#define GEN_GEN_DELAY_H 1

#include <stdint.h>

#include "gen/gen_random.h"
#include "lib/lh_error.h"

enum gen_delay_kind {
    GEN_DELAY_FIXED,   /* a */
    GEN_DELAY_UNIFORM, /* a to b */
    GEN_DELAY_NORMAL,  /* mean a, deviation b */
    GEN_DELAY_EXP      /* mean a */
};

#define GEN_DELAY_MAX_NS 3600000000000ULL /* No time is longer. */

struct gen_delay {
    enum gen_delay_kind kind;
    uint64_t a_ns, b_ns;
};

/* Returns 0, or EINVAL with what is wrong. */
int gen_delay_parse(const char *text, struct gen_delay *, struct lh_error *);
/* One time, as "250us" or "1.5ms".  Returns 0, or EINVAL. */
int gen_delay_parse_time(const char *text, uint64_t *ns, struct lh_error *);
uint64_t gen_delay_draw(const struct gen_delay *, struct gen_random *);

#endif /* gen/gen_delay.h */
