/* SPDX-License-Identifier: Apache-2.0 */
/* health - whether the server does what it is there for. */
#include <config.h>

#include "server/health.h"

#include <inttypes.h>
#include <stddef.h>

/* What should not grow, and what it means when it does. */
static const struct {
    size_t offset; /* Of the counter. */
    const char *code;
    const char *text;
} signs[] = {
    {offsetof(struct counters, kernel_drops), "postcards-lost",
     "postcards came faster than they were taken (docs/limits.md)"},
    {offsetof(struct counters, dropped_full), "postcards-dropped",
     "too many packets were open at a time"},
    {offsetof(struct counters, dropped_memory), "memory-short",
     "postcards were dropped because memory was short"},
    {offsetof(struct counters, source_errors), "source-failing",
     "reading postcards failed"},
    {offsetof(struct counters, archive_errors), "archive-failing",
     "writing the archive failed; the log says why"},
    {offsetof(struct counters, archive_lost), "histories-not-stored",
     "histories were not stored because the archive could not be written"},
    {offsetof(struct counters, foreign), "foreign-postcards",
     "postcards came from senders that are no switch of the topology"},
    {offsetof(struct counters, cluster_lost), "cluster-postcards-lost",
     "postcards did not get onto the bus: no room while NATS was away or "
     "full"},
    {offsetof(struct counters, cluster_full), "nats-full",
     "NATS had no room for more (--cluster-bytes); postcards wait"},
    {offsetof(struct counters, cluster_missing), "nats-lost",
     "NATS lost messages that it had acknowledged"},
    {offsetof(struct counters, clients_slow), "clients-closed",
     "clients were closed because they did not read"},
};

void
health_sample(struct health *health, const struct counters *now,
              uint64_t now_ns)
{
    if (!health->middle_ns) {
        health->before = health->middle = *now;
        health->before_ns = health->middle_ns = now_ns;
    } else if (now_ns < health->middle_ns ||
               now_ns - health->middle_ns >= HEALTH_SPAN_NS / 2) {
        health->before = health->middle;
        health->before_ns = health->middle_ns;
        health->middle = *now;
        health->middle_ns = now_ns;
    }
}

static void
add_problem(json_t *problems, const char *code, json_int_t n, const char *text)
{
    json_array_append_new(problems, json_pack("{s:s, s:I, s:s}", "code", code,
                                              "n", n, "message", text));
}

json_t *
health_to_json(const struct health *health, const struct counters *now,
               const struct health_others *others)
{
    json_t *problems = json_array();

    if (others->cluster_trouble) {
        add_problem(problems, "no-nats", 1, others->cluster_trouble);
    }
    if (others->n_ownerless) {
        add_problem(problems, "shards-without-owner", others->n_ownerless,
                    "nobody works on shards of the cluster: what comes for "
                    "them waits in NATS");
    }
    if (others->has_recorder && !others->is_recorder_up) {
        add_problem(problems, "no-recorder", 1,
                    "the recorder cannot be reached: what rules did is not "
                    "known");
    }
    for (size_t i = 0; health->before_ns && i < sizeof signs / sizeof *signs;
         i++) {
        uint64_t was = *(const uint64_t *) ((const char *) &health->before +
                                            signs[i].offset);
        uint64_t is =
            *(const uint64_t *) ((const char *) now + signs[i].offset);

        if (is > was) {
            add_problem(problems, signs[i].code, (json_int_t) (is - was),
                        signs[i].text);
        }
    }
    return json_pack("{s:s, s:o}", "health",
                     json_array_size(problems) ? "degraded" : "ok", "problems",
                     problems);
}
