/* SPDX-License-Identifier: Apache-2.0 */
/* time_spec - points in time, as people and programs write them. */
#include <config.h>
#include "lib/time_spec.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_SEC UINT64_C(1000000000)

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {
    /* A name stands before those that begin like it. */
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", NS_PER_SEC},
    {"m", 60 * NS_PER_SEC},
    {"h", 3600 * NS_PER_SEC},
    {"d", 86400 * NS_PER_SEC},
};

/* A place in the text being read. */
struct reader {
    const char *text;
    const char *p;
    struct lh_error *error;
};

static int
fail(const struct reader *r, const char *reason)
{
    lh_error_set_at(r->error, (int) (r->p - r->text), "\"%.60s\": %s", r->text,
                    reason);
    return EINVAL;
}

/* Reads decimal digits. */
static int
read_number(struct reader *r, uint64_t *value)
{
    const char *start = r->p;

    *value = 0;
    for (; isdigit((unsigned char) *r->p); r->p++) {
        unsigned int digit = (unsigned int) (*r->p - '0');

        if (*value > (UINT64_MAX - digit) / 10) {
            return fail(r, "the number is too large");
        }
        *value = *value * 10 + digit;
    }
    return r->p == start ? fail(r, "a number is expected here") : 0;
}

/* Reads exactly 'n_digits', a number from 'min' to 'max', and then 'end'
 * unless that is 0. */
static int
read_field(struct reader *r, int n_digits, int min, int max, char end,
           int *value)
{
    const char *start = r->p;

    *value = 0;
    for (int i = 0; i < n_digits; i++, r->p++) {
        if (!isdigit((unsigned char) *r->p)) {
            return fail(r, "a digit is expected here");
        }
        *value = *value * 10 + (*r->p - '0');
    }
    if (*value < min || *value > max) {
        r->p = start;
        return fail(r, "there is no such date or time");
    }
    if (end && *r->p != end) {
        return fail(r, end == '-' ? "'-' is expected here"
                                  : "':' is expected here");
    }
    r->p += end != 0;
    return 0;
}

/* Reads "-1h30m", which begins at the minus sign. */
static int
read_relative(struct reader *r, uint64_t now_ns, uint64_t *ns)
{
    uint64_t total_ns = 0;

    r->p++;
    do {
        uint64_t value;
        size_t i = 0;

        if (read_number(r, &value)) {
            return EINVAL;
        }
        while (i < sizeof units / sizeof units[0] &&
               strncmp(r->p, units[i].name, strlen(units[i].name))) {
            i++;
        }
        if (i == sizeof units / sizeof units[0]) {
            return fail(r, "a unit is expected here: d, h, m, s, ms, us, ns");
        }
        if (value > (now_ns - total_ns) / units[i].ns) {
            return fail(r, "that is before 1970");
        }
        total_ns += value * units[i].ns;
        r->p += strlen(units[i].name);
    } while (*r->p);
    *ns = now_ns - total_ns;
    return 0;
}

/* Reads ".123" if it is there. */
static int
read_fraction(struct reader *r, uint64_t *ns)
{
    uint64_t unit = NS_PER_SEC / 10;

    *ns = 0;
    if (*r->p != '.') {
        return 0;
    }
    r->p++;
    if (!isdigit((unsigned char) *r->p)) {
        return fail(r, "a digit is expected here");
    }
    for (; isdigit((unsigned char) *r->p); r->p++) {
        if (!unit) {
            return fail(r, "a fraction has at most 9 digits");
        }
        *ns += (uint64_t) (*r->p - '0') * unit;
        unit /= 10;
    }
    return 0;
}

/* Reads "Z", "+02:00" or nothing, which is the end of the text, and turns the
 * broken-down '*tm' into seconds. */
static int
read_zone(struct reader *r, struct tm *tm, int64_t *seconds)
{
    int hours, minutes, sign;

    if (!*r->p) {
        tm->tm_isdst = -1;
        *seconds = mktime(tm);
        return 0;
    }
    *seconds = timegm(tm);
    if (*r->p == 'Z' || *r->p == 'z') {
        r->p++;
    } else if (*r->p == '+' || *r->p == '-') {
        sign = *r->p++ == '-' ? -1 : 1;
        if (read_field(r, 2, 0, 23, ':', &hours) ||
            read_field(r, 2, 0, 59, 0, &minutes)) {
            return EINVAL;
        }
        *seconds -= sign * (hours * 3600 + minutes * 60);
    }
    return *r->p ? fail(r, "the time should end here") : 0;
}

static int
days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && is_leap);
}

