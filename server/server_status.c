/* SPDX-License-Identifier: Apache-2.0 */
/* server_status - how the server is doing, at a glance. */
#include <config.h>

#include "server/server_status.h"

#include "lib/archive_span.h"
#include "lib/jmember.h"
#include "lib/process_memory.h"

#define SECOND_NS UINT64_C(1000000000)
#define EVERY_NS  (SERVER_STATUS_SPAN_NS / SERVER_STATUS_SAMPLES)

void
server_status_sample(struct server_status *status, const struct counters *now,
                     uint64_t now_ns)
{
    const struct server_status_sample *last = &status->samples[status->newest];

    if (now_ns >= last->time_ns && now_ns - last->time_ns < EVERY_NS) {
        return;
    }
    if (now_ns < last->time_ns) {
        /* The clock was set back: what was before says nothing. */
        *status = (struct server_status){.started_ns = status->started_ns};
    }
    status->newest = (status->newest + 1) % SERVER_STATUS_SAMPLES;
    status->samples[status->newest] =
        (struct server_status_sample){now_ns, now->postcards, now->histories};
}

/* The oldest sample that is there, or NULL. */
static const struct server_status_sample *
oldest(const struct server_status *status)
{
    for (size_t i = 1; i <= SERVER_STATUS_SAMPLES; i++) {
        const struct server_status_sample *s =
            &status->samples[(status->newest + i) % SERVER_STATUS_SAMPLES];

        if (s->time_ns) {
            return s;
        }
    }
    return NULL;
}

static json_int_t
per_second(uint64_t was, uint64_t is, uint64_t span_ns)
{
    return (json_int_t) ((double) (is - was) * (double) SECOND_NS /
                             (double) span_ns +
                         0.5);
}

/* null before there is a second to tell of. */
static json_t *
rates_to_json(const struct server_status *status, const struct counters *now,
              uint64_t now_ns)
{
    const struct server_status_sample *before = oldest(status);
    uint64_t span_ns;

    if (!before || now_ns < before->time_ns + SECOND_NS / 2 ||
        now->postcards < before->postcards ||
        now->histories < before->histories) {
        return json_null();
    }
    span_ns = now_ns - before->time_ns;
    return json_pack(
        "{s:I, s:I, s:I}", "span_ns", (json_int_t) span_ns, "postcards",
        per_second(before->postcards, now->postcards, span_ns), "histories",
        per_second(before->histories, now->histories, span_ns));
}

static json_t *
archive_to_json(const char *dir, const struct counters *now)
{
    uint64_t oldest_ns, newest_ns;
    bool is_empty = archive_span_oldest(dir, UINT64_MAX, &oldest_ns, NULL) ||
                    archive_span_newest(dir, &newest_ns, NULL);

    return json_pack(
        "{s:o, s:I, s:o, s:o}", "path", jmember_text_new(dir), "bytes",
        (json_int_t) now->archive_size, "since_ns",
        is_empty ? json_null() : json_integer((json_int_t) oldest_ns),
        "until_ns",
        is_empty ? json_null() : json_integer((json_int_t) newest_ns));
}

json_t *
server_status_to_json(const struct server_status *status,
                      const struct counters *now, uint64_t now_ns,
                      const char *archive, bool has_recorder,
                      bool is_recorder_up, json_t *agents)
{
    return json_pack(
        "{s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "version", PACKAGE_VERSION,
        "started_ns", (json_int_t) status->started_ns, "memory_bytes",
        (json_int_t) process_memory(), "rates",
        rates_to_json(status, now, now_ns), "archive",
        archive ? archive_to_json(archive, now) : json_null(), "recorder",
        has_recorder ? json_string(is_recorder_up ? "connected" : "away")
                     : json_null(),
        "agents", agents ? agents : json_null());
}
