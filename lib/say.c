/* SPDX-License-Identifier: Apache-2.0 */
/* say - what a daemon tells whoever runs it, on stderr. */
#include <config.h>
#include "lib/say.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "lib/time_spec.h"

static const char *const level_names[] = {
    [SAY_ERROR] = "error",
    [SAY_WARN] = "warn",
    [SAY_INFO] = "info",
    [SAY_DEBUG] = "debug",
};

/* Guards everything below and all sites, and keeps lines whole; lines are rare
 * by design. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *program = "lasthop";
static _Atomic enum say_level max_level = SAY_INFO;
static FILE *output;
static char line[8192]; /* What is longer is cut. */
static uint64_t (*now)(void) = time_spec_now;

void
say_set_program(const char *name)
{
    program = name;
}

void
say_set_level(enum say_level level)
{
    max_level = level;
}

enum say_level
say_level(void)
{
    return max_level;
}

const char *
say_level_name(enum say_level level)
{
    return level_names[level];
}

bool
say_level_from_string(const char *text, enum say_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (!strcmp(level_names[i], text)) {
            *level = (enum say_level) i;
            return true;
        }
    }
    return false;
}

void
say_set_output(FILE *stream, uint64_t (*now_ns)(void))
{
    output = stream;
    now = now_ns ? now_ns : time_spec_now;
}

/* True when 'site' may speak at 'now_ns'. */
static bool
may_say(struct say_site *site, uint64_t now_ns)
{
    if (!site->n_said || now_ns < site->period_start_ns ||
        now_ns - site->period_start_ns >= SAY_PERIOD_NS) {
        site->period_start_ns = now_ns;
        site->n_said = 0;
    }
    if (site->n_said >= SAY_BURST) {
        site->n_suppressed++;
        return false;
    }
    site->n_said++;
    return true;
}

/* Writes what is in 'line', of which a part may come from a peer: it begins no
 * line of its own and moves no cursor. */
static void
put_text(FILE *stream)
{
    for (const char *p = line; *p; p++) {
        bool is_control = (unsigned char) *p < ' ' || *p == 0x7f;

        fputc(is_control ? '?' : *p, stream);
    }
}

bool
say(struct say_site *site, enum say_level level, const char *format, ...)
{
    FILE *stream = output ? output : stderr;
    char when[TIME_SPEC_BUFSIZE];
    bool is_said;
    uint64_t now_ns;
    va_list args;

    if (level > max_level) {
        return false;
    }
    pthread_mutex_lock(&mutex);
    now_ns = now();
    is_said = may_say(site, now_ns);
    if (is_said) {
        fprintf(stream, "%s %s: %s: ", time_spec_format(now_ns, true, 3, when),
                program, level_names[level]);
        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);
        put_text(stream);
        if (site->n_suppressed) {
            fprintf(stream, " (%" PRIu64 " more like this were suppressed)",
                    site->n_suppressed);
            site->n_suppressed = 0;
        }
        fputc('\n', stream);
        fflush(stream);
    }
    pthread_mutex_unlock(&mutex);
    return is_said;
}
