/* SPDX-License-Identifier: Apache-2.0 */
/* frame_pipe - frames from one process to another. */
#include <config.h>
#include "bench/frame_pipe.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/figure.h"

#define N_SLOTS    16
#define RULES_SIZE (4u << 20)

struct frame_pipe {
    /* Written by who makes frames, */
    uint64_t n_given; /* Portions. */
    size_t n_filled;  /* Frames of the next one. */
    size_t rules_len;
    bool has_ended;
    /* and by who takes them. */
    uint64_t n_taken __attribute__((aligned(64)));
    uint64_t n_done;
    size_t rules_read;
    struct frame_portion slots[N_SLOTS];
    char rules[RULES_SIZE]; /* JSON, each with a null byte behind it. */
};

struct frame_pipe *
frame_pipe_create(void)
{
    struct frame_pipe *pipe = mmap(NULL, sizeof *pipe, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (pipe == MAP_FAILED) {
        figure_die_errno("memory that is shared");
    }
    return pipe;
}

void
frame_pipe_destroy(struct frame_pipe *pipe)
{
    munmap(pipe, sizeof *pipe);
}

void
frame_pipe_add_rule(void *pipe_, const struct rule *rule)
{
    struct frame_pipe *pipe = pipe_;
    json_t *json = rule_to_json(rule);
    char *text = json_dumps(json, JSON_COMPACT);
    size_t len = strlen(text) + 1;

    if (pipe->rules_len + len > sizeof pipe->rules) {
        figure_die("too many rules");
    }
    memcpy(pipe->rules + pipe->rules_len, text, len);
    __atomic_store_n(&pipe->rules_len, pipe->rules_len + len,
                     __ATOMIC_RELEASE);
    free(text);
    json_decref(json);
}

void
frame_pipe_flush(struct frame_pipe *pipe)
{
    if (pipe->n_filled) {
        pipe->slots[pipe->n_given % N_SLOTS].n = pipe->n_filled;
        pipe->n_filled = 0;
        __atomic_store_n(&pipe->n_given, pipe->n_given + 1, __ATOMIC_RELEASE);
    }
}

bool
frame_pipe_add(struct frame_pipe *pipe, const struct gen_frame *frame,
               bool *is_full)
{
    struct frame_portion *p = &pipe->slots[pipe->n_given % N_SLOTS];

    if (pipe->n_given - __atomic_load_n(&pipe->n_taken, __ATOMIC_ACQUIRE) ==
        N_SLOTS) {
        return false;
    }
    if (!pipe->n_filled) {
        p->n_bytes = 0;
    }
    if (p->n_bytes + frame->len > sizeof p->bytes) {
        figure_die("frames too large for a pipe");
    }
    memcpy(p->bytes + p->n_bytes, frame->data, frame->len);
    p->frames[pipe->n_filled++] =
        (struct gen_frame){.time_ns = frame->time_ns, .len = frame->len};
    p->n_bytes += frame->len;
    *is_full = pipe->n_filled == FRAME_PIPE_FRAMES;
    if (*is_full) {
        frame_pipe_flush(pipe);
    }
    return true;
}

void
frame_pipe_end(struct frame_pipe *pipe)
{
    __atomic_store_n(&pipe->has_ended, true, __ATOMIC_RELEASE);
}

bool
frame_pipe_is_empty(const struct frame_pipe *pipe)
{
    return pipe->n_given == __atomic_load_n(&pipe->n_done, __ATOMIC_ACQUIRE);
}

static void
take_rules(struct frame_pipe *pipe, struct rule_cache *rules)
{
    size_t len = __atomic_load_n(&pipe->rules_len, __ATOMIC_ACQUIRE);

    while (pipe->rules_read < len) {
        const char *text = pipe->rules + pipe->rules_read;
        json_t *json = json_loads(text, 0, NULL);
        struct lh_error error;
        struct rule *rule;

        if (rule_from_json(json, &rule, &error)) {
            figure_die(error.text);
        }
        rule_cache_add(rules, rule);
        json_decref(json);
        pipe->rules_read += strlen(text) + 1;
    }
}

bool
frame_pipe_take(struct frame_pipe *pipe, struct frame_portion *portion,
                struct rule_cache *rules)
{
    const struct frame_portion *p = &pipe->slots[pipe->n_taken % N_SLOTS];
    size_t at = 0;

    if (pipe->n_taken == __atomic_load_n(&pipe->n_given, __ATOMIC_ACQUIRE)) {
        return false;
    }
    take_rules(pipe, rules);
    portion->n = p->n;
    portion->n_bytes = p->n_bytes;
    memcpy(portion->bytes, p->bytes, p->n_bytes);
    for (size_t i = 0; i < p->n; i++) {
        portion->frames[i] = p->frames[i];
        portion->frames[i].data = portion->bytes + at;
        at += p->frames[i].len;
    }
    __atomic_store_n(&pipe->n_taken, pipe->n_taken + 1, __ATOMIC_RELEASE);
    return true;
}

void
frame_pipe_done(struct frame_pipe *pipe)
{
    __atomic_store_n(&pipe->n_done, pipe->n_taken, __ATOMIC_RELEASE);
}

bool
frame_pipe_has_ended(const struct frame_pipe *pipe)
{
    return __atomic_load_n(&pipe->has_ended, __ATOMIC_ACQUIRE) &&
           pipe->n_taken == __atomic_load_n(&pipe->n_given, __ATOMIC_ACQUIRE);
}
