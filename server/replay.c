/* SPDX-License-Identifier: Apache-2.0 */
/* replay - reads capture files of postcards. */
#include <config.h>

#include "server/replay.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "server/source_pcap.h"

/* Frames in one slice. */
#define SLICE 1024
/* How long to wait before looking whether rules have come. */
#define WAIT_US 1000

struct replay {
    struct replay_config config;
    struct event *event;        /* Next slice.  Owned. */
    struct source_pcap *source; /* The file being read.  Owned. */
    bool has_workers;
    size_t next_path;
    uint64_t time_ns; /* Of the last frame. */
    uint64_t n_frames;
    int retval; /* Why reading ended; 0: it has not. */
    struct lh_error error;
};

/* Opens the next file.  ENODATA: there is none. */
static int
open_next(struct replay *replay, struct lh_error *error)
{
    if (replay->next_path == replay->config.n_paths) {
        return ENODATA;
    }
    return source_pcap_open_file(replay->config.paths[replay->next_path++],
                                 replay->config.encap, replay->config.ingest,
                                 &replay->source, error);
}

static void
close_source(struct replay *replay)
{
    pipeline_set_piece(replay->config.pipeline, NULL);
    source_pcap_close(replay->source);
    replay->source = NULL;
}

/* Reads one frame.  ENODATA: all files have ended. */
static int
read_one(struct replay *replay, struct lh_error *error)
{
    uint64_t time_ns;
    int retval;

    while ((retval = source_pcap_peek(replay->source, &time_ns, error)) ==
           ENODATA) {
        close_source(replay);
        retval = open_next(replay, error);
        if (retval) {
            return retval;
        }
    }
    if (retval) {
        return retval;
    }
    if (time_ns >= pipeline_next_ns(replay->config.pipeline)) {
        pipeline_run_to(replay->config.pipeline, time_ns);
    }
    if (replay->has_workers) {
        pipeline_set_piece(replay->config.pipeline,
                           source_pcap_piece(replay->source));
    }
    source_pcap_take(replay->source);
    replay->time_ns = time_ns;
    replay->n_frames++;
    return 0;
}

static void
arm(struct replay *replay, long wait_us)
{
    struct timeval pause = {0, wait_us};

    event_add(replay->event, &pause);
}

/* All was read: workers may still need rules for what they have. */
static void
end_if_idle(struct replay *replay)
{
    if (!pipeline_is_idle(replay->config.pipeline)) {
        arm(replay, WAIT_US);
        return;
    }
    pipeline_flush(replay->config.pipeline, replay->time_ns);
    replay->config.on_end(replay->config.aux,
                          replay->retval == ENODATA ? NULL : &replay->error);
}

static void
on_slice(evutil_socket_t fd, short what, void *replay_)
{
    struct replay *replay = replay_;
    int retval = 0;

    if (replay->retval) {
        end_if_idle(replay);
        return;
    }

    for (int i = 0; i < SLICE && !retval; i++) {
        bool waits_for_rules = rule_cache_n_waiting(replay->config.rules);

        if (waits_for_rules || !pipeline_has_room(replay->config.pipeline)) {
            pipeline_drain(replay->config.pipeline);
            if (!waits_for_rules) {
                pipeline_wait_room(replay->config.pipeline);
            }
            arm(replay, waits_for_rules ? WAIT_US : 0);
            return;
        }
        retval = read_one(replay, &replay->error);
    }
    pipeline_drain(replay->config.pipeline);
    if (!retval) {
        arm(replay, 0);
        return;
    }
    replay->retval = retval;
    close_source(replay);
    end_if_idle(replay);
}

int
replay_open(struct event_base *base, const struct replay_config *config,
            struct replay **replayp, struct lh_error *error)
{
    struct replay *replay = lh_alloc_zero(sizeof *replay);

    replay->config = *config;
    replay->has_workers = pipeline_has_workers(config->pipeline);
    replay->event = evtimer_new(base, on_slice, replay);

    int retval = open_next(replay, error);

    if (retval) {
        replay_close(replay);
        replay = NULL;
    }
    *replayp = replay;
    return retval;
}

void
replay_start(struct replay *replay)
{
    arm(replay, 0);
}

void
replay_close(struct replay *replay)
{
    if (replay) {
        close_source(replay);
        event_free(replay->event);
        free(replay);
    }
}

uint64_t
replay_frames(const struct replay *replay)
{
    return replay->n_frames;
}
