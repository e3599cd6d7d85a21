/* SPDX-License-Identifier: Apache-2.0 */
/* say - what a daemon tells whoever runs it, on stderr.
 *
 *     say_warn("switch " DPID_FMT ": %s", dpid, error.text);
 *
 * One line per call: time, program, level, text.  A place in the source that
 * says more than SAY_BURST things within SAY_PERIOD_NS is silent for the rest
 * of that time; its next line ends in "(N more like this were suppressed)".
 *
 * For daemons and programs; lib/ and phf/ return errors instead.
 *
 * Threads: any. */
#ifndef LIB_SAY_H
#define LIB_SAY_H 1

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SAY_BURST     5
#define SAY_PERIOD_NS UINT64_C(10000000000)

enum say_level { SAY_ERROR, SAY_WARN, SAY_INFO, SAY_DEBUG };

/* One place that says things; all zero at first. */
struct say_site {
    uint64_t period_start_ns;
    uint32_t n_said; /* In this period. */
    uint64_t n_suppressed;
};

#define SAY_AT(LEVEL, ...)                                                    \
    do {                                                                      \
        static struct say_site say_site_;                                     \
        say(&say_site_, LEVEL, __VA_ARGS__);                                  \
    } while (0)
#define say_error(...) SAY_AT(SAY_ERROR, __VA_ARGS__)
#define say_warn(...)  SAY_AT(SAY_WARN, __VA_ARGS__)
#define say_info(...)  SAY_AT(SAY_INFO, __VA_ARGS__)
#define say_debug(...) SAY_AT(SAY_DEBUG, __VA_ARGS__)

/* False when the line was suppressed, or its level is not said. */
bool say(struct say_site *, enum say_level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What lines begin with, set at start ('program' must stay), and the highest
 * level that is said (SAY_INFO until set), which any thread may change. */
void say_set_program(const char *program);
void say_set_level(enum say_level);
enum say_level say_level(void);
const char *say_level_name(enum say_level);
/* "error", "warn", "info" or "debug"; false for anything else. */
bool say_level_from_string(const char *text, enum say_level *);

/* For tests: where lines go, and what tells the time (NULL: the usual). */
void say_set_output(FILE *, uint64_t (*now_ns)(void));

#endif /* lib/say.h */
