/* SPDX-License-Identifier: Apache-2.0 */
/* query_storm - asks a server heavy queries, one after the other. */
#include <config.h>

#include "bench/query_storm.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/figure.h"
#include "lib/api_client.h"
#include "lib/lh_alloc.h"

#define TIMEOUT_MS 30000
/* Each packet's own bytes, at each hop. */
#define HEAVY "{{--bpf \"ip[4:2] = 7 and tcp[4:4] = 0x12345678\"}}{2}"

struct query_storm {
    pid_t pid;
    struct query_storm_totals *totals; /* Shared with it. */
};

/* Waits for the end of a query; false when the server has gone. */
static bool
wait_end(struct api_client *client, struct query_storm_totals *totals)
{
    bool has_ended = false;

    while (!has_ended) {
        json_t *event;
        const char *name;

        if (api_client_next_event(client, TIMEOUT_MS, &event, NULL)) {
            return false;
        }
        name = json_string_value(json_object_get(event, "event"));
        has_ended = name && !strcmp(name, "end");
        if (has_ended) {
            totals->n_queries++;
            totals->n_scanned += (uint64_t) json_integer_value(
                json_object_get(event, "scanned"));
        }
        json_decref(event);
    }
    return true;
}

static void
ask_all_the_time(struct api_client *client, struct query_storm_totals *totals)
{
    do {
        if (api_client_call(client, "query", json_pack("{s:s}", "phf", HEAVY),
                            TIMEOUT_MS, NULL, NULL)) {
            return;
        }
    } while (wait_end(client, totals));
}

struct query_storm *
query_storm_start(const char *dir)
{
    struct query_storm *storm = lh_alloc_zero(sizeof *storm);
    char *path = lh_asprintf("%s/server.sock", dir);
    struct api_client *client;
    struct lh_error error = {.text = "-"};

    storm->totals = mmap(NULL, sizeof *storm->totals, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (storm->totals == MAP_FAILED) {
        figure_die(strerror(errno));
    }
    if (api_client_open(path, &client, &error)) {
        figure_die(error.text);
    }
    storm->pid = fork();
    if (storm->pid < 0) {
        figure_die(strerror(errno));
    }
    if (!storm->pid) {
        ask_all_the_time(client, storm->totals);
        _exit(EXIT_SUCCESS);
    }
    api_client_close(client);
    free(path);
    return storm;
}

void
query_storm_stop(struct query_storm *storm, struct query_storm_totals *totals)
{
    kill(storm->pid, SIGKILL);
    waitpid(storm->pid, NULL, 0);
    *totals = *storm->totals;
    munmap(storm->totals, sizeof *storm->totals);
    free(storm);
}
