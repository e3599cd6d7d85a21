/* SPDX-License-Identifier: Apache-2.0 */
/* gen_delay - how long something takes, by chance. */
#include <config.h>
#include "gen/gen_delay.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    double ns;
} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};

/* Reads a time that ends at 'end'. */
static bool
parse_span(const char *text, const char *end, uint64_t *ns)
{
    char copy[40], *rest;
    size_t len = (size_t) (end - text);
    double value;

    if (!len || len >= sizeof copy || text[0] < '0' || text[0] > '9') {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (strspn(copy, "0123456789.") == len) {
        *ns = 0;
        return !strcmp(copy, "0");
    }
    value = strtod(copy, &rest);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!strcmp(rest, units[i].name)) {
            value = value * units[i].ns + 0.5;
            *ns = value < 1e18 ? (uint64_t) value : UINT64_MAX;
            return *ns <= GEN_DELAY_MAX_NS;
        }
    }
    return false;
}

int
gen_delay_parse_time(const char *text, uint64_t *ns, struct lh_error *error)
{
    if (!parse_span(text, text + strlen(text), ns)) {
        lh_error_set(error,
                     "\"%s\" is no time like 250us, 1.5ms or 2s (at most an "
                     "hour)",
                     text);
        return EINVAL;
    }
    return 0;
}

/* Reads "A<between>B". */
static bool
parse_two(const char *text, char between, struct gen_delay *delay)
{
    const char *middle = strchr(text, between);

    return middle && parse_span(text, middle, &delay->a_ns) &&
           parse_span(middle + 1, text + strlen(text), &delay->b_ns);
}

static bool
parse(const char *text, struct gen_delay *delay)
{
    const char *colon = strchr(text, ':');
    const char *rest = colon ? colon + 1 : text;
    size_t n = colon ? (size_t) (colon - text) : 0;

    *delay = (struct gen_delay){.kind = GEN_DELAY_FIXED};
    if (!colon || (n == 5 && !strncmp(text, "fixed", n))) {
        return parse_span(rest, rest + strlen(rest), &delay->a_ns);
    } else if (n == 3 && !strncmp(text, "exp", n)) {
        delay->kind = GEN_DELAY_EXP;
        return parse_span(rest, rest + strlen(rest), &delay->a_ns);
    } else if (n == 7 && !strncmp(text, "uniform", n)) {
        delay->kind = GEN_DELAY_UNIFORM;
        return parse_two(rest, '-', delay) && delay->a_ns <= delay->b_ns;
    } else if (n == 6 && !strncmp(text, "normal", n)) {
        delay->kind = GEN_DELAY_NORMAL;
        return parse_two(rest, ',', delay);
    }
    return false;
}

int
gen_delay_parse(const char *text, struct gen_delay *delay,
                struct lh_error *error)
{
    if (!parse(text, delay)) {
        lh_error_set(error,
                     "\"%s\" is no delay: give a time (10us), "
                     "uniform:5us-50us, normal:20us,5us or exp:20us",
                     text);
        return EINVAL;
    }
    return 0;
}

/* In (0, 1]. */
static double
draw_unit(struct gen_random *r)
{
    return ((double) (gen_random_next(r) >> 11) + 1) * 0x1p-53;
}

/* The sum of 12 numbers, which is near enough to normal, and the same on every
 * machine. */
static double
draw_normal(struct gen_random *r)
{
    double sum = -6;

    for (int i = 0; i < 12; i++) {
        sum += draw_unit(r);
    }
    return sum;
}

uint64_t
gen_delay_draw(const struct gen_delay *delay, struct gen_random *r)
{
    double ns;

    switch (delay->kind) {
    case GEN_DELAY_UNIFORM:
        return delay->a_ns + gen_random_span(r, delay->b_ns - delay->a_ns);
    case GEN_DELAY_NORMAL:
        ns = (double) delay->a_ns + (double) delay->b_ns * draw_normal(r);
        return ns > 0 ? (uint64_t) ns : 0;
    case GEN_DELAY_EXP:
        return (uint64_t) (-log(draw_unit(r)) * (double) delay->a_ns);
    case GEN_DELAY_FIXED:
        break;
    }
    return delay->a_ns;
}
