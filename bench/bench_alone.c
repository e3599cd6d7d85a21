/* SPDX-License-Identifier: Apache-2.0 */
/* bench_alone - from received frame to durable archive in one process. */
#include <config.h>
#include "bench/bench_alone.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/ingest.h"
#include "server/pipeline.h"

#define ROUND_MS 1000 /* By the frames' times. */

static void
give_pipeline(void *pipeline, const struct postcard *p)
{
    if (p->time_ns >= pipeline_next_ns(pipeline)) {
        pipeline_run_to(pipeline, p->time_ns);
    }
    pipeline_add(pipeline, p);
}

double
bench_alone(struct bench_frames *frames,
            const struct packet_id_config *id_config, uint64_t n_warm,
            const char *archive, struct counters *counters)
{
    const struct archive_writer_config writer = {.dir = archive,
                                                 .packet_id = *id_config};
    struct pipeline_config config = {.n_threads = 1,
                                     .is_file = true,
                                     .id_config = *id_config,
                                     .is_lossless = true};
    struct ingest_config ingest_config = {.id_config = *id_config,
                                          .give = give_pipeline};
    struct triggers *triggers = triggers_create();
    struct ingest *ingest;
    struct pipeline *pipeline;
    struct lh_error error;
    uint64_t round_ns = 0, last_ns = 0, n_frames = 0, n_before = 0;
    double before, ns;

    if (archive_writer_open(&writer, &config.archive, NULL, &error)) {
        fprintf(stderr, "bench: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    config.triggers = triggers;
    config.rules = ingest_config.rules = frames->rules;
    pipeline = pipeline_create(&config);
    pipeline_set_topology(pipeline, frames->topology, 0);
    ingest_config.aux = pipeline;
    ingest = ingest_create(&ingest_config);
    ingest_set_topology(ingest, frames->topology);
    before = bench_process_s() - frames->made_s;
    while (bench_frames_next(frames)) {
        if (!n_before && n_frames >= n_warm) {
            pipeline_drain(pipeline);
            pipeline_round(pipeline, last_ns);
            before = bench_process_s() - frames->made_s;
            n_before = n_frames;
        }
        for (size_t i = 0; i < frames->n; i++) {
            const struct gen_frame *f = &frames->frames[i];

            ingest_frame(ingest, INGEST_AUTO, f->data, f->len, f->time_ns);
            last_ns = f->time_ns;
        }
        n_frames += frames->n;
        pipeline_drain(pipeline);
        if (last_ns - round_ns >= ROUND_MS * UINT64_C(1000000)) {
            round_ns = last_ns;
            pipeline_round(pipeline, last_ns);
        }
    }
    pipeline_drain(pipeline);
    pipeline_flush(pipeline, last_ns);
    *counters = (struct counters){.archived = 0};
    pipeline_collect(pipeline, counters);
    ns = (bench_process_s() - before - frames->made_s) * 1e9 /
         (double) (n_frames - n_before);
    pipeline_destroy(pipeline);
    ingest_destroy(ingest);
    triggers_destroy(triggers);
    return ns;
}