/* Reads RFC 3339 or a part of it. */
static int
read_absolute(struct reader *r, uint64_t *ns)
{
    int year, month, day, hour = 0, minute = 0, second = 0;
    uint64_t fraction_ns = 0;
    int64_t seconds;
    struct tm tm;

    if (read_field(r, 4, 1970, 9999, '-', &year) ||
        read_field(r, 2, 1, 12, '-', &month) ||
        read_field(r, 2, 1, days_in_month(year, month), 0, &day)) {
        return EINVAL;
    }
    if (*r->p) {
        if (!strchr("Tt ", *r->p)) {
            return fail(r, "'T' is expected here");
        }
        r->p++;
        if (read_field(r, 2, 0, 23, ':', &hour) ||
            read_field(r, 2, 0, 59, ':', &minute) ||
            read_field(r, 2, 0, 60, 0, &second) ||
            read_fraction(r, &fraction_ns)) {
            return EINVAL;
        }
    }
    tm = (struct tm){
        .tm_year = year - 1900,
        .tm_mon = month - 1,
        .tm_mday = day,
        .tm_hour = hour,
        .tm_min = minute,
        .tm_sec = second,
    };
    if (read_zone(r, &tm, &seconds)) {
        return EINVAL;
    }
    if (seconds < 0 || (uint64_t) seconds > INT64_MAX / NS_PER_SEC - 1) {
        return fail(r, "that is not between 1970 and 2262");
    }
    *ns = (uint64_t) seconds * NS_PER_SEC + fraction_ns;
    return 0;
}

int
time_spec_parse(const char *text, uint64_t now_ns, uint64_t *ns,
                struct lh_error *error)
{
    struct reader r = {text, text, error};

    *ns = 0;
    if (!strcmp(text, "now")) {
        *ns = now_ns;
        return 0;
    }
    if (*text == '-') {
        return read_relative(&r, now_ns, ns);
    }
    if (*text && strspn(text, "0123456789") == strlen(text)) {
        return read_number(&r, ns);
    }
    if (!isdigit((unsigned char) *text)) {
        return fail(&r, "not a time; give 2026-11-22T04:09:29Z, -10m or "
                        "nanoseconds since the epoch");
    }
    return read_absolute(&r, ns);
}

int
time_spec_member(const struct jmember *m, uint64_t now_ns, uint64_t *ns,
                 struct lh_error *error)
{
    struct lh_error reason;

    *ns = 0;
    if (!json_is_string(m->value)) {
        return json_is_integer(m->value)
                   ? jmember_u64(m, INT64_MAX, ns, error)
                   : jmember_error(m, error,
                                   "must be a time: nanoseconds since the "
                                   "epoch, RFC 3339 or \"-10m\"");
    }
    if (time_spec_parse(json_string_value(m->value), now_ns, ns, &reason)) {
        return jmember_error(m, error, "%s", reason.text);
    }
    return 0;
}

uint64_t
time_spec_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t) ts.tv_sec * NS_PER_SEC + (uint64_t) ts.tv_nsec;
}

char *
time_spec_format(uint64_t ns, bool utc, int n_digits,
                 char buf[TIME_SPEC_BUFSIZE])
{
    time_t seconds = (time_t) (ns / NS_PER_SEC);
    char fraction[12] = "", zone[8] = "Z";
    struct tm tm;
    size_t len;

    if (utc) {
        gmtime_r(&seconds, &tm);
    } else {
        long offset, minutes;

        localtime_r(&seconds, &tm);
        offset = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
        minutes = offset / 60;
        snprintf(zone, sizeof zone, "%c%02d:%02d",
                 tm.tm_gmtoff < 0 ? '-' : '+', (int) (minutes / 60 % 24),
                 (int) (minutes % 60));
    }
    if (n_digits > 0) {
        snprintf(fraction, sizeof fraction, ".%09" PRIu64, ns % NS_PER_SEC);
        fraction[n_digits < 9 ? n_digits + 1 : 10] = '\0';
    }
    len = strftime(buf, TIME_SPEC_BUFSIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf + len, TIME_SPEC_BUFSIZE - len, "%s%s", fraction, zone);
    return buf;
}

char *
time_spec_format_span(uint64_t ns, char buf[TIME_SPEC_BUFSIZE])
{
    double seconds = (double) ns / 1e9;

    if (ns < 1000) {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%d ns", (int) ns);
    } else if (ns < 1000000) {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%.3g us", seconds * 1e6);
    } else if (ns < NS_PER_SEC) {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%.3g ms", seconds * 1e3);
    } else if (ns < 60 * NS_PER_SEC) {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%.3g s", seconds);
    } else {
        snprintf(buf, TIME_SPEC_BUFSIZE, "%" PRIu64 " min %d s",
                 ns / (60 * NS_PER_SEC), (int) (ns / NS_PER_SEC % 60));
    }
    return buf;
}
