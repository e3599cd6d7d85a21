/* SPDX-License-Identifier: Apache-2.0 */
/* bench_stream - what a history costs on a socket, as a line of JSON and as
 * bytes (docs/formats/stream.md): CPU time to write and to read it, and its
 * size.  JSON lines, as all benchmarks print. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/history_frame.h"
#include "tests/lib/sample_history.h"

#define N 20000

static double
cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double) ts.tv_sec * 1e6 + (double) ts.tv_nsec / 1e3;
}

static char *
to_line(const struct history *h, const struct topology *topology)
{
    json_t *json = history_to_json(h, topology);
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

static struct history *
from_line(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    struct history *h;

    if (history_from_json(json, &h, NULL)) {
        abort();
    }
    json_decref(json);
    return h;
}

static void
report(const char *form, double write_us, double read_us, size_t size)
{
    printf("{\"bench\":\"stream\",\"form\":\"%s\",\"write_us\":%.2f,"
           "\"read_us\":%.2f,\"bytes\":%zu}\n",
           form, write_us / N, read_us / N, size);
}

int
main(void)
{
    struct topology *topology = sample_topology(), *names;
    struct history *h = sample_history_nat(), *back;
    struct byte_buf body = BYTE_BUF_INIT;
    uint8_t head[HISTORY_FRAME_HEAD];
    double started, write_us, read_us;
    char *text = to_line(h, topology);

    started = cpu_us();
    for (int i = 0; i < N; i++) {
        free(text);
        text = to_line(h, topology);
    }
    write_us = cpu_us() - started;
    started = cpu_us();
    for (int i = 0; i < N; i++) {
        history_destroy(from_line(text));
    }
    read_us = cpu_us() - started;
    report("json", write_us, read_us, strlen(text) + 1);

    started = cpu_us();
    for (int i = 0; i < N; i++) {
        byte_buf_clear(&body);
        if (history_frame_write(h, topology, HISTORY_FRAME_PLAIN, &body)) {
            abort();
        }
        history_frame_head(HISTORY_FRAME_PLAIN, body.len, 1, 0, head);
    }
    write_us = cpu_us() - started;
    started = cpu_us();
    for (int i = 0; i < N; i++) {
        if (history_frame_read(body.data, body.len, HISTORY_FRAME_PLAIN, &back,
                               &names, NULL)) {
            abort();
        }
        history_destroy(back);
        topology_unref(names);
    }
    read_us = cpu_us() - started;
    report("bytes", write_us, read_us, sizeof head + body.len);

    byte_buf_uninit(&body);
    free(text);
    history_destroy(h);
    topology_unref(topology);
    return 0;
}
