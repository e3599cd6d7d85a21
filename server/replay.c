/* SPDX-License-Identifier: Apache-2.0 */
/* replay - reads capture files of postcards. */
#include <config.h>

#include "server/replay.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "server/source_pcap.h"
#include "server/split_file.h"

/* Frames in one slice. */
#define SLICE 1024
/* How long to wait before looking whether rules have come. */
#define WAIT_US 1000

struct replay {
    struct replay_config config;
    struct event *event;        /* Next slice.  Owned. */
    struct source_pcap *source; /* The file being read.  Owned. */
    size_t n_readers;           /* Workers, if there are some. */
    struct split_file *split;   /* Of the source, when they read it.  Owned. */
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
    int retval;

    if (replay->next_path == replay->config.n_paths) {
        return ENODATA;
    }
    retval = source_pcap_open_file(replay->config.paths[replay->next_path++],
                                   replay->config.encap, replay->config.ingest,
                                   &replay->source, error);
    if (!retval && replay->n_readers && source_pcap_plain(replay->source)) {
        replay->split =
            split_file_create(source_pcap_plain(replay->source),
                              replay->config.encap, replay->n_readers);
    }
    return retval;
}

static void
close_source(struct replay *replay)
{
    split_file_destroy(replay->split);
    replay->split = NULL;
    source_pcap_close(replay->source);
    replay->source = NULL;
}

/* Reads one frame.  ENODATA: the file has ended. */
static int
read_one(struct replay *replay, struct lh_error *error)
{
    uint64_t time_ns;
    int retval = source_pcap_peek(replay->source, &time_ns, error);

    if (retval) {
        return retval;
    }
    if (time_ns >= pipeline_next_ns(replay->config.pipeline)) {
        pipeline_run_to(replay->config.pipeline, time_ns);
    }
    source_pcap_take(replay->source);
    replay->time_ns = time_ns;
    replay->n_frames++;
    return 0;
}

/* Lets workers read the next part.  EAGAIN: they are at the last one; ENODATA:
 * the file has ended. */
static int
read_part(struct replay *replay, struct lh_error *error)
{
    uint64_t end = split_file_next(replay->split), time_ns;
    struct lh_error why;
    int retval;

    if (end) {
        pipeline_read(replay->config.pipeline, replay->split, end,
                      split_file_is_given(replay->split) &&
                          replay->next_path == replay->config.n_paths);
        return 0;
    }
    if (!pipeline_is_idle(replay->config.pipeline)) {
        return EAGAIN;
    }
    retval = split_file_result(replay->split, &time_ns, &why);
    replay->n_frames += split_file_frames(replay->split);
    replay->time_ns = time_ns ? time_ns : replay->time_ns;
    if (retval) {
        source_pcap_explain(replay->source, split_file_frames(replay->split),
                            &why, error);
    }
    split_file_destroy(replay->split);
    replay->split = NULL;
    return retval ? retval : ENODATA;
}

/* Reads a frame or a part.  ENODATA: all files have ended; EAGAIN: look again
 * in a moment. */
static int
read_some(struct replay *replay, struct lh_error *error)
{
    int retval =
        replay->split ? read_part(replay, error) : read_one(replay, error);

    if (retval == ENODATA) {
        close_source(replay);
        retval = open_next(replay, error);
    }
    return retval;
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

static bool
has_room(const struct replay *replay)
{
    return replay->config.has_room
               ? replay->config.has_room(replay->config.aux)
               : pipeline_has_room(replay->config.pipeline);
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

        if (waits_for_rules || !has_room(replay)) {
            bool is_others = replay->config.has_room != NULL;

            pipeline_drain(replay->config.pipeline);
            if (!waits_for_rules && !is_others) {
                pipeline_wait_room(replay->config.pipeline);
            }
            arm(replay, waits_for_rules || is_others ? WAIT_US : 0);
            return;
        }
        retval = read_some(replay, &replay->error);
    }
    pipeline_drain(replay->config.pipeline);
    if (!retval || retval == EAGAIN) {
        arm(replay, retval ? WAIT_US : 0);
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
    replay->n_readers = pipeline_n_workers(config->pipeline);
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
    return replay->n_frames +
           (replay->split ? split_file_frames(replay->split) : 0);
}
