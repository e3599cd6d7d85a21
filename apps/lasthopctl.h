/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - what the files of lasthopctl share; for them only.
 *
 * Threads: one. */
#ifndef APPS_LASTHOPCTL_H
#define APPS_LASTHOPCTL_H 1

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

/* Exit statuses. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_ATTENTION = 3 };

struct ctl {
    char *recorder_path, *server_path; /* Sockets.  Owned. */
    bool is_json, is_check, has_force;
    const char *before;
    int timeout_ms;
    bool has_id_seed;  /* For `archive repair`: */
    uint64_t id_seed;  /* constants of packet IDs, */
    uint16_t id_bytes; /* 0: not given. */
};

/* Asks the recorder.  CTL_OK with '*answer' for json_decref(), otherwise what
 * is wrong has been said.  Takes 'members'. */
int ctl_ask(const struct ctl *, const char *op, json_t *members,
            json_t **answer);
/* The same of the server; says nothing, and '*answer' is NULL when it does not
 * answer. */
void ctl_ask_server(const struct ctl *, const char *op, json_t **answer);
/* The same as ctl_ask() of the server. */
int ctl_demand(const struct ctl *, const char *op, json_t *members,
               json_t **answer);
/* Says what is wrong with the command line; CTL_USAGE. */
int ctl_wrong_usage(const char *what, const char *which);
/* Asks the recorder for a change, waits until it has come to the switches and
 * prints what it came to.  Takes 'members'. */
int ctl_change(const struct ctl *, const char *op, json_t *members);
/* Prints JSON on one line. */
int ctl_print_json(const json_t *);

/* lasthopctl_status.c: the command `status`.  With --check the result is
 * CTL_ATTENTION when something is not as it should be. */
int ctl_status(const struct ctl *);
/* lasthopctl_archive.c: the command `archive`.  The result is 0, 1 when the
 * archive is damaged, 2 when it cannot be read or the usage is wrong. */
int ctl_archive(const struct ctl *, int argc, char *argv[]);
/* lasthopctl_repair.c: `archive repair`, with the same results; 1 also when
 * not all could be repaired. */
int ctl_archive_repair(const struct ctl *, const char *dir);

/* lasthopctl_select.c: the command `select`. */
int ctl_select(const struct ctl *, int argc, char *argv[]);
/* lasthopctl_server.c: the commands `clients`, `triggers`, `topology`,
 * `log`. */
int ctl_clients(const struct ctl *, int argc, char *argv[]);
int ctl_triggers(const struct ctl *, int argc, char *argv[]);
int ctl_topology(const struct ctl *, int argc, char *argv[]);
int ctl_log(const struct ctl *, int argc, char *argv[]);

/* The text at 'key', "" if there is none, and the number, 0 if there is
 * none. */
const char *ctl_text(const json_t *object, const char *key);
long long ctl_number(const json_t *object, const char *key);

#endif /* apps/lasthopctl.h */
