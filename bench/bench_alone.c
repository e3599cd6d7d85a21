/* SPDX-License-Identifier: Apache-2.0 */
/* bench_alone - from received frame to durable archive in one process. */
#include <config.h>
#include "bench/bench_alone.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_pin.h"
#include "bench/figure.h"
#include "bench/frame_pipe.h"
#include "lib/lh_alloc.h"
#include "server/ingest.h"
#include "server/pipeline.h"

#define ROUND_MS 1000 /* By the frames' times. */
#define NAP_NS   50000

static void
give_pipeline(void *pipeline, const struct postcard *p)
{
    if (p->time_ns >= pipeline_next_ns(pipeline)) {
        pipeline_run_to(pipeline, p->time_ns);
    }
    pipeline_add(pipeline, p);
}

/* What the process that is measured has. */
struct alone {
    struct frame_pipe *pipe;
    struct rule_cache *rules;
    struct pipeline *pipeline;
    struct ingest *ingest;
    struct frame_portion portion;
    uint64_t n_frames, round_ns, last_ns;
    double bench_s; /* CPU of waiting for frames, and taking them. */
};

/* In memory of both processes. */
struct told {
    double ns;
    struct counters counters;
};

static double
used_s(const struct alone *a)
{
    return figure_s(CLOCK_PROCESS_CPUTIME_ID) - a->bench_s;
}

static bool
take(struct alone *a)
{
    const struct timespec a_little = {.tv_nsec = NAP_NS};
    double before = figure_s(CLOCK_PROCESS_CPUTIME_ID);
    bool is_there;

    while (!(is_there = frame_pipe_take(a->pipe, &a->portion, a->rules)) &&
           !frame_pipe_has_ended(a->pipe)) {
        nanosleep(&a_little, NULL);
    }
    a->bench_s += figure_s(CLOCK_PROCESS_CPUTIME_ID) - before;
    return is_there;
}

static void
feed(struct alone *a)
{
    for (size_t i = 0; i < a->portion.n; i++) {
        const struct gen_frame *f = &a->portion.frames[i];

        ingest_frame(a->ingest, INGEST_AUTO, f->data, f->len, f->time_ns);
        a->last_ns = f->time_ns;
    }
    a->n_frames += a->portion.n;
    pipeline_drain(a->pipeline);
    if (a->last_ns - a->round_ns >= ROUND_MS * UINT64_C(1000000)) {
        a->round_ns = a->last_ns;
        pipeline_round(a->pipeline, a->last_ns);
    }
}

/* Takes all frames; the CPU of each but the first 'n_warm' is told. */
static void
run(struct alone *a, uint64_t n_warm, struct told *told)
{
    uint64_t n_before = 0;
    double before = 0;

    while (take(a)) {
        if (!n_before && a->n_frames >= n_warm) {
            pipeline_drain(a->pipeline);
            pipeline_round(a->pipeline, a->last_ns);
            before = used_s(a);
            n_before = a->n_frames;
        }
        feed(a);
    }
    pipeline_drain(a->pipeline);
    pipeline_flush(a->pipeline, a->last_ns);
    told->counters = (struct counters){.archived = 0};
    pipeline_collect(a->pipeline, &told->counters);
    told->ns = (used_s(a) - before) * 1e9 / (double) (a->n_frames - n_before);
}

/* The process that is measured. */
static void
be_alone(const struct topology *topology,
         const struct packet_id_config *id_config, uint64_t n_warm,
         const char *archive, struct frame_pipe *pipe, struct told *told)
{
    const struct archive_writer_config writer = {.dir = archive,
                                                 .packet_id = *id_config};
    const struct rule_cache_config rules = {.max_rules = 0};
    struct pipeline_config config = {.n_threads = 1,
                                     .is_file = true,
                                     .id_config = *id_config,
                                     .is_lossless = true,
                                     .triggers = triggers_create()};
    struct ingest_config ingest_config = {.id_config = *id_config,
                                          .give = give_pipeline};
    struct alone *a = lh_alloc_zero(sizeof *a);
    struct lh_error error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(BENCH_PIN_FIRST);
    if (archive_writer_open(&writer, &config.archive, NULL, &error)) {
        figure_die(error.text);
    }
    a->pipe = pipe;
    a->rules = rule_cache_create(&rules);
    config.rules = ingest_config.rules = a->rules;
    a->pipeline = pipeline_create(&config);
    pipeline_set_topology(a->pipeline, topology, 0);
    ingest_config.aux = a->pipeline;
    a->ingest = ingest_create(&ingest_config);
    ingest_set_topology(a->ingest, topology);
    run(a, n_warm, told);
    pipeline_destroy(a->pipeline);
    ingest_destroy(a->ingest);
    rule_cache_destroy(a->rules);
    triggers_destroy(config.triggers);
    free(a);
    _exit(EXIT_SUCCESS);
}

static void
give_all(struct bench_frames *frames, struct frame_pipe *pipe, pid_t pid)
{
    const struct timespec a_little = {.tv_nsec = NAP_NS};

    bool is_full;

    frames->on_rule = frame_pipe_add_rule;
    frames->aux = pipe;
    while (bench_frames_next(frames)) {
        for (size_t i = 0; i < frames->n; i++) {
            while (!frame_pipe_add(pipe, &frames->frames[i], &is_full)) {
                nanosleep(&a_little, NULL);
                if (waitpid(pid, NULL, WNOHANG)) {
                    figure_die("the server alone has ended");
                }
            }
        }
    }
    frame_pipe_flush(pipe);
    frame_pipe_end(pipe);
}

double
bench_alone(struct bench_frames *frames,
            const struct packet_id_config *id_config, uint64_t n_warm,
            const char *archive, struct counters *counters)
{
    struct frame_pipe *pipe = frame_pipe_create();
    struct told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t pid;
    double ns;

    if (told == MAP_FAILED || (pid = fork()) < 0) {
        figure_die_errno("server alone");
    } else if (!pid) {
        be_alone(frames->topology, id_config, n_warm, archive, pipe, told);
    }
    give_all(frames, pipe, pid);
    if (waitpid(pid, &status, 0) < 0 || status) {
        figure_die("the server alone has failed");
    }
    ns = told->ns;
    *counters = told->counters;
    munmap(told, sizeof *told);
    frame_pipe_destroy(pipe);
    return ns;
}
