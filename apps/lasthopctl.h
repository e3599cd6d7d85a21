/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - what the files of lasthopctl share; for them only.
 *
 * Threads: one. */
#ifndef APPS_LASTHOPCTL_H
#define APPS_LASTHOPCTL_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "apps/app.h"

/* Exit statuses. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_ATTENTION = 3 };

/* Who is asked. */
enum ctl_daemon { CTL_SERVER, CTL_RECORDER };

struct app_link;

/* One that is asked. */
struct ctl_end {
    char *address;         /* Owned. */
    struct app_link *link; /* Owned; NULL: not connected. */
};

/* What `size` is asked; 0: not given. */
struct ctl_size {
    uint64_t gbit, packet_bytes, hops, snap, days, cores, load, copies,
        replicas;
    uint64_t backlog; /* Seconds. */
};

struct ctl {
    const struct app *app;
    struct ctl_end ends[2]; /* By enum ctl_daemon. */
    bool has_recorder;      /* The command line says where that is. */
    bool is_check, has_force;
    const char *before;
    uint64_t rate;
    bool has_id_seed;  /* For `archive repair`: */
    uint64_t id_seed;  /* constants of packet IDs, */
    uint64_t id_bytes; /* 0: not given. */
    struct ctl_size size;
};

/* Asks, and says nothing: 0 with '*answer' for json_decref(), or a positive
 * errno with the reason.  Takes 'members'. */
int ctl_try(struct ctl *, enum ctl_daemon, const char *op, json_t *members,
            json_t **answer, struct lh_error *);
/* The same; CTL_OK, or what is wrong has been said. */
int ctl_ask(struct ctl *, enum ctl_daemon, const char *op, json_t *members,
            json_t **answer);
/* Says what keeps that one from answering 'op'; CTL_FAILED. */
int ctl_fail(const struct ctl *, enum ctl_daemon, const char *op,
             int error_number, const struct lh_error *);
/* Prints JSON on one line. */
void ctl_print_json(const json_t *);

/* The text at 'key', "" if there is none, the number, 0 if there is none, and
 * the name of a switch, or its datapath ID. */
const char *ctl_text(const json_t *object, const char *key);
long long ctl_number(const json_t *object, const char *key);
const char *ctl_name(const json_t *sw);
/* Prints "N ONE" or "N MANY". */
void ctl_print_count(long long n, const char *one, const char *many);
/* A copy of an array of switches, by name, then datapath ID; NULL of NULL. */
json_t *ctl_sort_switches(const json_t *switches);
/* What the switch at one end of a link is called in 'topology'. */
const char *ctl_end_name(const json_t *topology, const json_t *end);

/* --- the commands: argv[0] is what comes after the command's words --- */

/* lasthopctl_status.c.  With --check the result is CTL_ATTENTION when
 * something is not as it should be. */
int ctl_status(struct ctl *, int argc, char *argv[]);
/* lasthopctl_change.c: asks the recorder for a change, waits until it has come
 * to the switches and prints what it came to, of those named in 'members'
 * (taken) only; and the commands. */
int ctl_change(struct ctl *, const char *op, json_t *members);
int ctl_pause(struct ctl *, int argc, char *argv[]);
int ctl_resume(struct ctl *, int argc, char *argv[]);
int ctl_attach(struct ctl *, int argc, char *argv[]);
int ctl_detach(struct ctl *, int argc, char *argv[]);
/* lasthopctl_archive.c.  The result is 0, 1 when the archive is damaged, 2
 * when it cannot be read. */
int ctl_archive_verify(struct ctl *, int argc, char *argv[]);
int ctl_archive_stat(struct ctl *, int argc, char *argv[]);
/* lasthopctl_repair.c, with the same results; 1 also when not all could be
 * repaired. */
int ctl_archive_repair(struct ctl *, int argc, char *argv[]);
/* lasthopctl_size.c: asks nobody. */
int ctl_size(struct ctl *, int argc, char *argv[]);
/* lasthopctl_select.c */
int ctl_select_list(struct ctl *, int argc, char *argv[]);
int ctl_select_add(struct ctl *, int argc, char *argv[]);
int ctl_select_delete(struct ctl *, int argc, char *argv[]);
int ctl_select_load(struct ctl *, int argc, char *argv[]);
/* lasthopctl_cluster.c */
int ctl_cluster_status(struct ctl *, int argc, char *argv[]);
int ctl_cluster_drain(struct ctl *, int argc, char *argv[]);
int ctl_cluster_forget(struct ctl *, int argc, char *argv[]);
/* lasthopctl_server.c */
int ctl_clients(struct ctl *, int argc, char *argv[]);
int ctl_triggers_list(struct ctl *, int argc, char *argv[]);
int ctl_triggers_add(struct ctl *, int argc, char *argv[]);
int ctl_triggers_pause(struct ctl *, int argc, char *argv[]);
int ctl_triggers_resume(struct ctl *, int argc, char *argv[]);
int ctl_triggers_delete(struct ctl *, int argc, char *argv[]);
int ctl_topology_json(struct ctl *, int argc, char *argv[]);
int ctl_topology_dot(struct ctl *, int argc, char *argv[]);
int ctl_log(struct ctl *, int argc, char *argv[]);

/* --- lasthopctl_glance.c: what `status` prints --- */

/* What was asked; NULL: not known.  'recorder_why' and 'server_why' then say
 * why. */
struct ctl_glance {
    json_t *recorder, *recorder_stats; /* All references. */
    json_t *server, *server_stats, *health, *clients, *topology;
    json_t *found; /* What should be looked at, as texts. */
    const char *recorder_why, *server_why;
};

void ctl_glance_print(const struct ctl *, const struct ctl_glance *);

#endif /* apps/lasthopctl.h */
